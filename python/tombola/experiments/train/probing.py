"""A few training rows, looked at before training begins. Complexity: so many rows are read."""

import numpy as np
import numpy.typing as npt

from tombola import H5adSource
from tombola.sources import CsrRows, H5adError

from .config import TrainConfig
from .data import TrainingData

__all__ = ["some_rows"]


def some_rows(config: TrainConfig, data: TrainingData, most: int) -> CsrRows | npt.NDArray[np.float32] | None:
    """Return at most so many training rows of X, evenly spaced, of the first file whose rows can be read.

    None where no file's can; which files are left out is said where training comes to them.

    Raises
    ------
    ValueError, OSError
        As by `H5adSource`, if a file cannot be read or is gone and is not to be skipped.
    """
    for path in data.train_paths:
        rows, _ = data.rows_of([path], data.is_train)
        try:
            x: CsrRows | npt.NDArray[np.float32]
            x = H5adSource(path, x=config.x).read(rows[:: -(-len(rows) // most)])["X"]
        except (OSError, H5adError):
            if (config.on_bad_shard if path.exists() else config.on_missing_shard) == "error":
                raise
        else:
            return x
    return None
