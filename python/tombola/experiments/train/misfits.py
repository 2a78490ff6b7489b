"""Warnings where the options of train.yaml do not suit the data, one sentence each, with what would do."""

import numpy as np

from tombola import H5adSource

from ..misfits import like_names, raw_counts
from .config import TrainConfig
from .data import TrainingData

__all__ = ["find_train_misfits"]

PROBED_ROWS = 64


def find_train_misfits(config: TrainConfig, data: TrainingData) -> list[str]:
    """Return what to warn of; a few rows of the first file are read, errors are those of `H5adSource`."""
    found = []
    if not config.log1p:
        path = data.train_paths[0]
        rows, _ = data.rows_of([path], data.is_train)
        counts = raw_counts(H5adSource(path, x=config.x).read(rows[:PROBED_ROWS])["X"])
        if counts is not None:
            found.append(f"{counts} (log1p: true)")
    for task in data.tasks:
        trained = task.codes[data.is_train]
        few = like_names(task.name, len(np.unique(trained)), len(trained))
        if few is not None:
            found.append(few)
    return found
