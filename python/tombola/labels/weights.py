"""Weights and class labels as the core takes them, and weights that balance classes.

Weights become float32 or float64 arrays, without a lossy cast. Labels become class codes 0, 1, ... with their
counts: small integers and pandas categoricals are their own codes and are borrowed (one pass to find the
range, one to count), other integers are sorted, strings and objects go through a dict. Several label columns
become the codes of their combinations. Pandas is never imported; its objects are known by what they offer.
"""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _core
from .._base.checks import borrowable, check_bool, check_number, check_one_dimensional, refuse_masked
from .._base.types import CodeArray, IndexArray, WeightArray
from .keys import code_type, first_row, is_missing, number_objects, refuse_missing

__all__ = ["Classes", "class_weights", "compute_balanced_weights", "factorise", "weight_array"]

_CHUNK = 2**17
_FEW = 2**16  # so many classes cost nothing worth saving
_EXACT = 2**53  # float64 holds all integers up to here


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


def compute_balanced_weights(
    *labels: Any, min_count_baseline: float = 1000, normalize: bool = True
) -> npt.NDArray[np.float64]:
    """Return one weight a row that makes classes equally frequent, rare ones up to a limit.

    Parameters
    ----------
    *labels : array-like, shape (n,), or DataFrame
        Labels of the rows; with several columns their combinations are the classes. Integers, strings,
        objects that hash, or pandas categoricals. A list or tuple of sequences is read as columns, so for one
        tuple a row pass ``*zip(*rows)``.
    min_count_baseline : number
        Added to each count, so that classes much rarer than this are not blown up. 0 balances exactly.
    normalize : bool
        Scale the weights to the sum n.

    Returns
    -------
    ndarray of float64, shape (n,)
        ``n / (n_combinations * (count + min_count_baseline))``, scaled if asked for.

    Raises
    ------
    TypeError
        If labels are floats or otherwise no labels.
    ValueError
        If a label is missing (the first row is named), or the columns differ in length.

    Examples
    --------
    >>> import tombola
    >>> tombola.compute_balanced_weights(["a", "a", "a", "b"], min_count_baseline=0).tolist()
    [0.6666666666666666, 0.6666666666666666, 0.6666666666666666, 2.0]
    """
    if not labels:
        msg = "compute_balanced_weights needs at least one array of labels"
        raise TypeError(msg)
    check_bool("normalize", normalize)
    classes = factorise(labels[0] if len(labels) == 1 else [c for label in labels for c in _columns(label)])
    weights = class_weights(classes.counts, min_count_baseline)
    if normalize:
        weights *= len(classes) / float(weights @ classes.counts)
    return weights[classes.codes]


def class_weights(counts: IndexArray, min_count_baseline: float) -> npt.NDArray[np.float64]:
    """Return ``n / (n_classes * (count + baseline))`` for each class that occurs, 0 for the others."""
    baseline = check_number("min_count_baseline", min_count_baseline)
    present = counts > 0
    weights = np.zeros(len(counts))
    weights[present] = int(counts.sum()) / (np.count_nonzero(present) * (counts[present] + float(baseline)))
    return weights


def weight_array(name: str, values: npt.ArrayLike) -> WeightArray:
    """Return weights as a C-contiguous, aligned float32 or float64 array; one that is so is borrowed.

    Raises
    ------
    TypeError
        If the values are no real numbers, or a cast would lose digits.
    ValueError
        If they have not one axis, or one is masked.
    """
    refuse_masked(name, values)
    array: npt.NDArray[Any] = np.asarray(values)
    check_one_dimensional(name, array)
    kind, bits = array.dtype.kind, 8 * array.dtype.itemsize
    if kind == "f" and bits <= 64:
        return _as_floats(array, double=bits == 64)
    if kind in "biu":
        if bits == 64 and array.size and max(-int(array.min()), int(array.max())) > _EXACT:
            msg = f"{name} must be floats or integers up to 2**53, but {array.dtype} holds larger ones"
            raise TypeError(msg)
        return _as_floats(array, double=bits > 16)
    msg = f"{name} must be real numbers that float64 holds, but the dtype is {array.dtype}"
    raise TypeError(msg)


def _as_floats(array: npt.NDArray[Any], *, double: bool) -> WeightArray:
    floats: WeightArray = borrowable(array, np.float64 if double else np.float32)
    return floats


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
    columns = [_column_classes(column) for column in _columns(labels)]
    lengths = [len(column) for column in columns]
    if len(set(lengths)) != 1:
        text = ", ".join(map(str, lengths)) or "none"
        msg = f"labels must be columns of one length, but the lengths are {text}"
        raise ValueError(msg)
    if lengths[0] == 0:
        msg = "labels must not be empty"
        raise ValueError(msg)
    return columns[0] if len(columns) == 1 else _combine(columns)


def _columns(labels: Any) -> list[Any]:
    if hasattr(labels, "columns"):
        return [labels[name] for name in labels.columns]
    if isinstance(labels, list | tuple) and labels and all(map(_is_column, labels)):
        return list(labels)
    return [labels]


def _is_column(value: object) -> bool:
    return hasattr(value, "__len__") and not isinstance(value, str | bytes) and getattr(value, "ndim", 1) > 0


def _column_classes(column: Any) -> Classes:
    categorical = column if hasattr(column, "categories") else getattr(column, "cat", None)
    if hasattr(categorical, "categories") and hasattr(categorical, "codes"):
        return _categorical_classes(categorical)
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


def _categorical_classes(categorical: Any) -> Classes:
    codes = borrowable(np.asarray(categorical.codes))
    if codes.size and int(codes.min()) < 0:
        refuse_missing("labels", first_row(codes < 0), "class")
    categories = categorical.categories
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
        return _counted(_compact(shifted, high - low + 1), high - low + 1, lambda code: str(low + code))
    distinct, codes = np.unique(values, return_inverse=True)
    return _counted(_compact(codes, len(distinct)), len(distinct), lambda code: str(distinct[code]))


def _counted(values: npt.NDArray[Any], n_codes: int, name_of: Callable[[int], str]) -> Classes:
    """Count codes that lie in ``[0, n_codes)``; unsigned ones are viewed as signed where they fit."""
    codes = borrowable(values)
    if codes.dtype.kind == "u":
        signed = np.dtype(f"i{codes.dtype.itemsize}")
        fits = n_codes - 1 <= np.iinfo(signed).max
        codes = codes.view(signed) if fits else codes.astype(f"i{2 * codes.dtype.itemsize}")
    return Classes(codes, _core.class_counts(codes, n_codes), name_of)


def _compact(codes: npt.NDArray[Any], n_codes: int) -> CodeArray:
    compact: CodeArray = codes.astype(code_type(n_codes), copy=False)
    return compact


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
    try:
        order = sorted(range(len(names)), key=names.__getitem__)  # type: ignore[arg-type]
    except TypeError:  # labels of several types: order of first appearance
        order = list(range(len(names)))
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
        codes, n_codes = _compact(inverse, len(distinct)), len(distinct)
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
