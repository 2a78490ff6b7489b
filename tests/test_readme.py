"""The README: its examples run and print what they say, its commands are there and parse.

The blocks of one section share a namespace, in order, in an empty folder that holds two small plates. What a
block prints must be written in it, behind the `print` or as comment lines below it, or in a text block that
follows.
"""

import contextlib
import io
import re
import shlex
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer.main

from tombola.cli import app
from tombola.experiments import PlateDesign, make_plates
from tombola.strategies import __all__ as STRATEGY_NAMES

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = (
    "python -m venv .venv && . .venv/bin/activate && pip install -c constraints.txt . && tombola demo",
    'python -m venv .venv && . .venv/bin/activate && pip install -c constraints.txt ".[test]" && pytest',
)


class Block(NamedTuple):
    """A fenced block, and the text block right below it if there is one."""

    section: str
    line: int
    language: str
    text: str
    output: str | None


def find_blocks(markdown: str) -> list[Block]:
    """Return all fenced blocks in order."""
    blocks: list[Block] = []
    section, language, start, body = "", None, 0, list[str]()
    is_next = False  # nothing but empty lines since the last block
    for number, line in enumerate(markdown.splitlines(), start=1):
        if language is None and line.startswith("```"):
            language, start, body = line[3:], number, []
        elif line == "```" and language is not None:
            text = "\n".join(body) + "\n"
            if is_next and language == "text" and blocks[-1].language == "python":
                blocks[-1] = blocks[-1]._replace(output=text)
            else:
                blocks.append(Block(section, start, language, text, None))
            language, is_next = None, True
        elif language is not None:
            body.append(line)
        elif line:
            is_next = False
            section = line.lstrip("# ") if line.startswith("#") else section
    return blocks


def promised(block: Block) -> list[str]:
    """Return the lines that a block says it prints."""
    if block.output is not None:
        return block.output.splitlines()
    lines, below = [], False
    for line in block.text.splitlines():
        comment = line.strip().removeprefix("# ") if line.strip().startswith("# ") else None
        if below and comment is not None:
            lines.append(comment)
            continue
        below = False
        if "print(" in line:
            _, found, behind = line.partition(")  # ")
            lines += [behind] if found else []
            below = not found
    return lines


BLOCKS = find_blocks(README)
SECTIONS = list(dict.fromkeys(block.section for block in BLOCKS if block.language == "python"))
CONSOLE = [
    line
    for block in BLOCKS
    if block.language == "sh"
    for line in block.text.splitlines()
    if line.startswith("tombola ")
]


@pytest.fixture(scope="module")
def plates(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two plates of 300 cells, named as in the README."""
    design = PlateDesign(n_plates=2, cells_per_plate=300, n_genes=30, skew=0.5)
    return make_plates(tmp_path_factory.mktemp("plates"), design)


def run_section(section: str) -> dict[str, Any]:
    """Run the blocks of a section; what each prints must be what it says."""
    namespace: dict[str, Any] = {"__name__": "readme"}
    for block in BLOCKS:
        if block.section == section and block.language == "python":
            printed = io.StringIO()
            code = compile("\n" * block.line + block.text, str(ROOT / "README.md"), "exec")
            with contextlib.redirect_stdout(printed):
                exec(code, namespace)
            assert printed.getvalue().splitlines() == promised(block)
    return namespace


@pytest.mark.parametrize("section", SECTIONS)
def test_examples(section: str, plates: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for plate in plates:
        (tmp_path / plate.name).symlink_to(plate)
    monkeypatch.chdir(tmp_path)
    namespace = run_section(section)
    if "DataLoader" in section:
        assert namespace["sampler"].epoch == 1  # the loop went through the whole epoch
        assert len(namespace["batch"]) == 10_000 % 64
    if "h5ad" in section:
        assert namespace["x"].shape == (600 % 64, 30)


def test_there_are_examples() -> None:
    assert len(SECTIONS) >= 8
    assert all(promised(block) for block in BLOCKS if "print(" in block.text)
    longest = next(b.text for b in BLOCKS if "import DataLoader" in b.text)
    assert len([line for line in longest.splitlines() if line]) == 6


@pytest.mark.parametrize("command", COMMANDS)
def test_the_two_commands(command: str) -> None:
    end = command.rpartition("&& ")[2]
    assert [line for line in README.splitlines() if line.endswith(end)] == [command]
    assert [block.text for block in BLOCKS if block.text.strip() == command] == [command + "\n"]
    assert (ROOT / "constraints.txt").is_file()


@pytest.mark.parametrize("line", CONSOLE)
def test_command_lines_parse(line: str) -> None:
    _, name, *arguments = shlex.split(line)
    group = typer.main.get_command(app)
    command = group.commands[name]  # type: ignore[attr-defined]
    context = command.make_context(name, arguments)
    assert context.params


def test_every_command_is_shown() -> None:
    group = typer.main.get_command(app)
    assert {line.split()[1] for line in CONSOLE} == set(group.commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", [name for name in STRATEGY_NAMES if name != "Strategy"])
def test_every_strategy_is_in_the_table(name: str) -> None:
    assert re.search(rf"^\| `{name}\(.*\|$", README, re.MULTILINE)


def test_links_lead_to_files() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []


def test_the_place_of_the_figures_is_marked() -> None:
    assert README.count("<!-- figures -->") == README.count("<!-- /figures -->") == 1
    assert README.index("<!-- figures -->") < README.index("<!-- /figures -->")


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
    first, second = find_blocks(markdown)
    assert (first.section, first.line, first.output) == ("Title", 3, None)
    assert (second.section, second.language) == ("Next", "text")
    assert promised(first) == lines
