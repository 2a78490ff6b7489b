"""Classes: labels as codes 0, 1, ... with their counts.

Small integers and categoricals are their own codes and are borrowed (one pass to find the range, one to
count), other integers are sorted, strings and objects are numbered (`numbering`) and, where they can be,
sorted. Several label columns become the codes of their combinations. A missing label is no class: it is
refused, or all such rows have one code behind those of the classes, which counts as none.
"""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _core
from .._base.checks import borrowable, check_one_dimensional, refuse_masked
from .._base.types import CodeArray, IndexArray
from .numbering import (
    BoolArray,
    Missing,
    categorical,
    code_type,
    column_name,
    compact_codes,
    first_row,
    is_missing,
    number_objects,
    refuse_all_missing,
    refuse_missing,
    sorted_order,
    whole_numbers,
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
        Rows of each code; 0 where one does not occur.
    name_of : callable
        Gives the name of a code that occurs.
    has_missing : bool
        Whether the last code is no class, but that of the rows without a label.
    """

    codes: CodeArray
    counts: IndexArray
    name_of: Callable[[int], str]
    has_missing: bool = False

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def n_classes(self) -> int:
        """Number of classes that occur."""
        return int(np.count_nonzero(self.class_counts))

    @property
    def class_counts(self) -> IndexArray:
        """Rows of each class, by code; 0 for the code of rows without a label."""
        if not self.has_missing:
            return self.counts
        counts = self.counts.copy()
        counts[-1] = 0
        return counts

    def is_missing(self) -> BoolArray:
        """Tell which rows have no label."""
        code = len(self.counts) - 1 if self.has_missing else -1
        return np.asarray(self.codes == code)


def factorise(labels: Any, *, missing: Missing = "error", called: str = "labels") -> Classes:
    """Return the classes of labels: an array, a sequence of equally long ones, or a DataFrame.

    Parameters
    ----------
    labels
        One label a row, or columns of them.
    missing : {"error", "drop"}
        Whether missing labels are refused, or the rows that miss one (of any column) have a code that is no
        class. Floats are taken for integers with gaps by "drop", and refused by "error".
    called : str
        What they are called in messages.

    O(n) for integers of a range up to n, pandas categoricals, strings and objects; O(n log n) for other
    integers.

    Raises
    ------
    TypeError
        If labels are neither integers nor strings nor objects that hash.
    ValueError
        If there are none, one is missing, or lengths differ; if all are missing.
    """
    given = label_columns(labels)
    columns = [_column_classes(column, missing, called) for column in given]
    lengths = [len(column) for column in columns]
    if len(set(lengths)) != 1:
        text = ", ".join(map(str, lengths)) or "none"
        msg = f"{called} must be columns of one length, but the lengths are {text}"
        raise ValueError(msg)
    if lengths[0] == 0:
        msg = f"{called} must not be empty"
        raise ValueError(msg)
    classes = columns[0] if len(columns) == 1 else _combine(columns)
    if classes.has_missing and not classes.n_classes:
        refuse_all_missing(called, len(classes), column_name(given[0]) if len(given) == 1 else "")
    return classes


def label_columns(labels: Any) -> list[Any]:
    """Return the columns of a DataFrame or of a sequence of columns; anything else is one column."""
    if hasattr(labels, "columns"):
        return [labels[name] for name in labels.columns]
    if isinstance(labels, list | tuple) and labels and all(map(_is_column, labels)):
        return list(labels)
    return [labels]


def _is_column(value: object) -> bool:
    return hasattr(value, "__len__") and not isinstance(value, str | bytes) and getattr(value, "ndim", 1) > 0


def _column_classes(column: Any, missing: Missing, called: str) -> Classes:
    name = column_name(column)
    if (found := categorical(column)) is not None:
        return _categorical_classes(*found, name, missing, called)
    refuse_masked(called, column)
    try:
        values: npt.NDArray[Any] = np.asarray(column)
    except ValueError:  # tuples beside something else
        values = np.fromiter(column, dtype=object)
    if isinstance(column, list | tuple) and values.dtype.kind in "SU":
        values = np.asarray(column, dtype=object)  # else a NaN among strings would be the string "nan"
    check_one_dimensional(called, values)
    kind = values.dtype.kind
    if values.size == 0 or kind in "SUOT":
        return _object_classes(values, name, missing, called)
    if kind == "f":
        is_gap = np.isnan(values)
        if missing == "drop":
            whole = whole_numbers(called, values, is_gap)
            return (
                _spread(is_gap, _integer_classes(whole[~is_gap])) if is_gap.any() else _integer_classes(whole)
            )
        if is_gap.any():
            refuse_missing(called, is_gap, "class", name)
    if kind not in "biu":
        msg = f"{called} must be integers, strings or categories, but the dtype is {values.dtype}"
        raise TypeError(msg)
    return _integer_classes(values)


def _categorical_classes(
    codes: CodeArray, categories: Any, name: str, missing: Missing, called: str
) -> Classes:
    n_codes = len(categories)
    has_missing = bool(codes.size) and int(codes.min()) < 0
    if has_missing:
        is_gap = codes < 0
        if missing == "error":
            refuse_missing(called, is_gap, "class", name)
        codes = codes.astype(code_type(n_codes + 1))
        codes[is_gap] = n_codes
        n_codes += 1
    counts = _core.class_counts(codes, n_codes)
    return Classes(codes, counts, lambda code: str(categories[code]), has_missing)


def _spread(is_gap: BoolArray, classes: Classes) -> Classes:
    """Return the classes of the rows that have a label as those of all rows."""
    n_codes = len(classes.counts)
    codes = np.full(len(is_gap), n_codes, dtype=code_type(n_codes + 1))
    codes[~is_gap] = classes.codes
    counts = np.append(classes.counts, np.count_nonzero(is_gap))
    return Classes(codes, counts, classes.name_of, has_missing=True)


def _integer_classes(values: npt.NDArray[Any]) -> Classes:
    if not values.size:
        return Classes(np.empty(0, dtype=np.int8), np.empty(0, dtype=np.int64), str)
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


def _object_classes(values: npt.NDArray[Any], name: str, missing: Missing, called: str) -> Classes:
    codes, index = number_objects(called, values)
    gaps = np.array([is_missing(label) for label in index], dtype=np.bool_)
    if gaps.any():
        is_gap = gaps[codes]
        if missing == "error":
            refuse_missing(called, is_gap, "class", name)
        return _spread(is_gap, _object_classes(values[~is_gap], name, missing, called))
    for label, code in index.items():  # in order of first appearance
        if isinstance(label, float | complex | np.inexact):
            at = first_row(codes == code)
            msg = f"{called} must be integers, strings or categories, but {called}[{at}] = {label!r}"
            raise TypeError(msg)
    names = list(index)
    order = sorted_order(names)
    rank = np.empty(len(names), dtype=code_type(len(names)))
    rank[order] = np.arange(len(names))
    return _counted(rank[codes], len(names), lambda code: str(names[order[code]]))


def _combine(columns: Sequence[Classes]) -> Classes:
    """Return the classes of the combinations that occur, numbered in the order of the columns.

    A row that misses a label of any column has none.
    """
    codes, n_codes = columns[0].codes, len(columns[0].counts)
    most = max(_FEW, len(codes))
    is_gap = np.any([column.is_missing() for column in columns if column.has_missing], axis=0)
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
    has_missing = bool(np.any(is_gap))
    if has_missing:
        codes = codes.astype(code_type(n_codes + 1))
        codes[is_gap] = n_codes  # behind all others, and so it stays
        n_codes += 1
    if n_codes > most:
        distinct, inverse = np.unique(codes, return_inverse=True)
        codes, n_codes = compact_codes(inverse, len(distinct)), len(distinct)
    rows: dict[int, int] = {}

    def name_of(code: int) -> str:
        if not rows:
            rows.update(zip(*_examples(codes, n_codes), strict=True))
        row = rows[operator.index(code)]
        return " / ".join(column.name_of(int(column.codes[row])) for column in columns)

    classes = _counted(compact_codes(codes, n_codes), n_codes, name_of)
    return replace(classes, has_missing=has_missing)


def _examples(codes: CodeArray, n_codes: int) -> tuple[list[int], list[int]]:
    """Return the codes that occur, and a row of each."""
    rows = np.full(n_codes, -1, dtype=np.int64)
    for start in range(0, len(codes), _CHUNK):
        part = codes[start : start + _CHUNK]
        rows[part] = np.arange(start, start + len(part))
    present = np.flatnonzero(rows >= 0)
    return present.tolist(), rows[present].tolist()
