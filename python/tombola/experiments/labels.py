"""Label columns of h5ad files as class codes: what a model can learn.

Complexity: O(rows); X is not touched.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tombola import H5adSource
from tombola._base.types import IndexArray
from tombola.labels.categorical import Categorical

__all__ = ["Label", "are_whole", "combination_counts", "flat_weights", "label_of", "left_out_text"]

FLAT = 1.5
"""Weights whose largest is less than this many times the smallest count as flat."""

MOST_WHOLE = 2**53
"""From here on float64 leaves integers out."""

MAX_NUMBER_CLASSES = 1_000
"""A column of integers with more distinct values than this is a measurement, not a label."""


@dataclass(frozen=True, eq=False)
class Label:
    """A label column.

    Parameters
    ----------
    name : str
    classes : tuple of str
        Names of the classes.
    codes : ndarray of int64, shape (n_rows,)
        Class of each row of the source; -1 where missing.
    """

    name: str
    classes: tuple[str, ...]
    codes: IndexArray


def label_of(source: H5adSource, name: str) -> Label:
    """Read a label column of all files as class codes.

    Raises
    ------
    ValueError
        If it holds neither categories, text nor integers of few values.
    KeyError
        If it is not there.
    """
    column = source.obs[name]
    if isinstance(column, Categorical):
        return Label(name, tuple(map(str, column.categories)), column.codes.astype(np.int64))
    return _label_of_numbers(name, column)


def combination_counts(columns: Sequence[npt.NDArray[np.integer[Any]]]) -> IndexArray:
    """Count the rows of each combination of codes that occurs; O(rows log rows)."""
    combined = np.zeros(len(columns[0]), dtype=np.int64)
    for codes in columns:
        distinct, places = np.unique(codes, return_inverse=True)
        combined = np.unique(combined * len(distinct) + places, return_inverse=True)[1]
    return np.bincount(combined)


def flat_weights(counts: IndexArray, baseline: float) -> str | None:
    """Say that a baseline flattens the weights of classes that differ in size; None where it does not.

    Parameters
    ----------
    counts : ndarray of int64
        Rows of each class, or combination of classes, that occurs.
    baseline : float
        What is added to them.
    """
    spread = (counts.max() + baseline) / (counts.min() + baseline)
    if counts.max() < 2 * counts.min() or spread >= FLAT:
        return None
    return (
        f"the baseline of {baseline:g} flattens the class weights: label combinations have {counts.min():,} "
        f"to {counts.max():,} rows, so the largest weight is only {spread:.2f} times the smallest"
    )


def left_out_text(left_out: Mapping[str, int], total: int) -> str:
    """Say how many rows are left out, and how many miss each column; nothing where none is.

    Parameters
    ----------
    left_out : mapping of str to int
        Rows that miss a column, by its name; a row may miss several.
    total : int
        Rows left out.
    """
    missing = ", ".join(f"{name!r} {count:,}" for name, count in left_out.items() if count)
    return f"{total:,} rows left out for what they miss ({missing})" if total else ""


def are_whole(values: npt.NDArray[Any]) -> bool:
    """Tell whether floats are integers, and such as int64 holds without rounding; infinity is none."""
    with np.errstate(invalid="ignore"):
        return bool((values % 1 == 0).all()) and bool((np.abs(values) <= MOST_WHOLE).all())


def _label_of_numbers(name: str, values: npt.NDArray[Any]) -> Label:
    is_there = ~np.isnan(values) if values.dtype.kind == "f" else np.ones(len(values), dtype=bool)
    if values.dtype.kind == "f" and not is_there.all() and are_whole(values[is_there]):
        values = np.where(is_there, values, 0).astype(np.int64)  # integers, some of them missing
    if values.dtype.kind not in "biu":
        msg = f"label column {name!r} must hold categories, text or integers, but holds {values.dtype}"
        raise ValueError(msg)
    numbers, places = np.unique(values[is_there], return_inverse=True)
    codes = np.full(len(values), -1, dtype=np.int64)
    codes[is_there] = places
    if len(numbers) > MAX_NUMBER_CLASSES:
        msg = (
            f"label column {name!r} must hold at most {MAX_NUMBER_CLASSES} distinct integers, "
            f"but holds {len(numbers)}: it looks like a measurement"
        )
        raise ValueError(msg)
    return Label(name, tuple(map(str, numbers.tolist())), codes)
