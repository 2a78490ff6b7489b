"""Bringing CSR rows into canonical form: columns ascending and distinct, as torch and `CsrRows` want them.

anndata writes what it is given, so that a file may hold columns in any order, and duplicates, which SciPy
adds up. Finding that out is cheap; putting it right costs a sort, O(values * log values), for such windows
only.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.types import IndexArray

Parts = tuple[npt.NDArray[Any], npt.NDArray[Any], IndexArray]
"""data, indices and indptr of some rows."""


class DuplicatesError(ValueError):
    """Values of one place add up to more than their type holds.

    Parameters
    ----------
    row
        The row, counted among those that were given.
    total
        The sum.
    dtype
        The type.
    """

    def __init__(self, row: int, total: int, dtype: np.dtype[Any]) -> None:
        super().__init__(f"values of one place add up to {total} in row {row}, beyond {dtype}")
        self.row, self.total, self.dtype = row, total, dtype


def sort_rows(
    data: npt.NDArray[Any],
    indices: npt.NDArray[Any],
    indptr: IndexArray,
    stored: Callable[[], npt.NDArray[Any]] | None = None,
) -> Parts:
    """Sort the columns of each row and add up duplicates, one after the other.

    Floats are added in their type, which is what SciPy does; booleans are joined by or; integers are added as
    int64 or uint64, as SciPy's sums wrap around.

    Parameters
    ----------
    data, indices, indptr
        The rows.
    stored : callable, optional
        Gives the values in the type that is stored, if `data` was cast already. It is called where there are
        duplicates, and what is returned then has the type of their sums.

    Raises
    ------
    DuplicatesError
        If a sum lies beyond its type.
    """
    n_rows = len(indptr) - 1
    row_of = np.repeat(np.arange(n_rows, dtype=np.int64), np.diff(indptr))
    order = np.lexsort((indices, row_of))
    indices = indices[order]
    first = np.ones(len(indices), dtype=np.bool_)
    first[1:] = (indices[1:] != indices[:-1]) | (row_of[1:] != row_of[:-1])
    if first.all():
        return data[order], indices, indptr
    data = (data if stored is None else stored())[order]
    sums, wrong = _sums(data, first)
    if stored is None and sums.dtype != data.dtype:
        narrow = sums.astype(data.dtype)
        wrong |= narrow != sums
        sums = narrow
    if wrong.any():
        at = int(np.argmax(wrong))
        group = np.cumsum(first) - 1 == at
        raise DuplicatesError(int(row_of[first][at]), sum(data[group].tolist()), data.dtype)
    counts = np.bincount(row_of[first], minlength=n_rows)
    return sums, indices[first], _pointers(counts)


def _sums(
    data: npt.NDArray[Any], first: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """Add up the values from each first one on, and tell which sums went beyond 64 bits."""
    is_integer = data.dtype.kind in "iu"
    wide = np.dtype(f"{data.dtype.kind}8") if is_integer else data.dtype
    more = np.flatnonzero(~first)
    places = np.cumsum(first)[more] - 1
    sums = data[first].astype(wide)
    np.add.at(sums, places, data[more].astype(wide))  # not in pairs, as reduceat does
    if not is_integer or data.dtype.itemsize < wide.itemsize:
        return sums, np.zeros(len(sums), dtype=np.bool_)
    rough = data[first].astype(np.float64)
    np.add.at(rough, places, data[more].astype(np.float64))
    return sums, np.abs(rough - sums.astype(np.float64)) > 2.0**62


def from_dense(values: npt.NDArray[Any]) -> Parts:
    """Give the values other than 0 of a dense block of rows as CSR, columns as int32."""
    rows, columns = np.nonzero(values)
    counts = np.bincount(rows, minlength=len(values))
    return values[rows, columns], columns.astype(np.int32), _pointers(counts)


def concatenate(parts: list[Parts]) -> Parts:
    """Put rows of several parts one below the other."""
    counts = np.concatenate([np.diff(indptr) for _, _, indptr in parts])
    data = np.concatenate([part[0] for part in parts])
    return data, np.concatenate([part[1] for part in parts]), _pointers(counts)


def _pointers(counts: npt.NDArray[Any]) -> IndexArray:
    indptr = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=indptr[1:])
    return indptr
