"""Putting rows right whose columns do not ascend."""

import numpy as np
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from tombola.sources.csr_rows import sort_rows

ROWS = st.lists(st.lists(st.integers(0, 4), max_size=5), min_size=1, max_size=8)


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
