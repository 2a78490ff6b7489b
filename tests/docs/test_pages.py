"""What pages say is there: commands, strategies, links, paths, rooms, figures; the README stays short."""

import re
from pathlib import Path

import pytest
import yaml

from tests.docs.pages import (
    BLOCKS,
    IN_ROOT,
    PAGES,
    READ_FIRST,
    ROOT,
    TAKEN_APART,
    anchors,
    headings,
    links,
    paths,
    take_apart,
    words,
)
from tests.test_architecture import ROOMS
from tombola import __all__ as PUBLIC_NAMES
from tombola import __version__
from tombola.strategies import __all__ as STRATEGY_NAMES

README = PAGES[READ_FIRST]
ARCHITECTURE = "docs/architecture.md"
COMMANDS = (
    "python -m venv .venv && . .venv/bin/activate && pip install -c constraints.txt . && tombola demo",
    "python -m venv .venv && . .venv/bin/activate && "
    'pip install -c constraints.txt ".[test]" && pytest -n auto',
)
WORDS_READ_IN_SIX_MINUTES = 1_200
ROOTS_OF_PATHS = (".", "python/tombola", "cpp/include/tombola", "cpp/src")
"""Where a path in a page may begin; a room's name says the rest."""


@pytest.mark.parametrize("command", COMMANDS)
def test_the_two_commands(command: str) -> None:
    end = command.rpartition("&& ")[2]
    assert [line for line in README.splitlines() if line.endswith(end)] == [command]
    assert [block.text for block in TAKEN_APART[READ_FIRST].blocks if block.text.strip() == command] == [
        command + "\n"
    ]
    assert (ROOT / "constraints.txt").is_file()


def test_the_readme_is_read_in_six_minutes() -> None:
    assert words(README) <= WORDS_READ_IN_SIX_MINUTES


@pytest.mark.parametrize("name", [name for name in STRATEGY_NAMES if name != "Strategy"])
def test_every_strategy_is_in_the_table(name: str) -> None:
    assert re.search(rf"^\| `{name}\(.*\|$", README, re.MULTILINE)
    assert f"`{name}" in PAGES["docs/strategies.md"]


def link_offences(page: str, markdown: str) -> list[str]:
    """Return the links of a page that lead nowhere."""
    offences = []
    own = take_apart(markdown)
    for target in links(own):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        if not file.exists():
            offences.append(f"{page}: {target}: no such file")
        elif anchor and anchor not in (
            anchors(take_apart(file.read_text(encoding="utf-8"))) if path else anchors(own)
        ):
            offences.append(f"{page}: {target}: no such heading")
    return offences


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_and_headings(page: str) -> None:
    assert link_offences(page, PAGES[page]) == []


def test_there_are_links() -> None:
    assert len(links(TAKEN_APART[READ_FIRST])) > 10


@pytest.mark.parametrize(
    ("link", "offence"),
    [
        ("[a](docs/nothing.md)", ["README.md: docs/nothing.md: no such file"]),
        ("[a](CHANGELOG.md#nothing)", ["README.md: CHANGELOG.md#nothing: no such heading"]),
        ("[a](#b)", ["README.md: #b: no such heading"]),
        ("# B `c`\n[a](#b-c), `[a](b)`", []),
        ("```text\n[a](b)\n```\n[a](https://example.org/b#c)", []),
    ],
)
def test_a_broken_link_is_found(link: str, offence: list[str]) -> None:
    assert link_offences("README.md", link) == offence


def test_every_page_is_linked_from_the_readme() -> None:
    linked = {target.partition("#")[0] for target in links(TAKEN_APART[READ_FIRST])}
    assert set(PAGES) - {READ_FIRST} <= linked


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_one_title_and_it_comes_first(page: str) -> None:
    first, *others = headings(TAKEN_APART[page])
    assert PAGES[page].startswith(first + "\n")
    assert first.startswith("# ")
    assert [heading for heading in others if heading.startswith("# ")] == []


def test_the_place_of_the_figures_is_marked() -> None:
    page = PAGES["docs/benchmarks.md"]
    assert page.count("<!-- figures -->") == page.count("<!-- /figures -->") == 1
    assert page.index("<!-- figures -->") < page.index("<!-- /figures -->")
    assert [name for name in PAGES if "<!-- figures -->" in PAGES[name]] == ["docs/benchmarks.md"]


def figures_of_readme() -> list[list[str]]:
    """Return the rows of the short table of figures: work, best peer, tombola, ratio, met."""
    table = README[README.index("## Speed") :]
    table = table[: table.index("\n## ")]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    return rows[1:]


def test_the_short_table_says_what_the_full_one_says() -> None:
    """One place for one fact: figures of the README stand in docs/benchmarks.md, and ratios are theirs."""
    page = PAGES["docs/benchmarks.md"]
    full = page[page.index("<!-- figures -->") : page.index("<!-- /figures -->")]
    known = set(re.findall(r"(?<![\w.,^])\d[\d,.]*\d|\d", full))
    rows = figures_of_readme()
    assert len(rows) >= 6
    for work, peer, ours, ratio, met in rows:
        their = peer.strip("* ").rpartition(" ")[2]
        assert {their, ours} <= known, work
        low, high = sorted(float(figure.replace(",", "")) for figure in (their, ours))
        assert ratio == f"{high / low:.1f}", work
        assert met in {"yes", "no"}
    assert {row[-1] for row in rows} == {"yes", "no"}, "targets that are missed are shown"


def test_what_choosing_costs_is_what_benchmarks_say() -> None:
    """One place for one fact: figures stand in docs/benchmarks.md, multiples are those of the figures."""
    page = PAGES["docs/choosing.md"]
    table = page[page.index("## What it costs") : page.index("## Pictures of plans")]
    rows = [line[1:-1].split("|") for line in table.splitlines() if line.startswith("| ")]
    known = set(re.findall(r"(?<![\w.,^])\d[\d,.]*\d", PAGES["docs/benchmarks.md"]))
    head = next(number for number, row in enumerate(rows) if row[0].startswith(" blocks of"))
    epochs = [[cell.strip("* ") for cell in row] for row in rows[1:head]]
    full_shuffle = float(epochs[0][2])
    assert {row[2] for row in epochs} <= known
    assert [row[3] for row in epochs[:6]] == [f"{float(row[2]) / full_shuffle:.1f}" for row in epochs[:6]]
    read = [cell.strip() for row in rows[head + 1 :] for cell in row[1:]]
    assert set(filter(None, read)) <= known
    assert len(rows) == head + 5 == 15


def test_paths_are_there() -> None:
    named = {(page, path) for page in (ARCHITECTURE, *IN_ROOT) for path in paths(TAKEN_APART[page])}
    assert len(named) > 50
    missing = [f"{page}: {path}" for page, path in sorted(named) if not _found(path)]
    assert missing == []


def _found(path: str) -> bool:
    return any(next((ROOT / root).glob(path.strip("/")), None) is not None for root in ROOTS_OF_PATHS)


def test_every_room_is_named() -> None:
    text = PAGES[ARCHITECTURE]
    rooms = {room.name.replace(".", "/") for room in ROOMS} - {"__init__", "_version"}
    assert {room for room in rooms if f"`{room}`" not in text} == set()


def test_the_table_of_rooms_is_that_of_the_test() -> None:
    """Rooms, their order, what they may import of each other and of other packages."""
    row = r"^\| `([\w/]+)` \|[^|]+\|([^|]*)\|([^|]*)\|$"
    table = re.findall(row, PAGES[ARCHITECTURE], re.MULTILINE)
    rooms = [room for room in ROOMS if room.name not in {"_version", "__init__"}]
    assert [name for name, _, _ in table] == [room.name.replace(".", "/") for room in rooms]
    for room, (_, allowed, packages) in zip(rooms, table, strict=True):
        named = {name.replace("/", ".") for name in re.findall(r"`([\w/]+)`", allowed)}
        own = {room.name.partition(".")[0]}
        if "all above" in allowed:
            above = {other.name.partition(".")[0] for other in rooms[: rooms.index(room)]}
            assert "but `replay`" in allowed
            named |= above - own
            named -= {"replay"}
        assert named - own == set(room.rooms.split()) - own - {"__init__"}, room.name
        assert set(filter(None, packages.strip().split(", "))) == set(room.packages.split()), room.name


def test_every_room_of_the_core_is_named() -> None:
    rooms = {path.name for path in (ROOT / "cpp" / "include" / "tombola").iterdir() if path.is_dir()}
    assert {room for room in rooms if f"`{room}`" not in PAGES[ARCHITECTURE]} == set()


@pytest.mark.parametrize("name", [*PUBLIC_NAMES, "DataLoader"])
def test_every_public_name_has_a_room(name: str) -> None:
    text = PAGES[ARCHITECTURE]
    table = text[text.index("## Public names") : text.index("## The strategies' rules")]
    assert re.search(rf"^\|.*`{name}`.*\|", table, re.MULTILINE)


def test_the_checklists_are_linked() -> None:
    assert {f"{ARCHITECTURE}#adding-a-{what}" for what in ("strategy", "kernel", "source")} <= set(
        links(TAKEN_APART["CONTRIBUTING.md"])
    )


def test_how_to_cite_names_this_version() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["cff-version"] == "1.2.0"
    assert str(cited["version"]) == __version__
    assert {"message", "title", "authors"} <= set(cited)
    assert cited["license"] == "BSD-3-Clause"


def test_no_page_names_a_place_of_one_machine() -> None:
    offences = [
        f"{page}: {found}"
        for page, text in PAGES.items()
        for found in re.findall(r"(?<![\w.~/])/(?:work|home|root|tmp)\b[^\s)`]*", text)
    ]
    assert offences == []


def test_pages_are_markdown_files_of_the_root_and_docs() -> None:
    assert all((ROOT / name).is_file() for name in PAGES)
    assert {Path(name).suffix for name in PAGES} == {".md"}
    assert len(BLOCKS) > 30
