"""Keys as the core groups rows by them: one integer a row, equal where keys are equal.

Integer arrays are borrowed as they are, of any range and with gaps: the core sorts them. Codes of pandas
categoricals are borrowed too. Strings and objects that hash are numbered through a dict in order of first
appearance; objects that are all integers become those. Pandas is never imported; its objects are known by
what they offer. O(n), in chunks where objects are walked.
"""

from collections import UserList, defaultdict, deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from .._base.checks import borrowable, check_one_dimensional, refuse_masked
from .._base.types import CodeArray, IndexArray

__all__ = [
    "Keys",
    "code_type",
    "first_row",
    "is_missing",
    "number_objects",
    "read_keys",
    "refuse_missing",
]

_CHUNK = 2**17
_MISSING = ("NoneType", "NAType", "NaTType")
_NEVER_MISSING = (str, bytes, int, tuple, frozenset, np.integer)
_EXPECTED = "integers, strings or objects that hash"


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
    categorical = keys if hasattr(keys, "categories") else getattr(keys, "cat", None)
    if hasattr(categorical, "categories") and hasattr(categorical, "codes"):
        return _of_categorical(name, categorical, group)
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
    msg = f"{name} must be {_EXPECTED}, but the dtype is {values.dtype}"
    raise TypeError(msg)


def _of_categorical(name: str, categorical: Any, group: str) -> Keys:
    codes = borrowable(np.asarray(categorical.codes))
    if codes.size and int(codes.min()) < 0:
        refuse_missing(name, first_row(codes < 0), group)
    categories = categorical.categories
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
    for start, part in _chunks(values):
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
    compact: CodeArray = codes.astype(code_type(len(labels)), copy=False)
    return Keys(compact, False, lambda row: _text(labels[compact[row]]))


def _chunks(values: npt.NDArray[Any] | Sequence[Any]) -> Iterator[tuple[int, Sequence[Any]]]:
    """Yield parts of the values as Python objects, each with its first row."""
    for start in range(0, len(values), _CHUNK):
        part = values[start : start + _CHUNK]
        yield start, part.tolist() if isinstance(part, np.ndarray) else part


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
    return is_number or kind.__name__ in _MISSING or hasattr(kind, "__array__")


def _refuse(name: str, row: int, label: object, group: str) -> NoReturn:
    if is_missing(label):
        refuse_missing(name, row, group)
    is_array = hasattr(label, "__array__") and not isinstance(label, np.generic)
    came = f"is of type {type(label).__name__}: pass numbers" if is_array else f"= {label!r}"
    msg = f"{name} must be {_EXPECTED}, but {name}[{row}] {came}"
    raise TypeError(msg)


def _text(label: object) -> str:
    if isinstance(label, np.datetime64 | np.timedelta64):
        return str(label)
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
    """Tell whether an object stands for a missing value.

    None, pandas' NA and NaT, NumPy's NaT, and whatever else differs from itself, as NaN of any type does.
    """
    if type(label).__name__ in _MISSING:
        return True
    if isinstance(label, np.datetime64 | np.timedelta64):
        return bool(np.isnat(label))
    try:
        differs: object = label != label
    except ArithmeticError:  # a signalling NaN of decimal
        return True
    return isinstance(differs, bool | np.bool_) and bool(differs)


def first_row(where: npt.NDArray[np.bool_]) -> int:
    """Return the position of the first True."""
    return int(np.argmax(where))


def code_type(n_codes: int) -> np.dtype[np.signedinteger[Any]]:
    """Return the smallest signed integer type that holds ``n_codes`` codes from 0."""
    for bits in (8, 16, 32):
        if n_codes <= 2 ** (bits - 1):
            return np.dtype(f"i{bits // 8}")
    return np.dtype(np.int64)
