"""Label columns of h5ad files as class codes: what a model can learn.

Complexity: O(rows); X is not touched.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tombola import H5adSource
from tombola._base.types import IndexArray
from tombola.labels.categorical import Categorical

__all__ = ["Label", "label_of"]

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


def _label_of_numbers(name: str, values: npt.NDArray[Any]) -> Label:
    is_there = ~np.isnan(values) if values.dtype.kind == "f" else np.ones(len(values), dtype=bool)
    if values.dtype.kind == "f" and not is_there.all() and (values[is_there] % 1 == 0).all():
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
