"""`chunk_size="auto"`: by free memory and measured rows, bounded, said, the same when training goes on."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

from tombola.sources import CsrRows
from tombola.training import Chunk, MiniEpochTrainer, ShardError, TrainingResult, auto_size, load_checkpoint
from tombola.training.auto_size import ShardSize, choose_size, measure_shard

ROWS, WIDTH = 12, 4
ROW_BYTES = 4 * WIDTH


def batches_of(chunk: Chunk) -> list[torch.Tensor]:
    return [torch.full((ROWS // 2, WIDTH), float(shard)) for shard in chunk.shards for _ in range(2)]


def fit(folder: Path, shards: Any, make_loader: Callable[[Chunk], Any], **options: Any) -> TrainingResult:
    torch.manual_seed(0)
    model = nn.Linear(WIDTH, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    given = {"chunk_size": "auto", "tensorboard": False, "progress": "plain", **options}
    return MiniEpochTrainer(
        model,
        shards,
        make_loader,
        optimizer=optimizer,
        loss=lambda model, batch: model(batch).square().mean(),
        checkpoints=folder,
        **given,
    ).fit()


def figures(result: TrainingResult) -> list[dict[str, Any]]:
    timed = ("seconds", "batches_per_second")
    return [{key: value for key, value in record.items() if key not in timed} for record in result.history]


@pytest.fixture(name="free")
def fixture_free(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], None]:
    return lambda size: monkeypatch.setattr(auto_size, "free_memory", lambda: size)


@pytest.mark.parametrize(
    ("rows", "shards", "why"),
    [
        (10**9, 4, "a tenth of all"),
        (3 * ROWS, 3, "half of that"),
        (3 * ROWS - 1, 2, "half of that"),
        (1, 1, "one shard"),
    ],
)
def test_mini_epochs_are_as_large_as_half_of_the_free_memory_within_bounds(
    rows: int, shards: int, why: str, free: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    free(2 * rows * ROW_BYTES)
    seen: list[int] = []

    def make_loader(chunk: Chunk) -> list[torch.Tensor]:
        seen.append(len(chunk.shards))
        return batches_of(chunk)

    result = fit(tmp_path, range(40), make_loader)
    assert seen[:2] == [1, shards]  # the first was measured
    assert len(result.history) == -(-40 // shards)
    said = capsys.readouterr().err.splitlines()[0]
    assert said.startswith(f"a mini epoch has at most {shards} shards: ")
    assert said.endswith(f"free, a row takes {ROW_BYTES} bytes: {why}")


def test_training_goes_on_with_the_same_size_whatever_is_free_then(
    free: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    free(2 * 3 * ROWS * ROW_BYTES)
    whole = fit(tmp_path / "whole", range(40), batches_of, num_epochs=2)
    fit(tmp_path / "out", range(40), batches_of, num_epochs=2, max_batches=7)
    free(1)
    result = fit(tmp_path / "out", range(40), batches_of, num_epochs=2, resume="latest")
    assert figures(result)[-20:] == figures(whole)[-20:]
    assert "a mini epoch has at most 3 shards: " in capsys.readouterr().err
    assert result.last_checkpoint is not None
    assert load_checkpoint(result.last_checkpoint)["course"]["auto_size"][:2] == [3, "shards"]


def test_measuring_draws_none_of_the_models_random_numbers(free: Any, tmp_path: Path) -> None:
    free(2 * 2 * ROWS * ROW_BYTES)

    def noisy(chunk: Chunk) -> list[torch.Tensor]:
        return [batch + torch.randn(batch.shape) for batch in batches_of(chunk)]

    found = figures(fit(tmp_path / "auto", range(30), noisy))
    assert found == figures(fit(tmp_path / "given", range(30), noisy, chunk_size=2))


class OfFiles(IterableDataset[torch.Tensor]):
    def __init__(self, files: tuple[Path, ...]) -> None:
        self.files = files

    def __iter__(self) -> Iterator[torch.Tensor]:
        for file in self.files:
            yield from torch.zeros(file.stat().st_size // 10, WIDTH)


def read_files(chunk: Chunk) -> Any:
    return DataLoader(OfFiles(chunk.shards), batch_size=5)


def write_files(folder: Path, sizes: list[int]) -> list[Path]:
    folder.mkdir()
    paths = [folder / f"{n:02}" for n in range(len(sizes))]
    for path, size in zip(paths, sizes, strict=True):
        path.write_bytes(bytes(10 * size))
    return paths


def test_files_go_by_their_bytes(free: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = write_files(tmp_path / "data", [20, 60] * 15)
    free(2 * 100 * ROW_BYTES)  # 100 rows, which are 1,000 bytes of files
    seen: list[int] = []

    def make_loader(chunk: Chunk) -> Any:
        seen.append(sum(path.stat().st_size for path in chunk.shards))
        return read_files(chunk)

    fit(tmp_path / "out", paths, make_loader)
    assert max(seen) <= 1000
    assert sum(seen[1:]) == 15 * 800
    assert "a mini epoch has at most 1,000 bytes of files: " in capsys.readouterr().err


def test_a_bad_file_is_an_error_or_left_out(free: Any, tmp_path: Path) -> None:
    paths = write_files(tmp_path / "data", [20] * 12)

    def make_loader(chunk: Chunk) -> Any:
        if paths[0] in chunk.shards:
            msg = "it is damaged"
            raise ShardError(msg, shard=paths[0])
        return read_files(chunk)

    free(2 * 40 * ROW_BYTES)
    with pytest.raises(ShardError, match=r"00 cannot be read: it is damaged .*on_bad_shard=\"skip\""):
        fit(tmp_path / "error", paths, make_loader)
    result = fit(tmp_path / "skip", paths, make_loader, on_bad_shard="skip")
    assert [entry["shard"] for entry in result.skipped] == [str(paths[0])]
    assert result.batches == 11 * 4


def test_a_fault_of_the_code_is_raised(tmp_path: Path) -> None:
    def make_loader(chunk: Chunk) -> Any:
        return chunk.nothing  # type: ignore[attr-defined]

    with pytest.raises(AttributeError, match="nothing"):
        fit(tmp_path, range(3), make_loader)


def test_loaders_without_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError, match="the loaders must give batches, but gave none"):
        fit(tmp_path, range(3), lambda chunk: [])
    assert "a mini epoch has at most 1 shards: none of them has a row" in capsys.readouterr().err


@dataclass
class Held:
    """A batch of a user's own type."""

    rows: torch.Tensor


SPARSE = CsrRows(
    np.ones(12, np.float32), np.tile(np.arange(2, dtype=np.int32), 6), np.arange(0, 13, 2), (6, 4)
)


@pytest.mark.parametrize(
    ("batch", "rows", "size"),
    [
        (torch.zeros(6, 4), 6, 96),
        ({"name": "x", "X": torch.zeros(6, 4), "y": torch.zeros(6, dtype=torch.int64)}, 6, 145),
        ([torch.zeros(6, 4), np.zeros(6)], 6, 144),
        ((torch.zeros(6, 2), [None, torch.zeros(3)]), 6, 60),
        (["ab", "c"], 2, 3),
        (torch.eye(6).to_sparse(), 6, 6 * 4 + 2 * 6 * 8),
        (Held(torch.zeros(6, 4)), 6, 96),
        (SPARSE, 6, 12 * (4 + 4) + 7 * 8),
        ({"X": SPARSE}, 6, 12 * (4 + 4) + 7 * 8),
    ],
)
def test_rows_and_bytes_of_batches(batch: Any, rows: int, size: int) -> None:
    assert measure_shard(iter([batch, batch])) == ShardSize(2 * rows, -(-size // rows))


def test_where_the_system_does_not_say_what_is_free() -> None:
    found = choose_size(dict.fromkeys(map(str, range(10**6))), "0", ShardSize(1 << 10, 1 << 10), lambda: None)
    assert found.budget() == 1 << 9
    assert "1.1 GB are taken to be free, a row takes 1,024 bytes: half of that" in str(found)
