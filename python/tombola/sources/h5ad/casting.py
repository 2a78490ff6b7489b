"""Values cast to the type asked for, none of them changed but by rounding.

Rule: digits that a float has not got are lost, as in every cast to floats; a value that becomes another one
is an error that names it and its row: one beyond the range of the type, a fraction or NaN as an integer,
anything but 0 and 1 as a boolean. O(values); nothing where the type holds all that is stored.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import BadFileError

__all__ = ["cast_into", "may_change", "row_of_run"]


def may_change(stored: np.dtype[Any], asked: np.dtype[Any]) -> bool:
    """Tell whether a cast can make another value of one, rounding aside."""
    if stored == asked or np.can_cast(stored, asked, "safe"):
        return False
    if asked.kind == "f" and stored.kind in "biu":
        return stored.kind in "iu" and np.iinfo(stored).max > float(np.finfo(asked).max)
    return True


def cast_into(
    values: npt.NDArray[Any], out: npt.NDArray[Any], where: str, row_of: Callable[[int], str]
) -> None:
    """Cast values into an array of the same shape.

    Parameters
    ----------
    values, out
        From and to.
    where
        What holds the values, for messages.
    row_of
        Names the row of a place along the first axis.

    Raises
    ------
    BadFileError
        If a value would become another one.
    """
    # What does not fit is looked for afterwards.
    with np.errstate(over="ignore", invalid="ignore"):
        out[...] = values
    if may_change(values.dtype, out.dtype):
        wrong = _changed(values, out)
        if wrong is not None:
            at = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
            value, row = values[at].item(), row_of(int(at[0]))
            msg = f"{where}: {value!r} in {row} cannot be given as {out.dtype}, but as {values.dtype}"
            raise BadFileError(msg)


def row_of_run(
    starts: npt.NDArray[np.int64],
    stops: npt.NDArray[np.int64],
    rows_of: Callable[[int, int], str],
    done: int,
    at: int,
) -> str:
    """Name the row of entry ``done + at`` of all runs together; `rows_of` names those of a range."""
    ends = np.cumsum(stops - starts)
    run = int(np.searchsorted(ends, done + at, side="right"))
    place = int(stops[run] - (ends[run] - (done + at)))
    text = rows_of(place, place + 1)
    _, first, *_, last = text.split()
    return f"row {first}" if first == last else text  # "rows 5 to 5" is row 5


def _changed(values: npt.NDArray[Any], out: npt.NDArray[Any]) -> npt.NDArray[np.bool_] | None:
    """Tell which values have become others; None if none has."""
    if out.dtype.kind == "f":
        wrong = np.isinf(out)
        if wrong.any() and values.dtype.kind == "f":
            wrong &= ~np.isinf(values)
    elif values.dtype.kind == "f":
        low, high = map(float, _range(out.dtype))  # powers of two, which floats hold exactly
        wide = values.astype(np.float32) if values.dtype.itemsize == 2 else values
        with np.errstate(invalid="ignore"):
            wrong = ~((wide >= low) & (wide < high) & (wide == np.floor(wide)))
    else:
        low, high = _range(out.dtype)
        own = np.iinfo(values.dtype) if values.dtype.kind in "iu" else np.iinfo(np.uint8)
        wrong = np.zeros(values.shape, dtype=np.bool_)
        if own.min < low:
            wrong |= values < low
        if own.max >= high:
            wrong |= values >= high
    return wrong if wrong.any() else None


def _range(kind: np.dtype[Any]) -> tuple[int, int]:
    """Return the least value of a type of integers, and the one behind its largest."""
    if kind.kind == "b":
        return 0, 2
    limits = np.iinfo(kind)
    return int(limits.min), int(limits.max) + 1
