"""One matrix after the other into the log, window by window, from wherever a killed run was.

Rule: where rows keep their order, a window of the output is one of the input. Where they are shuffled and
the output has at most `DIRECT_WINDOWS` windows, each reads its own rows, sorted, from the inputs, so that
chunks are inflated as often as there are windows; else `SortedRuns` puts them in order, and chunks are
inflated once.
Memory: a window in a few copies, see `matrices`.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..sources import CsrRows
from .chunk_log import ChunkLog, LogState
from .datasets import DatasetWriter, chunk_shape
from .matrices import MatrixIn, Rows, take
from .options import RepackOptions
from .order import RowOrder
from .part import Part
from .runs import RunsState, SortedRuns

__all__ = ["DATASETS", "DIRECT_WINDOWS", "Report", "write_matrices"]

DIRECT_WINDOWS = 4
"""To inflate once more costs less than to write rows raw and to read them again, up to so many times."""

DATASETS = ("data", "indices", "indptr")
"""The datasets of a sparse matrix, in the order of their numbers in the log; a dense one has the first."""

Report = Callable[[str, int, int], object]
"""Is told what is done, how many rows of it, of how many."""


def write_matrices(
    matrices: list[MatrixIn], order: RowOrder, options: RepackOptions, part: Part, report: Report
) -> ChunkLog:
    """Write what is missing of all matrices.

    Returns
    -------
    ChunkLog
        Dataset ``3 * i + k`` in it is dataset k of matrix i.
    """
    log = ChunkLog(part.folder, LogState(*part.state.get("log", ())))
    try:
        for number in range(part.state.get("matrix", 0), len(matrices)):
            _MatrixJob(number, matrices[number], order, options, part, log).run(report)
    except BaseException:
        log.close()
        raise
    return log


class _MatrixJob:
    """Writes one matrix."""

    def __init__(
        self,
        number: int,
        matrix: MatrixIn,
        order: RowOrder,
        options: RepackOptions,
        part: Part,
        log: ChunkLog,
    ) -> None:
        self._number, self._matrix, self._order = number, matrix, order
        self._part, self._log = part, log
        found = part.state if part.state.get("matrix") == number and "row" in part.state else {}
        self._row, self._n_values = int(found.get("row", 0)), int(found.get("n_values", 0))
        self._runs_state = RunsState(*found.get("runs", ()))
        pending: Mapping[str, npt.NDArray[Any]] = part.pending() if found else {}
        kinds = [matrix.dtype]
        chunks = [chunk_shape(None if matrix.is_sparse else (matrix.n_rows, matrix.n_columns), options)]
        if matrix.is_sparse:
            kinds += [matrix.index_dtype, matrix.indptr_dtype]
            chunks += [chunks[0], chunks[0]]
        self._writers = [
            DatasetWriter(3 * number + k, kind, chunk, log, options, pending.get(DATASETS[k]))
            for k, (kind, chunk) in enumerate(zip(kinds, chunks, strict=True))
        ]
        if matrix.is_sparse and not found:
            self._writers[2].append(np.zeros(1, dtype=np.int64))

    def run(self, report: Report) -> None:
        n, name = self._matrix.n_rows, self._matrix.name
        for hi, rows in self._windows(report):
            self._add(rows)
            self._row = hi
            self._save()
            report(f"writing {name}", hi, n)
        for writer in self._writers:
            writer.finish()
        totals = [*self._part.state.get("totals", []), self._n_values]
        self._part.save({"matrix": self._number + 1, "totals": totals, "log": self._log.commit()}, {})

    def _windows(self, report: Report) -> Iterator[tuple[int, Rows]]:
        """Yield windows of the output, and where they end, from where the last run was."""
        matrix, order, n = self._matrix, self._order, self._matrix.n_rows
        if self._row == n:
            return
        if not order.is_shuffled:
            while self._row < n:
                stop = matrix.stop(self._row)
                yield stop, matrix.read(order.rows(self._row, stop))
            return
        bounds = np.append(np.arange(0, n, matrix.rows_at_once), n)
        runs = None if len(bounds) - 1 <= DIRECT_WINDOWS else self._make_runs(bounds, report)
        try:
            for window in range(int(np.searchsorted(bounds, self._row)), len(bounds) - 1):
                lo, hi = int(bounds[window]), int(bounds[window + 1])
                rows = order.rows(lo, hi)
                if runs is not None:
                    yield hi, runs.read(window, rows)
                else:
                    ascending = np.argsort(rows)
                    back = np.empty_like(ascending)
                    back[ascending] = np.arange(len(rows))
                    yield hi, take(matrix.read(rows[ascending]), back)
        except BaseException:
            if runs is not None:
                runs.close()
            raise
        if runs is not None:
            runs.close(remove=True)

    def _make_runs(self, bounds: npt.NDArray[np.int64], report: Report) -> SortedRuns:
        matrix, n = self._matrix, self._matrix.n_rows
        runs = SortedRuns(self._part.folder / "runs", matrix, bounds, self._runs_state)
        try:
            while runs.stop < n:
                lo, hi = runs.stop, matrix.stop(runs.stop)
                runs.add(matrix.read(np.arange(lo, hi, dtype=np.int64)), self._order.places(lo, hi))
                self._runs_state = runs.commit()
                self._save()
                report(f"sorting {matrix.name}", hi, n)
        except BaseException:
            runs.close()
            raise
        return runs

    def _add(self, rows: Rows) -> None:
        if not isinstance(rows, CsrRows):
            self._writers[0].append(rows)
            return
        data, indices, indptr = self._writers
        data.append(rows.data)
        indices.append(rows.indices)
        indptr.append(rows.indptr[1:] + self._n_values)
        self._n_values += int(rows.indptr[-1])

    def _save(self) -> None:
        state = {
            "matrix": self._number,
            "row": self._row,
            "n_values": self._n_values,
            "runs": self._runs_state,
            "totals": self._part.state.get("totals", []),
            "log": self._log.commit(),
        }
        pending = {DATASETS[k]: writer.pending for k, writer in enumerate(self._writers)}
        self._part.save(state, pending)
