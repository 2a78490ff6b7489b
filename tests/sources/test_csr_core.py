"""Rows out of CSR by the core: equal to SciPy for every pair of types, and never out of bounds."""

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from tombola import _core
from tombola.sources.base import CsrRows

VALUES = [np.float32, np.float64, np.int16]
COLUMNS = [np.int32, np.int64]


def make(value: Any, column: Any) -> tuple[CsrRows, npt.NDArray[Any]]:
    matrix: Any = sp.random(37, 23, density=0.2, format="csr", random_state=3)
    matrix.data = np.arange(1, matrix.nnz + 1).astype(value)
    rows = CsrRows(matrix.data, matrix.indices.astype(column), matrix.indptr.astype(np.int64), matrix.shape)
    return rows, matrix.toarray()


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("positions", [[], [0], [36], [5, 5, 0, 36, 7], list(range(37))[::-1]])
def test_rows_are_those_of_scipy(value: Any, column: Any, positions: list[int]) -> None:
    rows, dense = make(value, column)
    where = np.array(positions, dtype=np.int64)
    taken = rows.take(where)
    assert np.array_equal(rows.take_dense(where), dense[where])
    assert np.array_equal(taken.to_dense(), dense[where])
    assert taken.data.dtype == value
    assert taken.indices.dtype == column
    assert rows.take_dense(where).dtype == value


@pytest.mark.parametrize("value", VALUES)
def test_positions_are_checked(value: Any) -> None:
    rows, _ = make(value, np.int32)
    for take in (rows.take, rows.take_dense):
        with pytest.raises(IndexError, match=r"positions must be in \[0, 37\), but run from 3 to 37"):
            take(np.array([3, 37]))


def test_broken_matrices_are_refused() -> None:
    data = np.ones(4, np.float32)
    columns = np.array([0, 1, 2, 9], np.int32)
    indptr = np.array([0, 2, 4], np.int64)
    one = np.array([1], np.int64)
    with pytest.raises(ValueError, match=r"columns must lie in \[0, 5\), but row 1 has column 9"):
        _core.csr_take_dense(data, columns, indptr, one, 5)
    with pytest.raises(ValueError, match=r"columns must lie in \[0, 5\), but row 1 has column -1"):
        _core.csr_take_dense(data, np.array([0, 1, 2, -1], np.int32), indptr, one, 5)
    with pytest.raises(ValueError, match=r"rows must lie in \[0, 2\), but one is 2"):
        _core.csr_take(data, columns, indptr, np.array([2], np.int64))
    for wrong in ([0, 3, 2], [0, -1, 4], [0, 2, 5]):
        with pytest.raises(ValueError, match="indptr must rise from 0 to the number of values, but row"):
            _core.csr_take(data, columns, np.array(wrong, np.int64), np.array([0, 1], np.int64))
    with pytest.raises(TypeError, match="indices must have dtype int64, but has uint8"):
        _core.csr_take(data, columns.astype(np.uint8), indptr, one)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="data must have dtype float64, but has int16"):
        _core.csr_take(data.astype(np.int16), columns, indptr, one)  # type: ignore[arg-type]


@pytest.mark.parametrize("column", COLUMNS)
@given(
    rows=st.lists(st.lists(st.integers(-1, 5), max_size=5), min_size=1, max_size=8), size=st.integers(1, 12)
)
def test_columns_are_checked_wherever_parts_end(column: Any, rows: list[list[int]], size: int) -> None:
    indptr = np.cumsum([0, *map(len, rows)])
    indices = np.array([value for row in rows for value in row], dtype=column)
    found = [
        _core.csr_check_columns(indices, indptr, 5, lo, min(lo + size, len(indices)))
        for lo in range(0, len(indices), size)
    ]
    in_range = all(0 <= value < 5 for row in rows for value in row)
    assert all(part[0] for part in found) == in_range
    if in_range:
        assert all(part[1] for part in found) == all(a < b for row in rows for a, b in pairwise(row))


@pytest.mark.parametrize(
    ("column", "value", "n_columns", "in_range"),
    [
        (np.int32, 2**31 - 1, 2**31, True),
        (np.int32, 2**31 - 1, 2**31 - 1, False),
        (np.int32, 2**31 - 1, 2**40, True),
        (np.int32, -(2**31), 2**40, False),
        (np.int64, 2**40 - 1, 2**40, True),
        (np.int64, 2**40, 2**40, False),
        (np.int64, -(2**63), 2**63 - 1, False),
        (np.int64, 0, 0, False),
    ],
)
def test_columns_at_the_ends_of_their_types(column: Any, value: int, n_columns: int, in_range: bool) -> None:
    indices = np.array([value], dtype=column)
    indptr = np.array([0, 1], dtype=np.int64)
    assert _core.csr_check_columns(indices, indptr, n_columns, 0, 1) == (in_range, True)


def test_parts_outside_are_refused() -> None:
    indices, indptr = np.array([0, 1], np.int32), np.array([0, 2], np.int64)
    for first, last in ((-1, 1), (1, 0), (0, 3)):
        with pytest.raises(ValueError, match=rf"the part must lie in \[0, 2\), but is \[{first}, {last}\)"):
            _core.csr_check_columns(indices, indptr, 5, first, last)
