"""Epochs, seeds and keys beside each other have nothing in common but chance.

The number of rows that two first batches share is hypergeometric. Peers that seed with ``seed + epoch`` give
the same batches for (seed, epoch + 1) and (seed + 1, epoch).
"""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from tests.statistical.tools import I64, check_counts, options
from tombola import _core

N, BATCH, SIZE = 200, 20, 20000


def blocks(seed: int, epoch: int) -> I64:
    """Return the first batch of a full shuffle."""
    plan = _core.plan_blocks(N, **options(block_size=1, batch_size=BATCH, seed=seed, epoch=epoch))
    return plan.batches(0, 1)[0]


def large_blocks(seed: int, epoch: int) -> I64:
    """Return the ranks of the first 20 among 200 neighbours in a full shuffle of more than 2**16 rows."""
    n = N * 400
    plan = _core.plan_blocks(n, **options(block_size=1, batch_size=N, seed=seed, epoch=epoch))
    order = plan.batches(7, 8)[0]
    return np.argsort(np.argsort(order))[:BATCH]


def window(seed: int, epoch: int) -> I64:
    """Return the head of a permuted fetch window."""
    plan = _core.plan_streaming(
        N, **options(shuffle=True, batch_size=BATCH, fetch_factor=10, seed=seed, epoch=epoch)
    )
    return plan.batches(0, 1)[0]


def rounds(seed: int, epoch: int) -> I64:
    """Return a round of equally likely rows without replacement."""
    table = _core.WeightTable.from_values(np.ones(N))
    plan = _core.plan_weighted(
        table,
        block_size=16,
        draws=BATCH,
        draw="stratified",
        sampling_size=BATCH,
        **options(batch_size=BATCH, seed=seed, epoch=epoch),
    )
    return plan.batches(0, 1)[0]


def exact(seed: int, epoch: int) -> I64:
    """Return the head of a permutation; for epochs, of the seed far off."""
    return _core.permutation(N, seed + (epoch << 32))[:BATCH]


def random_access(seed: int, epoch: int) -> I64:
    """Return the head of a random-access permutation; for epochs, of the key far off."""
    return _core.RandomPermutation(N, seed + (epoch << 32)).fill(0, BATCH)


SOURCES = [blocks, large_blocks, window, rounds, exact, random_access]
NEIGHBOURS = {
    "next-epoch": (3, 0, 3, 1),
    "next-seed": (0, 5, 1, 5),
    "seed-and-epoch-swapped": (0, 1, 1, 0),
    "far-epoch": (3, 0, 3, 2**31),
}


@pytest.mark.parametrize("neighbours", NEIGHBOURS)
@pytest.mark.parametrize("source", SOURCES)
def test_overlap_of_batches(source: Callable[[int, int], I64], neighbours: str, effort: int) -> None:
    seed, epoch, other_seed, other_epoch = NEIGHBOURS[neighbours]
    size = SIZE // 4 * effort
    counts = np.zeros(BATCH + 1)
    for step in range(size) if effort == 1 else range(size, 2 * size):
        # Seeds advance by 2, so that no pair shares a member with another.
        a = source(seed + 2 * step, epoch)
        b = source(other_seed + 2 * step, other_epoch)
        counts[len(np.intersect1d(a, b, assume_unique=True))] += 1
    check_counts(neighbours, counts, stats.hypergeom.pmf(np.arange(BATCH + 1), N, BATCH, BATCH))
