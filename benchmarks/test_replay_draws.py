"""Draws for replay: weights that stay (alias tables) and weights that change (the sum tree), batch by batch.

Batches are as a learner asks for them, one call each. torchrl's segment tree and cpprb's prioritised buffer,
which draws and hands out one int32 a slot, are peers where they are installed and load.
"""

from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

import tombola
from benchmarks import checks, data
from benchmarks.conftest import Measure
from benchmarks.figures import OURS, Figures, Work

BATCH = 1024
BATCHES = 200  # that are timed together
N_GROUPS = 400
MOST_OF_TORCH = 2**24

ALIAS_BUILD = {threads: Work(f"AliasTable build, {threads} threads", target=40.0) for threads in (1, 2)}
ALIAS_BYTES = Work("AliasTable memory above the weights", unit="bytes/row", target=8.0)
ALIAS = Work(f"AliasTable draws, batches of {BATCH}", target=15.0)
GROUPED = Work(f"GroupedAliasTable draws, {N_GROUPS} groups, batches of {BATCH}", target=5.0)
MEMBERS = Work(f"GroupedAliasTable draws through int32 members, batches of {BATCH}")
TREE_FILL = Work("SumTree fill")
TREE_DRAW = {size: Work(f"SumTree draws, batches of {size}", ratio=3.0) for size in (256, BATCH)}
TREE_UPDATE = {size: Work(f"SumTree updates, batches of {size}", ratio=3.0) for size in (256, BATCH)}
TREE_DISTINCT = Work("SumTree draws without replacement, batches of 256")

Weights = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


@pytest.fixture(scope="module")
def weights(size: int) -> Weights:
    return data.weights(size)


def check_draws(
    draw: Callable[[int], Rows], weights: npt.NDArray[np.floating], *, large: int = 2**20
) -> None:
    """Check the distribution of one large batch."""
    counts = np.zeros(len(weights), dtype=np.int32)
    np.add.at(counts, draw(large), 1)
    if len(weights) >= 10_000:
        checks.check_independent(counts, weights)


def batches(draw: Callable[[int], object], number: int = BATCHES) -> Callable[[], None]:
    """Return a run over a number of batches; each has a number of its own, in later runs too."""
    steps = count()

    def run() -> None:
        for _ in range(number):
            draw(next(steps))

    return run


@pytest.mark.parametrize("threads", list(ALIAS_BUILD))
def test_alias_build(threads: int, size: int, weights: Weights, measure: Measure) -> None:
    measure(ALIAS_BUILD[threads], OURS, lambda: tombola.AliasTable(weights), n=size, threads=threads)


def test_alias_draws(size: int, weights: Weights, measure: Measure, figures: Figures) -> None:
    table = tombola.AliasTable(weights)
    check_draws(lambda n: table.draw(n, seed=7), weights)
    figures.add(ALIAS_BYTES, OURS, table._table.columns().nbytes / size, n=size)
    run = batches(lambda step: table.draw(BATCH, seed=1, epoch=step))
    measure(ALIAS, OURS, run, n=size, indices=BATCH * BATCHES)


def test_alias_draws_by_numpy(peer_size: int, weights: Weights, measure: Measure) -> None:
    own = weights[:peer_size].astype(np.float64)
    own /= own.sum()
    generator = np.random.default_rng(1)
    run = batches(lambda step: generator.choice(peer_size, BATCH, p=own), number=1)
    measure(ALIAS, "numpy Generator.choice", run, n=peer_size, indices=BATCH)


def test_alias_draws_by_torch(peer_size: int, weights: Weights, measure: Measure) -> None:
    n = min(peer_size, MOST_OF_TORCH)
    own = torch.from_numpy(weights[:n])
    generator = torch.Generator().manual_seed(1)
    run = batches(lambda step: torch.multinomial(own, BATCH, replacement=True, generator=generator), number=1)
    measure(ALIAS, "torch.multinomial", run, n=n, indices=BATCH)


@pytest.mark.parametrize("members", [False, True])
def test_grouped_draws(members: bool, size: int, measure: Measure) -> None:
    shares = 1.0 / np.arange(1, N_GROUPS + 1)
    edges = np.cumsum(shares / shares.sum() * size).astype(np.int64)
    offsets: Rows = np.concatenate([[0], edges[:-1], [size]])
    sizes = np.diff(offsets)
    order = np.random.default_rng(4).permutation(np.arange(size, dtype=np.int32)) if members else None
    of_group = 1.0 / np.maximum(sizes, 1)
    table = tombola.GroupedAliasTable(offsets, of_group, order)
    of_row = np.repeat(of_group, sizes)
    if order is not None:
        of_row[order] = of_row.copy()
    check_draws(lambda n: table.draw(n, seed=7), of_row)
    run = batches(lambda step: table.draw(BATCH, seed=1, epoch=step))
    measure(MEMBERS if members else GROUPED, OURS, run, n=size, indices=BATCH * BATCHES)


# ------------------------------------------------------------------------------------------------- sum tree


class Updates:
    """Batches of slots and new weights, made before the clock runs."""

    def __init__(self, size: int, batch: int) -> None:
        generator = np.random.default_rng(5)
        self.slots = [generator.integers(size, size=batch) for _ in range(BATCHES)]
        self.weights = [generator.standard_exponential(batch) for _ in range(BATCHES)]

    def run(self, update: Callable[[Rows, npt.NDArray[np.float64]], object]) -> Callable[[], None]:
        return batches(lambda step: update(self.slots[step % BATCHES], self.weights[step % BATCHES]))


@pytest.fixture(scope="module")
def tree(size: int, weights: Weights) -> tombola.SumTree:
    """A tree of these weights."""
    return tombola.SumTree(size, weights)


@pytest.fixture(scope="module")
def segment_tree(size: int, weights: Weights) -> Any:
    """torchrl's tree of these weights, in float64 as ours."""
    torchrl = pytest.importorskip("torchrl._torchrl", exc_type=ImportError)
    tree = torchrl.SumSegmentTreeFp64(size)
    for start in range(0, size, 2**20):
        stop = min(size, start + 2**20)
        tree.update(np.arange(start, stop), weights[start:stop].astype(np.float64))
    return tree


def scan_batch(tree: Any, size: int, batch: int, generator: np.random.Generator) -> Rows:
    """Return a batch drawn from torchrl's tree, as its prioritised sampler does it."""
    slots: Rows = tree.scan_lower_bound(generator.uniform(0.0, tree.query(0, size), size=batch))
    return np.minimum(slots, size - 1)


def test_tree_fill(size: int, weights: Weights, tree: tombola.SumTree, measure: Measure) -> None:
    measure(TREE_FILL, OURS, lambda: tree.fill(weights), n=size)


@pytest.mark.parametrize("batch", list(TREE_DRAW))
def test_tree_draws(batch: int, size: int, weights: Weights, tree: tombola.SumTree, measure: Measure) -> None:
    tree.fill(weights)
    check_draws(lambda n: tree.draw(n, seed=7), weights)
    run = batches(lambda step: tree.draw(batch, seed=1, step=step))
    measure(TREE_DRAW[batch], OURS, run, n=size, indices=batch * BATCHES)


def test_tree_draws_without_replacement(size: int, tree: tombola.SumTree, measure: Measure) -> None:
    slots = tree.draw(256, seed=7, replace=False)
    assert len(np.unique(slots)) == 256
    run = batches(lambda step: tree.draw(256, seed=1, step=step, replace=False))
    measure(TREE_DISTINCT, OURS, run, n=size, indices=256 * BATCHES)


@pytest.mark.parametrize("batch", list(TREE_DRAW))
def test_tree_draws_by_torchrl(
    batch: int, size: int, weights: Weights, segment_tree: Any, measure: Measure
) -> None:
    generator = np.random.default_rng(1)
    check_draws(lambda n: scan_batch(segment_tree, size, n, generator), weights)
    run = batches(lambda step: scan_batch(segment_tree, size, batch, generator))
    measure(TREE_DRAW[batch], "torchrl SumSegmentTree", run, n=size, indices=batch * BATCHES)


@pytest.mark.parametrize("batch", list(TREE_UPDATE))
def test_tree_updates(batch: int, size: int, tree: tombola.SumTree, measure: Measure) -> None:
    updates = Updates(size, batch)
    measure(TREE_UPDATE[batch], OURS, updates.run(tree.update), n=size, indices=batch * BATCHES)
    assert tree.total == pytest.approx(float(tree.get().sum()), rel=1e-6)


@pytest.mark.parametrize("batch", list(TREE_UPDATE))
def test_tree_updates_by_torchrl(batch: int, size: int, segment_tree: Any, measure: Measure) -> None:
    updates = Updates(size, batch)
    who = "torchrl SumSegmentTree"
    measure(TREE_UPDATE[batch], who, updates.run(segment_tree.update), n=size, indices=batch * BATCHES)


@pytest.fixture(scope="module")
def prioritised_buffer(peer_size: int, weights: Weights) -> Any:
    """cpprb's buffer of these weights, with the least that it can store."""
    cpprb = pytest.importorskip("cpprb")
    buffer = cpprb.PrioritizedReplayBuffer(peer_size, {"slot": {"dtype": np.int32}}, alpha=1.0, eps=0.0)
    for start in range(0, peer_size, 2**16):
        stop = min(peer_size, start + 2**16)
        buffer.add(slot=np.arange(start, stop), priorities=weights[start:stop])
    return buffer


@pytest.mark.parametrize("batch", list(TREE_DRAW))
def test_tree_draws_by_cpprb(
    batch: int, peer_size: int, weights: Weights, prioritised_buffer: Any, measure: Measure
) -> None:
    mass = weights[:peer_size].astype(np.float64)
    drawn = mass[prioritised_buffer.sample(2**16, beta=0.0)["indexes"].astype(np.int64)]
    assert drawn.mean() == pytest.approx((mass**2).sum() / mass.sum(), rel=0.05)  # heavy ones come more often
    run = batches(lambda _: prioritised_buffer.sample(batch, beta=0.0))
    measure(TREE_DRAW[batch], "cpprb buffer", run, n=peer_size, indices=batch * BATCHES, note="with its rows")


@pytest.mark.parametrize("batch", list(TREE_UPDATE))
def test_tree_updates_by_cpprb(batch: int, peer_size: int, prioritised_buffer: Any, measure: Measure) -> None:
    updates = Updates(peer_size, batch)
    run = updates.run(prioritised_buffer.update_priorities)
    measure(TREE_UPDATE[batch], "cpprb buffer", run, n=peer_size, indices=batch * BATCHES)
