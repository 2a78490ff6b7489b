"""What pages show runs: Python blocks print what they say, command lines parse, YAML is understood.

The blocks of one section share a namespace, in order, in an empty folder that holds two small plates. What a
block prints must be written in it, behind the `print` or as comment lines below it, or in a text block that
follows.
"""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

import tombola
from tests.docs.pages import BLOCKS, READ_FIRST, ROOT, TAKEN_APART, printed_by, promised, take_apart
from tombola.cli import app
from tombola.experiments import PlateDesign, make_plates
from tombola.experiments.sweep.config import read_sweep_config
from tombola.experiments.train.config import read_train_config

ELSEWHERE = {"docs/coming-from.md", "docs/trainers.md"}
"""Pages whose blocks need other people's trainers and samplers: tests/compat runs them."""

SECTIONS = list(
    dict.fromkeys(
        (page, block.section)
        for page, block in BLOCKS
        if block.language == "python" and page not in ELSEWHERE
    )
)
SHELL = [
    (page, line)
    for page, block in BLOCKS
    if block.language == "sh"
    for line in block.text.splitlines()
    if line and not line.startswith(" ")
]
CONSOLE = list(
    dict.fromkeys(
        line[line.index("tombola") :].replace("tombola.cli", "tombola")
        for _, line in SHELL
        if line.startswith("tombola ") or " -m tombola.cli " in line
    )
)
SCRIPTS = [(page, line) for page, line in SHELL if line.startswith("python ") and ".py" in line]
YAML = [(page, block) for page, block in BLOCKS if block.language == "yaml"]


@pytest.fixture(scope="module")
def plates(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two plates of 300 cells, named as in the pages."""
    design = PlateDesign(n_plates=2, cells_per_plate=300, n_genes=30, skew=0.5)
    return make_plates(tmp_path_factory.mktemp("plates"), design)


@pytest.fixture
def folder(plates: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working directory of a section; the number of threads is set back behind it."""
    for plate in plates:
        (tmp_path / plate.name).symlink_to(plate)
    monkeypatch.chdir(tmp_path)
    threads = tombola.get_num_threads()
    yield tmp_path
    tombola.set_num_threads(threads)


def run_section(page: str, section: str) -> dict[str, Any]:
    """Run the blocks of a section; what each prints must be what it says."""
    namespace: dict[str, Any] = {"__name__": "page"}
    for block in TAKEN_APART[page].blocks:
        if block.section == section and block.language == "python":
            assert printed_by(page, block, namespace) == promised(block)
    return namespace


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("page", "section"), SECTIONS)
def test_examples(page: str, section: str) -> None:
    namespace = run_section(page, section)
    if "DataLoader" in section:
        assert namespace["sampler"].epoch == 1  # the loop went through the whole epoch
        assert len(namespace["batch"]) == 10_000 % 64
    if section == "Rows from h5ad files":
        assert namespace["x"].shape == (600 % 64, 30)


def test_there_are_examples() -> None:
    assert len(SECTIONS) >= 24
    assert len([section for page, section in SECTIONS if page == READ_FIRST]) >= 5
    assert {section for _, section in SECTIONS} >= {"Under a DataLoader", "Rows from h5ad files"}
    assert all(
        promised(block) for _, block in BLOCKS if block.language == "python" and "print(" in block.text
    )
    longest = next(
        block.text for page, block in BLOCKS if page == READ_FIRST and "batch_sampler=sampler" in block.text
    )
    assert len([line for line in longest.splitlines() if line]) == 6


def test_sections_with_examples_have_names_of_their_own() -> None:
    for page, section in SECTIONS:
        text = [line.lstrip("# ") for line in TAKEN_APART[page].lines.values() if line.startswith("#")]
        assert text.count(section) == 1, f"{page}: {section}"


@pytest.mark.parametrize("line", CONSOLE)
def test_command_lines_parse(line: str) -> None:
    _, name, *arguments = shlex.split(line)
    group = typer.main.get_command(app)
    command = group.commands[name]  # type: ignore[attr-defined]
    root = group.make_context("tombola", [name])  # says that hyphens and underscores are alike
    context = command.make_context(name, arguments, parent=root)
    assert context.params


def test_every_command_is_shown() -> None:
    group = typer.main.get_command(app)
    assert {line.split()[1] for line in CONSOLE} == set(group.commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("page", "line"), SCRIPTS)
def test_scripts_are_there(page: str, line: str) -> None:
    script = next(word for word in shlex.split(line) if word.endswith(".py"))
    assert (ROOT / script).is_file(), f"{page} shows {line}"


def test_scripts_are_shown() -> None:
    shown = {word for _, line in SCRIPTS for word in shlex.split(line)}
    scripts = [*(ROOT / "examples").glob("*.py"), *(ROOT / "examples" / "scripts").glob("*.py")]
    assert {path.relative_to(ROOT).as_posix() for path in scripts} <= shown


@pytest.mark.parametrize(("page", "text"), [(page, block.text) for page, block in YAML])
def test_configurations_are_understood(page: str, text: str, tmp_path: Path) -> None:
    for _, block in YAML:
        name = "sweep.yaml" if "search:" in block.text else "train.yaml"
        (tmp_path / name).write_text(block.text, encoding="utf-8")
    if "search:" in text:
        assert read_sweep_config(tmp_path / "sweep.yaml").base.files
    else:
        assert read_train_config(tmp_path / "train.yaml").files


def test_kinds_of_blocks() -> None:
    assert {block.language for _, block in BLOCKS} <= {
        "python",
        "python notest",
        "sh",
        "text",
        "yaml",
        "cpp",
        "mermaid",
    }
    assert len(YAML) == 2


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("print(1)  # 1\n", ["1"]),
        ("for i in range(2):\n    print(i)\n    # 0\n    # 1\n# done\n", ["0", "1", "done"]),
        ("# why\nx = 1\nprint(x)\ny = 2\n# more\n", []),
    ],
)
def test_what_a_block_promises(text: str, lines: list[str]) -> None:
    markdown = f"# Title\n\n```python\n{text}```\n\n## Next\n\n```text\nno output\n```\n"
    first, second = take_apart(markdown).blocks
    assert (first.section, first.line, first.output) == ("Title", 3, None)
    assert (second.section, second.language) == ("Next", "text")
    assert promised(first) == lines


def test_a_block_without_an_end() -> None:
    with pytest.raises(ValueError, match=r"^the block that begins in line 2 has no end$"):
        take_apart("text\n```python\nprint(1)\n")
