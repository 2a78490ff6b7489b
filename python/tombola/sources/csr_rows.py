"""Bringing CSR rows into canonical form: columns ascending and distinct, as torch and `CsrRows` want them.

anndata writes what it is given, so that a file may hold columns in any order, and duplicates, which SciPy
adds up. Finding that out is cheap; putting it right costs a sort, O(values * log values), for such windows
only.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.types import IndexArray

Parts = tuple[npt.NDArray[Any], npt.NDArray[Any], IndexArray]
"""data, indices and indptr of some rows."""


def sort_rows(data: npt.NDArray[Any], indices: npt.NDArray[Any], indptr: IndexArray) -> Parts:
    """Sort the columns of each row and add up duplicates."""
    n_rows = len(indptr) - 1
    row_of = np.repeat(np.arange(n_rows, dtype=np.int64), np.diff(indptr))
    order = np.lexsort((indices, row_of))
    data, indices = data[order], indices[order]
    if len(data) == 0:
        return data, indices, indptr
    first = np.ones(len(data), dtype=np.bool_)
    first[1:] = (indices[1:] != indices[:-1]) | (row_of[1:] != row_of[:-1])
    if first.all():
        return data, indices, indptr
    wide = np.int64 if data.dtype.kind in "biu" and data.dtype != np.uint64 else data.dtype
    sums = np.add.reduceat(data, np.flatnonzero(first), dtype=wide)
    summed = sums.astype(data.dtype)
    if wide == np.int64 and (summed != sums).any():
        at = int(np.argmax(summed != sums))
        row = int(row_of[first][at])
        msg = f"values of one place add up to {sums[at]} in row {row} of the window, beyond {data.dtype}"
        raise ValueError(msg)
    counts = np.bincount(row_of[first], minlength=n_rows)
    return summed, indices[first], _pointers(counts)


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
