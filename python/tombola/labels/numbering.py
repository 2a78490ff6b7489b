"""One numbering of labels and keys, and one rule for what is missing.

Whatever stands for rows' labels becomes codes: those of a categorical as they are; of other objects their
number in order of first appearance (`number_objects`) or, where they can be sorted, in that order
(`number_sorted`). Missing is what pandas and NumPy call so, and whatever differs from itself (`is_missing`);
codes say it by -1. Keys, classes and the columns of sources all go by this file. Pandas is never imported;
its objects are known by what they offer. O(n), in chunks where objects are walked.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from typing import Any, Literal, NoReturn, TypeAlias

import numpy as np
import numpy.typing as npt

from .._base.checks import borrowable
from .._base.types import CodeArray, IndexArray

__all__ = [
    "EXPECTED",
    "MISSING",
    "MISSING_TYPES",
    "BoolArray",
    "Missing",
    "categorical",
    "code_type",
    "column_name",
    "compact_codes",
    "first_row",
    "in_chunks",
    "is_missing",
    "number_objects",
    "number_sorted",
    "refuse_all_missing",
    "refuse_missing",
    "sorted_order",
    "whole_numbers",
]

BoolArray: TypeAlias = npt.NDArray[np.bool_]

Missing: TypeAlias = Literal["error", "drop"]
"""What becomes of rows that miss a label or a key: an error, or they are left out."""

MISSING: tuple[Missing, ...] = ("error", "drop")

EXPECTED = "integers, strings or objects that hash"
"""What keys are, in messages."""

MISSING_TYPES = ("NoneType", "NAType", "NaTType")
"""Types of the objects that stand for a missing value, by name: pandas may not be there."""

_CHUNK = 2**17
_EXACT = 2**53


def categorical(values: Any) -> tuple[CodeArray, Any] | None:
    """Return codes and categories of a categorical, of pandas or of a like kind; None of anything else.

    The codes are borrowed, -1 where missing.
    """
    found: Any = values if hasattr(values, "categories") else getattr(values, "cat", None)
    if not (hasattr(found, "categories") and hasattr(found, "codes")):
        return None
    return borrowable(np.asarray(found.codes)), found.categories


def column_name(values: Any) -> str:
    """Return the name of a column that has one, as those of pandas and of sources do; else the empty text."""
    name = getattr(values, "name", None)
    return name if isinstance(name, str) else ""


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
    for start, part in in_chunks(values):
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
            msg = f"{name} must be {EXPECTED}, but {name}[{row}] does not: {error}"
            raise TypeError(msg) from None


def number_sorted(
    values: Sequence[str], missing: npt.NDArray[np.bool_] | None = None
) -> tuple[IndexArray, npt.NDArray[np.str_]]:
    """Give text as codes into its sorted distinct values; O(n + c log c) for c distinct values.

    Parameters
    ----------
    values : sequence of str
        Text of each row.
    missing : ndarray of bool, shape (n,), optional
        Rows without a value, which get the code -1.

    Returns
    -------
    codes : ndarray of int64, shape (n,)
    categories : ndarray of str, shape (c,)
    """
    if missing is None:
        codes, index = number_objects("text", values)
    else:
        there = ~missing
        codes = np.full(len(values), -1, dtype=np.int64)
        kept = [value for value, is_there in zip(values, there.tolist(), strict=True) if is_there]
        codes[there], index = number_objects("text", kept)
    names = list(index)
    order = sorted_order(names)
    ranks = np.full(len(names) + 1, -1, dtype=np.int64)  # the last one is that of code -1
    ranks[order] = np.arange(len(names))
    return ranks[codes], np.array([names[code] for code in order], dtype=np.str_)


def sorted_order(names: Sequence[Any]) -> list[int]:
    """Return where the sorted names are; of several types, which cannot be compared, as they come."""
    try:
        return sorted(range(len(names)), key=names.__getitem__)
    except TypeError:
        return list(range(len(names)))


def in_chunks(values: npt.NDArray[Any] | Sequence[Any]) -> Iterator[tuple[int, Sequence[Any]]]:
    """Yield parts of the values as Python objects, each with its first row."""
    for start in range(0, len(values), _CHUNK):
        part = values[start : start + _CHUNK]
        yield start, part.tolist() if isinstance(part, np.ndarray) else part


def refuse_missing(name: str, missing: BoolArray, group: str, column: str = "") -> NoReturn:
    """Raise the error for missing keys or labels; it names the first row, their number and their column."""
    of = f" of {column!r}" if column else ""
    count = f"{np.count_nonzero(missing):,} of {len(missing):,} rows{of}"
    cure = f'missing="drop" leaves them out, or give them a {group} of their own'
    msg = f"{name} must not be missing, but {name}[{first_row(missing)}] is ({count}): {cure}"
    raise ValueError(msg)


def refuse_all_missing(name: str, n: int, column: str = "") -> NoReturn:
    """Raise the error for keys or labels of which none is there."""
    of = f" of {column!r}" if column else ""
    msg = f'{name} must not all be missing, but all {n:,} rows{of} are: missing="drop" leaves none'
    raise ValueError(msg)


def whole_numbers(name: str, values: npt.NDArray[Any], missing: BoolArray) -> IndexArray:
    """Return floats as the integers that they are, as pandas keeps integers with gaps; 0 where missing.

    Raises
    ------
    TypeError
        If one that is there is no whole number, or lies beyond 2**53, where floats no longer are exact.
    """
    there = np.where(missing, 0.0, values.astype(np.float64))
    wrong = ~(np.abs(there) <= _EXACT) | (there != np.floor(there))
    if wrong.any():
        row = first_row(wrong)
        msg = f"{name} must be {EXPECTED}, but {name}[{row}] = {values[row]}"
        raise TypeError(msg)
    return there.astype(np.int64)


def is_missing(label: object) -> bool:
    """Tell whether an object stands for a missing value.

    None, pandas' NA and NaT, NumPy's NaT, and whatever else differs from itself, as NaN of any type does.
    """
    if type(label).__name__ in MISSING_TYPES:
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


def compact_codes(codes: npt.NDArray[Any], n_codes: int) -> CodeArray:
    """Return codes in [0, n_codes) in the smallest signed integer type that holds them."""
    compact: CodeArray = codes.astype(code_type(n_codes), copy=False)
    return compact
