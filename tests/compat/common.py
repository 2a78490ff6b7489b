"""What the tests of trainers share: data, loaders, plans to compare with, and runs of two processes.

A batch is a dict with ``row``, the row numbers, and ``X``, the same as floats, whatever it comes from. What a
training saw is a list of passes, each a list of batches, each a list of rows.
"""

import json
import os
from collections import Counter
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader as TorchDataLoader
from torch.utils.data import Dataset

import tombola
from tests import watched
from tombola import ArraySource, BlockShuffling, Bucketed, Loader, PlanBatchSampler, SeriesRoundRobin
from tombola.strategies import Strategy

ROOT = Path(__file__).resolve().parents[2]
N_ROWS = 62
BATCH_SIZE = 6

_LENGTHS = [1 + row * row % 23 for row in range(N_ROWS)]
_SERIES = [0] * 13 + [row % 17 for row in range(13, N_ROWS)]
STRATEGIES: dict[str, Strategy] = {
    "blocks": BlockShuffling(block_size=4),
    "tokens": Bucketed(_LENGTHS, n_buckets=3, max_tokens=60),
    "series": SeriesRoundRobin(_SERIES),
}
KINDS = ("sampler", "sampler, workers", "loader", "loader, workers")

Batches = list[list[int]]

CASES = (
    ("blocks", "sampler"),
    ("blocks", "loader, workers"),
    ("tokens", "sampler, workers"),
    ("tokens", "loader"),
    ("series", "sampler, workers"),
    ("series", "loader, workers"),
)
"""Pairs of a strategy and a kind, each of which comes at least once."""

every_kind = pytest.mark.parametrize("kind", KINDS)
every_case = pytest.mark.parametrize(("strategy", "kind"), CASES)

THREADS_AND_FORKS = "ignore:This process .* is multi-threaded:DeprecationWarning"
"""Python 3.12 and later warn of any fork in a process that has threads; torch's DataLoader forks."""


class Rows(Dataset[dict[str, Any]]):
    """Row i is i."""

    def __len__(self) -> int:
        return N_ROWS

    def __getitem__(self, row: int) -> dict[str, Any]:
        return {"row": row, "X": torch.tensor([float(row)])}


class Model(nn.Module):
    """A model of two numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)

    def forward(self, X: torch.Tensor, row: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        return {"loss": self.layer(X / N_ROWS).square().mean()}


def make_sampler(strategy: str, **options: Any) -> PlanBatchSampler:
    """Return a batch sampler of the strategy with this name."""
    return PlanBatchSampler(STRATEGIES[strategy], N_ROWS, batch_size=BATCH_SIZE, **options)


def make_rows(strategy: str, **options: Any) -> Loader:
    """Return a Loader with this strategy."""
    values: npt.NDArray[np.float32] = np.arange(N_ROWS, dtype=np.float32)[:, None]
    return Loader(ArraySource(values), STRATEGIES[strategy], BATCH_SIZE, 2, **options)


def make_loader(strategy: str, kind: str, cls: Any = tombola.DataLoader, **options: Any) -> Any:
    """Return a DataLoader of a class over a batch sampler or a Loader, with two workers or none."""
    what, _, workers = kind.partition(", ")
    parallel: dict[str, Any] = {}
    if workers:
        parallel = {"num_workers": 2, "multiprocessing_context": "fork", "prefetch_factor": 2}
    if what == "sampler":
        return cls(Rows(), batch_sampler=make_sampler(strategy, **options), **parallel)
    return cls(make_rows(strategy, **options), batch_size=None, **parallel)


def make_torch_loader(strategy: str, kind: str, **options: Any) -> Any:
    """Return torch's own DataLoader over a batch sampler or a Loader."""
    return make_loader(strategy, kind, TorchDataLoader, **options)


def planned(strategy: str, epoch: int, kind: str = "sampler") -> Batches:
    """Return the batches of an epoch, in order."""
    window = 2 if kind.startswith("loader") else 1
    plan = STRATEGIES[strategy].plan(N_ROWS, batch_size=BATCH_SIZE, fetch_factor=window, epoch=epoch)
    return [batch.tolist() for batch in plan[:]]


def rows(batch: dict[str, Any]) -> list[int]:
    """Return the rows of a batch."""
    return [int(row) for row in batch["row"]]


def counted(batches: Iterable[list[int]]) -> Counter[tuple[int, ...]]:
    """Return how often each batch came."""
    return Counter(map(tuple, batches))


def check_epochs(passes: list[Batches], strategy: str, kind: str = "sampler", *, first: int = 0) -> None:
    """Check that these passes of one rank are whole epochs, one after the other."""
    for epoch, seen in enumerate(passes, first):
        assert counted(seen) == counted(planned(strategy, epoch, kind)), f"pass {epoch - first}"


def check_ranks(
    ranks: list[list[Batches]], strategy: str, kind: str = "sampler", *, first: int = 0, even: str = "pad"
) -> None:
    """Check that the passes of several ranks make whole epochs, in equal steps, up to `even`."""
    assert len({len(passes) for passes in ranks}) == 1
    for epoch, shares in enumerate(zip(*ranks, strict=True), first):
        check_rest(list(shares), planned(strategy, epoch, kind), even=even)


def check_rest(shares: list[Batches], expected: Batches, *, even: str = "pad") -> None:
    """Check that what ranks saw is `expected`, in equal steps, up to `even` for less than a step."""
    world_size = len(shares)
    over = len(expected) % world_size
    seen = counted(chain.from_iterable(shares))
    missing, surplus = counted(expected) - seen, seen - counted(expected)
    steps = {len(share) for share in shares}
    if even == "none":
        assert steps <= {len(expected) // world_size, -(-len(expected) // world_size)}
    else:
        assert len(steps) == 1
    assert missing.total() == (over if even == "drop" else 0), missing
    assert surplus.total() == (world_size - over if even == "pad" and over else 0), surplus


class Recorder:
    """What a training saw: `see` each batch, `turn` at the end of each pass."""

    def __init__(self) -> None:
        self.passes: list[Batches] = [[]]

    def see(self, batch: dict[str, Any]) -> None:
        self.passes[-1].append(rows(batch))

    def turn(self) -> None:
        self.passes.append([])

    def done(self) -> list[Batches]:
        """Return the passes in which something was seen."""
        return [seen for seen in self.passes if seen]


def write(folder: Path, name: str, seen: object) -> None:
    """Keep what this rank has to say under a name."""
    (folder / f"{name} {os.environ.get('RANK', '0')}.json").write_text(json.dumps(seen), encoding="utf-8")


def read(folder: Path, name: str, world_size: int = 2) -> list[Any]:
    """Return what each rank said under a name."""
    return [
        json.loads((folder / f"{name} {rank}.json").read_text(encoding="utf-8")) for rank in range(world_size)
    ]


def torchrun(module: str, folder: Path, *arguments: str, world_size: int = 2) -> None:
    """Run a module under torchrun, ``python -m module folder arguments``, a process a rank over gloo."""
    launcher = ("-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={world_size}")
    watched.run(*launcher, "-m", module, str(folder), *arguments)
