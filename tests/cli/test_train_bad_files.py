"""`tombola train` and files that are bad: which they are is what errors carry, else each is tried alone."""

import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from tests.cli.training_files import make_files, train_yaml
from tombola.cli.app import app
from tombola.experiments.train import TrainConfig, read_train_config, run_training
from tombola.experiments.train.loaders import LoaderMaker
from tombola.experiments.train.shards import FileShards
from tombola.sources import H5adSource
from tombola.training import Chunk, ShardError


@pytest.fixture(name="plates")
def fixture_plates(tmp_path: Path) -> list[Path]:
    """Three files in a folder of their own."""
    made = sorted(make_files(tmp_path / "made").glob("*.h5ad"))
    (tmp_path / "plates").mkdir()
    return [Path(shutil.copy(path, tmp_path / "plates")) for path in made[:3]]


def config_of(folder: Path, plates: Path, **values: Any) -> TrainConfig:
    usual: dict[str, Any] = {"epochs": 1, "output": str(folder / "out"), "on_bad_shard": "skip"}
    return read_train_config(train_yaml(folder, plates, **{**usual, "validation_fraction": 0.5, **values}))


def test_a_bad_file_takes_only_its_own_rows_from_validation(plates: list[Path], tmp_path: Path) -> None:
    config = config_of(tmp_path, plates[0].parent)
    shards = FileShards(config)
    loaders = LoaderMaker(config, shards)
    whole = torch.cat([batch["X"] for batch in loaders.validation()])
    start, stop = shards.data.span(plates[1])
    rows = np.flatnonzero(shards.data.is_validation)
    assert len(whole) == len(rows)
    with h5py.File(plates[1], "r+") as file:
        del file["X"]
    kept = torch.cat([batch["X"] for batch in loaders.validation()])
    assert torch.equal(kept, whole[(rows < start) | (rows >= stop)])


def test_a_file_is_not_left_out_for_a_name_within_another(
    plates: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The message about the bad file holds the good one's path."""
    bad = Path(shutil.copy(plates[0], f"{plates[0]}.copy.h5ad"))
    config = config_of(tmp_path, plates[0].parent, chunk_size=4)
    shards = FileShards(config)
    loaders = LoaderMaker(config, shards)
    start, stop = shards.data.span(bad)
    rows = int(np.count_nonzero(shards.data.is_validation))
    rows -= int(np.count_nonzero(shards.data.is_validation[start:stop]))
    with h5py.File(bad, "r+") as file:
        del file["X"]
    assert sum(len(batch["X"]) for batch in loaders.validation()) == rows
    with pytest.raises(ShardError) as caught:
        next(iter(loaders(Chunk(0, 0, 0, 1, (*map(str, plates), str(bad)), seed=1))))
    assert caught.value.shards == (bad,)
    with pytest.raises(ShardError, match="was not there when obs were read") as caught:
        shards.data.span(tmp_path / "none.h5ad")
    assert caught.value.shard == tmp_path / "none.h5ad"
    caplog.clear()
    run = run_training(config)
    assert {entry["shard"] for entry in run.result.skipped} <= {str(bad)}
    assert str(bad) in caplog.text
    assert not any(str(path) + " " in caplog.text for path in plates)


@pytest.mark.parametrize("kind", [OSError, RuntimeError])
def test_errors_without_a_file_are_tried_alone_in_validation(
    plates: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    config = config_of(tmp_path, plates[0].parent)
    shards = FileShards(config)
    loaders = LoaderMaker(config, shards)
    read = H5adSource.read

    def fail(self: H5adSource, rows: Any) -> Any:
        if plates[1] in self.paths:
            msg = "Stale file handle"
            raise kind(msg)
        return read(self, rows)

    start, stop = shards.data.span(plates[1])
    monkeypatch.setattr(H5adSource, "read", fail)
    monkeypatch.setattr(H5adSource, "read_in_order", lambda self, rows: None)
    if kind is RuntimeError:  # no trouble of a file
        with pytest.raises(RuntimeError, match="Stale"):
            list(loaders.validation())
        return
    found = sum(len(batch["X"]) for batch in loaders.validation())
    kept = shards.data.is_validation.copy()
    kept[start:stop] = False
    assert found == int(np.count_nonzero(kept))


@pytest.mark.parametrize("on_bad_shard", ["skip", "error"])
@pytest.mark.parametrize("chunk_size", ["auto", 2])
def test_a_first_file_that_is_bad_is_left_out_before_training_too(
    plates: list[Path], tmp_path: Path, chunk_size: str | int, on_bad_shard: str
) -> None:
    """Where rows are measured for mini epochs, and looked at for warnings."""
    with h5py.File(plates[0], "r+") as file:
        file["X"]["indices"][...] = 1_000_000
    values: dict[str, Any] = {"chunk_size": chunk_size, "on_bad_shard": on_bad_shard, "epochs": 1}
    config = train_yaml(tmp_path, plates[0].parent, **values)
    result = CliRunner().invoke(app, ["train", "-c", str(config), "-o", str(tmp_path / "out")])
    if on_bad_shard == "error":
        assert result.exit_code == 2
        assert "plate_01.h5ad: X/indices: columns must be in [0, 30), but row" in result.stderr
        return
    assert result.exit_code == 0, result.stderr
    assert "all mini epochs are done" in result.stdout
    assert f"left out {plates[0]}" in result.stderr


def test_files_with_other_rows_are_named_where_training_goes_on(
    plates: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Files that are gone are none of them."""
    config = config_of(tmp_path, plates[0].parent, on_missing_shard="skip")
    state = FileShards(config).state_dict()
    FileShards(config, {**state, "epoch_batches": 7})
    assert not caplog.records
    with h5py.File(plates[1], "r+") as file:
        codes = file["obs/drug/codes"]
        codes[...] = codes[...][::-1]
    plates[2].unlink()
    FileShards(config, state)
    text = "1 of 2 files have other rows or classes than when the checkpoint was saved"
    (said,) = [record.getMessage() for record in caplog.records if text in record.getMessage()]
    assert said.endswith(f"the first: {plates[1]}")
    caplog.clear()
    del state["digests"]  # as of before
    FileShards(config, state)
    assert "other rows" not in caplog.text
