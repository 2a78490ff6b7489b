"""Several matrices of one source: which there are, and those beside the first.

All have the rows of one obs. `vars=` holds for those whose columns have the names of the first one's, as
layers do; others keep theirs, joined over the files by `join` alone. What is done to values is done to the
first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ... import _core
from ..._base.types import IndexArray
from ..base import Column, CsrRows
from .concat import ColumnMap, join_variables
from .files import OpenFiles
from .layout import FileLayout, Opening, read_layout
from .matrices import check_x
from .rows_of_files import RowsOfFiles
from .transform import Steps

__all__ = ["MatrixOfFiles", "names_of_matrices", "open_further", "read_in_order", "rows_of_all"]

FIRST = "X"
ROW = "row"

KEPT_BUFFERS = 10
KEPT_BYTES = 5 << 27
"""Memory of dropped windows is used again: data and indices of four windows, and of a shorter last one."""
MOST_OF_ONE = 1 << 28
"""Bytes of one such array."""


def names_of_matrices(x: Any) -> dict[str, str]:
    """Return which matrix batches hold under which name, the first one first: "X" if there is one.

    Raises
    ------
    TypeError
        If it is neither a name nor a mapping of names.
    ValueError
        If it is empty, a name is that of row ids, or a matrix cannot be one.
    """
    if not isinstance(x, Mapping):
        check_x(x)
        return {FIRST: x}
    given = dict(x)
    if not given:
        msg = "x must name at least one matrix, but is empty"
        raise ValueError(msg)
    for name, matrix in given.items():
        if not isinstance(name, str):
            msg = f"x must map names in batches to matrices, but one name is {name!r}"
            raise TypeError(msg)
        if name == ROW:
            msg = f"no matrix of x can be called {ROW!r}: it is the name of the row ids"
            raise ValueError(msg)
        check_x(matrix)
    first = FIRST if FIRST in given else next(iter(given))
    return {first: given.pop(first), **given}


@dataclass(frozen=True, slots=True, eq=False)
class MatrixOfFiles:
    """A matrix, of all files.

    Parameters
    ----------
    name
        Its name in batches.
    layouts, column_maps
        What each file holds, and where its columns go.
    var_names
        Names of its columns.
    """

    name: str
    layouts: Sequence[FileLayout]
    column_maps: Sequence[ColumnMap]
    var_names: list[str]

    def part(self, numbers: Sequence[int]) -> "MatrixOfFiles":
        """Give that of some files."""
        return replace(
            self,
            layouts=[self.layouts[number] for number in numbers],
            column_maps=[self.column_maps[number] for number in numbers],
        )


def open_further(
    names: Mapping[str, str],
    paths: Sequence[Path],
    files: OpenFiles,
    first: MatrixOfFiles,
    first_names: Sequence[list[str]],
    join: str,
) -> list[MatrixOfFiles]:
    """Open matrices beside the first.

    Parameters
    ----------
    names
        Name in batches to matrix.
    paths, files
        Where they are.
    first, first_names
        The first matrix, and the names of its columns in each file.
    join
        What to do where the names of columns differ between files.

    Raises
    ------
    OSError, KeyError, ValueError
        As for the first one, or if rows are those of another obs.
    """
    found = []
    for name, x in names.items():
        layouts, columns = [], []
        opening = Opening((), paths)
        for path, beside, names_beside in zip(paths, first.layouts, first_names, strict=True):
            layout, own, _ = read_layout(path, x, files, opening)
            if layout.root != beside.root:
                msg = (
                    f"{path}: matrices of one source must have the rows of one obs, but {x} has those of "
                    f"{layout.root or 'the file'} and {first.name!r} those of {beside.root or 'the file'}"
                )
                raise ValueError(msg)
            layouts.append(layout)
            columns.append(names_beside if own == names_beside else own)  # one list for files that agree
        if all(own is beside for own, beside in zip(columns, first_names, strict=True)):
            var_names, column_maps = first.var_names, first.column_maps
        else:
            var_names, column_maps = join_variables(columns, list(paths), join)
        found.append(MatrixOfFiles(name, layouts, column_maps, var_names))
    return found


def rows_of_all(
    matrices: Sequence[MatrixOfFiles], steps: Steps, *, as_dense: bool, dtype: np.dtype[Any]
) -> dict[str, RowsOfFiles]:
    """Return what reads each matrix, by name; `steps` are done to the first."""
    turns = _core.Turns()
    return {
        matrix.name: RowsOfFiles.make(
            matrix.layouts,
            matrix.column_maps,
            matrix.var_names,
            steps if matrix is matrices[0] else Steps(),
            memory=_core.BufferPool(keep=KEPT_BUFFERS, limit=MOST_OF_ONE, total=KEPT_BYTES),
            turns=turns,
            as_dense=as_dense,
            dtype=dtype,
        )
        for matrix in matrices
    }


def read_in_order(
    matrices: Mapping[str, RowsOfFiles], rows: IndexArray, order: IndexArray
) -> dict[str, Column] | None:
    """Read rows in any order, of which `order` is the one of files; None where the first matrix cannot be."""
    found: dict[str, Column] = {}
    for name, matrix in matrices.items():
        column = matrix.read_in_order(rows[order], order)
        if column is None and not found:
            return None
        found[name] = _taken(matrix, rows) if column is None else column
    return found


def _taken(matrix: RowsOfFiles, rows: IndexArray) -> Column:
    distinct, positions = np.unique(rows, return_inverse=True)
    read = matrix.read(distinct)
    return read.take(positions) if isinstance(read, CsrRows) else read[positions]
