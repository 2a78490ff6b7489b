"""Finding rows whose columns do not ascend, and putting them right."""

from itertools import pairwise

import numpy as np
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from tombola.sources._csr_rows import find_disorder, sort_rows

ROWS = st.lists(st.lists(st.integers(0, 4), max_size=5), min_size=1, max_size=8)


@given(rows=ROWS, size=st.integers(1, 12))
def test_disorder_is_found_wherever_groups_end(rows: list[list[int]], size: int) -> None:
    indptr = np.cumsum([0, *map(len, rows)])
    indices = np.array([column for row in rows for column in row], dtype=np.int32)
    edges = range(0, len(indices), size)
    found = [find_disorder(indices, lo, min(lo + size, len(indices)), indptr) for lo in edges]
    assert any(found) == any(a >= b for row in rows for a, b in pairwise(row))


@given(rows=ROWS)
def test_sorted_rows_are_scipys(rows: list[list[int]]) -> None:
    indptr = np.cumsum([0, *map(len, rows)])
    indices = np.array([column for row in rows for column in row], dtype=np.int32)
    data = np.arange(1, len(indices) + 1, dtype=np.float32)
    expected = sp.csr_matrix((data.copy(), indices.copy(), indptr.copy()), shape=(len(rows), 5))
    expected.sum_duplicates()
    found = sort_rows(data, indices, indptr)
    for part, wanted in zip(found, (expected.data, expected.indices, expected.indptr), strict=True):
        np.testing.assert_array_equal(part, wanted)
