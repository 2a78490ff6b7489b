"""Datasets that grow by values of any number and go to the log by whole chunks."""

from typing import Any

import numpy as np
import numpy.typing as npt

from .chunk_log import ChunkLog
from .encode import ChunkEncoder
from .options import RepackOptions

__all__ = ["DatasetWriter", "chunk_shape"]


def chunk_shape(shape: tuple[int, int] | None, options: RepackOptions) -> tuple[int, ...]:
    """Return the chunk of values one after the other (None), or of rows of a dense matrix of a shape."""
    if shape is None:
        return (options.chunk_values,)
    n_rows, n_columns = shape
    rows = options.chunk_values // max(n_columns, 1)
    return (max(1, min(rows, n_rows)), n_columns)


class DatasetWriter:
    """Cuts values into chunks; what does not fill one is pending.

    Parameters
    ----------
    number
        Of the dataset in the log.
    dtype, chunk
        Its type and chunk.
    log, options
        Where chunks go, and how they are encoded.
    pending
        Values that were pending when the log was committed.
    """

    def __init__(
        self,
        number: int,
        dtype: np.dtype[Any],
        chunk: tuple[int, ...],
        log: ChunkLog,
        options: RepackOptions,
        pending: npt.NDArray[Any] | None = None,
    ) -> None:
        self.number = number
        self._chunk, self._log, self._dtype = chunk, log, dtype
        self._encoder = ChunkEncoder(dtype, chunk, options)
        self.pending = np.empty((0, *chunk[1:]), dtype) if pending is None else pending

    def append(self, values: npt.NDArray[Any]) -> None:
        """Add values behind those that there are."""
        values = values.astype(self._dtype, copy=False)
        size = self._chunk[0]
        if len(self.pending):
            lacking = min(size - len(self.pending), len(values))
            self.pending = np.concatenate([self.pending, values[:lacking]])
            values = values[lacking:]
            if len(self.pending) < size:
                return
            self._write(self.pending)
        whole = len(values) // size * size
        self._write(values[:whole])
        self.pending = values[whole:].copy()

    def finish(self) -> None:
        """Write what is pending as the last chunk, zeros behind it."""
        if len(self.pending):
            last = np.zeros(self._chunk, dtype=self._dtype)
            last[: len(self.pending)] = self.pending
            self._write(last)
        self.pending = self.pending[:0]

    def _write(self, values: npt.NDArray[Any]) -> None:
        if values.size:
            self._log.append(self.number, self._encoder.encode(values))
