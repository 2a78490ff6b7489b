"""What the statistical tests share: the level, chi-square tests, and permutations from every source.

Every check is a test of a sharp hypothesis at level ``ALPHA``, split evenly between "too far from what is
expected" and "too close to it". Seeds are fixed, so that a test either always passes or always fails; under
right code each had a chance of ``ALPHA`` to be one that fails.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from tombola import _core

ALPHA = 1e-6

I64 = NDArray[np.int64]
F64 = NDArray[np.float64]
Source = Callable[[int, range], I64]


def check_tails(name: str, below: float, above: float) -> None:
    """Check that a statistic is not in either tail of its distribution."""
    assert min(below, above) > ALPHA / 2, f"{name}: in a tail of probability {min(below, above):.3g}"


def check_chi_square(name: str, statistic: float, freedom: float) -> None:
    """Check a statistic that is chi-square distributed; of a few outcomes, equal counts are no fault."""
    below = float(stats.chi2.cdf(statistic, freedom)) if freedom >= 10 else 1.0
    check_tails(name, below, float(stats.chi2.sf(statistic, freedom)))


def check_normal(name: str, z: float, tests: int = 1) -> None:
    """Check a standard normal number, or the most extreme of several (Bonferroni)."""
    tail = tests * float(stats.norm.sf(abs(z)))
    assert tail > ALPHA / 2, f"{name}: {z:.2f} standard deviations off"


def pearson(observed: ArrayLike, expected: ArrayLike) -> float:
    """Return Pearson's sum of (observed - expected)**2 / expected."""
    o, e = np.asarray(observed, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    return float(((o - e) ** 2 / e).sum())


def pool(observed: F64, expected: F64, least: float) -> tuple[F64, F64]:
    """Return counts with neighbouring outcomes added together until each expects ``least``."""
    pooled: list[list[float]] = [[0.0, 0.0]]
    for o, e in zip(observed.tolist(), expected.tolist(), strict=True):
        if pooled[-1][1] >= least:
            pooled.append([0.0, 0.0])
        pooled[-1][0] += o
        pooled[-1][1] += e
    if len(pooled) > 1 and pooled[-1][1] < least:
        o, e = pooled.pop()
        pooled[-1][0] += o
        pooled[-1][1] += e
    return np.array([o for o, _ in pooled]), np.array([e for _, e in pooled])


def check_counts(name: str, observed: ArrayLike, probabilities: ArrayLike, least: float = 10.0) -> None:
    """Check counts of independent outcomes; where some expect fewer than ``least``, neighbours are pooled."""
    o = np.asarray(observed, dtype=np.float64).ravel()
    p = np.asarray(probabilities, dtype=np.float64).ravel()
    assert o.shape == p.shape
    assert abs(p.sum() - 1) < 1e-9
    assert not o[p == 0].any(), f"{name}: an impossible outcome came"
    expected = p * o.sum()
    if expected.min() < least:
        o, expected = pool(o, expected, least)
    assert len(o) > 1, f"{name}: the sample is too small for a test"
    check_chi_square(name, pearson(o, expected), len(o) - 1)


def uniform(cells: int) -> F64:
    """Return the probabilities of equally likely outcomes."""
    return np.full(cells, 1 / cells)


# ------------------------------------------------------------------------------------ sources of permutations


def options(**given: Any) -> dict[str, Any]:
    """Return the options that plans have in common, those given in place of the defaults."""
    return {"fetch_factor": 1, "drop_last": False, "seed": 20, "epoch": 0} | given


def exact(n: int, seeds: range) -> I64:
    """Return `permutation(n, seed)` for each seed."""
    return np.array([_core.permutation(n, seed) for seed in seeds])


def random_access(n: int, keys: range) -> I64:
    """Return `RandomPermutation(n, key)` for each key."""
    return np.array([_core.RandomPermutation(n, key).fill(0, n) for key in keys])


def blocks_of_one(n: int, epochs: range) -> I64:
    """Return the order of `BlockShuffling(block_size=1)` in each epoch."""
    orders = []
    for epoch in epochs:
        plan = _core.plan_blocks(n, **options(block_size=1, batch_size=n, epoch=epoch))
        orders.append(plan.batches(0, 1)[0])
    return np.array(orders)


def windows(n: int, numbers: range) -> I64:
    """Return the order inside each fetch window of `Streaming(shuffle=True)`."""
    plan = _core.plan_streaming(n * numbers.stop, **options(shuffle=True, batch_size=n, epoch=3))
    rows, _ = plan.batches(numbers.start, numbers.stop)
    return np.asarray(rows.reshape(len(numbers), n) - n * np.array(numbers)[:, None])


def window_over_epochs(n: int, epochs: range) -> I64:
    """Return the order inside the first fetch window of `Streaming(shuffle=True)` in each epoch."""
    orders = []
    for epoch in epochs:
        plan = _core.plan_streaming(n, **options(shuffle=True, batch_size=n, epoch=epoch))
        orders.append(plan.batches(0, 1)[0])
    return np.array(orders)


SOURCES: dict[str, Source] = {
    "permutation": exact,
    "RandomPermutation": random_access,
    "BlockShuffling(1)": blocks_of_one,
    "windows": windows,
    "window-over-epochs": window_over_epochs,
}


def samples(source: Source, n: int, size: int, effort: int) -> Iterator[I64]:
    """Yield ``effort`` arrays of ``size`` permutations of n; seeds differ from effort to effort."""
    first = 0 if effort == 1 else size
    for part in range(effort):
        yield source(n, range(first + part * size, first + (part + 1) * size))
