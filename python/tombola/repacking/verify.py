"""Every row of the output beside the row of the inputs that it was.

Rule: the inputs are read once more, in order, and give a number a row, which is kept at the row's place in a
file (8 bytes a row): CRC-32 of its values and of its columns. The output is read in order by the same reader,
and each row must give the number at its place. Columns of obs are compared as they are. O(bytes).
"""

import zlib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from ..sources import CsrRows
from .matrices import MatrixIn, Rows, open_matrix
from .options import RepackOptions
from .order import RowOrder
from .rows import RowValues, reordered
from .write import Report

__all__ = ["row_sums", "verify_matrix", "verify_rows"]

_ZEROS = 1 << 17


def row_sums(rows: Rows) -> npt.NDArray[np.uint64]:
    """Return a number a row that depends on every bit of its values and columns."""
    if not isinstance(rows, CsrRows):
        values = np.ascontiguousarray(rows)
        return np.array([zlib.crc32(row) for row in values.view(np.uint8)], dtype=np.uint64)
    data, indices = rows.data.view(np.uint8).data, rows.indices.astype(np.int64).view(np.uint8).data
    out = np.empty(len(rows), dtype=np.uint64)
    size, bounds = rows.dtype.itemsize, rows.indptr.tolist()
    for row, (lo, hi) in enumerate(pairwise(bounds)):
        of_values = zlib.crc32(data[lo * size : hi * size])
        out[row] = of_values << 32 | zlib.crc32(indices[lo * 8 : hi * 8])
    return out


def verify_matrix(
    matrix: MatrixIn, output: Path, order: RowOrder, options: RepackOptions, report: Report
) -> None:
    """Compare all rows of a matrix.

    Raises
    ------
    ValueError
        If one differs.
    """
    n = matrix.n_rows
    if n == 0:
        return
    path = output.with_name("sums")
    with path.open("wb") as file:  # a full disk is an error here, but a signal where a page is written
        zeros = bytes(8 * min(n, _ZEROS))
        for lo in range(0, n, _ZEROS):
            file.write(zeros[: 8 * min(_ZEROS, n - lo)])
    sums = np.memmap(path, dtype=np.uint64, mode="r+", shape=(n,))
    try:
        lo = 0
        while lo < n:
            hi = matrix.stop(lo)
            sums[order.places(lo, hi)] = row_sums(matrix.read(np.arange(lo, hi, dtype=np.int64)))
            report(f"reading {matrix.name}", hi, n)
            lo = hi
        made = open_matrix(matrix.name, [output], options)
        lo = 0
        while lo < n:
            hi = made.stop(lo)
            differ = np.flatnonzero(row_sums(made.read(np.arange(lo, hi, dtype=np.int64))) != sums[lo:hi])
            if len(differ):
                _refuse(matrix.name, lo + int(differ[0]), order)
            report(f"verifying {matrix.name}", hi, n)
            lo = hi
    finally:
        del sums
        path.unlink()


def verify_rows(
    file: h5py.File, written: Sequence[tuple[str, RowValues]], order: RowOrder, options: RepackOptions
) -> None:
    """Compare the columns of obs and the arrays of obsm.

    Raises
    ------
    ValueError
        If a row differs.
    """
    for name, values in written:
        for lo, hi, expected in reordered(values, order, options.memory):
            if not _are_same(file[name][lo:hi], expected):
                found = file[name][lo:hi]
                row = next(i for i in range(hi - lo) if not _are_same(found[i : i + 1], expected[i : i + 1]))
                _refuse(name, lo + row, order)


def _are_same(found: npt.NDArray[Any], expected: npt.NDArray[Any]) -> bool:
    if not found.dtype.hasobject:
        return found.tobytes() == expected.astype(found.dtype, copy=False).tobytes()
    return bool(_plain(found) == _plain(expected))


def _plain(values: npt.NDArray[Any]) -> list[Any]:
    return [value.encode() if isinstance(value, str) else value for value in values.ravel().tolist()]


def _refuse(name: str, row: int, order: RowOrder) -> None:
    (source,) = order.rows(row, row + 1).tolist()
    msg = f"row {row} of {name} in the output is not row {source} of the inputs; the output was not kept"
    raise ValueError(msg)
