"""The page of a report in a browser: all pictures, nothing beyond the edge of a wide or a narrow screen."""

import base64
import html
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.browser import find_browser
from tests.experiments.result_files import table, write_records, write_table
from tombola.experiments.six.page import write_page

MEASURE = """
<script>
document.body.dataset.seen = JSON.stringify({
  inner: innerWidth,
  scroll: document.documentElement.scrollWidth,
  pictures: [...document.images].map(one => [one.alt, one.naturalWidth, one.getBoundingClientRect().width]),
  headings: [...document.querySelectorAll("h2")].map(one => one.textContent),
  sticky: getComputedStyle(document.querySelector(".wide td")).position,
});
</script>
"""


@pytest.fixture(name="browser", scope="module")
def fixture_browser() -> str:
    return find_browser()


@pytest.fixture(name="page", scope="module")
def fixture_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    write_table(folder, table((0, 1)))
    write_records(folder, ("random-seed0", "streaming-seed0"))
    page = write_page(folder)
    measured = page.with_name("measured.html")
    text = page.read_text(encoding="utf-8")
    measured.write_text(text.replace("</body>", f"{MEASURE}</body>"), encoding="utf-8")
    return measured


def opened(browser: str, page: Path, width: int, profile: Path) -> dict[str, Any]:
    """Open the page, and return what its script measured; no name of a host is ever found."""
    options = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
    ]
    own = [
        f"--user-data-dir={profile}",
        f"--window-size={width},900",
        "--host-resolver-rules=MAP * ~NOTFOUND",
    ]
    picture = profile.with_suffix(".png")
    command = [browser, *options, *own, f"--screenshot={picture}", "--dump-dom", page.as_uri()]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert result.returncode == 0, result.stderr
    found = re.search(r'data-seen="([^"]*)"', result.stdout)
    assert found, result.stderr
    assert picture.read_bytes().startswith(b"\x89PNG")
    seen: dict[str, Any] = json.loads(html.unescape(found[1]))
    return seen


@pytest.mark.parametrize("width", [1280, 500])  # no window is narrower
def test_a_browser_shows_the_whole_page(browser: str, page: Path, width: int, tmp_path: Path) -> None:
    seen = opened(browser, page, width, tmp_path / "profile")
    assert seen["inner"] == width
    assert seen["scroll"] <= seen["inner"]
    assert seen["headings"] == ["Scores on the test rows", "Speed", "Pictures", "Runs"]
    assert seen["sticky"] == "sticky"
    written = sorted((page.parent / "figures").glob("*.png"))
    assert sorted(alt.split("(")[-1] for alt, *_ in seen["pictures"]) == [f"{path.stem})" for path in written]
    for _, natural, shown in seen["pictures"]:
        assert natural > 500
        assert 500 < shown <= 1100


def test_the_page_needs_no_other_file(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    places = re.findall(r'(?:src|href)="([^"]*)"|url\(([^)]*)\)', text)
    assert len(places) == 5
    for place, _ in places:
        assert base64.b64decode(place.removeprefix("data:image/png;base64,"), validate=True)
