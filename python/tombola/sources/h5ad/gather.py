"""Rows of a window read by one call of the core, each straight to its place.

What a window needs of all files and datasets is collected first and read at once, so that a window of a
thousand small files keeps all threads busy as one of a large file does. Where a part cannot be read this way
(other filters or types), `add` says so and the caller reads file by file instead.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ... import _core
from .runs import RunReader

__all__ = ["Gather"]

Runs = npt.NDArray[np.int64]


class Gather:
    """Jobs for the core, and how to name their rows where one fails.

    Parameters
    ----------
    turns
        Those who share it read one after the other, unless one waits for long.
    """

    def __init__(self, turns: _core.Turns | None = None) -> None:
        self._turns = turns
        self._jobs: list[_core._ReadJob] = []
        self._asked: list[tuple[RunReader, Runs, Runs, Callable[[int, int], str]]] = []

    def add(
        self,
        reader: RunReader,
        starts: Runs,
        stops: Runs,
        places: Runs,
        out: npt.NDArray[Any],
        rows_of: Callable[[int, int], str],
        work: _core.DenseWork | None = None,
        columns: _core.ArrivingColumns | None = None,
    ) -> bool:
        """Ask for runs, by ascending starts, each at its place in ``out``; returns whether the core can.

        `work` is what rows become; `columns` checks what comes to ``out``.
        """
        some = stops > starts
        if not some.all():  # what is empty lies in no chunk
            starts, stops, places = starts[some], stops[some], places[some]
            if len(starts) == 0:
                return True
        job = reader.job(starts, stops, places, out, work, columns)
        if job is None:
            return False
        self._jobs.append(job)
        self._asked.append((reader, starts, stops, rows_of))
        return True

    def read(self) -> bool:
        """Read all; returns whether all values fit the types they are to be given as.

        Raises
        ------
        OSError
            If a file cannot be read; the message names file, dataset and rows.
        """
        fault = _core.read_rows(self._jobs, self._turns)
        if fault is None:
            return True
        number, first, last, what = fault
        if what:
            reader, starts, stops, rows_of = self._asked[number]
            reader.refuse(starts, stops, (first, last, what), rows_of)
        return False
