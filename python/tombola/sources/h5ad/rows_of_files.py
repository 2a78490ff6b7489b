"""The rows of X of one window, out of the files that hold them: CSR or dense.

Where all files allow it, the core reads each row straight to its place, in any order (see `gather`).
Otherwise each file's rows are read in file order and cast as they need. Either way the core then renumbers,
sorts and works on them in one pass (see `transform`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ... import _core
from ..._base.types import IndexArray
from ..base import Column, CsrRows
from ..csr_rows import DuplicatesError, Parts, concatenate, sort_rows
from .concat import ColumnMap
from .dense import DenseMatrix
from .duplicates import put_in_order
from .gather import Gather
from .layout import FileLayout
from .sparse import CsrMatrix
from .transform import ColumnOutOfRangeError, RowTransform, Steps

__all__ = ["RowsOfFiles"]

M = TypeVar("M", CsrMatrix, DenseMatrix)

MOST_REPEATED = 0.1
"""Share of rows that may come again in a window and are read as often as they come."""

PartOfRows = tuple[int, int, int, IndexArray]
"""A file's number, which of the rows it holds, and their numbers in it."""


@dataclass(frozen=True, slots=True, eq=False)
class RowsOfFiles:
    """X of several files as one.

    Parameters
    ----------
    layouts
        What each file holds.
    transform
        What is done to the rows of each file.
    offsets
        Row at which each file begins, and the number of rows.
    dtype
        What X is cast to.
    memory
        Where arrays of windows come from.
    turns
        By which windows that several threads ask for are read one after the other.
    as_dense
        Whether batches are meant to be dense.
    n_vars
        Number of columns.
    is_sparse
        Whether rows are given as `CsrRows`.
    index_dtype
        The type of their columns.
    given_as
        The type that X has in the end; `dtype` is the one in which it is worked on.
    """

    layouts: Sequence[FileLayout]
    transform: RowTransform
    offsets: IndexArray
    dtype: np.dtype[Any]
    memory: _core.BufferPool
    turns: _core.Turns
    as_dense: bool
    n_vars: int
    is_sparse: bool
    index_dtype: np.dtype[Any]
    given_as: np.dtype[Any]

    @classmethod
    def make(
        cls,
        layouts: Sequence[FileLayout],
        column_maps: Sequence[ColumnMap],
        var_names: Sequence[str],
        steps: Steps,
        *,
        memory: _core.BufferPool,
        turns: _core.Turns,
        as_dense: bool,
        dtype: np.dtype[Any],
    ) -> "RowsOfFiles":
        """Make it of what the files hold and what is asked for."""
        widths = [layout.matrix.shape[1] for layout in layouts]
        transform = RowTransform(steps, column_maps, widths, len(var_names))
        offsets = np.cumsum([0] + [layout.n_obs for layout in layouts], dtype=np.int64)
        # The core works in float32 where batches have less.
        is_worked_on = steps.are_any and dtype.itemsize < np.dtype(np.float32).itemsize
        read_as = np.dtype(np.float32) if is_worked_on else dtype
        matrices = [layout.matrix for layout in layouts]
        index_types = {matrix.index_dtype for matrix in matrices if isinstance(matrix, CsrMatrix)}
        return cls(
            layouts,
            transform,
            offsets,
            read_as,
            memory,
            turns,
            as_dense,
            n_vars=len(var_names),
            is_sparse=not as_dense or all(matrix.is_sparse for matrix in matrices),
            index_dtype=np.result_type(np.int32, *index_types),
            given_as=dtype,
        )

    def read(self, rows: IndexArray) -> Column:
        """Read rows, strictly increasing."""
        return self.sparse(rows) if self.is_sparse else self.dense(rows)

    def read_in_order(self, rows: IndexArray, order: IndexArray) -> Column | None:
        """Read rows, ascending with repeats, row i to place ``order[i]``; None where that cannot be."""
        if int((rows[1:] == rows[:-1]).sum()) > len(rows) * MOST_REPEATED:
            return None  # a copy from memory is cheaper than a second decoding
        if self.is_sparse:
            return self.sparse_in_order(rows, order)
        return self.dense_in_order(rows, order)

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
        columns = None
        if not self.transform.is_needed([k for k, *_ in parts]):  # which checks them itself
            columns = _core.ArrivingColumns(indices, self.n_vars)
        gather = Gather(self.turns)
        for matrix, (_, lo, hi, local) in zip(matrices, parts, strict=True):
            if not matrix.gather(gather, local, indptr[order[lo:hi]], data, indices, columns):
                return None
        if not gather.read():  # who reads file by file says which value it is
            return None
        is_cast = any(matrix.dtype != self.dtype for matrix in matrices)
        try:
            return self._finished(
                data,
                indices,
                indptr,
                [(k, order[lo:hi]) for k, lo, hi, _ in parts],
                columns=columns,
                is_cast=is_cast,
            )
        except DuplicatesError:  # who reads file by file says where
            return None
        except ColumnOutOfRangeError as error:
            sorted_at = int(np.flatnonzero(order == error.row)[0])
            for matrix, (_, lo, hi, local) in zip(matrices, parts, strict=True):
                if lo <= sorted_at < hi:
                    matrix.refuse_column(int(local[sorted_at - lo]), error.column)
            raise

    def dense_in_order(self, rows: IndexArray, order: IndexArray) -> npt.NDArray[Any] | None:
        """Read rows, ascending with repeats, row i to place ``order[i]``; None where that cannot be."""
        parts = self._parts(rows)
        matrices = self._plain(parts, DenseMatrix)
        if matrices is None:
            return None
        out = self._table(len(rows))
        works = [self.transform.of_dense(k, out.dtype) for k, *_ in parts]
        moves = any(self.transform.moves(k) for k, *_ in parts)  # else rows are worked on where they are
        gather = Gather(self.turns)
        for matrix, work, (_, lo, hi, local) in zip(matrices, works, parts, strict=True):
            if not matrix.gather(gather, local, order[lo:hi], out, work if moves else None):
                return None
        if not gather.read():
            return None
        if works and works[0] is not None and not moves:
            works[0].apply(out, None, out)
        return self._given(out)

    def sparse(self, rows: IndexArray) -> CsrRows:
        """Read rows, strictly increasing."""
        return self._read_sparse(self._parts(rows), len(rows))

    def dense(self, rows: IndexArray) -> npt.NDArray[Any]:
        """Read rows, strictly increasing."""
        parts = self._parts(rows)
        if self.transform.is_needed([k for k, *_ in parts]):
            done = self.dense_in_order(rows, np.arange(len(rows), dtype=np.int64))
            if done is not None:
                return done
        out = self._table(len(rows))
        for k, lo, hi, local in parts:
            matrix = self.layouts[k].matrix
            work = self.transform.of_dense(k, out.dtype)
            if not isinstance(matrix, DenseMatrix):
                self._read_sparse([(k, 0, hi - lo, local)], hi - lo, given=False).to_dense(out[lo:hi])
            elif work is None:
                matrix.fill(local, out[lo:hi])
            else:
                for start, block in matrix.blocks(local, self.dtype):
                    work.apply(block, None, out[lo + start : lo + start + len(block)])
        return self._given(out)

    def _finished(
        self,
        data: npt.NDArray[Any],
        indices: npt.NDArray[Any],
        indptr: IndexArray,
        placed: list[tuple[int, IndexArray | slice]],
        *,
        columns: _core.ArrivingColumns | None = None,
        is_cast: bool = False,
        given: bool = True,
    ) -> CsrRows | None:
        """Check, renumber and work on rows as read; None where duplicates were cast before they are added.

        `placed` says of each file which rows are its own; `columns` what was found as they were read, without
        which they are known to be right.
        """
        n_rows = len(indptr) - 1
        files = [file for file, _ in placed]
        if self.transform.is_needed(files):
            file_of_row = None
            if len(placed) > 1:
                file_of_row = np.empty(n_rows, dtype=np.int32)
                for number, (_, places) in enumerate(placed):
                    file_of_row[places] = number
            data, indices, indptr, ascending, as_stored = self.transform.sparse(
                data, indices, indptr, files, file_of_row, self.memory
            )
        elif columns is None:
            ascending = as_stored = True
        else:
            in_range, ascending = columns.result()
            if not in_range:
                at = int(np.argmax((indices < 0) | (indices >= self.n_vars)))
                row = int(np.searchsorted(indptr, at, side="right")) - 1
                raise ColumnOutOfRangeError(row, int(indices[at]))
            as_stored = ascending
        if is_cast and not as_stored:
            return None
        if not ascending:
            data, indices, indptr = sort_rows(data, indices, indptr)
        background = self.transform.background(self.dtype)
        if given:
            data = self._given(data)
            background = None if background is None else self._given(background)
        return CsrRows(data, indices, indptr, (n_rows, self.n_vars), self.as_dense, background)

    def _given(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Cast values that were worked on to the type of batches."""
        if self.given_as == values.dtype:
            return values
        out = self.memory.empty(values.size, self.given_as).reshape(values.shape)
        with np.errstate(over="ignore"):
            out[...] = values
        wrong = np.isinf(out) & np.isfinite(values)
        if wrong.any():
            value = values[np.unravel_index(int(np.argmax(wrong)), wrong.shape)].item()
            msg = f"X has {value!r}{self.transform.steps}, which cannot be given as {self.given_as}"
            raise ValueError(msg)
        return out

    def _parts(self, rows: IndexArray) -> list[PartOfRows]:
        bounds = np.searchsorted(rows, self.offsets)
        return [
            (k, int(lo), int(hi), rows[lo:hi] - self.offsets[k])
            for k, (lo, hi) in enumerate(pairwise(bounds))
            if hi > lo
        ]

    def _plain(self, parts: list[PartOfRows], kind: type[M]) -> list[M] | None:
        """Return the matrices of these parts if all are of that kind."""
        found: list[M] = []
        for k, *_ in parts:
            matrix = self.layouts[k].matrix
            if not isinstance(matrix, kind):
                return None
            found.append(matrix)
        return found

    def _table(self, n_rows: int) -> npt.NDArray[Any]:
        return self.memory.empty(n_rows * self.n_vars, self.dtype).reshape(n_rows, self.n_vars)

    def _arrays(self, n_values: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        return self.memory.empty(n_values, self.dtype), self.memory.empty(n_values, self.index_dtype)

    def _read_sparse(self, parts: list[PartOfRows], n_rows: int, *, given: bool = True) -> CsrRows:
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
            matrix = self.layouts[k].matrix
            if isinstance(matrix, DenseMatrix):
                pieces.append(matrix.sparse(local, self.dtype))
                as_read = False
                continue
            at = slice(int(indptr[lo]), int(indptr[hi]))
            part = (data[at], indices[at], indptr[lo : hi + 1] - indptr[lo])
            if not matrix.fill(local, part[2], part[0], part[1]):
                part = put_in_order(matrix, self.layouts[k].path, local, part)
                as_read = False
            pieces.append(part)
        if not as_read:
            data, indices, indptr = concatenate(pieces)
        placed: list[tuple[int, IndexArray | slice]] = [(k, slice(lo, hi)) for k, lo, hi, _ in parts]
        rows = self._finished(data, indices, indptr, placed, given=given)
        assert rows is not None
        return rows
