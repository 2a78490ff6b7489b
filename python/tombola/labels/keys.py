"""Keys as the core groups rows by them: one integer a row, equal where keys are equal.

Integer arrays are borrowed as they are, of any range and with gaps: the core sorts them. Codes of pandas
categoricals are borrowed too. Strings and objects that hash are numbered through a dict in order of first
appearance (`numbering`); objects that are all integers become those. O(n).
"""

from collections import UserList, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from .._base.checks import borrowable, check_one_dimensional, refuse_masked
from .._base.types import CodeArray
from .numbering import (
    EXPECTED,
    MISSING_TYPES,
    categorical,
    compact_codes,
    first_row,
    in_chunks,
    is_missing,
    number_objects,
    refuse_missing,
)

__all__ = ["Keys", "read_keys"]

_NEVER_MISSING = (str, bytes, int, tuple, frozenset, np.integer)


@dataclass(frozen=True, eq=False)
class Keys:
    """The key of each row, as an integer.

    Parameters
    ----------
    codes : ndarray of int8, int16, int32 or int64, shape (n,)
        Equal where keys are equal. C-contiguous, aligned, in native byte order.
    are_numbers : bool
        Whether the codes are the keys themselves, so that they may be compared with boundaries.
    name_of : callable
        Gives the key at a position as a text.
    are_bits : bool
        Whether the codes are the bits of uint64 keys, some of which are 2**63 or more, so that their order is
        not that of the keys.
    """

    codes: CodeArray
    are_numbers: bool
    name_of: Callable[[int], str]
    are_bits: bool = False

    def __len__(self) -> int:
        return len(self.codes)


def read_keys(name: str, keys: Any, *, group: str) -> Keys:
    """Return keys as integers.

    Parameters
    ----------
    name : str
        What they are called in messages.
    keys : array-like, shape (n,)
        Integers of any width, strings, bytes, times, objects that hash, pandas columns and categoricals.
    group : str
        What rows of one key are called in messages.

    Raises
    ------
    TypeError
        If keys are booleans, floats or complex, or do not hash; the first row is named.
    ValueError
        If there are none, one is missing or masked (the first row is named), or they have not one axis.

    Notes
    -----
    Integers of equal values give codes that are equal but for their width, whatever type they come in: their
    values where all fit int64, their bits where all fit uint64. Others are numbered as objects are.
    """
    read = _read(name, keys, group)
    if not len(read):
        msg = f"{name} must not be empty"
        raise ValueError(msg)
    return read


def _read(name: str, keys: Any, group: str) -> Keys:
    refuse_masked(name, keys)
    if (found := categorical(keys)) is not None:
        return _of_categorical(name, *found, group)
    if isinstance(keys, list | tuple | deque | UserList):
        return _of_sequence(name, keys if isinstance(keys, list | tuple) else list(keys), group)
    values: npt.NDArray[Any] = np.asarray(keys)
    check_one_dimensional(name, values)
    kind = values.dtype.kind
    if kind in "iu":
        return _of_integers(values)
    if kind in "SUOT":
        return _of_objects(name, values, group)
    if kind in "fcmM" and bool((missing := np.isnat(values) if kind in "mM" else np.isnan(values)).any()):
        refuse_missing(name, first_row(missing), group)
    if kind in "mM":
        times = _of_integers(values.view(f"{values.dtype.str[0]}i8"))
        return Keys(times.codes, False, lambda row: str(values[row]))
    msg = f"{name} must be {EXPECTED}, but the dtype is {values.dtype}"
    raise TypeError(msg)


def _of_categorical(name: str, codes: CodeArray, categories: Any, group: str) -> Keys:
    if codes.size and int(codes.min()) < 0:
        refuse_missing(name, first_row(codes < 0), group)
    return Keys(codes, False, lambda row: _text(categories[codes[row]]))


def _of_sequence(name: str, keys: Sequence[Any], group: str) -> Keys:
    # Not by numpy alone: it makes tuples a second axis, and a NaN among strings the string "nan".
    if all(map(_is_integer, set(map(type, keys)))):
        values: npt.NDArray[Any] = np.asarray(keys, dtype=None if keys else np.int64)
        if values.dtype.kind in "iu":
            return _of_integers(values)
    return _of_objects(name, keys, group)


def _of_integers(values: npt.NDArray[Any]) -> Keys:
    """Borrow signed integers; unsigned ones as signed ones of equal value, or of equal bits beyond int64."""
    native = borrowable(values)
    if native.dtype.kind == "i":
        return Keys(native, True, lambda row: str(native[row]))
    width = native.dtype.itemsize
    fits = not native.size or int(native.max()) < 2 ** (8 * width - 1)
    codes = native.view(f"i{width}") if fits or width == 8 else native.astype(f"i{2 * width}")
    is_number = fits or width < 8
    return Keys(codes, is_number, lambda row: str(native[row]), are_bits=not is_number)


def _of_objects(name: str, values: npt.NDArray[Any] | Sequence[Any], group: str) -> Keys:
    for start, part in in_chunks(values):
        if not all(map(_is_plain, set(map(type, part)))):
            for row, label in enumerate(part, start):
                if _is_refused(type(label)) or is_missing(label):
                    _refuse(name, row, label, group)
    codes, index = number_objects(name, values)
    labels: list[Any] = list(index)
    if labels and all(map(_is_integer, set(map(type, labels)))):
        numbers = list(map(int, labels))
        for integers in (np.iinfo(np.int64), np.iinfo(np.uint64)):
            if integers.min <= min(numbers) and max(numbers) <= integers.max:
                return _of_integers(np.array(numbers, dtype=integers.dtype)[codes])
    compact = compact_codes(codes, len(labels))
    return Keys(compact, False, lambda row: _text(labels[compact[row]]))


def _is_integer(kind: type) -> bool:
    """Tell whether objects of a type are integers; NumPy derives its time spans from them."""
    return issubclass(kind, int | np.integer) and not issubclass(kind, bool | np.timedelta64)


def _is_plain(kind: type) -> bool:
    """Tell whether objects of a type are neither refused nor ever missing."""
    return issubclass(kind, _NEVER_MISSING) and not issubclass(kind, bool | np.timedelta64)


def _is_refused(kind: type) -> bool:
    """Tell whether objects of a type are no keys: missing, floats, booleans, and what hashes by identity."""
    if issubclass(kind, np.generic):
        return issubclass(kind, np.inexact | np.bool_)
    is_number = issubclass(kind, float | complex | bool)
    return is_number or kind.__name__ in MISSING_TYPES or hasattr(kind, "__array__")


def _refuse(name: str, row: int, label: object, group: str) -> NoReturn:
    if is_missing(label):
        refuse_missing(name, row, group)
    is_array = hasattr(label, "__array__") and not isinstance(label, np.generic)
    came = f"is of type {type(label).__name__}: pass numbers" if is_array else f"= {label!r}"
    msg = f"{name} must be {EXPECTED}, but {name}[{row}] {came}"
    raise TypeError(msg)


def _text(label: object) -> str:
    if isinstance(label, np.datetime64 | np.timedelta64):
        return str(label)
    return repr(label.item() if isinstance(label, np.generic) else label)
