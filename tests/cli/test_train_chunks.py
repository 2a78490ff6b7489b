"""`tombola train`: mini epochs by free memory, whole files to ranks, files in their order."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset
from typer.testing import CliRunner

from tests.cli.training_files import make_files, train_yaml
from tombola.cli.app import app
from tombola.experiments.train import auto_chunk, read_train_config
from tombola.experiments.train.auto_chunk import row_bytes
from tombola.experiments.train.data import open_training_data
from tombola.training import Chunk, saved_shards


@pytest.fixture(name="plates", scope="module")
def fixture_plates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_files(tmp_path_factory.mktemp("plates"))


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["train", *map(str, arguments)])


def checkpoints_of(output: Path) -> list[Any]:
    files = sorted((output / "checkpoints").glob("*.pt"), key=lambda path: path.stat().st_mtime_ns)
    return [torch.load(file, weights_only=True) for file in files]


def history_of(output: Path) -> list[dict[str, Any]]:
    lines = (output / "checkpoints" / "history.jsonl").read_text(encoding="utf-8").splitlines()
    timed = ("seconds", "batches_per_second")
    return [{key: value for key, value in json.loads(line).items() if key not in timed} for line in lines]


def free(monkeypatch: pytest.MonkeyPatch, size: int | None) -> None:
    monkeypatch.setattr(auto_chunk, "free_memory", lambda: size)


def test_auto_is_said_and_stays_when_training_goes_on(
    plates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = train_yaml(tmp_path, plates, chunk_size="auto", batch_size=8, fetch_factor=2, epochs=2)
    data = open_training_data(read_train_config(config))
    each = row_bytes(read_train_config(config), data)
    free(monkeypatch, 2 * 100 * each + 1)  # a tenth of the 1,440 rows is 144
    whole = invoke("-c", config, "-o", tmp_path / "whole")
    assert whole.exit_code == 0, whole.output
    assert f"mini epoch: 100 rows at most (0.0 GB are free, a row takes {each:,} bytes: half" in whole.stdout
    assert invoke("-c", config, "-o", tmp_path / "out", "--epochs", 1).exit_code == 0
    free(monkeypatch, 1)
    result = invoke("-c", config, "-o", tmp_path / "out", "--resume")
    assert result.exit_code == 0, result.output
    assert "mini epoch: 100 rows at most (as when training began); 2 full epochs" in result.stdout
    assert history_of(tmp_path / "out") == history_of(tmp_path / "whole")
    state: Any = saved_shards(tmp_path / "out" / "checkpoints")
    assert state["chunk_rows"] == 100
    other = invoke("-c", config, "-o", tmp_path / "out", "--resume", "--chunk-size", 3)
    assert "options.chunk_size was 'Rows(most=100)', now is 3" in other.stderr
    assert invoke("-c", config, "-o", tmp_path / "plain", "--chunk-size", 5, "--epochs", 1).exit_code == 0
    other = invoke("-c", config, "-o", tmp_path / "plain", "--resume")
    assert "options.chunk_size was 5, now is 'Rows(most=" in other.stderr


@pytest.mark.parametrize(
    ("size", "rows", "why"),
    [
        (10**15, 144, "1,000,000.0 GB are free, a row takes {each:,} bytes: a tenth of all"),
        (1, 64, "0.0 GB are free, a row takes {each:,} bytes: one fetch window"),
        (None, 144, "1.1 GB are taken to be free, a row takes {each:,} bytes: a tenth of all"),
    ],
)
def test_auto_is_bounded(
    size: int | None, rows: int, why: str, plates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = read_train_config(train_yaml(tmp_path, plates, chunk_size="Auto", fetch_factor=2))
    assert config.chunk_size == "auto"
    data = open_training_data(config)
    free(monkeypatch, size)
    each = row_bytes(config, data)
    assert auto_chunk.auto_chunk(config, data) == (rows, why.format(each=each))


def test_files_come_in_their_order_by_option(plates: Path, tmp_path: Path) -> None:
    config = train_yaml(tmp_path, plates, shuffle_files=False, chunk_size=2)
    assert invoke("-c", config, "-o", tmp_path / "out").exit_code == 0
    names = [str(path) for path in sorted(plates.glob("*.h5ad"))]
    assert [state["course"]["order"]["names"] for state in checkpoints_of(tmp_path / "out")] == [names] * 3
    config = train_yaml(tmp_path, plates, chunk_size=2)
    result = invoke("-c", config, "-o", tmp_path / "out", "--resume")
    assert result.exit_code == 2
    assert "shuffle_shards was False" in result.stderr


def test_what_ranks_share_reaches_the_trainer(plates: Path, tmp_path: Path) -> None:
    """tests/training/test_distributed.py has what it does there."""
    config = train_yaml(tmp_path, plates, epochs=1, distribute="shards")
    assert invoke("-c", config, "-o", tmp_path / "out").exit_code == 0
    assert checkpoints_of(tmp_path / "out")[-1]["options"]["distribute"] == "shards"
    result = invoke("-c", train_yaml(tmp_path, plates, epochs=2), "-o", tmp_path / "out", "--resume")
    assert result.exit_code == 2
    assert "options.distribute was 'shards', now is 'rows'" in result.stderr


class Names(IterableDataset[str]):
    """The shards of a chunk that each worker reads."""

    def __init__(self, chunk: Chunk) -> None:
        self.chunk = chunk

    def __iter__(self) -> Any:
        return iter(self.chunk.of_worker())


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_get_whole_shards(workers: int) -> None:
    chunk = Chunk(epoch=0, start=0, index=0, n_chunks=1, shards=("a", "b", "c"), seed=0)
    loader = DataLoader(Names(chunk), batch_size=2, num_workers=workers)
    expected = [["a", "c"], ["b"]] if workers else [["a", "b"], ["c"]]
    assert list(loader) == expected
