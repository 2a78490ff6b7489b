"""Bounded integers are uniform for awkward ranges: the rule, by the oracle, to which the core is equal.

In ranges just above a power of two, and near 2**32, a method with modulo or multiplication bias is far off.
"""

import numpy as np
import pytest

from tests.oracle.philox import U64, bounded
from tests.statistical.tools import check_counts, uniform

SIZE = 400_000


def draw(size: int, effort: int) -> U64:
    """Return many bounded integers."""
    first = 0 if effort == 1 else SIZE
    return bounded(0x5EED, 1, np.arange(first, first + SIZE * effort), size)


@pytest.mark.parametrize("size", [2, 3, 5, 6, 7, 10, 64, 65, 1000])
def test_small_ranges(size: int, effort: int) -> None:
    check_counts(f"range {size}", np.bincount(draw(size, effort).astype(np.int64)), uniform(size))


@pytest.mark.parametrize("size", [2**31 + 1, 3 * 2**30, 2**32 - 1, 2**32 - 2**28, 6700417, 2**24 + 1])
def test_large_ranges(size: int, effort: int) -> None:
    values = draw(size, effort).astype(np.int64)
    assert values.max() < size
    parts = 1000
    edges = -(-np.arange(parts + 1) * size // parts)
    counts = np.histogram(values, edges)[0]
    check_counts(f"parts of range {size}", counts, np.diff(edges) / size)
    for modulus in (3, 16):
        expected = np.array([(size - 1 - r) // modulus + 1 for r in range(modulus)]) / size
        check_counts(
            f"range {size} mod {modulus}", np.bincount(values % modulus, minlength=modulus), expected
        )
