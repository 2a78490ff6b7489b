"""Sparse matrices of h5ad files, read by rows.

`CsrMatrix` reads the values of a window straight into the caller's arrays. `CscMatrix` is stored by columns,
so that any row needs the whole matrix: it is turned into CSR in memory once a process, up to
`CSC_LIMIT_BYTES`.
"""

import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, Protocol

import h5py
import numpy as np
import numpy.typing as npt

from ... import _core
from ..._base.fork import ForkLock
from ..._base.types import IndexArray
from ..ranges import gather_ranges
from .casting import cast_into, row_of_run
from .claims import check_scale
from .elements import attribute, dataset, read_array, read_pieces
from .errors import BadFileError, H5adError
from .files import OpenFiles
from .gather import Gather
from .runs import RunReader

CSC_LIMIT_BYTES = 1 << 31

_logger = logging.getLogger("tombola.sources")


class _Runs(Protocol):
    """What reads ranges of data or indices: a `RunReader`, or an array in memory."""

    def read(
        self, starts: IndexArray, stops: IndexArray, out: npt.NDArray[Any], rows_of: Any
    ) -> Iterator[tuple[int, int]]: ...


class _ArrayRuns:
    def __init__(self, values: npt.NDArray[Any], where: str) -> None:
        self._values, self._where = values, where

    def read(
        self, starts: IndexArray, stops: IndexArray, out: npt.NDArray[Any], rows_of: Any
    ) -> Iterator[tuple[int, int]]:
        values = gather_ranges(self._values, starts, stops - starts)
        cast_into(values, out, self._where, partial(row_of_run, starts, stops, rows_of, 0))
        if len(out):
            yield 0, len(out)


class _Rowwise(NamedTuple):
    """A matrix by rows in memory: where each row lies, and its data and indices."""

    pointers: _core.RowPointers
    parts: dict[str, npt.NDArray[Any]]


class CsrMatrix:
    """A matrix stored by rows as data, indices and indptr.

    Parameters
    ----------
    group
        The open group; it is checked and not kept.
    path, name
        File and name of the group.
    files
        Where to get readers from.

    Raises
    ------
    ValueError
        If the parts do not fit each other.
    """

    encoding = "csr"
    is_sparse = True

    def __init__(self, group: h5py.Group, path: Path, name: str, files: OpenFiles) -> None:
        self._path = path
        self.name = name
        self._files = files
        self._where = f"{path}: {name}"
        self.shape = self._read_shape(group)
        data, indices = (dataset(group, part, self._where) for part in ("data", "indices"))
        self.dtype: np.dtype[Any] = data.dtype
        self.index_dtype = index_type(indices.dtype, self._where)
        self.n_values = int(data.shape[0]) if data.ndim == 1 else -1
        if self.dtype.kind not in "biuf":
            msg = f"{self._where}/data must hold numbers, but has dtype {self.dtype}"
            raise BadFileError(msg)
        if data.ndim != 1 or data.shape != indices.shape:
            msg = (
                f"{self._where}: data and indices must be equally long, but have shapes {data.shape} and "
                f"{indices.shape}"
            )
            raise BadFileError(msg)
        for part, values in (("data", data), ("indices", indices)):  # a row may claim all of them
            check_scale(values, f"{self._where}/{part}")
        self._pointers: _core.RowPointers | None = self._read_pointers(dataset(group, "indptr", self._where))

    @classmethod
    def known(
        cls,
        path: Path,
        name: str,
        files: OpenFiles,
        shape: tuple[int, int],
        n_values: int,
        dtype: np.dtype[Any],
        index_dtype: np.dtype[Any],
        pointers: _core.RowPointers,
    ) -> "CsrMatrix":
        """Make a matrix of what is known and checked already."""
        matrix = object.__new__(cls)
        matrix._path, matrix.name, matrix._files, matrix._where = path, name, files, f"{path}: {name}"
        matrix.shape, matrix.n_values, matrix.dtype = shape, n_values, dtype
        matrix.index_dtype, matrix._pointers = index_dtype, pointers
        return matrix

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_pointers": None}

    def lengths(self, rows: IndexArray) -> IndexArray:
        """Count the stored values of each row."""
        return self.pointers.lengths(rows)

    def fill(
        self, rows: IndexArray, indptr: IndexArray, data: npt.NDArray[Any], indices: npt.NDArray[Any]
    ) -> bool:
        """Read rows into the caller's arrays.

        Parameters
        ----------
        rows
            Strictly increasing row numbers.
        indptr
            Where each row goes, as `lengths` says, beginning with 0.
        data, indices
            Arrays to fill, C-contiguous.

        Returns
        -------
        bool
            Whether the columns of each row are strictly increasing, as they should be.

        Raises
        ------
        ValueError
            If a column is out of range.
        OSError
            If the file cannot be read.
        """
        starts, stops = self.pointers.ranges(rows)
        ordered = True
        for lo, hi in self._runs("indices").read(starts, stops, indices, self._rows_of):
            in_range, ascending = _core.csr_check_columns(indices, indptr, self.shape[1], lo, hi)
            if not in_range:
                self._refuse_columns(rows, indptr, indices, lo, hi)
            ordered = ordered and ascending
        for _ in self._runs("data").read(starts, stops, data, self._rows_of):
            pass
        return ordered

    def gather(
        self,
        gather: Gather,
        rows: IndexArray,
        places: IndexArray,
        data: npt.NDArray[Any],
        indices: npt.NDArray[Any],
        columns: _core.ArrivingColumns | None,
    ) -> bool:
        """Ask for the values of rows, each row at its place in arrays of a whole window.

        Parameters
        ----------
        gather
            What will read them.
        rows
            Ascending row numbers, repeats allowed.
        places
            Where each row goes in `data` and `indices`.
        columns
            What checks the `indices`.

        Returns
        -------
        bool
            Whether this can be done.
        """
        starts, stops = self.pointers.ranges(rows)
        for part, out, checked in (("indices", indices, columns), ("data", data, None)):
            runs = self._runs(part)
            if not isinstance(runs, RunReader) or not gather.add(
                runs, starts, stops, places, out, self._rows_of, columns=checked
            ):
                return False
        return True

    @property
    def pointers(self) -> _core.RowPointers:
        """Where each row lies in data and indices."""
        if self._pointers is None:
            reader = self._files.reader(self._path, f"{self.name}/indptr")
            self._pointers = self._read_pointers(reader.dataset)
        return self._pointers

    def _runs(self, part: str) -> _Runs:
        return self._files.reader(self._path, f"{self.name}/{part}", (self.n_values,))

    def _read_shape(self, group: h5py.Group) -> tuple[int, int]:
        shape = np.asarray(attribute(group, "shape", "h5sparse_shape"))
        if shape.shape != (2,) or shape.dtype.kind not in "iu" or int(shape.min()) < 0:
            msg = f"{self._where}: expected a shape of two integers, but found {shape}"
            raise BadFileError(msg)
        return int(shape[0]), int(shape[1])

    def _n_major(self) -> int:
        return self.shape[0]

    def _read_pointers(self, source: h5py.Dataset) -> _core.RowPointers:
        where = f"{self._where}/indptr"
        n = self._n_major()
        unit = "rows" if self.encoding == "csr" else "columns"
        if source.dtype.kind not in "iu" or source.shape != (n + 1,):
            msg = (
                f"{where} must hold {n + 1:,} integers for {n:,} {unit}, but has shape {source.shape} and "
                f"dtype {source.dtype}"
            )
            raise BadFileError(msg)
        try:
            pointers = _core.RowPointers.from_pieces(read_pieces(source, where), n, unit[:-1])
        except H5adError:
            raise
        except ValueError as error:
            msg = f"{where} {error}"
            raise BadFileError(msg) from None
        if pointers.n_values > self.n_values:
            msg = (
                f"{where} ends with {pointers.n_values:,}, but data and indices hold {self.n_values:,} "
                "values only"
            )
            raise BadFileError(msg)
        return pointers

    def _rows_of(self, start: int, stop: int) -> str:
        return f"rows {self.pointers.row_of(start)} to {self.pointers.row_of(stop - 1)}"

    def _refuse_columns(
        self, rows: IndexArray, indptr: IndexArray, indices: npt.NDArray[Any], lo: int, hi: int
    ) -> NoReturn:
        part = indices[lo:hi]
        at = lo + int(np.argmax((part < 0) | (part >= self.shape[1])))
        self.refuse_column(int(rows[np.searchsorted(indptr, at, side="right") - 1]), int(indices[at]))

    def refuse_column(self, row: int, column: int) -> NoReturn:
        """Raise BadFileError for a column that is out of range."""
        msg = f"{self._where}/indices: columns must be in [0, {self.shape[1]}), but row {row} has {column}"
        raise BadFileError(msg)


class CscMatrix(CsrMatrix):
    """A matrix stored by columns; reading its first row reads all of it into memory."""

    encoding = "csc"

    def __init__(self, group: h5py.Group, path: Path, name: str, files: OpenFiles) -> None:
        super().__init__(group, path, name, files)
        self.index_dtype = np.dtype(np.int32 if self.shape[1] < 2**31 else np.int64)
        self._lock = ForkLock()
        self._rowwise: _Rowwise | None = None
        needed = self.n_values * (self.dtype.itemsize + self.index_dtype.itemsize)
        if needed > CSC_LIMIT_BYTES:
            msg = (
                f"{self._where} is stored by columns (CSC), so reading a row needs all of its "
                f"{self.n_values:,} values in memory, "
                f"{needed / 2**30:.1f} GiB; write it by rows once, with anndata: adata.X = "
                "adata.X.tocsr(); adata.write_h5ad(...)"
            )
            raise BadFileError(msg)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_rowwise": None}

    @property
    def pointers(self) -> _core.RowPointers:
        """Where each row lies, after the turn to CSR."""
        return self._turned().pointers

    def _n_major(self) -> int:
        return self.shape[1]

    def _runs(self, part: str) -> _Runs:
        return _ArrayRuns(self._turned().parts[part], f"{self._where}/{part}")

    def _turned(self) -> "_Rowwise":
        with self._lock:
            if self._rowwise is None:
                self._rowwise = self._turn()
            return self._rowwise

    def _turn(self) -> "_Rowwise":
        _logger.info(
            "%s is stored by columns (CSC) and is turned into rows in memory; by rows it is faster",
            self._where,
        )
        by_column = super().pointers.unpack()
        row_of, data = (self._read_part(part)[: by_column[-1]] for part in ("indices", "data"))
        wrong = np.flatnonzero((row_of < 0) | (row_of >= self.shape[0]))
        if len(wrong):
            at = int(wrong[0])
            column = int(np.searchsorted(by_column, at, side="right")) - 1
            msg = (
                f"{self._where}/indices: rows must be in [0, {self.shape[0]}), but column {column} has "
                f"{row_of[at]}"
            )
            raise BadFileError(msg)
        order = np.argsort(row_of, kind="stable")
        columns = np.repeat(np.arange(self.shape[1], dtype=self.index_dtype), np.diff(by_column))
        indptr = np.zeros(self.shape[0] + 1, dtype=np.int64)
        np.cumsum(np.bincount(row_of, minlength=self.shape[0]), out=indptr[1:])
        pointers = _core.RowPointers.from_pieces([indptr])
        return _Rowwise(pointers, {"indices": columns[order], "data": data[order]})

    def _read_part(self, part: str) -> npt.NDArray[Any]:
        reader = self._files.reader(self._path, f"{self.name}/{part}")
        return read_array(reader.dataset, f"{self._where}/{part}")


def index_type(stored: np.dtype[Any], where: str) -> np.dtype[Any]:
    """Return the type in which column indices are given, of those that are stored.

    Raises
    ------
    BadFileError
        If they are no integers.
    """
    if stored.kind not in "iu":
        msg = f"{where}/indices must hold integers, but has dtype {stored}"
        raise BadFileError(msg)
    fits = np.can_cast(stored, np.int32)
    return np.dtype(np.int32 if fits else np.int64)
