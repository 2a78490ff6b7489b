"""Permutations of some dozens to a thousand elements show no structure, from every source.

From 65 elements on, random access is a Feistel network, and small domains are its weak spot: with 8 rounds
differences between neighbours fail here at n = 128 and 129, with 6 rounds at all n (200,000 keys).
"""

from collections.abc import Callable

import numpy as np
import pytest

from tests.oracle import Bijection
from tests.statistical.structure import Tables
from tests.statistical.tools import I64, SOURCES, samples

SIZES = {17: 40000, 64: 40000, 65: 100000, 66: 40000, 100: 40000, 128: 60000, 129: 80000, 200: 30000}


def check_structure(source: str, n: int, size: int, effort: int) -> None:
    tables = Tables(n)
    for part in samples(SOURCES[source], n, size, effort):
        tables.add(part)
    tables.check(f"{source}, n = {n}")


@pytest.mark.parametrize("n", SIZES)
def test_random_access(n: int, effort: int) -> None:
    check_structure("RandomPermutation", n, SIZES[n], effort)


@pytest.mark.parametrize("n", [257, 1000])
def test_random_access_of_more(n: int, effort: int) -> None:
    check_structure("RandomPermutation", n, 10**6 // n, 4 * effort)


@pytest.mark.parametrize("n", [17, 64, 65, 100, 200])
@pytest.mark.parametrize("source", ["permutation", "BlockShuffling(1)", "windows", "window-over-epochs"])
def test_tables(source: str, n: int, effort: int) -> None:
    check_structure(source, n, 10000, effort)


# ------------------------------------------------------------------------------ the tables find what is wrong


def right(n: int, size: int) -> I64:
    """Return NumPy's permutations."""
    return np.random.default_rng(5).permuted(np.tile(np.arange(n), (size, 1)), axis=1)


def swap_with_any(n: int, size: int) -> I64:
    """Return what the best known wrong shuffle gives: each element swapped with any other."""
    generator = np.random.default_rng(5)
    p = np.tile(np.arange(n), (size, 1))
    row = np.arange(size)
    for i in range(n):
        j = generator.integers(n, size=size)
        p[row, i], p[row, j] = p[row, j], p[row, i]
    return p


def affine(n: int, size: int) -> I64:
    """Return i -> (a i + b) mod n, for a with an inverse."""
    generator = np.random.default_rng(5)
    units = np.flatnonzero(np.gcd(np.arange(n), n) == 1)
    a, b = generator.choice(units, size=(size, 1)), generator.integers(n, size=(size, 1))
    return np.asarray((a * np.arange(n) + b) % n)


def few_rounds(n: int, size: int) -> I64:
    """Return the Feistel network with 4 rounds."""
    return np.array([Bijection(n, key, exact_below=0, rounds=4)(np.arange(n)) for key in range(size)])


def test_the_tables_pass_right_permutations() -> None:
    tables = Tables(65)
    tables.add(right(65, 20000))
    tables.check("NumPy")


@pytest.mark.parametrize("source", [swap_with_any, affine, few_rounds])
def test_the_tables_fail_wrong_permutations(source: Callable[[int, int], I64]) -> None:
    tables = Tables(65)
    tables.add(source(65, 3000))
    with pytest.raises(AssertionError, match="tail"):
        tables.check(source.__name__)
