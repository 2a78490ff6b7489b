"""Reading many runs of one HDF5 dataset: few calls, each chunk inflated once.

A run is a range [start, stop) along the first axis. Runs come in file order and go three steps:

1. Runs with at most `GAP_BYTES` between them become one span; what lies between is read and dropped.
2. Spans are put in groups of about `GROUP_BYTES` and `GROUP_SPANS` spans. Where chunks have to be inflated, a
group ends
   at the end of a chunk only: no two groups inflate the same one, whatever other threads read in between.
3. A group is read by one call over the union of its spans, into the caller's array where neither gaps nor a
   cast are in the way, else into scratch space. It is small enough for the checks that follow to find it in
   cache.

Where the core can read the chunks itself (see `chunks`) it does, all runs of a call at once; but what is less
than a chunk is left to HDF5, which keeps the last chunks for the next call.

Measured on a file of 100,000 x 1,000 float32 values, in blocks of 16 rows: 4.5 us a row by h5py's slices, 1.9
by one low-level call a run, 1.2 by groups, which is the speed of plain reads of the file. Above some hundred
spans a call, HDF5 becomes slower again.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from ... import _core
from ..ranges import gather_ranges
from .casting import cast_into, may_change, row_of_run
from .chunks import chunk_reader
from .errors import UnreadableFileError

GAP_BYTES = 1 << 12
CHUNK_GAP_BYTES = 1 << 14
GROUP_BYTES = 1 << 20
GROUP_SPANS = 64
SCRATCH_BYTES = 1 << 24
LEAST = 1
"""Chunks; what is less is left to HDF5."""
MIN_CACHE_BYTES = 1 << 20
MAX_CACHE_BYTES = 1 << 26

Pieces = list[tuple[int, int]]


def open_tuned(file: h5py.File, name: str) -> tuple[h5py.Dataset, int | None]:
    """Open a dataset with a chunk cache that fits reading rows in file order.

    The cache holds one band of chunks, that is all chunks of one row, up to `MAX_CACHE_BYTES`. Where a
    chunk is stored as it is and holds whole rows there is no cache: HDF5 then reads straight into the
    caller's array instead of copying whole chunks first.

    Returns
    -------
    tuple
        The dataset, and the rows of a chunk where chunks pass through the cache as a whole.
    """
    cache_bytes, n_across, chunk_rows = _chunk_cache(file[name])
    # HDF5 takes the settings of the first opening for as long as the dataset is open anywhere, so it must be
    # closed by now.
    access = h5py.h5p.create(h5py.h5p.DATASET_ACCESS)
    access.set_chunk_cache(max(521, 2 * n_across + 1), cache_bytes, 1.0)
    return h5py.Dataset(h5py.h5d.open(file.id, name.encode(), access)), chunk_rows


def _chunk_cache(dataset: h5py.Dataset) -> tuple[int, int, int | None]:
    """Size of the cache in bytes, chunks that a row touches, rows of a chunk if it is read as a whole."""
    if dataset.chunks is None:
        return 0, 1, None
    across = [-(-size // chunk) for size, chunk in zip(dataset.shape[1:], dataset.chunks[1:], strict=True)]
    n_across = int(np.prod(across, dtype=np.int64))
    band_bytes = n_across * int(np.prod(dataset.chunks, dtype=np.int64)) * dataset.dtype.itemsize
    if n_across == 1 and dataset.id.get_create_plist().get_nfilters() == 0:
        return 0, n_across, None
    cache_bytes = min(max(band_bytes, MIN_CACHE_BYTES), MAX_CACHE_BYTES)
    return cache_bytes, n_across, int(dataset.chunks[0])


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
    """

    def __init__(self, file: h5py.File, name: str, where: str) -> None:
        self._file = file
        self._where = where
        self.dataset, self._chunk_rows = open_tuned(file, name)
        self._chunks = chunk_reader(self.dataset)
        self.shape: tuple[int, ...] = self.dataset.shape
        self.dtype: np.dtype[Any] = self.dataset.dtype
        self._row_bytes = self.dtype.itemsize * int(np.prod(self.shape[1:], dtype=np.int64))

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
        if self._chunks is not None and int((stops - starts).sum()) >= LEAST * (self._chunk_rows or 1):
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
        if out.dtype == self.dtype:
            self._decode(chunks, starts, stops, out, rows_of)
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
    ) -> None:
        fault = chunks.read(starts, stops, out.reshape(-1).view(np.uint8))
        if fault is not None:
            first, last, what = fault
            run = int(np.searchsorted(stops, first, side="right"))
            rows = rows_of(max(first, int(starts[run])), min(last + 1, int(stops[run])))
            msg = f"{self._where}: cannot read {rows}; the file is damaged or cannot be reached ({what})"
            raise UnreadableFileError(msg)

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
