"""Checking the row ids that a source is asked for."""

from typing import Any

import numpy as np
import numpy.typing as npt


def check_rows(rows: npt.ArrayLike, n: int) -> npt.NDArray[np.int64]:
    """Give row ids as int64, if they are strictly increasing and in [0, n); O(len(rows)).

    Raises
    ------
    TypeError
        If they are no integers.
    IndexError
        If one is out of range.
    ValueError
        If they are not one-dimensional or not strictly increasing.
    """
    given: npt.NDArray[Any] = np.asarray(rows)
    if given.dtype.kind not in "iu" and given.size:
        msg = f"rows must be integers, but have dtype {given.dtype}"
        raise TypeError(msg)
    if given.ndim != 1:
        msg = f"rows must have one axis, but have shape {given.shape}"
        raise ValueError(msg)
    ids = given.astype(np.int64, copy=False)
    for at in (0, -1):
        if len(ids) and not 0 <= ids[at] < n:
            msg = f"rows must be in [0, {n:,}), but one is {ids[at]}"
            raise IndexError(msg)
    falls = np.flatnonzero(ids[1:] <= ids[:-1])
    if len(falls):
        i = int(falls[0])
        msg = f"rows must be strictly increasing, but rows[{i}] = {ids[i]} and rows[{i + 1}] = {ids[i + 1]}"
        raise ValueError(msg)
    return ids
