"""Warnings where the options of train.yaml do not suit the data, one sentence each, with what would do."""

import numpy as np

from ..misfits import like_names, raw_counts
from .config import TrainConfig
from .data import TrainingData
from .probing import some_rows

__all__ = ["find_train_misfits"]

PROBED_ROWS = 64


def find_train_misfits(config: TrainConfig, data: TrainingData) -> list[str]:
    """Return what to warn of; a few rows of a file are read, errors are those of `some_rows`."""
    found = []
    if not config.log1p:
        x = some_rows(config, data, PROBED_ROWS)
        counts = None if x is None else raw_counts(x)
        if counts is not None:
            found.append(f"{counts} (log1p: true)")
    for task in data.tasks:
        trained = task.codes[data.is_train]
        few = like_names(task.name, len(np.unique(trained)), len(trained))
        if few is not None:
            found.append(few)
    return found
