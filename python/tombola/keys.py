"""Keys as the core groups rows by them: one integer a row, equal where keys are equal.

Integer arrays are borrowed as they are, of any range and with gaps: the core sorts them. Codes of pandas
categoricals are borrowed too. Strings and objects that hash are numbered through a dict in order of first
appearance; objects that are all integers become those. Pandas is never imported; its objects are known by
what they offer. O(n), in chunks where objects are walked.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

import numpy as np
import numpy.typing as npt

from ._validation import IndexArray, check_one_dimensional

__all__ = [
    "CodeArray",
    "Keys",
    "code_type",
    "first_row",
    "is_missing",
    "number_objects",
    "read_keys",
    "refuse_missing",
]

CodeArray: TypeAlias = (
    npt.NDArray[np.int8] | npt.NDArray[np.int16] | npt.NDArray[np.int32] | npt.NDArray[np.int64]
)

_CHUNK = 2**17
_MISSING = ("NoneType", "NAType", "NaTType")
_EXPECTED = "integers, strings or objects that hash"


@dataclass(frozen=True, eq=False)
class Keys:
    """The key of each row, as an integer.

    Parameters
    ----------
    codes : ndarray of int8, int16, int32 or int64, shape (n,)
        Equal where keys are equal. C-contiguous, in native byte order.
    are_numbers : bool
        Whether the codes are the keys themselves, so that they may be compared with boundaries.
    name_of : callable
        Gives the key at a position as a text.
    """

    codes: CodeArray
    are_numbers: bool
    name_of: Callable[[int], str]

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
        If keys are booleans or floats, do not hash, or come as a masked array; the first row is named.
    ValueError
        If there are none, one is missing (the first row is named), or they have not one axis.
    """
    read = _read(name, keys, group)
    if not len(read):
        msg = f"{name} must not be empty"
        raise ValueError(msg)
    return read


def _read(name: str, keys: Any, group: str) -> Keys:
    if isinstance(keys, np.ma.MaskedArray):
        msg = f"{name} must not be a masked array: leave the masked rows out, or pass its data"
        raise TypeError(msg)
    categorical = keys if hasattr(keys, "categories") else getattr(keys, "cat", None)
    if hasattr(categorical, "categories") and hasattr(categorical, "codes"):
        return _of_categorical(name, categorical, group)
    if isinstance(keys, list | tuple):
        return _of_sequence(name, keys, group)
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
    msg = f"{name} must be {_EXPECTED}, but the dtype is {values.dtype}"
    raise TypeError(msg)


def _of_categorical(name: str, categorical: Any, group: str) -> Keys:
    codes = np.ascontiguousarray(categorical.codes)
    if codes.size and int(codes.min()) < 0:
        refuse_missing(name, first_row(codes < 0), group)
    categories = categorical.categories
    return Keys(codes, False, lambda row: _text(categories[codes[row]]))


def _of_sequence(name: str, keys: Sequence[Any], group: str) -> Keys:
    # Not by numpy alone: it makes tuples a second axis, and a NaN among strings the string "nan".
    if all(issubclass(kind, int | np.integer) and kind is not bool for kind in set(map(type, keys))):
        values: npt.NDArray[Any] = np.asarray(keys, dtype=None if keys else np.int64)
        if values.dtype.kind in "iu":
            return _of_integers(values)
    return _of_objects(name, keys, group)


def _of_integers(values: npt.NDArray[Any]) -> Keys:
    """Borrow signed integers; unsigned ones as signed ones of equal value, or of equal bits beyond int64."""
    native: npt.NDArray[Any] = np.require(values, values.dtype.newbyteorder("="), ["C", "ALIGNED"])
    if native.dtype.kind == "i":
        return Keys(native, True, lambda row: str(native[row]))
    width = native.dtype.itemsize
    fits = not native.size or int(native.max()) < 2 ** (8 * width - 1)
    codes = native.view(f"i{width}") if fits or width == 8 else native.astype(f"i{2 * width}")
    return Keys(codes, fits or width < 8, lambda row: str(native[row]))


def _of_objects(name: str, values: npt.NDArray[Any] | Sequence[Any], group: str) -> Keys:
    for start, part in _chunks(values):
        if any(map(_is_refused, set(map(type, part)))):
            row = next(row for row, label in enumerate(part) if _is_refused(type(label)))
            _refuse(name, start + row, part[row], group)
    codes, index = number_objects(name, values)
    labels: list[Any] = list(index)
    if labels and all(issubclass(kind, int | np.integer) for kind in set(map(type, labels))):
        numbers = np.array(list(map(int, labels)))
        if numbers.dtype == np.int64:
            return _of_integers(numbers[codes])
    compact: CodeArray = codes.astype(code_type(len(labels)), copy=False)
    return Keys(compact, False, lambda row: _text(labels[compact[row]]))


def _chunks(values: npt.NDArray[Any] | Sequence[Any]) -> Iterator[tuple[int, Sequence[Any]]]:
    """Yield parts of the values as Python objects, each with its first row."""
    for start in range(0, len(values), _CHUNK):
        part = values[start : start + _CHUNK]
        yield start, part.tolist() if isinstance(part, np.ndarray) else part


def _is_refused(kind: type) -> bool:
    """Tell whether objects of a type are no keys: missing, floats, booleans, and what hashes by identity."""
    if issubclass(kind, np.generic):
        return issubclass(kind, np.floating | np.bool_)
    return issubclass(kind, float | bool) or kind.__name__ in _MISSING or hasattr(kind, "__array__")


def _refuse(name: str, row: int, label: object, group: str) -> NoReturn:
    if is_missing(label):
        refuse_missing(name, row, group)
    is_array = hasattr(label, "__array__") and not isinstance(label, np.generic)
    came = f"is of type {type(label).__name__}: pass numbers" if is_array else f"= {label!r}"
    msg = f"{name} must be {_EXPECTED}, but {name}[{row}] {came}"
    raise TypeError(msg)


def _text(label: object) -> str:
    return repr(label.item() if isinstance(label, np.generic) else label)


def number_objects(
    name: str, values: npt.NDArray[Any] | Sequence[Any]
) -> tuple[IndexArray, dict[Hashable, int]]:
    """Return the number of each object, in order of first appearance.

    Returns
    -------
    codes : ndarray of int64, shape (n,)
    index : dict
        The number of each distinct object, in ascending order.

    Raises
    ------
    TypeError
        If an object does not hash; the first row is named.
    """
    index: defaultdict[Hashable, int] = defaultdict()
    index.default_factory = index.__len__  # what is not there yet takes the next number
    codes = np.empty(len(values), dtype=np.int64)
    for start, part in _chunks(values):
        try:
            codes[start : start + len(part)] = list(map(index.__getitem__, part))
        except TypeError:
            _refuse_unhashable(name, part, start)
            raise
    return codes, dict(index)


def _refuse_unhashable(name: str, labels: Sequence[Any], start: int) -> None:
    for row, label in enumerate(labels, start):
        try:
            hash(label)
        except TypeError as error:
            msg = f"{name} must be {_EXPECTED}, but {name}[{row}] does not: {error}"
            raise TypeError(msg) from None


def refuse_missing(name: str, row: int, group: str) -> NoReturn:
    """Raise the error for a missing key or label."""
    cure = f"drop such rows or give them a {group} of their own"
    msg = f"{name} must not be missing, but {name}[{row}] is: {cure}"
    raise ValueError(msg)


def is_missing(label: object) -> bool:
    """Tell whether an object stands for a missing value: None, NaN, pandas' NA and NaT."""
    if type(label).__name__ in _MISSING:
        return True
    return isinstance(label, float | np.floating) and bool(np.isnan(label))


def first_row(where: npt.NDArray[np.bool_]) -> int:
    """Return the position of the first True."""
    return int(np.argmax(where))


def code_type(n_codes: int) -> np.dtype[np.signedinteger[Any]]:
    """Return the smallest signed integer type that holds ``n_codes`` codes from 0."""
    for bits in (8, 16, 32):
        if n_codes <= 2 ** (bits - 1):
            return np.dtype(f"i{bits // 8}")
    return np.dtype(np.int64)
