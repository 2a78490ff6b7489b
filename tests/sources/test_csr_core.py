"""Rows out of CSR by the core: equal to SciPy for every pair of types, and never out of bounds."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import scipy.sparse as sp

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
