"""Every permutation is one: exhaustively for small n and around powers of two, by sampling up to 10**12.

An index shuffle in wide use is no bijection at n = 65537; this is where such faults show.
"""

import numpy as np
import pytest
from numpy.typing import NDArray

from tombola import _core

AROUND_POWERS_OF_TWO = [2**k + d for k in range(12, 21) for d in (-1, 0, 1)]
LARGE = [2**k + d for k in range(21, 40) for d in (-1, 0, 1)] + [10**7, 10**9 + 7, 10**12 - 1, 10**12]


def is_permutation(values: NDArray[np.int64], n: int) -> bool:
    """Return whether each of 0..n-1 comes exactly once."""
    return len(values) == n and bool(
        (values >= 0).all() and (values < n).all() and (np.bincount(values, minlength=n) == 1).all()
    )


def test_random_permutation_is_a_bijection_for_all_small_n() -> None:
    for n in range(1, 4097):
        p = _core.RandomPermutation(n, key=n * 31)
        values = p.fill(0, n)
        assert is_permutation(values, n), n
        np.testing.assert_array_equal(p.inverse_take(values), np.arange(n))


def test_exact_permutation_is_one_for_all_small_n() -> None:
    for n in range(1, 4097):
        assert is_permutation(_core.permutation(n, seed=n * 31), n), n


@pytest.mark.parametrize("n", AROUND_POWERS_OF_TWO)
def test_random_permutation_is_a_bijection_around_powers_of_two(n: int) -> None:
    p = _core.RandomPermutation(n, key=3)
    values = p.fill(0, n)
    assert is_permutation(values, n)
    np.testing.assert_array_equal(p.inverse_take(values), np.arange(n))


@pytest.mark.parametrize("n", AROUND_POWERS_OF_TWO)
def test_exact_permutation_is_one_around_powers_of_two(n: int) -> None:
    assert is_permutation(_core.permutation(n, seed=3), n)


@pytest.mark.parametrize("n", LARGE)
def test_random_permutation_beyond_what_can_be_listed(n: int) -> None:
    p = _core.RandomPermutation(n, key=3)
    spread = np.arange(20000) * (n // 20000)
    positions = np.unique(np.concatenate([np.arange(5000), spread, np.arange(n - 5000, n)]))
    values = p.take(positions)
    assert ((values >= 0) & (values < n)).all()
    assert len(np.unique(values)) == len(positions)
    np.testing.assert_array_equal(p.inverse_take(values), positions)
    np.testing.assert_array_equal(p.take(p.inverse_take(positions)), positions)
    np.testing.assert_array_equal(p.fill(n - 5000, n), values[-5000:])


@pytest.mark.parametrize("n", [1, 2, 3])
def test_the_smallest_permutations_all_come(n: int) -> None:
    factorial = [1, 1, 2, 6][n]
    random_access = {tuple(_core.RandomPermutation(n, key).fill(0, n).tolist()) for key in range(200)}
    exact = {tuple(_core.permutation(n, seed).tolist()) for seed in range(200)}
    assert len(random_access) == len(exact) == factorial


@pytest.mark.parametrize("n", [30, 64, 65, 1000, 10**12])
def test_keys_and_sizes_give_different_permutations(n: int) -> None:
    keys = [0, 1, 2, 2**32, 2**32 + 1, 2**62, 2**63 - 1]
    head = np.arange(30)
    seen = {
        tuple(_core.RandomPermutation(size, key).take(head).tolist()) for key in keys for size in (n, n + 1)
    }
    assert len(seen) == 2 * len(keys)


@pytest.mark.parametrize("n", [30, 1000, 70000])
def test_seeds_give_different_permutations(n: int) -> None:
    seeds = [0, 1, 2, 2**32, 2**32 + 1, 2**62, 2**63 - 1]
    assert len({tuple(_core.permutation(n, seed)[:30].tolist()) for seed in seeds}) == len(seeds)


def test_positions_outside_are_errors() -> None:
    p = _core.RandomPermutation(100, key=1)
    for position in (-1, 100, 2**62):
        for lookup in (p.at, p.inverse_at):
            with pytest.raises(IndexError, match=r"\d"):
                lookup(position)
        for gather in (p.take, p.inverse_take):
            with pytest.raises(IndexError, match=r"\d"):
                gather(np.array([5, position]))
    for start, stop in ((-1, 5), (50, 101), (6, 5)):
        with pytest.raises(IndexError, match=r"\d"):
            p.fill(start, stop)
