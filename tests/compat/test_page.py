"""docs/trainers.md: its examples run, its versions are those of constraints.txt, its tests are there."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.compat import common
from tests.docs.pages import imported_by, printed_by, promised, take_apart

PAGE = (common.ROOT / "docs" / "trainers.md").read_text(encoding="utf-8")
FIRST, *BLOCKS = [block for block in take_apart(PAGE).blocks if block.language == "python"]
ROWS = [line.split(" | ") for line in PAGE.splitlines() if re.match(r"\| \w+ \d", line)]

pytestmark = [
    pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec.. is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:The '.*dataloader.*' does not have many workers:UserWarning"),
    pytest.mark.filterwarnings("ignore:The number of training batches:UserWarning"),
    pytest.mark.filterwarnings("ignore:'set_vital' is deprecated:UserWarning"),
]


@pytest.mark.parametrize("block", BLOCKS, ids=[block.section for block in BLOCKS])
def test_examples(block: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in imported_by(block.text):
        pytest.importorskip(name)
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "page"}
    for part in (FIRST, block):
        printed = printed_by("docs/trainers.md", part, namespace)
    assert printed == promised(block)


def test_the_readme_has_the_same_versions() -> None:
    readme = (common.ROOT / "README.md").read_text(encoding="utf-8")
    table = readme[readme.index("| works with |") :].partition("\n\n")[0]
    said = set(re.findall(r"\| (\w+ \d[\d.]*\d)|; (torchdata \d[\d.]*\d)", table))
    rows = {" ".join(re.findall(r"\| (\w+) ([\d.]*\d)", row[0])[0]) for row in ROWS}
    assert {one or other for one, other in said} == rows


def test_every_row_has_its_version_and_its_tests() -> None:
    assert len(ROWS) == 9
    pins = (common.ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    for row in ROWS:
        name, version = re.findall(r"\| (\w+) ([\d.]*\d)", row[0])[0]
        assert f"{name}=={version}" in pins
        file, *tests = re.findall(r"`(test_\w+)`", row[-1])
        text = (Path(__file__).parent / f"{file}.py").read_text(encoding="utf-8")
        assert tests
        assert [test for test in tests if f"def {test}(" not in text] == []
