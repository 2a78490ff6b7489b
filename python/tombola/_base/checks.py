"""Checks of single arguments, and the one way index arrays come in.

Each check returns the value as a plain Python or NumPy one. A wrong type raises TypeError, a wrong value
ValueError; the message states what was expected and what came. Booleans are not integers here, and floats
never become integers.
"""

import math
import operator
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, SupportsIndex, TypeGuard

import numpy as np
import numpy.typing as npt

from .types import IndexArray

__all__ = [
    "INDEX_LIMIT",
    "ROWS_LIMIT",
    "borrowable",
    "check_bool",
    "check_choice",
    "check_integer",
    "check_number",
    "check_one_dimensional",
    "index_array",
    "is_ready",
    "make_plain",
    "refuse_masked",
]

_INT64 = np.dtype(np.int64)

INDEX_LIMIT = 2**63
"""Row numbers, seeds and epochs are below this."""

ROWS_LIMIT = 2**61
"""So many rows are too many: the arithmetic of keyless plans is exact below."""


def _is_bool(value: object) -> bool:
    return isinstance(value, bool | np.bool_)


def check_integer(name: str, value: object, *, minimum: int = 0, limit: int = INDEX_LIMIT) -> int:
    """Return ``value`` as an int if it is an integer with ``minimum <= value < limit``.

    Raises
    ------
    TypeError
        If it is no integer, or a boolean.
    ValueError
        If it is out of range.
    """
    if type(value) is int and minimum <= value < limit:  # nearly all calls: what follows takes microseconds
        return value
    expected = f"{name} must be an integer" + (f" >= {minimum}" if minimum > -INDEX_LIMIT else "")
    if not _is_bool(value) and isinstance(value, SupportsIndex):
        try:
            number = operator.index(value)
        except TypeError:  # arrays and tensors of floats claim to be integers
            pass
        else:
            if number < minimum:
                msg = f"{expected}, but is {number}"
                raise ValueError(msg)
            if number >= limit:
                bound = f"{expected} and <" if minimum > -INDEX_LIMIT else f"{expected} <"
                msg = f"{bound} {_power_text(limit)}, but is {number}"
                raise ValueError(msg)
            return number
    msg = f"{expected}, but is {value!r}"
    raise TypeError(msg)


def _power_text(limit: int) -> str:
    is_large_power = limit > 2**31 and limit & (limit - 1) == 0
    return f"2**{limit.bit_length() - 1}" if is_large_power else str(limit)


def check_number(name: str, value: object, *, minimum: float = 0.0, above: bool = False) -> int | float:
    """Return ``value`` if it is finite, real and ``>= minimum``, or ``above`` it; integers stay integers."""
    expected = f"{name} must be a finite number {'>' if above else '>='} {minimum:g}"
    if _is_bool(value) or not isinstance(value, int | float | np.integer | np.floating):
        msg = f"{expected}, but is {value!r}"
        raise TypeError(msg)
    number = int(value) if isinstance(value, int | np.integer) else float(value)
    if not minimum <= number < math.inf or (above and number == minimum):
        msg = f"{expected}, but is {number}"
        raise ValueError(msg)
    return number


def check_bool(name: str, value: object) -> bool:
    """Return ``value`` if it is True or False; 0 and 1 are refused."""
    if not _is_bool(value):
        msg = f"{name} must be True or False, but is {value!r}"
        raise TypeError(msg)
    return bool(value)


def check_choice(name: str, value: object, choices: Sequence[str]) -> str:
    """Return ``value`` if it is one of a few strings."""
    text = " or ".join(f'"{choice}"' for choice in choices)
    if not isinstance(value, str):
        msg = f"{name} must be {text}, but is {value!r}"
        raise TypeError(msg)
    if value not in choices:
        msg = f'{name} must be {text}, but is "{value}"'
        raise ValueError(msg)
    return value


def check_one_dimensional(name: str, array: npt.NDArray[np.generic]) -> None:
    """Raise ValueError if an array has not exactly one axis."""
    if array.ndim != 1:
        came = f"the shape is {array.shape}" if array.ndim else f"is one {type(array.item()).__name__}"
        msg = f"{name} must be one-dimensional, but {came}"
        raise ValueError(msg)


def refuse_masked(name: str, values: object) -> None:
    """Raise ValueError if an array has masked entries, which NumPy would take for their hidden values."""
    if isinstance(values, np.ma.MaskedArray):
        masked = np.ma.getmaskarray(values).reshape(-1)
        if masked.any():
            first = int(np.argmax(masked))
            at = first if values.ndim == 1 else tuple(map(int, np.unravel_index(first, values.shape)))
            cure = "drop such rows or fill them in (numpy.ma.filled)"
            msg = f"{name} must not be masked, but entry {at} is: {cure}"
            raise ValueError(msg)


def is_ready(values: object, dtype: np.dtype[Any]) -> TypeGuard[npt.NDArray[Any]]:
    """Whether the core can borrow values as they are: one axis, C-contiguous, aligned, of just this dtype.

    A tenth of a microsecond; False says nothing about what a closer look, or a copy, would make of them.
    """
    if type(values) is not np.ndarray or values.dtype is not dtype or values.ndim != 1:
        return False
    flags = values.flags
    return flags.c_contiguous and flags.aligned


def borrowable(array: npt.NDArray[Any], dtype: npt.DTypeLike | None = None) -> npt.NDArray[Any]:
    """Return an array as the core borrows it: C-contiguous, aligned, in native byte order.

    One that is already so, and of ``dtype`` if that is given, comes back as it is; others are copied once.
    """
    native = array.dtype.newbyteorder("=") if dtype is None else np.dtype(dtype)
    flags = array.flags
    if array.dtype == native and flags.c_contiguous and flags.aligned:
        return array  # np.require says the same, a microsecond later
    return np.require(array, native, ["C", "ALIGNED"])


def index_array(name: str, values: npt.ArrayLike) -> IndexArray:
    """Return row numbers as a C-contiguous, aligned int64 array; one that is already so is borrowed.

    Raises
    ------
    TypeError
        If the values are no integers. A mask or floats do not become integers.
    ValueError
        If they have not one axis, do not fit int64, or one is masked.
    """
    if is_ready(values, _INT64):
        return values
    refuse_masked(name, values)
    array: npt.NDArray[np.generic] = np.asarray(values)
    check_one_dimensional(name, array)
    if array.size == 0 and not isinstance(values, np.ndarray):
        return np.empty(0, dtype=np.int64)  # an empty list has no dtype of its own
    if array.dtype.kind == "b":
        msg = f"{name} must be integers, but the dtype is bool: np.flatnonzero turns a mask into row numbers"
        raise TypeError(msg)
    if array.dtype.kind not in "iu":
        msg = f"{name} must be integers, but the dtype is {array.dtype}"
        raise TypeError(msg)
    if array.dtype == np.uint64 and array.size and int(np.max(array)) >= INDEX_LIMIT:
        msg = f"{name} must be < 2**63, but the largest is {int(np.max(array))}"
        raise ValueError(msg)
    return borrowable(array, np.int64)


def make_plain(options: Any) -> None:
    """Turn NumPy's scalars among the fields of a frozen dataclass into Python's, which states can hold."""
    for each in fields(options):
        value = getattr(options, each.name, None)
        if isinstance(value, np.generic):
            object.__setattr__(options, each.name, value.item())
