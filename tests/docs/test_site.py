"""Every page of the built site in headless Chromium, wide and narrow: it renders, and asks no other server.

The site must have been built: ``python -m mkdocs build --strict -f docs/site/mkdocs.yml``. One process of the
browser opens all pages, which a server on this machine hands out.
"""

import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.browser import Browser, find_browser, started
from tests.docs.pages import PAGES, ROOT
from tombola import __all__ as PUBLIC_NAMES

pytestmark = pytest.mark.site
SITE = ROOT / "build" / "site"
COMMAND = "python -m mkdocs build --strict -f docs/site/mkdocs.yml"
WIDE, NARROW = 1280, 400
MEASURE = """({
  title: document.title,
  heading: document.querySelector("article h1").innerText,
  words: document.querySelector("article").innerText.split(/\\s+/).length,
  scroll: document.documentElement.scrollWidth,
  dead: [...document.images].filter(one => one.loading != "lazy" && !one.naturalWidth).map(one => one.src),
})"""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(name="address", scope="module")
def fixture_address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(SITE)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(name="browser", scope="module")
def fixture_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    path = find_browser()
    assert SITE.is_dir(), f"build the site first: {COMMAND}"
    with started(path, tmp_path_factory.mktemp("browser") / "profile") as browser:
        yield browser


def pages() -> list[str]:
    """Return the addresses of all pages below the site's, but that of the page for wrong addresses."""
    found = sorted(path.relative_to(SITE).parent.as_posix() for path in SITE.rglob("index.html"))
    return [f"{place}/".removeprefix("./") for place in found]


def complaints(events: list[dict[str, Any]], address: str) -> list[str]:
    """Return what went wrong while a page was opened: exceptions, errors, answers, other servers."""
    found = []
    for event in events:
        method, parameters = event["method"], event.get("params", {})
        if method == "Runtime.exceptionThrown":
            found.append(f"exception: {parameters['exceptionDetails']['text']}")
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in {"error", "assert"}:
            found.append(f"console: {parameters['args']}")
        elif method == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            found.append(f"log: {parameters['entry']['text']} {parameters['entry'].get('url', '')}")
        elif method == "Network.loadingFailed" and not parameters.get("canceled"):
            found.append(f"failed: {parameters['errorText']}")
        elif method == "Network.requestWillBeSent":
            url = parameters["request"]["url"]
            if not url.startswith((address, "data:", "blob:")):
                found.append(f"another server: {url}")
        elif method == "Network.responseReceived" and parameters["response"]["status"] >= 400:
            found.append(f"status {parameters['response']['status']}: {parameters['response']['url']}")
    return found


def test_every_page_renders(browser: Browser, address: str) -> None:
    offences: dict[str, list[str]] = {}
    titles = set()
    for place in pages():
        found = complaints(browser.open(address + place, width=WIDE), address)
        for width in (WIDE, NARROW):
            browser.resize(width)
            seen = browser.evaluate(MEASURE)
            found += [f"no picture: {source}" for source in seen["dead"]]
            if not seen["title"] or not seen["heading"] or seen["words"] < 20:
                found.append(f"no page: {seen}")
            if seen["scroll"] > width:
                found.append(f"{seen['scroll']} pixels wide in a window of {width}")
        titles.add(seen["title"])
        if found:
            offences[place] = found
    assert offences == {}
    assert len(titles) == len(pages())


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_commands_are_seen_whole(browser: Browser, address: str, width: int) -> None:
    browser.open(address, width=width)
    widths = browser.evaluate(
        '[...document.querySelectorAll(".language-sh code")].map(one => [one.scrollWidth, one.clientWidth])'
    )
    assert len(widths) == 2
    assert [seen for needed, seen in widths if needed > seen] == []


def test_every_page_of_the_repository_is_there() -> None:
    assert len(pages()) >= len(PAGES) + 10


def test_every_public_name_is_in_the_reference(browser: Browser, address: str) -> None:
    browser.open(address + "api/", width=WIDE)
    links = browser.evaluate('[...document.querySelectorAll("article td a")].map(one => one.href)')
    assert {link.partition("#tombola.")[2] for link in links} == {*PUBLIC_NAMES, "DataLoader"}
    methods = [
        f"{address}api/{place}"
        for place in ("loading/#tombola.Loader.state_dict", "plans/#tombola.Plan.plot")
    ]
    for link in (*links, *methods):
        place, _, anchor = link.removeprefix(address).partition("#")
        assert f'id="{anchor}"' in (SITE / place / "index.html").read_text(encoding="utf-8")


def found_by(browser: Browser, address: str, query: str) -> list[str]:
    """Return what the site's search finds for a query, best first."""
    browser.open(address, width=WIDE)
    found: list[str] = browser.evaluate(
        """(async () => {
          const field = document.querySelector(".md-search__input");
          field.focus();
          field.value = QUERY;
          field.dispatchEvent(new Event("keyup", {bubbles: true}));
          for (let i = 0; i < 100; i++) {
            const all = [...document.querySelectorAll(".md-search-result__link")].map(one => one.href);
            if (all.length) return all;
            await new Promise(done => setTimeout(done, 50));
          }
          return [];
        })()""".replace("QUERY", json.dumps(query))
    )
    return found


def test_the_search_finds(browser: Browser, address: str) -> None:
    found = found_by(browser, address, "state_dict")
    assert any("resume" in link for link in found)


def test_a_search_for_a_users_word_finds_the_users_page_first(browser: Browser, address: str) -> None:
    assert "/resume/" in found_by(browser, address, "resume")[0]
    assert any(
        "classes-balanced-on-two-ranks" in link
        for link in found_by(browser, address, "balance classes ranks")
    )


def test_a_page_of_another_server_is_found(browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text('<img src="https://example.org/a.png"><script>undefined.x</script>', encoding="utf-8")
    found = complaints(browser.open(page.as_uri(), width=WIDE), tmp_path.as_uri())
    assert any(line.startswith("another server: https://example.org") for line in found)
    assert any(line.startswith("exception: ") for line in found)
