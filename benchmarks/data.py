"""Weights, labels and keys that are measured with, each of them without any order."""

import numpy as np
import numpy.typing as npt

__all__ = [
    "N_CLASSES",
    "bucket_keys",
    "class_labels",
    "control_roles",
    "series_ids",
    "tuple_labels",
    "weights",
]

N_CLASSES = 400
ROWS_A_SERIES = 3
ROWS_A_TUPLE_CLASS = 256

Rows = npt.NDArray[np.int64]


def weights(n: int) -> npt.NDArray[np.float32]:
    """Return weights, most of them between 0.01 and 5."""
    return np.random.default_rng(2).standard_exponential(n, dtype=np.float32)


def class_labels(n: int) -> npt.NDArray[np.int16]:
    """Return codes of 400 classes, the largest 400 times the smallest."""
    generator = np.random.default_rng(3)
    shares = 1.0 / np.arange(1, N_CLASSES + 1)
    edges = np.cumsum(shares / shares.sum())
    codes = np.empty(n, dtype=np.int16)
    for start in range(0, n, 2**22):
        part = codes[start : start + 2**22]
        part[:] = np.minimum(np.searchsorted(edges, generator.random(len(part))), N_CLASSES - 1)
    return codes


def series_ids(n: int) -> Rows:
    """Return dense ids of series, a third as many as rows; lengths vary about three as chance has it."""
    return np.random.default_rng(5).integers(0, max(1, n // ROWS_A_SERIES), n)


def bucket_keys(n: int, n_buckets: int) -> Rows:
    """Return keys of buckets, the largest twice the mean."""
    generator = np.random.default_rng(6)
    return np.minimum(generator.integers(0, n_buckets, n), generator.integers(0, n_buckets, n))


def tuple_labels(n: int, least: int) -> Rows:
    """Return labels of classes of 256 rows on average, so many classes at least."""
    return np.random.default_rng(5).integers(0, max(least, n // ROWS_A_TUPLE_CLASS), n)


def control_roles(n: int) -> npt.NDArray[np.int8]:
    """Return 0 for the quarter of the rows that are controls, 1 for the others."""
    return (np.random.default_rng(6).random(n) < 0.75).astype(np.int8)
