"""docs/coming-from.md: both sides of each section run and print what they say; versions are those pinned.

A block is skipped where a package that it imports is not installed. annbatch asks for Python 3.12, Mammoth is
a checkout on the path, and sentence-transformers is large: continuous integration has none of these.
"""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import (
    BLOCKS,
    PAGES,
    ROOT,
    TAKEN_APART,
    headings,
    imported_by,
    printed_by,
    promised,
)
from tombola.experiments import PlateDesign, make_plates

PAGE = "docs/coming-from.md"
NOT_ASKED_FOR = {"annbatch": "annbatch", "sentence_transformers": "sentence-transformers", "utils": "Mammoth"}
"""Packages that no extra brings, and what they are called."""

ALL = [block for page, block in BLOCKS if page == PAGE]
ROWS = re.findall(r"^\| (.+?) \| ", PAGES[PAGE].partition("\n## ")[0], re.MULTILINE)[1:]
PINNED = {
    "[torch]": "torch",
    "scDataset": "scdataset",
    "AnnLoader": "anndata",
    "pytorch-metric-learning": "pytorch-metric-learning",
    "LengthGroupedSampler": "transformers",
}
"""Words of the first table to packages whose version stands there."""


def label(block: Any) -> str:
    return f"{block.section}, {'ours' if 'tombola' in imported_by(block.text) else 'theirs'}"


@pytest.fixture(name="plates", scope="module")
def fixture_plates(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The two plates that pages name."""
    design = PlateDesign(n_plates=2, cells_per_plate=300, n_genes=30, skew=0.5)
    return make_plates(tmp_path_factory.mktemp("plates"), design)


@pytest.mark.filterwarnings("ignore")  # of packages that are not ours
@pytest.mark.parametrize("block", ALL, ids=label)
def test_both_sides_run(
    block: Any, plates: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in imported_by(block.text):
        if name in NOT_ASKED_FOR and find_spec(name) is None:
            pytest.skip(f"{NOT_ASKED_FOR[name]} is not here")
        pytest.importorskip(name)
    for plate in plates:
        (tmp_path / plate.name).symlink_to(plate)
    monkeypatch.chdir(tmp_path)
    assert printed_by(PAGE, block, {"__name__": "page"}) == promised(block)


def test_each_section_has_both_sides() -> None:
    sides = {label(block) for block in ALL}
    sections = [line[3:] for line in headings(TAKEN_APART[PAGE]) if line.startswith("## ")]
    assert len(sections) == len(ROWS) == 10
    missing = {f"{section}, {side}" for section in sections for side in ("ours", "theirs")} - sides
    assert missing == {"Blended data sets, theirs"}, "which needs data sets of Megatron's own"


def test_each_row_of_the_table_leads_to_a_section() -> None:
    assert [len(re.findall(r"\]\(#", row)) for row in ROWS] == [1] * len(ROWS)


@pytest.mark.parametrize("word", PINNED)
def test_versions_are_those_of_the_constraints(word: str) -> None:
    (row,) = [row for row in ROWS if word in row]
    (version,) = re.findall(r" (\d[\d.]*\d)", row)
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    (pin,) = [pin.partition("==")[2] for pin in pins if pin.startswith(f"{PINNED[word]}==")]
    assert f"{pin}.".startswith(f"{version}.")
