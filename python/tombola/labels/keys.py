"""Keys as the core groups rows by them: one integer a row, equal where keys are equal.

Integer arrays are borrowed as they are, of any range and with gaps: the core sorts them. Codes of pandas
categoricals are borrowed too. Strings and objects that hash are numbered through a dict in order of first
appearance (`numbering`); objects that are all integers become those. A missing key is no key: it is refused,
or its row is marked. O(n).
"""

from collections import UserList, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from .._base.checks import borrowable, check_one_dimensional, refuse_masked
from .._base.types import CodeArray, IndexArray
from .numbering import (
    EXPECTED,
    MISSING_TYPES,
    BoolArray,
    Missing,
    categorical,
    column_name,
    compact_codes,
    in_chunks,
    is_missing,
    number_objects,
    refuse_all_missing,
    refuse_missing,
    whole_numbers,
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
    missing : ndarray of bool, shape (n,), or None
        Which rows have no key, whatever their code says; None if all have one.
    """

    codes: CodeArray
    are_numbers: bool
    name_of: Callable[[int], str]
    are_bits: bool = False
    missing: BoolArray | None = None

    def __len__(self) -> int:
        return len(self.codes)

    def of_rows(self, rows: IndexArray) -> "Keys":
        """Return the keys of some rows, all of which have one."""
        return replace(
            self, codes=self.codes[rows], name_of=lambda at: self.name_of(int(rows[at])), missing=None
        )


def read_keys(name: str, keys: Any, *, group: str, missing: Missing = "error") -> Keys:
    """Return keys as integers.

    Parameters
    ----------
    name : str
        What they are called in messages.
    keys : array-like, shape (n,)
        Integers of any width, strings, bytes, times, objects that hash, pandas columns and categoricals.
    group : str
        What rows of one key are called in messages.
    missing : {"error", "drop"}
        Whether missing keys are refused, or marked. "drop" takes floats for integers with gaps.

    Raises
    ------
    TypeError
        If keys are booleans, floats or complex, or do not hash; the first row is named.
    ValueError
        If there are none, one is missing or masked (the first row is named), all are missing, or they have
        not one axis.

    Notes
    -----
    Integers of equal values give codes that are equal but for their width, whatever type they come in: their
    values where all fit int64, their bits where all fit uint64. Others are numbered as objects are.
    """
    read = _read(name, keys, group, missing)
    if not len(read):
        msg = f"{name} must not be empty"
        raise ValueError(msg)
    if read.missing is not None and read.missing.all():
        refuse_all_missing(name, len(read), column_name(keys))
    return read


def _read(name: str, keys: Any, group: str, missing: Missing) -> Keys:
    refuse_masked(name, keys)
    if (found := categorical(keys)) is not None:
        codes, categories = found
        read = Keys(codes, False, lambda row: _text(categories[codes[row]]))
        is_gap = np.asarray(codes < 0) if codes.size and int(codes.min()) < 0 else None
    elif isinstance(keys, list | tuple | deque | UserList):
        read, is_gap = _of_sequence(name, keys if isinstance(keys, list | tuple) else list(keys), missing)
    else:
        read, is_gap = _of_array(name, np.asarray(keys), missing)
    if is_gap is None or not is_gap.any():
        return read
    if missing == "error":
        refuse_missing(name, is_gap, group, column_name(keys))
    return replace(read, missing=is_gap)


def _of_array(name: str, values: npt.NDArray[Any], missing: Missing) -> tuple[Keys, BoolArray | None]:
    """Return an array's keys, and which rows have none."""
    check_one_dimensional(name, values)
    kind = values.dtype.kind
    if kind in "iu":
        return _of_integers(values), None
    if kind in "SUOT":
        return _of_objects(name, values, missing)
    if kind in "mM":
        times = _of_integers(values.view(f"{values.dtype.str[0]}i8"))
        return Keys(times.codes, False, lambda row: str(values[row])), np.isnat(values)
    is_gap = np.isnan(values) if kind in "fc" else np.zeros(len(values), dtype=np.bool_)
    if kind == "f" and missing == "drop":
        return _of_integers(whole_numbers(name, values, is_gap)), is_gap
    if not is_gap.any():
        msg = f"{name} must be {EXPECTED}, but the dtype is {values.dtype}"
        raise TypeError(msg)
    return _of_integers(np.zeros(len(values), dtype=np.int8)), is_gap  # which will be refused


def _of_sequence(name: str, keys: Sequence[Any], missing: Missing) -> tuple[Keys, BoolArray | None]:
    """Return the keys of a list, and which rows have none."""
    # Not by numpy alone: it makes tuples a second axis, and a NaN among strings the string "nan".
    if all(map(_is_integer, set(map(type, keys)))):
        values: npt.NDArray[Any] = np.asarray(keys, dtype=None if keys else np.int64)
        if values.dtype.kind in "iu":
            return _of_integers(values), None
    return _of_objects(name, keys, missing)


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


def _of_objects(
    name: str, values: npt.NDArray[Any] | Sequence[Any], missing: Missing
) -> tuple[Keys, BoolArray | None]:
    """Return the keys of objects, and which rows have none."""
    is_gap: BoolArray | None = None
    for start, part in in_chunks(values):
        if not all(map(_is_plain, set(map(type, part)))):
            for row, label in enumerate(part, start):
                if is_missing(label):
                    is_gap = np.zeros(len(values), dtype=np.bool_) if is_gap is None else is_gap
                    is_gap[row] = True
                elif (is_gap is None or missing == "drop") and _is_refused(
                    type(label)
                ):  # else a gap is first
                    _refuse(name, row, label)
    if is_gap is None:
        return _of_labels(name, values), None
    there = np.flatnonzero(~is_gap)
    given = values if isinstance(values, np.ndarray) else _object_array(values)
    if not len(there):
        return Keys(np.zeros(len(is_gap), dtype=np.int8), False, str), is_gap
    found = _of_labels(name, given[there])
    codes = np.zeros(len(is_gap), dtype=found.codes.dtype)
    codes[there] = found.codes

    def name_of(row: int) -> str:
        return found.name_of(int(np.searchsorted(there, row)))

    return replace(found, codes=codes, name_of=name_of), is_gap


def _object_array(values: Sequence[Any]) -> npt.NDArray[np.object_]:
    array = np.empty(len(values), dtype=object)
    for row, label in enumerate(values):  # at once, numpy would make tuples a second axis
        array[row] = label
    return array


def _of_labels(name: str, values: npt.NDArray[Any] | Sequence[Any]) -> Keys:
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


def _refuse(name: str, row: int, label: object) -> NoReturn:
    is_array = hasattr(label, "__array__") and not isinstance(label, np.generic)
    came = f"is of type {type(label).__name__}: pass numbers" if is_array else f"= {label!r}"
    msg = f"{name} must be {EXPECTED}, but {name}[{row}] {came}"
    raise TypeError(msg)


def _text(label: object) -> str:
    if isinstance(label, np.datetime64 | np.timedelta64):
        return str(label)
    return repr(label.item() if isinstance(label, np.generic) else label)
