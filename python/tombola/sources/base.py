"""What a source of rows is, and the container for sparse rows.

A source gives the rows of one fetch window: `read(rows)` takes row ids that are sorted and unique and returns
the columns of these rows in that order. The caller cuts batches out of the window by position. Sparse rows
stay sparse until a batch is cut: a window of 16,384 rows of 20,000 genes would take 1.3 GB as a dense array.
"""

from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from .. import _core
from .._base.types import IndexArray
from .ranges import gather_ranges

BufferPool = _core.BufferPool
"""Arrays whose memory is used again."""

get_num_threads = _core.get_num_threads
round_to_bfloat16 = _core.round_to_bfloat16
"""Floats to the words that stand for them in bfloat16."""


@dataclass(frozen=True, slots=True, eq=False)
class CsrRows:
    """Rows in compressed sparse row form.

    The columns of a row are distinct and ascending; sources guarantee it.

    Parameters
    ----------
    data
        Values, shape (nnz,), row after row.
    indices
        Column of each value, shape (nnz,), int32 or int64.
    indptr
        Start of each row in `data`, int64, shape (n_rows + 1,), beginning with 0.
    shape
        (n_rows, n_columns).
    as_dense
        Whether batches cut from these rows are meant to be handed out as dense arrays.
    background
        What dense rows have where nothing is stored, by column, of the dtype of `data`; by default 0.
    """

    data: npt.NDArray[Any]
    indices: npt.NDArray[Any]
    indptr: IndexArray
    shape: tuple[int, int]
    as_dense: bool = False
    background: npt.NDArray[Any] | None = None

    def __post_init__(self) -> None:
        if len(self.indptr) != self.shape[0] + 1:
            msg = (
                f"indptr must have {self.shape[0] + 1:,} entries for {self.shape[0]:,} rows, but has "
                f"{len(self.indptr):,}"
            )
            raise ValueError(msg)
        if not len(self.data) == len(self.indices) == int(self.indptr[-1]):
            msg = (
                f"data and indices must have {int(self.indptr[-1]):,} entries as indptr says, "
                f"but have {len(self.data):,} and {len(self.indices):,}"
            )
            raise ValueError(msg)
        if self.background is not None and (
            self.background.shape != self.shape[1:] or self.background.dtype != self.data.dtype
        ):
            msg = (
                f"background must have {self.shape[1]:,} values of {self.data.dtype}, but has shape "
                f"{self.background.shape} and dtype {self.background.dtype}"
            )
            raise ValueError(msg)

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self.data.dtype

    def take(self, positions: npt.NDArray[np.integer[Any]]) -> "CsrRows":
        """Give the rows at these positions, in their order; O(values taken).

        Parameters
        ----------
        positions
            Integers in [0, n_rows), in any order, repeats allowed.

        Raises
        ------
        IndexError
            If a position is out of range.
        """
        where = self._checked(positions)
        shape = (len(where), self.shape[1])
        if self._in_core:
            taken = _core.csr_take(self.data, self.indices, self.indptr, where)
            return CsrRows(*taken, shape, self.as_dense, self.background)
        starts = self.indptr[where]
        lengths = self.indptr[where + 1] - starts
        indptr = np.zeros(len(where) + 1, dtype=np.int64)
        np.cumsum(lengths, out=indptr[1:])
        data = gather_ranges(self.data, starts, lengths)
        indices = gather_ranges(self.indices, starts, lengths)
        return CsrRows(data, indices, indptr, shape, self.as_dense, self.background)

    def take_dense(self, positions: npt.NDArray[np.integer[Any]]) -> npt.NDArray[Any]:
        """Give the rows at these positions as an array of shape (len(positions), n_columns).

        The same as ``take(positions).to_dense()``, in one step; float32 and float64 values by the C++ core.

        Parameters
        ----------
        positions
            Integers in [0, n_rows), in any order, repeats allowed.

        Raises
        ------
        IndexError
            If a position is out of range.
        """
        if not self._in_core or self.background is not None:
            return self.take(positions).to_dense()
        where = self._checked(positions)
        return _core.csr_take_dense(self.data, self.indices, self.indptr, where, self.shape[1])

    def part(self, start: int, stop: int) -> "CsrRows":
        """Give rows [start, stop), whose values stay in this memory; O(stop - start)."""
        first, last = int(self.indptr[start]), int(self.indptr[stop])
        indptr = self.indptr[start : stop + 1] - first
        shape = (stop - start, self.shape[1])
        data, indices = self.data[first:last], self.indices[first:last]
        return CsrRows(data, indices, indptr, shape, self.as_dense, self.background)

    def part_dense(self, start: int, stop: int, out: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Write rows [start, stop) into ``out``, of shape (stop - start, n_columns)."""
        if len(out):
            width = self.shape[1]
            _core.csr_dense(self.data, self.indices, self.indptr, width, start, out, self.background)
        return out

    @property
    def _in_core(self) -> bool:
        """Whether the core can borrow these arrays."""
        return (
            self.data.dtype in (np.float32, np.float64)
            and self.indices.dtype in (np.int32, np.int64)
            and self.indptr.dtype == np.int64
            and all(
                array.flags.c_contiguous and array.flags.aligned
                for array in (self.data, self.indices, self.indptr)
            )
        )

    def _checked(self, positions: npt.NDArray[np.integer[Any]]) -> IndexArray:
        where: IndexArray = np.require(positions, np.int64, ["C", "ALIGNED"])
        if len(where) and not (0 <= where.min() and where.max() < self.shape[0]):
            msg = f"positions must be in [0, {self.shape[0]:,}), but run from {where.min()} to {where.max()}"
            raise IndexError(msg)
        return where

    def to_dense(self, out: npt.NDArray[Any] | None = None) -> npt.NDArray[Any]:
        """Give the rows as an array of shape (n_rows, n_columns); O(n_rows * n_columns).

        Parameters
        ----------
        out
            C-contiguous array of that shape to overwrite. By default a new one of the values' dtype.

        Raises
        ------
        ValueError
            If `out` has another shape or is not C-contiguous.
        """
        if out is None:
            out = np.empty(self.shape, dtype=self.data.dtype)
        elif out.shape != self.shape or not out.flags.c_contiguous:
            msg = f"out must be C-contiguous of shape {self.shape}, but has shape {out.shape}"
            raise ValueError(msg)
        out[...] = 0 if self.background is None else self.background
        row_starts = np.arange(self.shape[0], dtype=np.int64) * self.shape[1]
        where = np.repeat(row_starts, np.diff(self.indptr))
        where += self.indices
        out.reshape(-1)[where] = self.data
        return out


Column: TypeAlias = npt.NDArray[Any] | CsrRows


@runtime_checkable
class Source(Protocol):
    """Where rows come from.

    Row ids run from 0 to `len(source) - 1`. A source survives pickling and fork, and may be read from several
    threads at once.
    """

    def __len__(self) -> int:
        """Count the rows."""

    def read(self, rows: IndexArray) -> dict[str, Column]:
        """Give the columns of these rows, in their order.

        Parameters
        ----------
        rows
            int64, strictly increasing, in [0, len(source)).

        Returns
        -------
        dict
            Column name to array with first axis `len(rows)`, or to `CsrRows`.
        """


@runtime_checkable
class OrderedSource(Source, Protocol):
    """A source that can also read rows in the order of the batches, which spares a copy of each.

    A class of it may say ``windows_at_once = 2``: then a `Loader` asks for the next window while one is read.
    A subclass that reads in its own way says so anew.
    """

    def read_in_order(self, rows: IndexArray) -> dict[str, Column] | None:
        """Give the columns of these rows, in their order; None where `read` is to be asked.

        Parameters
        ----------
        rows
            int64, in [0, len(source)), in any order, repeats allowed.
        """
