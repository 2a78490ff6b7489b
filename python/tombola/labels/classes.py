"""Classes: labels as codes 0, 1, ... with their counts.

Small integers and categoricals are their own codes and are borrowed (one pass to find the range, one to
count), other integers are sorted, strings and objects are numbered (`numbering`) and, where they can be,
sorted. Several label columns become the codes of their combinations.
"""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _core
from .._base.checks import borrowable, check_one_dimensional, refuse_masked
from .._base.types import CodeArray, IndexArray
from .numbering import (
    categorical,
    code_type,
    compact_codes,
    first_row,
    is_missing,
    number_objects,
    refuse_missing,
    sorted_order,
)

__all__ = ["Classes", "factorise", "label_columns"]

_CHUNK = 2**17
_FEW = 2**16  # so many classes cost nothing worth saving


@dataclass(frozen=True, eq=False)
class Classes:
    """The class of each row.

    Parameters
    ----------
    codes : ndarray of int8, int16, int32 or int64, shape (n,)
        Class of each row, in ``[0, len(counts))``.
    counts : ndarray of int64
        Rows of each class; 0 where a code does not occur.
    name_of : callable
        Gives the name of a code that occurs.
    """

    codes: CodeArray
    counts: IndexArray
    name_of: Callable[[int], str]

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def n_classes(self) -> int:
        """Number of classes that occur."""
        return int(np.count_nonzero(self.counts))


def factorise(labels: Any) -> Classes:
    """Return the classes of labels: an array, a sequence of equally long ones, or a DataFrame.

    O(n) for integers of a range up to n, pandas categoricals, strings and objects; O(n log n) for other
    integers.

    Raises
    ------
    TypeError
        If labels are neither integers nor strings nor objects that hash.
    ValueError
        If there are none, one is missing, or lengths differ.
    """
    columns = [_column_classes(column) for column in label_columns(labels)]
    lengths = [len(column) for column in columns]
    if len(set(lengths)) != 1:
        text = ", ".join(map(str, lengths)) or "none"
        msg = f"labels must be columns of one length, but the lengths are {text}"
        raise ValueError(msg)
    if lengths[0] == 0:
        msg = "labels must not be empty"
        raise ValueError(msg)
    return columns[0] if len(columns) == 1 else _combine(columns)


def label_columns(labels: Any) -> list[Any]:
    """Return the columns of a DataFrame or of a sequence of columns; anything else is one column."""
    if hasattr(labels, "columns"):
        return [labels[name] for name in labels.columns]
    if isinstance(labels, list | tuple) and labels and all(map(_is_column, labels)):
        return list(labels)
    return [labels]


def _is_column(value: object) -> bool:
    return hasattr(value, "__len__") and not isinstance(value, str | bytes) and getattr(value, "ndim", 1) > 0


def _column_classes(column: Any) -> Classes:
    if (found := categorical(column)) is not None:
        return _categorical_classes(*found)
    refuse_masked("labels", column)
    values: npt.NDArray[Any] = np.asarray(column)
    if isinstance(column, list | tuple) and values.dtype.kind in "SU":
        values = np.asarray(column, dtype=object)  # else a NaN among strings would be the string "nan"
    check_one_dimensional("labels", values)
    kind = values.dtype.kind
    if values.size == 0 or kind in "SUOT":
        return _object_classes(values)
    if kind == "f" and bool(np.isnan(values).any()):
        refuse_missing("labels", first_row(np.isnan(values)), "class")
    if kind not in "biu":
        msg = f"labels must be integers, strings or categories, but the dtype is {values.dtype}"
        raise TypeError(msg)
    return _integer_classes(values)


def _categorical_classes(codes: CodeArray, categories: Any) -> Classes:
    if codes.size and int(codes.min()) < 0:
        refuse_missing("labels", first_row(codes < 0), "class")
    return Classes(codes, _core.class_counts(codes, len(categories)), lambda code: str(categories[code]))


def _integer_classes(values: npt.NDArray[Any]) -> Classes:
    if values.dtype.kind == "b":
        values = values.view(np.uint8)
        return _counted(values, 2, lambda code: str(bool(code)))
    low, high = int(values.min()), int(values.max())
    most = max(_FEW, len(values))
    if 0 <= low and high < most:
        return _counted(values, high + 1, str)
    if high - low < most and high < 2**63:
        shifted = np.subtract(values, low, dtype=np.int64)
        return _counted(compact_codes(shifted, high - low + 1), high - low + 1, lambda code: str(low + code))
    distinct, codes = np.unique(values, return_inverse=True)
    return _counted(compact_codes(codes, len(distinct)), len(distinct), lambda code: str(distinct[code]))


def _counted(values: npt.NDArray[Any], n_codes: int, name_of: Callable[[int], str]) -> Classes:
    """Count codes that lie in ``[0, n_codes)``; unsigned ones are viewed as signed where they fit."""
    codes = borrowable(values)
    if codes.dtype.kind == "u":
        signed = np.dtype(f"i{codes.dtype.itemsize}")
        fits = n_codes - 1 <= np.iinfo(signed).max
        codes = codes.view(signed) if fits else codes.astype(f"i{2 * codes.dtype.itemsize}")
    return Classes(codes, _core.class_counts(codes, n_codes), name_of)


def _object_classes(values: npt.NDArray[Any]) -> Classes:
    codes, index = number_objects("labels", values)
    for label, code in index.items():  # in order of first appearance
        if is_missing(label):
            refuse_missing("labels", first_row(codes == code), "class")
        if isinstance(label, float | complex | np.inexact):
            at = first_row(codes == code)
            msg = f"labels must be integers, strings or categories, but labels[{at}] = {label!r}"
            raise TypeError(msg)
    names = list(index)
    order = sorted_order(names)
    rank = np.empty(len(names), dtype=code_type(len(names)))
    rank[order] = np.arange(len(names))
    return _counted(rank[codes], len(names), lambda code: str(names[order[code]]))


def _combine(columns: Sequence[Classes]) -> Classes:
    """Return the classes of the combinations that occur, numbered in the order of the columns."""
    codes, n_codes = columns[0].codes, len(columns[0].counts)
    most = max(_FEW, len(codes))
    for column in columns[1:]:
        width = len(column.counts)
        if n_codes * width > most:
            distinct, inverse = np.unique(codes, return_inverse=True)
            codes, n_codes = inverse, len(distinct)
        n_codes *= width
        combined = codes.astype(code_type(n_codes))
        combined *= width
        np.add(combined, column.codes, out=combined, casting="unsafe")
        codes = combined
    if n_codes > most:
        distinct, inverse = np.unique(codes, return_inverse=True)
        codes, n_codes = compact_codes(inverse, len(distinct)), len(distinct)
    rows: dict[int, int] = {}

    def name_of(code: int) -> str:
        if not rows:
            rows.update(zip(*_examples(codes, n_codes), strict=True))
        row = rows[operator.index(code)]
        return " / ".join(column.name_of(int(column.codes[row])) for column in columns)

    return _counted(codes, n_codes, name_of)


def _examples(codes: CodeArray, n_codes: int) -> tuple[list[int], list[int]]:
    """Return the codes that occur, and a row of each."""
    rows = np.full(n_codes, -1, dtype=np.int64)
    for start in range(0, len(codes), _CHUNK):
        part = codes[start : start + _CHUNK]
        rows[part] = np.arange(start, start + len(part))
    present = np.flatnonzero(rows >= 0)
    return present.tolist(), rows[present].tolist()
