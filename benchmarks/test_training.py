"""`MiniEpochTrainer` beside bare loops: steps, checkpoints, starts of chunks, memory."""

import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmarks.conftest import pinned
from benchmarks.figures import OURS, Figures, Work
from tombola.training import Chunk, MiniEpochTrainer
from tombola.training.checkpoints import CheckpointFolder, Place, load_checkpoint

OVERHEAD = Work("trainer over a bare loop, linear model, batches of 64", unit="%", target=3.0)
CHECKPOINT = Work("checkpoint of a 100 MB state", unit="ms", ratio=1 / 1.5)
CHUNK_START = Work("a chunk of 20 files beyond reading and training on it", unit="ms", target=50.0)
GROWTH = Work("memory that 180 more mini epochs take", unit="MB", target=2.0)

BARE = "bare loop"
WIDTH, CLASSES = 512, 10
Batch = tuple[Tensor, Tensor]


def make_model() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(WIDTH, CLASSES)


def make_batch(seed: int) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(64, WIDTH, generator=generator), torch.randint(CLASSES, (64,), generator=generator)


def loss_of(model: nn.Module, batch: Batch) -> Tensor:
    rows, labels = batch
    return nn.functional.cross_entropy(model(rows), labels)


def train_bare(model: nn.Module, batches: Any) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for batch in batches:
        loss = loss_of(model, batch)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def make_trainer(
    model: nn.Module, shards: Any, make_loader: Callable[[Chunk], Any], folder: Path, **options: Any
) -> MiniEpochTrainer:
    return MiniEpochTrainer(
        model,
        shards,
        make_loader,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.01),
        loss=loss_of,
        checkpoints=folder,
        tensorboard=False,
        progress="none",
        **options,
    )


def seconds_of(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def alternate(seconds: float, first: Callable[[], object], second: Callable[[], object]) -> list[list[float]]:
    """Return the seconds of both, taken in turn after a warm-up, 3 times at least."""
    first(), second()
    taken: list[list[float]] = [[], []]
    stop = time.perf_counter() + seconds
    while len(taken[0]) < 3 or (time.perf_counter() < stop and len(taken[0]) < 15):
        taken[0].append(seconds_of(first))
        taken[1].append(seconds_of(second))
    return taken


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with pinned(1):
        yield


@pytest.fixture
def seconds(pytestconfig: pytest.Config) -> float:
    return float(pytestconfig.getoption("--seconds"))


@pytest.fixture
def size(pytestconfig: pytest.Config) -> int:
    return int(pytestconfig.getoption("--size"))


def test_overhead(figures: Figures, seconds: float, size: int, tmp_path: Path) -> None:
    batches = [make_batch(seed) for seed in range(256)]
    count = min(20_000, size // 500)
    sequence = [batches[i % len(batches)] for i in range(count)]
    models: dict[str, nn.Module] = {}

    def bare() -> None:
        models[BARE] = make_model()
        train_bare(models[BARE], sequence)

    def trainer() -> None:
        models[OURS] = make_model()
        make_trainer(models[OURS], [0], lambda chunk: sequence, tmp_path).fit()

    fresh = make_fresh(trainer, tmp_path)
    ours, theirs = alternate(seconds, fresh, bare)
    assert torch.equal(models[OURS].weight, models[BARE].weight)  # type: ignore[arg-type]
    overhead = statistics.median(a / b - 1 for a, b in zip(ours, theirs, strict=True))
    note = f"{count} batches, {statistics.median(theirs) / count * 1e6:.0f} µs each in a bare loop"
    figures.add(OVERHEAD, OURS, 100 * overhead, rounds=len(ours), note=note)


def make_fresh(train: Callable[[], object], folder: Path) -> Callable[[], object]:
    """Return `train` in an emptied folder."""

    def run() -> None:
        for path in folder.iterdir():
            path.unlink()
        train()

    return run


def test_checkpoint(figures: Figures, seconds: float, size: int, tmp_path: Path) -> None:
    megabytes = 100 if size >= 10**6 else 1
    state = {"model": {f"layer{i}": torch.randn(250_000) for i in range(megabytes)}}
    folder = CheckpointFolder(tmp_path / "ours", keep_last=None)
    place = Place(0, 0)

    def ours() -> None:
        folder.save(place, state)

    def bare() -> None:
        with (tmp_path / "bare.pt").open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())

    taken = alternate(seconds, ours, bare)
    loaded = load_checkpoint(folder.path(place))
    assert all(torch.equal(loaded["model"][name], tensor) for name, tensor in state["model"].items())
    note = f"{megabytes} MB"
    for who, times in zip((OURS, "torch.save and fsync"), taken, strict=True):
        figures.add(CHECKPOINT, who, 1e3 * statistics.median(times), rounds=len(times), note=note)


def test_chunk_start(figures: Figures, seconds: float, tmp_path: Path) -> None:
    shards = tmp_path / "shards"
    shards.mkdir()
    files = [shards / f"shard{i:03}.pt" for i in range(200)]
    for i, path in enumerate(files):
        torch.save(make_batch(i), path)
    folder = tmp_path / "checkpoints"
    folder.mkdir()

    def read(paths: Any) -> Iterator[Batch]:
        return (torch.load(path, weights_only=True) for path in paths)

    def ours() -> None:
        make_trainer(make_model(), files, lambda chunk: read(chunk.shards), folder).fit()

    taken = alternate(seconds, make_fresh(ours, folder), lambda: train_bare(make_model(), read(files)))
    extra = statistics.median(a - b for a, b in zip(*taken, strict=True)) / (len(files) / 20)
    figures.add(CHUNK_START, OURS, 1e3 * extra, rounds=len(taken[0]), note="its checkpoint included")


def test_memory(figures: Figures, tmp_path: Path) -> None:
    resident: list[float] = []

    def look(record: dict[str, Any]) -> None:
        pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
        resident.append(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)

    batch = make_batch(0)
    trainer = make_trainer(
        make_model(), range(200), lambda chunk: [batch] * 20, tmp_path, chunk_size=1, on_mini_epoch=look
    )
    trainer.fit()
    assert len(resident) == 200
    figures.add(GROWTH, OURS, resident[-1] - resident[19], note=f"{resident[19]:.0f} MB after the first 20")
