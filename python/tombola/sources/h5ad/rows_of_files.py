"""The rows of X of one window, out of the files that hold them: CSR or dense.

Where all files allow it, the core reads each row straight to its place, in any order (see `gather`).
Otherwise each file's rows are read in file order, cast, renumbered and sorted as they need.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ... import _core
from ..._base.types import IndexArray
from ..base import CsrRows
from ..csr_rows import Parts, concatenate, select_columns, sort_rows
from .dense import DenseMatrix
from .gather import Gather
from .layout import FileLayout
from .sparse import CsrMatrix

__all__ = ["RowsOfFiles"]

M = TypeVar("M", CsrMatrix, DenseMatrix)

PartOfRows = tuple[int, int, int, IndexArray]
"""A file's number, which of the rows it holds, and their numbers in it."""


@dataclass(frozen=True, slots=True, eq=False)
class RowsOfFiles:
    """X of several files as one.

    Parameters
    ----------
    layouts, column_maps
        What each file holds, and where its columns go; None where they stay.
    offsets
        Row at which each file begins, and the number of rows.
    dtype
        What X is cast to.
    memory
        Where arrays of windows come from.
    as_dense
        Whether batches are meant to be dense.
    """

    layouts: Sequence[FileLayout]
    column_maps: Sequence[IndexArray | None]
    offsets: IndexArray
    dtype: np.dtype[Any]
    memory: _core.BufferPool
    as_dense: bool
    n_vars: int

    def sparse_in_order(self, rows: IndexArray, order: IndexArray) -> CsrRows | None:
        """Read rows, ascending with repeats, row i to place ``order[i]``; None where that cannot be."""
        parts = self._parts(rows)
        matrices = self._plain(parts, CsrMatrix)
        if matrices is None:
            return None
        lengths = np.zeros(len(rows) + 1, dtype=np.int64)
        for matrix, (_, lo, hi, local) in zip(matrices, parts, strict=True):
            lengths[order[lo:hi] + 1] = matrix.lengths(local)
        indptr = np.cumsum(lengths)
        data, indices = self._arrays(int(indptr[-1]))
        gather = Gather()
        for matrix, (_, lo, hi, local) in zip(matrices, parts, strict=True):
            if not matrix.gather(gather, local, indptr[order[lo:hi]], data, indices):
                return None
        gather.read()
        in_range, ascending = _core.csr_check_columns(indices, indptr, self.n_vars, 0, len(indices))
        if not in_range:
            at = int(np.argmax((indices < 0) | (indices >= self.n_vars)))
            place = int(np.searchsorted(indptr, at, side="right")) - 1
            sorted_at = int(np.flatnonzero(order == place)[0])
            for matrix, (_, lo, hi, local) in zip(matrices, parts, strict=True):
                if lo <= sorted_at < hi:
                    matrix.refuse_column(int(local[sorted_at - lo]), int(indices[at]))
        if not ascending:
            data, indices, indptr = sort_rows(data, indices, indptr)
        return CsrRows(data, indices, indptr, (len(rows), self.n_vars), self.as_dense)

    def dense_in_order(self, rows: IndexArray, order: IndexArray) -> npt.NDArray[Any] | None:
        """Read rows, ascending with repeats, row i to place ``order[i]``; None where that cannot be."""
        parts = self._parts(rows)
        matrices = self._plain(parts, DenseMatrix)
        if matrices is None:
            return None
        out = self._table(len(rows))
        gather = Gather()
        for matrix, (_, lo, hi, local) in zip(matrices, parts, strict=True):
            if not matrix.gather(gather, local, order[lo:hi], out):
                return None
        gather.read()
        return out

    def sparse(self, rows: IndexArray) -> CsrRows:
        """Read rows, strictly increasing."""
        return self._read_sparse(self._parts(rows), len(rows))

    def dense(self, rows: IndexArray) -> npt.NDArray[Any]:
        """Read rows, strictly increasing."""
        out = self._table(len(rows))
        for k, lo, hi, local in self._parts(rows):
            matrix = self.layouts[k].matrix
            if isinstance(matrix, DenseMatrix):
                matrix.fill(local, out[lo:hi], self.column_maps[k])
            else:
                self._read_sparse([(k, 0, hi - lo, local)], hi - lo).to_dense(out[lo:hi])
        return out

    def _parts(self, rows: IndexArray) -> list[PartOfRows]:
        bounds = np.searchsorted(rows, self.offsets)
        return [
            (k, int(lo), int(hi), rows[lo:hi] - self.offsets[k])
            for k, (lo, hi) in enumerate(pairwise(bounds))
            if hi > lo
        ]

    def _plain(self, parts: list[PartOfRows], kind: type[M]) -> list[M] | None:
        """Return the matrices of these parts if all are of that kind and keep their columns."""
        found: list[M] = []
        for k, *_ in parts:
            matrix = self.layouts[k].matrix
            if not isinstance(matrix, kind) or self.column_maps[k] is not None:
                return None
            found.append(matrix)
        return found

    def _table(self, n_rows: int) -> npt.NDArray[Any]:
        return self.memory.empty(n_rows * self.n_vars, self.dtype).reshape(n_rows, self.n_vars)

    def _arrays(self, n_values: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        index_types = [
            layout.matrix.index_dtype for layout in self.layouts if isinstance(layout.matrix, CsrMatrix)
        ]
        indices = self.memory.empty(n_values, np.result_type(np.int32, *set(index_types)))
        return self.memory.empty(n_values, self.dtype), indices

    def _read_sparse(self, parts: list[PartOfRows], n_rows: int) -> CsrRows:
        lengths = np.zeros(n_rows + 1, dtype=np.int64)
        for k, lo, hi, local in parts:
            matrix = self.layouts[k].matrix
            if isinstance(matrix, CsrMatrix):
                lengths[lo + 1 : hi + 1] = matrix.lengths(local)
        indptr = np.cumsum(lengths)
        data, indices = self._arrays(int(indptr[-1]))
        pieces: list[Parts] = []
        part: Parts
        as_read = True
        for k, lo, hi, local in parts:
            matrix, column_map = self.layouts[k].matrix, self.column_maps[k]
            if isinstance(matrix, DenseMatrix):
                part = matrix.sparse(local, self.dtype, column_map)
                if column_map is not None and not _ascends(column_map):
                    part = sort_rows(*part)
                pieces.append(part)
                as_read = False
                continue
            at = slice(int(indptr[lo]), int(indptr[hi]))
            part = (data[at], indices[at], indptr[lo : hi + 1] - indptr[lo])
            ordered = matrix.fill(local, part[2], part[0], part[1])
            if column_map is not None:
                part = select_columns(*part, column_map)
                ordered = ordered and _ascends(column_map)
            if not ordered:
                part = sort_rows(*part)
            as_read = as_read and ordered and column_map is None
            pieces.append(part)
        if not as_read:
            data, indices, indptr = concatenate(pieces)
        return CsrRows(data, indices, indptr, (n_rows, self.n_vars), self.as_dense)


def _ascends(column_map: IndexArray) -> bool:
    """Tell whether columns keep their order."""
    kept = column_map[column_map >= 0]
    return bool(np.all(kept[1:] > kept[:-1]))
