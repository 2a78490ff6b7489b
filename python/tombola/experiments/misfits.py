"""What data look like that no option was meant for: raw counts taken as they are, names as labels."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tombola.sources import CsrRows

from .labels import are_whole

__all__ = ["like_names", "raw_counts"]

MANY = 10
"""A whole number below this may be anything; from here on, with nothing else, they are counts."""
MANY_CLASSES = 100
FEW_ROWS = 10
"""Rows of a class, on average, of which there is hardly anything to learn."""


def raw_counts(x: CsrRows | npt.NDArray[Any]) -> str | None:
    """Say that rows of X look like raw counts; None where they do not."""
    values = np.asarray(x.data if isinstance(x, CsrRows) else x)
    if values.size == 0 or values.max() < MANY or (values < 0).any() or not are_whole(values):
        return None
    return (
        f"X looks like raw counts (whole numbers up to {values.max():,.0f} in the first rows): "
        "a model learns better from their logarithms"
    )


def like_names(label: str, n_classes: int, n_rows: int) -> str | None:
    """Say that a label has many classes of few rows, as names of cells have; None where it has not.

    Parameters
    ----------
    label : str
    n_classes : int
    n_rows : int
        Rows to train on.
    """
    if n_classes < MANY_CLASSES or n_rows >= FEW_ROWS * n_classes:
        return None
    return (
        f"label {label!r} has {n_classes:,} classes in {n_rows:,} training rows, {n_rows / n_classes:.1f} a "
        "class: too few to learn from; it may hold names rather than labels"
    )
