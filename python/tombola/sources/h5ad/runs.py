"""Reading many runs of one HDF5 dataset: few calls, each chunk inflated once.

A run is a range [start, stop) along the first axis. Runs come in file order and go three steps:

1. Runs with at most `GAP_BYTES` between them become one span; what lies between is read and dropped.
2. Spans are put in groups of about `GROUP_BYTES` and `GROUP_SPANS` spans. Where chunks have to be inflated, a
   group ends at the end of a chunk only: no two groups inflate the same one, whatever other threads read in
   between.
3. A group is read by one call over the union of its spans, into the caller's array where neither gaps nor a
   cast are in the way, else into scratch space. It is small enough for the checks that follow to find it in
   cache.

Where the core can read the dataset itself (see `chunks`) it does, all runs of a call at once, and HDF5's
handle may be dropped; but `read` leaves what is less than a chunk that has to be inflated to HDF5, which
keeps the last chunks for the next call, unless it would not notice that one is damaged.

Measured on a file of 100,000 x 1,000 float32 values, in blocks of 16 rows: 4.5 us a row by h5py's slices, 1.9
by one low-level call a run, 1.2 by groups, which is the speed of plain reads of the file. Above some hundred
spans a call, HDF5 becomes slower again.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NoReturn

import h5py
import numpy as np
import numpy.typing as npt

from ... import _core
from ..ranges import gather_ranges
from .casting import cast_into, may_change, row_of_run
from .chunks import chunk_reader, hides_damage
from .errors import UnreadableFileError
from .heap import heap_texts
from .tuned import open_tuned

GAP_BYTES = 1 << 12
CHUNK_GAP_BYTES = 1 << 14
GROUP_BYTES = 1 << 20
GROUP_SPANS = 64
SCRATCH_BYTES = 1 << 24
LEAST = 1
"""Chunks; what is less `read` leaves to HDF5."""

Pieces = list[tuple[int, int]]


class RunReader:
    """Reads runs of one dataset along its first axis.

    Parameters
    ----------
    file
        Open file; the reader keeps it open.
    name
        Name of the dataset.
    where
        What error messages call the dataset.
    reopen
        Gives the file once more after `release`; without it nothing is released.

    Attributes
    ----------
    texts : HeapTexts or None
        What reads text of variable length without HDF5.
    """

    def __init__(
        self, file: h5py.File, name: str, where: str, reopen: Callable[[], h5py.File] | None = None
    ) -> None:
        self._name = name
        self._where = where
        self._reopen = reopen
        dataset, self._chunk_rows = open_tuned(file, name)
        self._dataset: h5py.Dataset | None = dataset  # which keeps the file open
        self._chunks = chunk_reader(dataset)
        self.texts = heap_texts(dataset)
        self.shape: tuple[int, ...] = dataset.shape
        self.dtype: np.dtype[Any] = dataset.dtype
        self._row_bytes = self.dtype.itemsize * int(np.prod(self.shape[1:], dtype=np.int64))
        self._least = 0 if hides_damage(dataset) else (self._chunk_rows or 0) * LEAST

    @property
    def dataset(self) -> h5py.Dataset:
        """The open dataset."""
        dataset = self._dataset
        if dataset is None:
            assert self._reopen is not None
            dataset, _ = open_tuned(self._reopen(), self._name)
            self._dataset = dataset
        return dataset

    @property
    def needs_hdf5(self) -> bool:
        """Whether HDF5 reads all of it."""
        return self._chunks is None and self.texts is None

    def release(self) -> bool:
        """Drop HDF5's handle where the core reads; returns whether the reader goes on without it."""
        if self.needs_hdf5 or self._reopen is None:
            return False
        self._dataset = None
        return True

    def job(
        self,
        starts: npt.NDArray[np.int64],
        stops: npt.NDArray[np.int64],
        places: npt.NDArray[np.int64],
        out: npt.NDArray[Any],
        work: _core.DenseWork | None = None,
        columns: _core.ArrivingColumns | None = None,
    ) -> "_core._ReadJob | None":
        """Describe the same as `read`, each run to its place in `out`, for the core to read with others.

        `work` is what rows become; `columns` checks them as they come. None where the core cannot.
        """
        if self._chunks is None or self._row_bytes == 0 or not self._gives(out.dtype):
            return None
        return self._job(self._chunks, starts, stops, places, out, work, columns)

    def _gives(self, dtype: np.dtype[Any]) -> bool:
        """Tell whether the core gives the values as this type."""
        if dtype == self.dtype:
            return True
        are_native = dtype.isnative and self.dtype.isnative
        return are_native and _core.can_convert(self.dtype.str[1:], dtype.str[1:])

    def _job(
        self,
        chunks: _core.ChunkReader,
        starts: npt.NDArray[np.int64],
        stops: npt.NDArray[np.int64],
        places: npt.NDArray[np.int64] | None,
        out: npt.NDArray[Any],
        work: _core.DenseWork | None = None,
        columns: _core.ArrivingColumns | None = None,
    ) -> "_core._ReadJob":
        types = None if out.dtype == self.dtype else (self.dtype.str[1:], out.dtype.str[1:])
        return chunks, starts, stops, places, out.reshape(-1).view(np.uint8), types, work, columns

    def refuse(
        self,
        starts: npt.NDArray[np.int64],
        stops: npt.NDArray[np.int64],
        fault: tuple[int, int, str],
        rows_of: Callable[[int, int], str],
    ) -> NoReturn:
        """Say which rows the core cannot read.

        Raises
        ------
        OSError
            Always.
        """
        first, last, what = fault
        run = int(np.searchsorted(stops, first, side="right"))
        rows = rows_of(max(first, int(starts[run])), min(last + 1, int(stops[run])))
        msg = f"{self._where}: cannot read {rows}; the file is damaged or cannot be reached ({what})"
        raise UnreadableFileError(msg)

    def read(
        self,
        starts: npt.NDArray[np.int64],
        stops: npt.NDArray[np.int64],
        out: npt.NDArray[Any],
        rows_of: Callable[[int, int], str],
    ) -> Iterator[tuple[int, int]]:
        """Fill `out` with the runs, one after the other, and say after each group how far it came.

        Parameters
        ----------
        starts, stops
            int64, ascending, disjoint, inside the dataset; empty runs are allowed.
        out
            C-contiguous, first axis as long as all runs together, further axes as the dataset's. Values are
            cast to its dtype.
        rows_of
            Names the rows behind a range of the first axis in error messages.

        Yields
        ------
        tuple
            (lo, hi): `out[lo:hi]` has just been filled.

        Raises
        ------
        OSError
            If the file cannot be read there; the message names file, dataset and rows.
        ValueError
            If a value does not fit the dtype asked for.
        """
        some = stops > starts
        starts, stops = _merge(starts[some], stops[some], stops[some][:-1] == starts[some][1:])
        if len(starts) == 0 or self._row_bytes == 0:
            return
        if self._chunks is not None and int((stops - starts).sum()) >= self._least:
            yield from self._read_chunks(self._chunks, starts, stops, out, rows_of)
            return
        span_starts, span_stops = _merge(starts, stops, self._are_near(starts, stops))
        gaps = int((span_stops - span_starts).sum()) != len(out)
        through_scratch = gaps or out.dtype != self.dtype
        is_checked = may_change(self.dtype, out.dtype)
        done = 0
        for pieces in self._groups(span_starts, span_stops, GROUP_BYTES, GROUP_SPANS):
            size = sum(stop - start for start, stop in pieces)
            if not through_scratch:
                self._read_group(pieces, out, done, size, rows_of)
            else:
                scratch = np.empty((size, *self.shape[1:]), dtype=self.dtype)
                self._read_group(pieces, scratch, 0, size, rows_of)
                if gaps:
                    where, lengths = _wanted(pieces, starts, stops)
                    size = int(lengths.sum())
                    if not is_checked:
                        gather_ranges(scratch, where, lengths, out[done : done + size])
                    else:
                        scratch = gather_ranges(scratch, where, lengths)
                elif not is_checked:
                    out[done : done + size] = scratch
                if is_checked:
                    row_of = partial(row_of_run, starts, stops, rows_of, done)
                    cast_into(scratch, out[done : done + size], self._where, row_of)
            yield done, done + size
            done += size

    def _are_near(self, starts: npt.NDArray[np.int64], stops: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        gaps = (starts[1:] - stops[:-1]) * self._row_bytes
        if self._chunk_rows is None:
            return np.asarray(gaps <= GAP_BYTES)
        # In a chunk that is inflated anyway a gap costs only a copy, but it must not hold further chunks.
        chunks = starts[1:] // self._chunk_rows - (stops[:-1] - 1) // self._chunk_rows
        return np.asarray((gaps <= CHUNK_GAP_BYTES) & (chunks <= 1))

    def _read_chunks(
        self,
        chunks: _core.ChunkReader,
        starts: npt.NDArray[np.int64],
        stops: npt.NDArray[np.int64],
        out: npt.NDArray[Any],
        rows_of: Callable[[int, int], str],
    ) -> Iterator[tuple[int, int]]:
        """Fill `out` by the core, through scratch space where values are cast."""
        if self._gives(out.dtype) and self._decode(chunks, starts, stops, out, rows_of):
            yield 0, len(out)
            return
        is_checked = may_change(self.dtype, out.dtype)
        done = 0
        for pieces in self._groups(starts, stops, SCRATCH_BYTES, None):
            first, last = np.array(pieces, dtype=np.int64).T.copy()
            part = out[done : done + int((last - first).sum())]
            scratch = np.empty(part.shape, dtype=self.dtype)
            self._decode(chunks, first, last, scratch, rows_of)
            if is_checked:
                cast_into(scratch, part, self._where, partial(row_of_run, starts, stops, rows_of, done))
            else:
                part[...] = scratch
            yield done, done + len(part)
            done += len(part)

    def _decode(
        self,
        chunks: _core.ChunkReader,
        starts: npt.NDArray[np.int64],
        stops: npt.NDArray[np.int64],
        out: npt.NDArray[Any],
        rows_of: Callable[[int, int], str],
    ) -> bool:
        """Fill `out`; returns whether all values fit its type."""
        fault = _core.read_rows([self._job(chunks, starts, stops, None, out)])
        if fault is not None and fault[-1]:
            self.refuse(starts, stops, fault[1:], rows_of)
        return fault is None

    def _groups(
        self,
        starts: npt.NDArray[np.int64],
        stops: npt.NDArray[np.int64],
        most_bytes: int,
        most_spans: int | None,
    ) -> Iterator[Pieces]:
        limit, align = max(1, most_bytes // self._row_bytes), self._chunk_rows or 1
        group: Pieces = []
        size = 0
        for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
            while start < stop:
                full = size >= limit or (most_spans is not None and len(group) >= most_spans)
                if full and group[-1][1] <= start - start % align:
                    yield group
                    group, size = [], 0
                end = start + max(limit - size, 1)
                end = min(stop, end + -end % align)
                group.append((start, end))
                size += end - start
                start = end
        if group:
            yield group

    def _read_group(
        self,
        pieces: Pieces,
        out: npt.NDArray[Any],
        at: int,
        size: int,
        rows_of: Callable[[int, int], str],
    ) -> None:
        rest = self.shape[1:]
        zeros = (0,) * len(rest)
        in_file = h5py.h5s.create_simple(self.shape)
        operation = h5py.h5s.SELECT_SET
        for start, stop in pieces:
            in_file.select_hyperslab((start, *zeros), (stop - start, *rest), op=operation)
            operation = h5py.h5s.SELECT_OR
        in_memory = h5py.h5s.create_simple(out.shape)
        in_memory.select_hyperslab((at, *zeros), (size, *rest))
        try:
            self.dataset.id.read(in_memory, in_file, out)
        except (OSError, RuntimeError, ValueError) as error:
            rows = rows_of(pieces[0][0], pieces[-1][1])
            msg = f"{self._where}: cannot read {rows}; the file is damaged or cannot be reached ({error})"
            raise UnreadableFileError(msg) from error


def _merge(
    starts: npt.NDArray[np.int64], stops: npt.NDArray[np.int64], joined: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Merge each run with the next one where `joined` says so."""
    if len(starts) == 0:
        return starts, stops
    return starts[np.concatenate([[True], ~joined])], stops[np.concatenate([~joined, [True]])]


def _wanted(
    pieces: Pieces, starts: npt.NDArray[np.int64], stops: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Where in a group's scratch space the runs lie, and how long they are there."""
    bounds = np.array(pieces, dtype=np.int64)
    first = int(np.searchsorted(stops, bounds[0, 0], side="right"))
    last = int(np.searchsorted(starts, bounds[-1, 1], side="left"))
    clipped_starts = np.maximum(starts[first:last], bounds[0, 0])
    clipped_stops = np.minimum(stops[first:last], bounds[-1, 1])
    offsets = np.cumsum(bounds[:, 1] - bounds[:, 0]) - bounds[:, 1]
    piece = np.searchsorted(bounds[:, 0], clipped_starts, side="right") - 1
    return clipped_starts + offsets[piece], clipped_stops - clipped_starts
