"""One obs column of several files: one set of categories, one type of numbers, one place for what is missing.

Rule: a column that a file lacks, or that is missing throughout in one, says nothing of its kind and is
missing there. Where one file has categories, the column has: their union in order of first appearance, that
of text columns sorted; numbers beside categories of numbers become such. Numbers take the type that holds all
of them, NaN where missing. True is not 1, text is not a number, and no integer is rounded: those are errors.
With a vocabulary the categories are given, and a value outside is an error or missing. O(rows + categories).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from ...labels.numbering import code_type, is_missing
from .errors import BadFileError
from .obs import EXACT_FLOAT, ObsColumn
from .obs_codes import map_codes

__all__ = ["Part", "Unknown", "Whole", "conform", "unite", "unite_numbers", "vocabulary"]

Unknown = Literal["error", "missing"]
Whole = npt.NDArray[Any] | None
_LISTED = 6
_LOOKED_AT = 1 << 10


class Part(NamedTuple):
    """A column of one file: None where the file lacks it."""

    path: Path
    n_obs: int
    column: ObsColumn | None


def vocabulary(name: str, values: Any) -> npt.NDArray[Any]:
    """Return the categories that a user gives for a column.

    Raises
    ------
    TypeError
        If they are neither text nor numbers.
    ValueError
        If one is missing or comes twice.
    """
    given = np.asarray(getattr(values, "categories", values))
    listed = [] if isinstance(values, str) or given.ndim != 1 else given.tolist()
    are_text = all(isinstance(value, str) for value in listed)
    if (not listed and given.shape != (0,)) or not (are_text or given.dtype.kind in "biuf"):
        msg = f"categories of {name!r} must be a list of text or of numbers, but are {values!r}"
        raise TypeError(msg)
    seen: set[Any] = set()
    for value in listed:
        if is_missing(value) or value in seen:
            came = "comes twice" if value in seen else "is missing, which is no category"
            msg = f"categories of {name!r} must be distinct values, but {value!r} {came}"
            raise ValueError(msg)
        seen.add(value)
    return np.array(listed, dtype=np.str_) if are_text else given


def unite(name: str, parts: Sequence[Part], whole: Whole = None) -> ObsColumn:
    """Return one column for all files.

    `whole` is an array for the codes of all rows that holds those of some files at their place; it is taken
    for the result where it is as narrow as can be.

    Raises
    ------
    BadFileError
        If the files hold different kinds, or an integer does not fit the type that all need.
    """
    if len(parts) == 1 and parts[0].column is not None:
        return parts[0].column
    columns = [part.column for part in parts if part.column is not None]
    if all(column.categories is None for column in columns):
        return ObsColumn(unite_numbers(name, parts))
    telling = [(part.path, part.column) for part in parts if part.column and not _says_nothing(part.column)]
    for path, column in telling[1:]:
        _check_kinds(name, *telling[0], path, column)
    if telling and all(column.categories is None for _, column in telling):
        return ObsColumn(unite_numbers(name, parts))
    named = [column for column in columns if column.categories is not None and len(column.categories)]
    kind = _kind(telling[0][1] if telling else [*named, *columns][0])
    union, is_sorted = _union(name, [column for column in columns if _kind(column) == kind], parts)
    return ObsColumn(_codes(name, parts, union, "error", whole), union, is_sorted)


def conform(
    name: str, parts: Sequence[Part], categories: npt.NDArray[Any], unknown: Unknown, whole: Whole = None
) -> ObsColumn:
    """Return one column for all files, as codes into these categories.

    Raises
    ------
    ValueError
        If a row has a value that is none of them, and ``unknown`` is "error".
    """
    return ObsColumn(_codes(name, parts, categories, unknown, whole), categories)


def _kind(column: ObsColumn) -> str:
    values = column.values if column.categories is None else column.categories
    return {"U": "text", "b": "booleans"}.get(values.dtype.kind, "numbers")


def _says_nothing(column: ObsColumn) -> bool:
    """Tell whether a column is missing throughout."""
    if column.categories is not None:
        some = column.values[:_LOOKED_AT]
        return not (some >= 0).any() and not (len(column.values) and int(column.values.max()) >= 0)
    return column.values.dtype.kind == "f" and bool(np.isnan(column.values).all())


def _check_kinds(name: str, first_path: Path, first: ObsColumn, path: Path, other: ObsColumn) -> None:
    if _kind(first) == _kind(other) or (
        first.categories is other.categories is None and "text" not in (_kind(first), _kind(other))
    ):
        return
    texts = [
        f"{_kind(column) if column.categories is None else f'categories of {_kind(column)}'} in {where}"
        for where, column in ((first_path, first), (path, other))
    ]
    msg = (
        f"obs column {name!r} must be the same kind in all files, but holds {texts[0]} and {texts[1]}; "
        "write it anew in one of them, as the other has it, or rename it there"
    )
    raise BadFileError(msg)


def _union(name: str, columns: Sequence[ObsColumn], parts: Sequence[Part]) -> tuple[npt.NDArray[Any], bool]:
    """Return the categories of all columns, and whether they are sorted text."""
    seen: dict[Any, None] = {}
    for distinct in {id(values): values for values in map(_distinct, columns)}.values():
        seen.update(dict.fromkeys(distinct.tolist()))
    is_sorted = bool(columns) and all(column.is_sorted for column in columns)
    values = sorted(seen) if is_sorted else list(seen)
    kinds = {_distinct(column).dtype for column in columns} or {np.dtype(np.float64)}
    if all(kind.kind == "U" for kind in kinds):
        return np.array(values, dtype=np.str_), is_sorted
    return np.array(values, dtype=_number_type(name, values, kinds, parts)), is_sorted


def _number_type(
    name: str, values: list[Any], kinds: set[np.dtype[Any]], parts: Sequence[Part]
) -> np.dtype[Any]:
    """Return the type that holds numbers of several types; whole ones stay integers."""
    kind = np.result_type(*kinds)
    if kind.kind != "f" or all(each.kind == "f" for each in kinds):
        return kind
    has_floats = any(each.kind == "f" for each in kinds)
    are_whole = all(abs(value) < np.inf and value == int(value) for value in values)
    largest = max((abs(value) for value in values), default=0)
    if not has_floats and largest >= 2**63 and min(values) >= 0:
        return np.dtype(np.uint64)
    if are_whole and largest <= (EXACT_FLOAT if has_floats else 2**63 - 1):
        return np.dtype(np.int64)
    if largest > EXACT_FLOAT:
        msg = (
            f"{parts[0].path} and others: obs column {name!r} holds several types of numbers, none of which "
            f"holds {largest} and all others exactly; write it as text"
        )
        raise BadFileError(msg)
    return kind


def _distinct(column: ObsColumn) -> npt.NDArray[Any]:
    if column.categories is not None:
        return column.categories
    distinct = np.unique(column.values)
    return distinct[~np.isnan(distinct)] if distinct.dtype.kind == "f" else distinct


def _codes(
    name: str, parts: Sequence[Part], categories: npt.NDArray[Any], unknown: Unknown, whole: Whole = None
) -> npt.NDArray[np.signedinteger[Any]]:
    """Return all rows as codes into the categories."""
    kind = "booleans" if categories.dtype.kind == "b" else "others"
    place = {value: code for code, value in enumerate(categories.tolist())}
    dtype = code_type(len(categories))
    codes = whole
    if codes is None or codes.dtype != dtype:
        codes = np.empty(sum(part.n_obs for part in parts), dtype=dtype)
    start = 0
    last, table, knows_all = None, np.array([-1], dtype=dtype), True
    for part in parts:
        out = codes[start : start + part.n_obs]
        start += part.n_obs
        if part.column is None or _says_nothing(part.column):
            out.fill(-1)
            continue
        distinct = _distinct(part.column)
        own = part.column.values
        if part.column.categories is None:
            own = np.searchsorted(distinct, part.column.values)
            if part.column.values.dtype.kind == "f":
                own[np.isnan(part.column.values)] = -1
        if distinct is not last:
            same_kind = (distinct.dtype.kind == "b") == (kind == "booleans") or not len(categories)
            values = distinct.tolist()
            found = [place.get(value, -1) if same_kind else -1 for value in values]  # True is not 1
            last, table = distinct, np.array([*found, -1], dtype=dtype)
            knows_all = -1 not in found
        if unknown == "error" and not knows_all:
            outside = (own >= 0) & (table[own] < 0)
            if outside.any():
                row = int(np.argmax(outside))
                _refuse_value(name, part.path, row, distinct[own[row]], categories)
        map_codes(own, table, out)
    return codes


def _refuse_value(name: str, path: Path, row: int, value: Any, categories: npt.NDArray[Any]) -> None:
    known = ", ".join(map(repr, categories[:_LISTED].tolist()))
    more = len(categories) - _LISTED
    known += f" and {more:,} more" if more > 0 else ""
    msg = (
        f"{path}: obs column {name!r} has {value.item()!r} in row {row}, which is none of the "
        f"{len(categories):,} categories given ({known}); unknown='missing' takes such rows as missing"
    )
    raise BadFileError(msg)


def unite_numbers(name: str, parts: Sequence[Part]) -> npt.NDArray[Any]:
    """Return numbers of all files in the type that holds them, NaN where they are missing."""
    arrays = [
        None if part.column is None or part.column.categories is not None else part.column.values
        for part in parts
    ]
    there = [array for array in arrays if array is not None]
    has_gaps = any(array is None and part.n_obs for array, part in zip(arrays, parts, strict=True))
    kind = np.result_type(*there) if there else np.dtype(np.float64)
    if all(array.dtype.kind in "iu" for array in there) and kind.kind == "f":
        largest = max((int(array.max()) for array in there if array.size), default=0)
        smallest = min((int(array.min()) for array in there if array.size), default=0)
        if largest < 2**63 or smallest >= 0:  # else there is none, which is an error below
            kind = np.dtype(np.int64 if largest < 2**63 else np.uint64)
    if has_gaps and kind.kind in "biu":
        kind = np.dtype(np.float64)
    pieces = []
    for array, part in zip(arrays, parts, strict=True):
        if array is None:
            pieces.append(np.full(part.n_obs, np.nan if kind.kind == "f" else 0, dtype=kind))
            continue
        if kind.kind == "f" and array.dtype.kind in "iu" and array.dtype.itemsize == 8:
            _check_exact(name, array, part.path, kind)
        pieces.append(array.astype(kind, copy=False))
    return np.concatenate(pieces)


def _check_exact(name: str, values: npt.NDArray[Any], path: Path, kind: np.dtype[Any]) -> None:
    too_large = (values > EXACT_FLOAT) | (values < -EXACT_FLOAT)
    if too_large.any():
        row = int(np.argmax(too_large))
        msg = (
            f"{path}: obs column {name!r} is given as {kind}, as other files hold floats or miss values, "
            f"which cannot hold {int(values[row])} of row {row} exactly; write it as text or categories"
        )
        raise BadFileError(msg)
