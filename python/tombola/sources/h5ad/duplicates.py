"""Rows whose columns do not ascend, put right: sorted, duplicates added up as SciPy does.

SciPy adds in the type that is stored, in the order of the file. So where there are duplicates and values were
cast while they were read, they are read once more as they are stored, added, and cast then. Integers are
added without wrapping around, which SciPy's sums do.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..._base.types import IndexArray
from ..csr_rows import DuplicatesError, Parts, sort_rows
from .casting import cast_into
from .errors import BadFileError
from .sparse import CsrMatrix

__all__ = ["put_in_order"]


def put_in_order(matrix: CsrMatrix, path: Path, rows: IndexArray, part: Parts) -> Parts:
    """Sort the columns of rows that were read, and add up duplicates.

    Parameters
    ----------
    matrix, path, rows
        Where they come from.
    part
        Their data, cast already, indices and indptr.

    Raises
    ------
    BadFileError
        If a sum does not fit the type that is asked for.
    """
    asked, own = part[0].dtype, matrix.dtype.newbyteorder("=")
    where = f"{path}: {matrix.name}/data"

    def stored() -> npt.NDArray[Any]:
        values = np.empty(len(part[0]), dtype=own)
        matrix.fill(rows, part[2], values, np.empty_like(part[1]))
        return values

    try:
        data, indices, indptr = sort_rows(*part, stored=None if own == asked else stored)
    except DuplicatesError as error:
        row = rows[error.row]
        msg = f"{where}: values of one place add up to {error.total} in row {row}, beyond {error.dtype}"
        raise BadFileError(msg) from None
    if data.dtype == asked:
        return data, indices, indptr
    cast = np.empty(len(data), dtype=asked)
    cast_into(data, cast, where, lambda at: f"row {rows[np.searchsorted(indptr, at, side='right') - 1]}")
    return cast, indices, indptr
