"""The peers' way to do the same work, in the form that is best for them.

scDataset decides an epoch by `strategy.get_indices` and then permutes each fetch window; its sorting of
windows before reading and its cutting into batches are left out, since tombola's figures do not hold them
either. At block size 1 the order is a full shuffle already and the second permutation is left out too, though
scDataset does it. torch's samplers give lists of ints, there is no other form.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

__all__ = [
    "MEMORY_SCRIPTS",
    "Identity",
    "blend",
    "random_batches",
    "read",
    "scdataset_windows",
    "weighted_batches",
]

Rows = npt.NDArray[np.int64]


class Identity:
    """Data of n rows whose row i is i: what remains of scDataset on it is its own cost."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, rows: Any) -> Any:
        return rows


def scdataset_windows(strategy: Any, n: int, window: int, *, permute: bool = True) -> Iterator[Rows]:
    """Yield the rows of an epoch of a strategy of scDataset by fetch windows."""
    indices = strategy.get_indices(range(n), seed=1)
    generator = np.random.default_rng(1)
    for start in range(0, n, window):
        rows = indices[start : start + window]
        yield rows[generator.permutation(len(rows))] if permute else rows


def random_batches(n: int, batch_size: int) -> Iterator[list[int]]:
    """Yield the batches of torch's own full shuffle."""
    import torch
    from torch.utils.data import BatchSampler, RandomSampler

    generator = torch.Generator().manual_seed(1)
    return iter(BatchSampler(RandomSampler(range(n), generator=generator), batch_size, drop_last=False))


def weighted_batches(weights: "torch.Tensor", batch_size: int) -> Iterator[list[int]]:
    """Yield the batches of torch's own weighted draws, which know no more than 2**24 rows."""
    import torch
    from torch.utils.data import BatchSampler, WeightedRandomSampler

    generator = torch.Generator().manual_seed(1)
    sampler = WeightedRandomSampler(weights, len(weights), generator=generator)  # type: ignore[arg-type]
    return iter(BatchSampler(sampler, batch_size, drop_last=False))


def read(parts: Iterator[Any]) -> None:
    """Take everything, as a consumer would."""
    for _ in parts:
        pass


def blend(first: int, second: int, weights: npt.NDArray[np.float64], window: int) -> Iterator[Rows]:
    """Yield the rows of two data sets by weight, all decisions by arrays, by fetch windows."""
    n = first + second
    rng = np.random.default_rng(1)
    taken = np.floor(np.arange(1, n + 1) * weights[0] + 0.5).astype(np.int64)
    is_first = np.diff(taken, prepend=0) > 0
    rows = np.empty(n, dtype=np.int64)
    for which, size, start in ((is_first, first, 0), (~is_first, second, first)):
        wanted = int(np.count_nonzero(which))
        passes = [rng.permutation(size) for _ in range(-(-wanted // size))]
        rows[which] = np.concatenate(passes)[:wanted] + start
    for at in range(0, n, window):
        yield rows[at : at + window]


MEMORY_SCRIPTS = {
    ("blocks", "tombola"): """
from tombola import BlockShuffling
def use(n):
    plan = BlockShuffling(16).plan(n, batch_size=64, fetch_factor=256, seed=1)
    return plan, plan.batches(0, min(256, len(plan)))
""",
    ("blocks", "scDataset"): """
import numpy
from scdataset import BlockShuffling, scDataset
from benchmarks.peers import Identity
def use(n):
    batches = iter(scDataset(Identity(n), BlockShuffling(16), batch_size=64, fetch_factor=256, seed=1))
    return batches, next(batches)
""",
    ("blocks", "torch"): """
from benchmarks.peers import random_batches
def use(n):
    batches = random_batches(n, 64)
    return batches, next(batches)
""",
    ("blocks", "grain"): """
import grain
def use(n):
    options = grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)
    batches = iter(grain.MapDataset.range(n).shuffle(seed=1).batch(64).to_iter_dataset(options))
    return batches, next(batches)
""",
    ("series", "tombola"): """
from benchmarks.data import series_ids
from tombola import SeriesRoundRobin
ids = {}
def use(n):
    plan = SeriesRoundRobin(ids[n]).plan(batch_size=64, fetch_factor=256, seed=1)
    return plan, plan.batches(0, min(256, len(plan)))
ids.update((n, series_ids(n)) for n in (100, int(__import__("sys").argv[1])))
""",
    ("series", "Python lists"): """
from benchmarks.data import series_ids
from benchmarks.python_samplers import PythonSeriesSampler
ids = {}
def use(n):
    sampler = PythonSeriesSampler(ids[n].tolist(), 64)
    batches = iter(sampler)
    return sampler, batches, next(batches)
ids.update((n, series_ids(n)) for n in (100, int(__import__("sys").argv[1])))
""",
}
"""What is made for an epoch, by work and by who does it: ``use(n)`` keeps it; see `benchmarks.processes`."""
