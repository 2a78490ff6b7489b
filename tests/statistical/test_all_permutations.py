"""All n! permutations of few elements come equally often, from every source; and so do tail blocks' places.

Few elements are where shuffles and small Feistel networks fail first: 8 rounds fail this test at n = 6.
"""

import math

import numpy as np
import pytest

from tests.statistical.tools import I64, SOURCES, check_counts, options, samples, uniform
from tombola import _core

SIZE = 60000


def rank(permutations: I64) -> I64:
    """Return the lexicographic rank of each permutation."""
    n = permutations.shape[1]
    ranks = np.zeros(len(permutations), dtype=np.int64)
    for i in range(n):
        smaller = (permutations[:, i + 1 :] < permutations[:, i : i + 1]).sum(axis=1)
        ranks += smaller * math.factorial(n - 1 - i)
    return ranks


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6, 7])
@pytest.mark.parametrize("source", SOURCES)
def test_all_permutations_are_equally_likely(source: str, n: int, effort: int) -> None:
    cells = math.factorial(n)
    counts = np.zeros(cells)
    for part in samples(SOURCES[source], n, SIZE, effort):
        counts += np.bincount(rank(part), minlength=cells)
    check_counts(f"{source}, n = {n}", counts, uniform(cells))


@pytest.mark.parametrize("n", [3, 4, 5])
def test_consecutive_seeds_are_independent(n: int, effort: int) -> None:
    cells = math.factorial(n)
    for source in SOURCES.values():
        table = np.zeros(cells * cells)
        for part in samples(source, n, SIZE, effort):
            ranks = rank(part)
            table += np.bincount(ranks[0::2] * cells + ranks[1::2], minlength=cells * cells)
        if table.sum() >= 2 * table.size:
            check_counts(source.__name__, table, uniform(table.size))


@pytest.mark.parametrize("blocks", [2, 5, 6])
def test_block_order_with_a_short_tail(blocks: int, effort: int) -> None:
    """The short last block is put anywhere, as any other block."""
    block_size, tail = 3, 2
    n = (blocks - 1) * block_size + tail
    cells = math.factorial(blocks)
    counts = np.zeros(cells)
    first = 0 if effort == 1 else SIZE
    for epoch in range(first, first + SIZE // 2 * effort):
        # Windows of one row leave the order of blocks to be seen.
        plan = _core.plan_blocks(n, **options(block_size=block_size, batch_size=1, epoch=epoch))
        rows, _ = plan.batches(0, n)
        block = rows // block_size
        order = block[np.concatenate([[True], block[1:] != block[:-1]])]
        counts[rank(order[None, :])] += 1
    check_counts("block order", counts, uniform(cells))


@pytest.mark.parametrize("lengths", [(1, 5), (1, 2, 3, 4), (9, 1, 1, 4, 2, 30)], ids=str)
def test_block_order_between_bounds(lengths: tuple[int, ...], effort: int) -> None:
    """Blocks of unequal lengths stand in any order alike, at level 1e-6: length does not matter."""
    bounds = np.cumsum([0, *lengths])
    n, cells = int(bounds[-1]), math.factorial(len(lengths))
    counts = np.zeros(cells)
    first = 0 if effort == 1 else SIZE
    blocks = _core.BlockBounds(bounds)
    for epoch in range(first, first + SIZE // 2 * effort):
        plan = _core.plan_bounded_blocks(blocks, **options(batch_size=1, epoch=epoch))
        rows, _ = plan.batches(0, n)
        block = np.searchsorted(bounds, rows, side="right") - 1
        order = block[np.concatenate([[True], block[1:] != block[:-1]])]
        counts[rank(order[None, :])] += 1
    check_counts("block order between bounds", counts, uniform(cells))
