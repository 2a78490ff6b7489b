"""A matrix of the inputs as it is to be written: its type, its size, and windows of its rows within bounds.

Rows are read by `H5adSource`, which checks them: columns of a row come out ascending, those that come twice
are summed.
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.types import IndexArray
from ..sources import CsrRows, H5adSource
from ..sources.h5ad.files import OpenFiles, open_alone
from ..sources.h5ad.layout import FileLayout, Opening, read_layout
from ..sources.h5ad.sparse import CsrMatrix
from .options import RepackOptions

__all__ = ["MatrixIn", "Rows", "open_matrix", "take"]

Rows = CsrRows | npt.NDArray[Any]

COPIES = 4
"""A window is in memory as read, as put in order, as encoded, and in the buffers kept for the next one."""

_UINT16_COLUMNS = 2**16
_INT32_VALUES = 2**31


class MatrixIn:
    """A matrix of all inputs.

    Parameters
    ----------
    name
        As sources call it: "X", "layers/NAME", "raw/X", "obsm/NAME".
    layouts
        The files.
    options
        Bounds of memory, and the type of column indices.
    """

    def __init__(self, name: str, layouts: Sequence[FileLayout], options: RepackOptions) -> None:
        first = layouts[0].matrix
        self.name = name
        self.key = first.name
        self.is_sparse = first.is_sparse
        self.dtype: np.dtype[Any] = first.dtype.newbyteorder("=")
        paths = [layout.path for layout in layouts]
        form = "csr" if self.is_sparse else "dense"
        self.source = H5adSource(paths, x=name, x_format=form, dtype=self.dtype)  # type: ignore[arg-type]
        self.n_rows, self.n_columns = len(self.source), first.shape[1]
        self._layouts = layouts
        self._offsets = self.source.file_bounds
        if self.is_sparse:
            self.n_values = sum(_csr(layout).n_values for layout in layouts)
            self.source_index_dtype = np.result_type(*(_csr(layout).index_dtype for layout in layouts))
            stored = [_stored_index_dtype(layout) for layout in layouts]
            self.index_dtype = _index_dtype(name, options.index_dtype, stored, self.n_columns)
            wide = self.n_values >= _INT32_VALUES
            self.indptr_dtype = np.dtype(np.int64 if wide else np.int32)
            per_value = self.dtype.itemsize + self.source_index_dtype.itemsize
            self._mean_bytes = per_value * self.n_values / max(self.n_rows, 1) + 16
            self._values_at_once = max(1, options.memory // COPIES // per_value)
        else:
            self.n_values = self.n_rows * self.n_columns
            self._mean_bytes = float(max(1, self.dtype.itemsize * self.n_columns))
            self._values_at_once = 0
        self.rows_at_once = max(1, int(options.memory // COPIES / self._mean_bytes))

    @property
    def by_columns(self) -> list[Path]:
        """The files that store it by columns."""
        return [layout.path for layout in self._layouts if layout.matrix.encoding == "csc"]

    def read(self, rows: IndexArray) -> Rows:
        """Read rows, which are in ascending order."""
        return self.source.read(rows)["X"]

    def stop(self, lo: int) -> int:
        """Return where a window that begins at this row ends, so that it is within the bounds."""
        hi = min(self.n_rows, lo + (2 if self.is_sparse else 1) * self.rows_at_once)
        if not self.is_sparse or self.by_columns:
            return min(hi, lo + self.rows_at_once)
        ends = np.cumsum(self._lengths(lo, hi))
        return lo + max(1, int(np.searchsorted(ends, self._values_at_once, side="right")))

    def _lengths(self, lo: int, hi: int) -> IndexArray:
        pieces = []
        for layout, (start, stop) in zip(self._layouts, pairwise(self._offsets.tolist()), strict=True):
            a, b = max(lo, start) - start, min(hi, stop) - start
            if a < b:
                pieces.append(_csr(layout).lengths(np.arange(a, b, dtype=np.int64)))
        return np.concatenate(pieces)


def open_matrix(name: str, paths: Sequence[Path], options: RepackOptions) -> MatrixIn:
    """Open a matrix of all files.

    Raises
    ------
    ValueError
        If the files hold it in different forms or types, or `index_dtype` does not hold its columns.
    """
    files = OpenFiles()
    opening = Opening()
    layouts = [read_layout(path, name, files, opening)[0] for path in paths]
    first = layouts[0]
    for layout in layouts[1:]:
        for what, here, there in (
            ("form", _form(layout), _form(first)),
            ("type", layout.matrix.dtype, first.matrix.dtype),
        ):
            if here != there:
                msg = (
                    f"{layout.path}: {name} must have the {what} that it has in {first.path}, {there}, "
                    f"but has {here}"
                )
                raise ValueError(msg)
    return MatrixIn(name, layouts, options)


def take(rows: Rows, positions: IndexArray) -> Rows:
    """Give rows in another order."""
    return rows.take(positions) if isinstance(rows, CsrRows) else rows[positions]


def _form(layout: FileLayout) -> str:
    return "sparse" if layout.matrix.is_sparse else "dense"


def _csr(layout: FileLayout) -> CsrMatrix:
    assert isinstance(layout.matrix, CsrMatrix)
    return layout.matrix


def _stored_index_dtype(layout: FileLayout) -> np.dtype[Any]:
    with open_alone(layout.path) as file:
        kind: np.dtype[Any] = file[f"{layout.matrix.name}/indices"].dtype
        return kind.newbyteorder("=")


def _index_dtype(name: str, chosen: str, stored: Sequence[np.dtype[Any]], n_columns: int) -> np.dtype[Any]:
    if chosen == "uint16":
        if n_columns > _UINT16_COLUMNS:
            msg = (
                f"index_dtype uint16 holds {_UINT16_COLUMNS:,} columns, but {name} has {n_columns:,}; "
                "auto takes int32"
            )
            raise ValueError(msg)
        return np.dtype(np.uint16)
    if chosen == "keep":
        return np.result_type(*stored)
    return np.dtype(np.int32 if n_columns <= _INT32_VALUES else np.int64)
