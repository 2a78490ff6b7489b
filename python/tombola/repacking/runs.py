"""Rows on their way from the inputs' order to a shuffled one, in a file beside the output.

Rule: an external bucket sort. The inputs are read once, in order, by windows; the rows of a window are sorted
by where they go and appended as one run, with a table of which of them each window of the output takes. A
window of the output then reads its part of every run. For d bytes of rows and windows of w bytes: d written,
d read, in (d / w)**2 pieces of w**2 / d bytes each; memory O(w), 16 bytes a run and window in the file.
"""

import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._base.types import IndexArray
from ..sources import CsrRows
from .chunk_log import StaleError, file_checksum, write_all
from .matrices import MatrixIn, Rows, take

__all__ = ["Run", "RunsState", "SortedRuns"]

LENGTH = np.dtype(np.uint32)


class Run(NamedTuple):
    """Rows from `lo` to `hi` of the input, with so many values, at an offset in the file."""

    lo: int
    hi: int
    n_values: int
    offset: int


class RunsState(NamedTuple):
    """How far the file is."""

    runs: Sequence[Run] = ()
    n_bytes: int = 0
    checksum: int = 0


class SortedRuns:
    """The file of runs of one matrix.

    Parameters
    ----------
    path
        The file.
    matrix
        Whose rows these are.
    bounds
        Where windows of the output begin, and the number of rows.
    state
        Of the last commit.

    Raises
    ------
    StaleError
        If the file is not as it was at that commit.
    """

    def __init__(self, path: Path, matrix: MatrixIn, bounds: IndexArray, state: RunsState) -> None:
        self._matrix, self._bounds = matrix, bounds
        self.state = RunsState(tuple(Run(*run) for run in state.runs), state.n_bytes, state.checksum)
        with path.open("ab"):
            pass
        if file_checksum(path, state.n_bytes) != state.checksum:
            msg = f"{path}: not as it was when it was last synced"
            raise StaleError(msg)
        os.truncate(path, state.n_bytes)
        self._path = path
        self._file = path.open("a+b", buffering=0)

    @property
    def stop(self) -> int:
        """The row of the input that the next run begins with."""
        return self.state.runs[-1].hi if self.state.runs else 0

    def add(self, rows: Rows, places: IndexArray) -> None:
        """Append a window of the input, whose rows go to these places of the output."""
        order = np.argsort(places, kind="stable")
        cuts = np.zeros((len(self._bounds), 2), dtype=np.int64)
        cuts[:, 0] = np.searchsorted(places[order], self._bounds)
        ordered = take(rows, order)
        parts: list[npt.NDArray[Any]] = [cuts]
        n_values = 0
        if isinstance(ordered, CsrRows):
            cuts[:, 1] = ordered.indptr[cuts[:, 0]]
            n_values = int(ordered.indptr[-1])
            parts += [np.diff(ordered.indptr).astype(LENGTH), ordered.data, ordered.indices]
        else:
            parts.append(np.ascontiguousarray(ordered))
        lo, (runs, offset, checksum) = self.stop, self.state
        for part in parts:
            content = part.reshape(-1).view(np.uint8).data
            write_all(self._file, content)
            checksum = zlib.crc32(content, checksum)
        n_bytes = offset + sum(part.nbytes for part in parts)
        run = Run(lo, lo + len(places), n_values, offset)
        self.state = RunsState((*runs, run), n_bytes, checksum)

    def commit(self) -> RunsState:
        """Let everything so far last, and return the state of it."""
        os.fsync(self._file.fileno())
        return self.state

    def close(self, *, remove: bool = False) -> None:
        """Close the file."""
        self._file.close()
        if remove:
            self._path.unlink(missing_ok=True)

    def read(self, window: int, rows: IndexArray) -> Rows:
        """Give one window of the output, whose rows are these of the input, in this order."""
        starts = np.array([run.lo for run in self.state.runs])
        order = np.argsort(np.searchsorted(starts, rows, side="right"), kind="stable")
        pieces = [self._piece(run, window) for run in self.state.runs]
        back = np.empty(len(order), dtype=np.int64)
        back[order] = np.arange(len(order))
        lengths, data, indices = (np.concatenate(each) for each in zip(*pieces, strict=True))
        del pieces
        if not self._matrix.is_sparse:
            return np.asarray(data.reshape(-1, self._matrix.n_columns)[back])
        indptr = np.zeros(len(lengths) + 1, dtype=np.int64)
        np.cumsum(lengths, out=indptr[1:])
        return CsrRows(data, indices, indptr, (len(rows), self._matrix.n_columns)).take(back)

    def _piece(self, run: Run, window: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
        """Read lengths, data and indices of the part of a run that goes to a window."""
        cuts = self._at(run.offset + 16 * window, 4, np.dtype(np.int64)).reshape(2, 2)
        (a, start), (b, stop) = cuts.tolist()
        at, kind = run.offset + 16 * len(self._bounds), self._matrix.dtype
        if not self._matrix.is_sparse:
            width = self._matrix.n_columns
            data = self._at(at + a * width * kind.itemsize, (b - a) * width, kind)
            return np.empty(0, LENGTH), data, np.empty(0, LENGTH)
        lengths = self._at(at + a * LENGTH.itemsize, b - a, LENGTH)
        at += (run.hi - run.lo) * LENGTH.itemsize
        data = self._at(at + start * kind.itemsize, stop - start, kind)
        at += run.n_values * kind.itemsize
        column = self._matrix.source_index_dtype
        return lengths, data, self._at(at + start * column.itemsize, stop - start, column)

    def _at(self, offset: int, count: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
        out = np.empty(count, dtype=dtype)
        view, done = out.view(np.uint8).data, 0
        while done < len(view):
            got = os.preadv(self._file.fileno(), [view[done:]], offset + done)
            if not got:
                msg = f"{self._path}: it ends within a run"
                raise OSError(msg)
            done += got
        return out
