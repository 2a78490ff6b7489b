"""Permutations of 10**5 to 10**6 elements keep no memory of the order they came from.

Neighbour distances, serial correlation, a grid of positions against values, and single bits of both: for each
the distribution under uniform permutations is known. Also permutations of consecutive keys, seeds or epochs.
"""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.statistical.tools import I64, check_chi_square, check_counts, check_normal, options, pearson
from tombola import _core

GRID = 64


def exact(n: int, seed: int) -> I64:
    """Return `permutation`."""
    return _core.permutation(n, seed)


def random_access(n: int, seed: int) -> I64:
    """Return `RandomPermutation`."""
    return _core.RandomPermutation(n, seed).fill(0, n)


def blocks_of_one(n: int, seed: int) -> I64:
    """Return the rows of `BlockShuffling(1)`; epochs follow each other."""
    plan = _core.plan_blocks(n, **options(block_size=1, batch_size=n, epoch=seed))
    return plan.batches(0, 1)[0]


def blocks_of_four(n: int, seed: int) -> I64:
    """Return the order of the blocks of `BlockShuffling(4)`; windows are of one block each."""
    plan = _core.plan_blocks(4 * n, **options(block_size=4, batch_size=4, epoch=seed))
    return np.asarray(plan.batches(0, n)[0][::4] // 4)


def window(n: int, seed: int) -> I64:
    """Return the order of a large fetch window of `Streaming(shuffle=True)`, the second one."""
    plan = _core.plan_streaming(2 * n, **options(shuffle=True, batch_size=n, epoch=seed))
    return plan.batches(1, 2)[0] - n


CASES = [
    *((exact, n) for n in (65535, 65536, 100003, 2**20, 10**6)),
    *((random_access, n) for n in (65537, 2**17, 100003, 2**20, 2**20 + 1, 10**6)),
    *((blocks_of_one, n) for n in (65535, 65536, 10**6)),
    *((blocks_of_four, n) for n in (65537, 100003)),
    *((window, n) for n in (65535, 65536, 300007)),
]

every_source = pytest.mark.parametrize(
    ("source", "n"), [pytest.param(source, n, id=f"{source.__name__}-{n}") for source, n in CASES]
)


def seeds(effort: int) -> range:
    """Return the seeds of a test; those of the long version are other ones."""
    return range(2) if effort == 1 else range(2, 2 + 2 * effort)


def check_grid(name: str, first: I64, second: I64, n: int) -> None:
    """Check a table of two columns that are permutations of [0, n) in cells of equal width."""
    a, b = first * GRID // n, second * GRID // n
    table = np.bincount(a * GRID + b, minlength=GRID * GRID).reshape(GRID, GRID)
    margin = np.bincount(np.arange(n) * GRID // n)
    expected = np.outer(margin, margin) / n
    check_chi_square(name, pearson(table, expected) * (n - 1) / n, (GRID - 1) ** 2)


@every_source
def test_positions_and_values(source: Callable[[int, int], I64], n: int, effort: int) -> None:
    for seed in seeds(effort):
        p = source(n, seed)
        assert (np.bincount(p, minlength=n) == 1).all()
        check_grid(f"seed {seed}", np.arange(n), p, n)


@every_source
def test_consecutive_seeds(source: Callable[[int, int], I64], n: int, effort: int) -> None:
    before = source(n, seeds(effort)[0])
    for seed in seeds(effort)[1:]:
        after = source(n, seed)
        check_grid(f"seeds {seed - 1} and {seed}", before, after, n)
        before = after


@every_source
def test_neighbour_distances(source: Callable[[int, int], I64], n: int, effort: int) -> None:
    """Differences of disjoint pairs of neighbours: absolute, and mod n; close ones counted one by one."""
    half = n // 2 * 2
    distance = np.arange(1, n)
    probability = 2 * (n - distance) / (n * (n - 1))
    for seed in seeds(effort):
        p = source(n, seed)[:half].reshape(-1, 2)
        step = p[:, 1] - p[:, 0]
        counts = np.bincount(np.abs(step), minlength=n)[1:]
        for name, cells in {
            "all": (distance - 1) * 500 // n,
            "close": np.minimum(distance - 1, 5000) // 20,
        }.items():
            check_counts(
                f"{name} distances, seed {seed}",
                np.bincount(cells, weights=counts),
                np.bincount(cells, weights=probability),
            )
        around = (step % n - 1) * 500 // n
        cells = (distance - 1) * 500 // n
        check_counts(f"mod n, seed {seed}", np.bincount(around, minlength=500), np.bincount(cells) / (n - 1))


@every_source
def test_serial_correlation(source: Callable[[int, int], I64], n: int, effort: int) -> None:
    """Circular autocorrelation at several lags; under uniform permutations its moments are known.

    Wald and Wolfowitz, "An exact test for randomness in the non-parametric case based on serial correlation",
    Annals of Mathematical Statistics 14, 1943.
    """
    left = 1 << (n - 1).bit_length() // 2
    lags = [1, 2, 3, 16, 64, left - 1, left, left + 1, 2 * left]
    for seed in seeds(effort):
        x = source(n, seed) - (n - 1) / 2
        square = n * (n * n - 1) / 12
        for lag in lags:
            product = float((x * np.roll(x, -lag)).sum())
            check_normal(f"lag {lag}, seed {seed}", (product + square / (n - 1)) * np.sqrt(n - 1) / square)


def bit_columns(values: I64) -> NDArray[np.float32]:
    """Return the bits of each value and of its Gray code, those that are set in a fair share of values."""
    bits = (len(values) - 1).bit_length()
    coded = np.column_stack([values, values ^ (values >> 1)]).astype("<u4")
    columns = np.unpackbits(coded.view(np.uint8), axis=1, bitorder="little")
    # Just above a power of two the top bit is set in a few values only: too few to be nearly normal.
    if columns[:, bits - 1].mean() < 0.01:
        bits -= 1
    return columns[:, [*range(bits), *range(32, 32 + bits)]].astype(np.float32)


@every_source
def test_bits(source: Callable[[int, int], I64], n: int, effort: int) -> None:
    """No bit of the position tells anything about a bit of the value, nor about two neighbouring ones."""
    position = bit_columns(np.arange(n))
    bits = position.shape[1] // 2
    share = position.mean(axis=0, dtype=np.float64)
    spread = (position.T @ position).astype(np.float64) / n - np.outer(share, share)
    inverse = np.linalg.inv(spread[:bits, :bits])
    for seed in seeds(effort)[::2]:
        value = bit_columns(source(n, seed))
        # Under a uniform permutation these have mean 0 and covariance (spread of a) times (spread of b).
        excess = (position.T @ value / n - np.outer(share, share)) * np.sqrt(n - 1)
        z = excess / np.sqrt(np.outer(spread.diagonal(), spread.diagonal()))
        check_normal(f"bits, seed {seed}", float(np.abs(z).max()), tests=z.size)
        own = excess[:bits, :bits]
        check_chi_square(f"all bits, seed {seed}", float((inverse @ own @ inverse * own).sum()), bits * bits)
