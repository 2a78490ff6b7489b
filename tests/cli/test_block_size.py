"""`--block-size file` of all commands that train: blocks that follow the chunks of the files."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

import tombola
from tests.cli.training_files import make_files, train_yaml, write_yaml
from tests.sources.h5ad.h5ad_files import rewrite_dataset
from tombola.cli.app import app
from tombola.experiments.six import training as six
from tombola.experiments.train import loaders

WRONG = ["0", "-3", "1.5", "files", ""]
ALLOWED = (
    "block_size must be an integer >= 1, or file for blocks that follow the chunks of the files, but is "
)


@pytest.fixture(name="plates", scope="module")
def fixture_plates(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Files whose chunks hold some 20 rows."""
    paths = sorted(make_files(tmp_path_factory.mktemp("plates")).glob("*.h5ad"))
    for path in paths:
        with h5py.File(path) as file:
            values = len(file["X/data"]) // 16
        for part in ("data", "indices"):
            rewrite_dataset(path, f"X/{part}", chunks=(values,), compression="gzip")
    return paths


@pytest.fixture(name="made")
def fixture_made(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The strategies of all loaders."""
    made: list[Any] = []

    class Noting(tombola.Loader):
        def __init__(self, source: Any, strategy: Any, *arguments: Any, **options: Any) -> None:
            made.append((source, strategy))
            super().__init__(source, strategy, *arguments, **options)

    monkeypatch.setattr(six, "Loader", Noting)
    monkeypatch.setattr(loaders, "Loader", Noting)
    return made


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(app, list(map(str, arguments)), terminal_width=200)


def blocks_of(made: list[Any]) -> list[Any]:
    """The bounds of those that shuffle blocks, which are their source's."""
    found = []
    for source, strategy in made:
        if isinstance(strategy, tombola.BlockShuffling) and strategy.bounds is not None:
            np.testing.assert_array_equal(strategy.bounds, source.chunk_bounds())
            found.append(np.asarray(strategy.bounds))
    return found


def test_run(plates: list[Path], tmp_path: Path, made: list[Any]) -> None:
    names = "block_shuffling,class_balanced,random,streaming"
    result = invoke(
        *("run", *plates, "-l", "drug", "-s", names, "--block-size", "file"),
        *("--fetch-factor", 4, "--epochs", 2, "-o", tmp_path),
    )
    assert result.exit_code == 0, result.output
    assert "64 rows, in blocks that follow the files where a strategy has blocks" in result.stdout
    record = json.loads((tmp_path / "runs" / "block_shuffling.json").read_text(encoding="utf-8"))
    assert record["config"]["block_size"] == "file"
    (bounds,) = blocks_of(made)
    assert 60 < len(bounds) < 100
    balanced = [each for _, each in made if isinstance(each, tombola.ClassBalancedSampling)]
    assert [each.block_size for each in balanced] == [16]
    assert [each.block_size for _, each in made if isinstance(each, tombola.BlockShuffling)] == [16, 1]


def test_train(plates: list[Path], tmp_path: Path, made: list[Any]) -> None:
    config = train_yaml(tmp_path, plates[0].parent, block_size="file", epochs=1)
    result = invoke("train", "-c", config, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "block_shuffling, 32 rows, blocks that follow the files, windows of 128 rows" in result.stdout
    assert [len(bounds) > 15 for bounds in blocks_of(made)] == [True] * 3  # one a mini epoch
    written = yaml.safe_load((tmp_path / "out" / "config.yaml").read_text(encoding="utf-8"))
    assert written["block_size"] == "file"
    made.clear()
    again = invoke("train", "-c", config, "-o", tmp_path / "again", "--block-size", 8)
    assert again.exit_code == 0, again.output
    assert blocks_of(made) == []
    other = invoke("train", "-c", config, "-o", tmp_path / "out", "--block-size", 8, "--resume")
    assert other.exit_code != 0
    assert "block_size" in other.stderr


def test_strategies_without_blocks_of_rows(plates: list[Path], tmp_path: Path, made: list[Any]) -> None:
    config = train_yaml(tmp_path, plates[0].parent, epochs=1)
    for strategy in ("class_balanced", "streaming_shuffle"):
        output = tmp_path / strategy
        result = invoke("train", "-c", config, "-o", output, "-s", strategy, "--block-size", "file")
        assert result.exit_code == 0, result.output
    assert blocks_of(made) == []
    assert {each.block_size for _, each in made if hasattr(each, "block_size")} == {16}


def test_a_training_is_resumed(plates: list[Path], tmp_path: Path) -> None:
    config = train_yaml(tmp_path, plates[0].parent, block_size="file")
    assert invoke("train", "-c", config, "-o", tmp_path / "whole").exit_code == 0
    assert invoke("train", "-c", config, "-o", tmp_path / "parts", "--epochs", 1).exit_code == 0
    rest = invoke("train", "-c", config, "-o", tmp_path / "parts", "--resume")
    assert rest.exit_code == 0, rest.output
    losses = [
        [json.loads(line)["train_loss"] for line in text.splitlines()]
        for text in (
            (tmp_path / name / "checkpoints" / "history.jsonl").read_text(encoding="utf-8")
            for name in ("whole", "parts")
        )
    ]
    assert losses[0] == losses[1]


def test_sweep(plates: list[Path], tmp_path: Path) -> None:
    train_yaml(tmp_path, plates[0].parent, epochs=1)
    search = {"block_size": [8, "file"], "fetch_factor": [2, 4]}
    config = write_yaml(tmp_path / "sweep.yaml", train="train.yaml", search=search, trials=6, pruner="none")
    result = invoke("sweep", "-c", config, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    with (tmp_path / "out" / "trials.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["block_size"] for row in rows} == {"8", "file"}
    assert {row["state"] for row in rows} == {"complete"}


def test_what_inspect_recommends_can_be_given(tmp_path: Path, plates: list[Path], made: list[Any]) -> None:
    small = invoke("inspect", plates[0])
    assert "  as options:   --batch-size 64 --block-size 16 --fetch-factor 1\n" in small.stdout
    text = invoke("inspect", *plates, "--batch-size", 2).stdout
    assert "  faster still: bounds=source.chunk_bounds() (each chunk of about 2" in text
    options = re.search(r"  as options:   (.*)\n", text)
    assert options is not None
    assert options[1] == "--batch-size 2 --block-size file --fetch-factor 64"
    result = invoke(
        *("run", *plates, "-l", "drug", "-s", "block_shuffling", "--epochs", 1, "-o", tmp_path),
        *options[1].split(),
    )
    assert result.exit_code == 0, result.output
    assert len(blocks_of(made)) == 1


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_block_size(plates: list[Path], tmp_path: Path, wrong: str) -> None:
    result = invoke("run", plates[0], "-l", "drug", "--block-size", wrong, "-o", tmp_path / "out")
    assert (result.exit_code, result.stderr) == (2, f"error: {ALLOWED}{wrong!r}\n")
    config = train_yaml(tmp_path, plates[0].parent)
    result = invoke("train", "-c", config, "--block-size", wrong)
    assert (result.exit_code, result.stderr) == (2, f"error: option --block-size: {ALLOWED}{wrong!r}\n")
    for value in (wrong, 1.5, True):
        config = train_yaml(tmp_path, plates[0].parent, block_size=value)
        result = invoke("train", "-c", config)
        assert (result.exit_code, result.stderr) == (2, f"error: {config}, line 2: {ALLOWED}{value!r}\n")


def test_help_says_what_it_may_be() -> None:
    for command in ("run", "train"):
        assert "N|file" in invoke(command, "--help").stdout
