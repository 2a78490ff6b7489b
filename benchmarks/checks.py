"""Whether an answer is right, looked at before its speed: exact cover, blocks, counts as weights want them.

Everything is read window by window, so a check costs a byte or four a row. Statistical bounds are at a level
of 1e-9 for the fixed seeds used here: they are there to catch an engine that is fast because it is wrong.
"""

from collections.abc import Iterable, Iterator
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from tombola.plans.plan import Plan

__all__ = [
    "check_blocks",
    "check_buckets",
    "check_cover",
    "check_independent",
    "check_permutation",
    "check_random_access",
    "check_round",
    "check_series",
    "check_stratified",
    "row_counts",
    "windows",
]

Rows = npt.NDArray[np.int64]
Counts = npt.NDArray[np.int32]

LEVEL = 1e-9
_CHUNK = 2**22
_CELLS = 1_000


def windows(plan: Plan) -> Iterator[Rows]:
    """Yield the rows of an epoch by whole fetch windows, one call of the core each."""
    step, count = plan.fetch_factor, len(plan)
    return (plan.batches(start, min(start + step, count))[0] for start in range(0, count, step))


def check_cover(parts: Iterable[Rows], n: int) -> None:
    """Check that every row of [0, n) comes exactly once, and in no order that resembles 0, 1, 2, ..."""
    seen = np.zeros(n, dtype=bool)
    total, moved, count = 0, 0.0, 0
    for rows in parts:
        seen[rows] = True
        moved += abs(float(rows[0]) - total)
        total, count = total + len(rows), count + 1
    assert total == n
    assert seen.all()
    if count >= 10:
        # The distance of two uniform numbers has mean 1/3 and standard deviation 1/sqrt(18).
        bound = NormalDist().inv_cdf(1 - LEVEL) / (18 * count) ** 0.5
        assert abs(moved / count / n - 1 / 3) < bound + 1 / count


def check_permutation(order: npt.ArrayLike, n: int) -> None:
    """Check that an array holds 0, ..., n - 1 in a random order."""
    rows = np.asarray(order, dtype=np.int64)
    check_cover((rows[start : start + 4096] for start in range(0, n, 4096)), n)


def check_random_access(plan: Plan) -> None:
    """Check that batches asked for one by one are those of whole windows."""
    count = len(plan)
    for start in {0, (count // 2) // plan.fetch_factor * plan.fetch_factor}:
        rows, offsets = plan.batches(start, min(start + plan.fetch_factor, count))
        for i in (0, (len(offsets) - 2) // 2, len(offsets) - 2):
            assert np.array_equal(plan[start + i], rows[offsets[i] : offsets[i + 1]])


def check_blocks(plan: Plan, block_size: int) -> None:
    """Check that the first window holds whole blocks of neighbours, mixed."""
    rows = next(windows(plan))
    blocks = len(np.unique(rows // block_size))
    assert blocks <= len(rows) // block_size + 2
    assert block_size == 1 or np.count_nonzero(np.diff(rows) == 1) < len(rows) // 2


def row_counts(parts: Iterable[Rows], n: int) -> Counts:
    """Return how often each row comes, 4 bytes a row."""
    counts = np.zeros(n, dtype=np.int32)
    for rows in parts:
        np.add.at(counts, rows, 1)
    return counts


def check_stratified(counts: Counts, weights: npt.NDArray[np.floating]) -> None:
    """Check that no count is 2 or more off its expectation, the bound that stratified draws keep."""
    scale = int(counts.sum(dtype=np.int64)) / float(weights.sum(dtype=np.float64))
    for start in range(0, len(counts), _CHUNK):
        expected = weights[start : start + _CHUNK].astype(np.float64) * scale
        assert float(np.abs(counts[start : start + _CHUNK] - expected).max()) < 2


def check_independent(counts: Counts, weights: npt.NDArray[np.floating]) -> None:
    """Check that counts are neither further from nor nearer to their expectations than independent draws are.

    A chi-square test, both tails, over 1,000 cells of consecutive rows.
    """
    from scipy import stats  # takes a while, and most need it not

    bounds = np.linspace(0, len(counts), _CELLS + 1).astype(np.int64)[:-1]
    drawn = np.add.reduceat(counts, bounds, dtype=np.int64)
    mass = np.add.reduceat(weights, bounds, dtype=np.float64)
    expected = mass * (drawn.sum() / mass.sum())
    statistic = float(((drawn - expected) ** 2 / expected).sum())
    distribution = stats.chi2(_CELLS - 1)
    assert float(distribution.ppf(LEVEL)) < statistic < float(distribution.isf(LEVEL))


def check_round(counts: Counts, weights: npt.NDArray[np.floating], size: int) -> None:
    """Check a round without replacement: as many rows as asked for, none twice, heavy ones more often."""
    assert int(counts.sum(dtype=np.int64)) == size
    assert int(counts.max()) == 1
    heavy = weights > np.median(weights[:_CHUNK])
    assert counts[heavy].mean() > counts[~heavy].mean()


def check_series(plan: Plan, ids: Rows) -> None:
    """Check exact cover, the number of batches, and that no series comes twice into a batch."""
    check_cover(windows(plan), len(ids))
    assert len(plan) == max(-(-len(ids) // plan.batch_size), int(np.bincount(ids).max()))
    for start in {0, len(plan) // 2, max(0, len(plan) - 2000)}:
        stop = min(len(plan), start + 2000)
        rows, offsets = plan.batches(start, stop)
        batch = np.repeat(np.arange(stop - start), np.diff(offsets))
        pairs = batch * (int(ids.max()) + 1) + ids[rows]
        assert len(np.unique(pairs)) == len(pairs)


def check_buckets(plan: Plan, keys: Rows) -> None:
    """Check exact cover, the number of batches, and that each holds one bucket."""
    check_cover(windows(plan), len(keys))
    assert len(plan) == int(np.sum(-(-np.bincount(keys) // plan.batch_size)))
    rows, offsets = plan.batches(0, min(len(plan), 5000))
    starts = offsets[:-1]
    assert np.array_equal(np.maximum.reduceat(keys[rows], starts), np.minimum.reduceat(keys[rows], starts))
