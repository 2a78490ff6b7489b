"""What docs/migration.md puts beside users' words is there: options, names, files, keys, printed lines."""

import importlib
import re
from typing import Any

import compare_balanced_sampling
import continual_digits
import pytest
import run_hyperparameter_search
import train_compressed_ad
import train_mini_epochs
import train_multifeature_ranker
import typer.main
from scripts import hyperparam_sweep

from tests.docs.pages import PAGES, ROOT
from tombola._base.option_names import option_word
from tombola.cli import app
from tombola.experiments.six.sections import SECTIONS
from tombola.experiments.six.settings import packaged_config
from tombola.experiments.train.config import TrainConfig

PAGE = "docs/migration.md"
SCRIPTS: tuple[Any, ...] = (
    compare_balanced_sampling,
    continual_digits,
    hyperparam_sweep,
    run_hyperparameter_search,
    train_compressed_ad,
    train_mini_epochs,
    train_multifeature_ranker,
)
ROWS = [
    tuple(cell.strip() for cell in line.strip("|").split(" | "))
    for line in PAGES[PAGE].splitlines()
    if line.startswith("| ") and not line.startswith("| there")
]
HERE = [
    f"{there} {here} {note}" if here.startswith("the same") else f"{here} {note}"
    for there, here, note in ROWS
]
"""What each row says of tombola: its left side, too, where that is the same here."""
CODES = [code for text in HERE for code in re.findall(r"`([^`]+)`", text)]


def options() -> set[str]:
    commands = typer.main.get_command(app).commands.values()  # type: ignore[attr-defined]
    found = [name for command in commands for option in command.params for name in option.opts]
    found += [name for script in SCRIPTS for name in script.make_parser()._option_string_actions]
    return {option_word(name[2:]) for name in found if name.startswith("--")}


def lines_of_sources() -> str:
    """Return all that may be printed, with the seams of literals taken out."""
    folders = ("python/tombola", "examples")
    text = "\n".join(path.read_text("utf-8") for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return re.sub(r"\"\s*\n\s*f?\"", "", text)


def test_every_row_has_three_cells() -> None:
    assert len(ROWS) > 50
    assert {len(row) for row in ROWS} == {3}


@pytest.mark.parametrize(
    "section", ["Six strategies", "Series-aware", "Compressed", "Mini-epoch", "Balanced"]
)
def test_there_is_a_table_for_each_system(section: str) -> None:
    assert re.search(rf"^## {section}.*\n\n\| there \| here \| what differs \|$", PAGES[PAGE], re.MULTILINE)


def test_options_are_there() -> None:
    named = {word for code in CODES for word in re.findall(r"(?<!\S)--([\w-]+)", code)}
    assert len(named) > 25
    assert {name for name in named if option_word(name) not in options()} == set()


def test_words_for_options_are_understood() -> None:
    top = PAGES[PAGE].partition("## ")[0]
    pairs = re.findall(r"((?:`--\w+`(?: and )?)+) for\s+`--(\w+)`", top)
    assert len(pairs) >= 5
    for words, known in pairs:
        for word in re.findall(r"--(\w+)", words):
            assert option_word(word) == option_word(known) in options()


def test_names_are_there() -> None:
    named = [code.partition("(")[0] for code in CODES if code.startswith("tombola.")]
    assert len(named) > 15
    for name in named:
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute), name


def test_files_are_there() -> None:
    named = {code for code in CODES if re.fullmatch(r"(examples|\.vscode|config)/[\w./]+", code)}
    assert len(named) > 8
    for name in named:
        assert (ROOT / name).is_file() or (ROOT / "examples" / name).is_file(), name


def test_sections_and_keys_are_there() -> None:
    (sections,) = (there for there, here, _ in ROWS if there.startswith("sections"))
    assert set(re.findall(r"`(\w+)`", sections)) == {*SECTIONS, "strategies"}
    (names,) = (there for there, here, _ in ROWS if there.startswith("names"))
    assert all(f"\n  {name}:" in packaged_config("default") for name in re.findall(r"`(\w+)`", names))
    assert "min_count_baseline: 1000" in packaged_config("default")
    keys = {
        code.partition(":")[0] for code in CODES if re.match(r"(chunk_size|shuffle_files|distribute):", code)
    }
    assert keys == {"chunk_size", "shuffle_files", "distribute"} <= set(TrainConfig.model_fields)


def test_printed_lines_are_in_the_code() -> None:
    sources = lines_of_sources()
    rows = [(there, here) for there, here, _ in ROWS if there.startswith("prints")]
    assert len(rows) >= 7
    for there, here in rows:
        codes = re.findall(r"`([^`]+)`", there if here == "the same" else here)
        assert codes, there
        for code in codes:
            pieces = [piece.strip(" ,:;") for piece in re.split(r"[\d.,/]+", code)]
            longest = max(pieces, key=len)
            assert longest in sources, code
