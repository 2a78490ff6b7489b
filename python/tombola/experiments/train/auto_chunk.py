"""`chunk_size: auto`: as many rows a mini epoch as half of the memory that is free holds, within bounds.

Rule: what a row takes is measured on some training rows, as they are stored, values and column indices; files
that were just read then stay in the system's memory while their rows come in turn. At least one fetch window,
and at most a tenth of the training rows, so that a full epoch is saved and validated about ten times or more.
The number of rows is part of the state of the files, so that training goes on with it.

Complexity: a few hundred rows are read.
"""

from typing import NamedTuple

import numpy as np

from tombola._base.memory import free_memory
from tombola.sources import CsrRows
from tombola.training.auto_size import PARTS, fit_memory

from .config import TrainConfig
from .data import TrainingData
from .probing import some_rows

__all__ = ["AutoChunk", "auto_chunk", "row_bytes"]

MEASURED_ROWS = 256


class AutoChunk(NamedTuple):
    """How many rows a mini epoch has at most, and why, in words."""

    rows: int
    why: str


def row_bytes(config: TrainConfig, data: TrainingData) -> int:
    """Return the mean bytes of a stored training row, of the first file that can be read; 1 or more."""
    x = some_rows(config, data, MEASURED_ROWS)
    if x is None:
        return 1
    size = x.data.nbytes + x.indices.nbytes if isinstance(x, CsrRows) else np.asarray(x).nbytes
    rows: int = x.shape[0]
    return max(1, -(-size // rows))


def auto_chunk(config: TrainConfig, data: TrainingData) -> AutoChunk:
    """Return the rows of a mini epoch; errors as `some_rows` raises them."""
    window = max(config.batch_size * config.fetch_factor, 1)
    least, most = (window, "one fetch window"), -(-data.n_train // PARTS)
    return AutoChunk(*fit_memory(row_bytes(config, data), lambda rows: rows, least, most, free_memory()))
