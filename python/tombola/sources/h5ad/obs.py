"""Reading one obs column of one h5ad file, in every way that anndata has stored one.

- categoricals: a group with codes and categories (since 0.8), a dataset that refers to `__categories` (0.7),
  or integers in a compound dataset with `uns/<column>_categories` (before 0.7);
- text: factorised, with sorted categories;
- nullable integers and booleans: as they are without missing values, else as float64 with NaN;
- numbers and booleans: as they are.

Codes are as wide as they are stored, those of text as narrow as can be; -1 where a value is missing. Row
names are text or, rarely, categories or nullable text. O(rows).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from ...labels.categorical import signed_codes
from ...labels.numbering import code_type, number_sorted
from .elements import (
    attribute,
    child,
    dataset,
    decoded,
    encoding,
    index_name,
    is_text,
    listed,
    member,
    place,
    read_array,
    stored_texts,
)
from .errors import BadFileError, MissingElementError
from .obs_codes import Before, Reading

EXACT_FLOAT = 2**53
_LONGEST = 8
_PARTS = {"categorical": {"codes", "categories"}, "nullable-": {"values", "mask"}}
"""What a group holds, by its encoding; `_LONGEST` is the width of a number that all can use, in bytes."""


@dataclass(frozen=True, slots=True, eq=False)
class ObsColumn:
    """One value a row.

    Parameters
    ----------
    values
        Numbers, or signed codes into `categories` with -1 for missing.
    categories
        Text or numbers; None for a column of numbers.
    is_sorted
        Whether the categories come from text and are in sorted order, not in an order that the file gives.
    """

    values: npt.NDArray[Any]
    categories: npt.NDArray[Any] | None = None
    is_sorted: bool = False

    def __len__(self) -> int:
        return len(self.values)


def column_names(obs: h5py.Group | h5py.Dataset, where: str, index: str) -> list[str]:
    """List the columns of obs, without its index, in their order."""
    if isinstance(obs, h5py.Dataset):
        return [name for name in obs.dtype.names or () if name != index]
    order = attribute(obs, "column-order")
    if order is None:
        names = decoded(np.array(list(obs), dtype=object), f"{where}, names of columns")
        return sorted(name for name in names if name not in {index, "__categories"})
    if isinstance(order, h5py.Empty):
        return []
    listed_names = np.asarray(order)
    if listed_names.size and not is_text(listed_names):
        msg = f"{where}, column-order must name columns, but has dtype {listed_names.dtype}"
        raise BadFileError(msg)
    names = list(dict.fromkeys(decoded(listed_names, f"{where}, column-order")))
    return [name for name in names if name in obs]


def read_obs_column(
    root: h5py.Group,
    obs: h5py.Group | h5py.Dataset,
    path: Path,
    name: str,
    n_obs: int,
    before: Reading | None = None,
) -> ObsColumn:
    """Read one column of obs.

    Parameters
    ----------
    root, obs
        The group that holds obs, the file or a modality of a MuData file, and obs itself.
    path, name, n_obs
        The file, the column, and how many rows obs has.
    before
        What the column takes from the files before.

    Raises
    ------
    MissingElementError
        If there is no such column.
    ValueError
        If its length, its codes or its type are wrong.
    """
    where = place(path, f"obs column {name!r}")
    if isinstance(obs, h5py.Dataset) and name in (obs.dtype.names or ()):
        return _from_compound(root, obs, name, where, n_obs)
    if isinstance(obs, h5py.Dataset):
        msg = f"{path}: obs has no column {name!r}; it has {listed(list(obs.dtype.names or ()))}"
        raise MissingElementError(msg)
    element = member(obs, name, where)
    if isinstance(element, h5py.Group):
        return _from_group(element, where, n_obs, before)
    if isinstance(element, h5py.Dataset):
        return _from_dataset(obs, name, where, n_obs)
    msg = f"{where} must be a dataset or a group, but is a {type(element).__name__}"
    raise BadFileError(msg)


def row_names(
    frame: h5py.Group | h5py.Dataset, where: str, before: Before[list[str]] | None = None
) -> list[str]:
    """Read the row names of a data frame, such as the gene names in var.

    Those of the file before are given anew, if they are the same: a thousand plates would take gigabytes.

    Raises
    ------
    ValueError
        If a row has no name.
    """
    name = index_name(frame, where)
    if isinstance(frame, h5py.Dataset):
        return decoded(read_array(frame, where, name), where)
    where = f"{where}/{name}"
    index = member(frame, name, where)
    if not isinstance(index, h5py.Group):
        source = index if isinstance(index, h5py.Dataset) else dataset(frame, name, where)
        if before is None:
            return decoded(read_array(source, where), where)
        return before.get(stored_texts(source), lambda: decoded(read_array(source, where), where))
    # Text that pandas keeps as categories, or in a type that knows missing values.
    column = _from_group(index, where)
    if column.categories is None:
        return decoded(column.values, where)
    _check_named(column.values, where)
    return decoded(column.categories[column.values], where)


def read_mask(group: h5py.Group, where: str, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Read which values of a nullable column are missing.

    Raises
    ------
    ValueError
        If the mask has not the shape of the values, or holds others than booleans.
    """
    stored = dataset(group, "mask", where)
    if shape != stored.shape or stored.dtype.kind not in "biu":
        msg = (
            f"{where}: values have shape {shape}, but their mask has shape {stored.shape} and "
            f"dtype {stored.dtype}; it must have their shape, and hold booleans"
        )
        raise BadFileError(msg)
    mask = read_array(stored, f"{where}, mask")
    if mask.dtype.kind != "b" and not np.isin(mask, (0, 1)).all():
        row = int(np.argmin(np.isin(mask, (0, 1))))
        msg = f"{where}: their mask must hold booleans, but row {row} has {mask[row]}"
        raise BadFileError(msg)
    return mask.astype(np.bool_)


def _check_named(codes: npt.NDArray[Any], where: str) -> None:
    missing = np.flatnonzero(codes < 0)
    if len(missing):
        msg = f"{where} must name every row, but row {missing[0]} has no name"
        raise BadFileError(msg)


def _from_compound(root: h5py.Group, obs: h5py.Dataset, name: str, where: str, n_obs: int) -> ObsColumn:
    values = read_array(obs, where, name, length=n_obs)
    if is_text(values):
        return _text(values, where)
    key = f"uns/{name}_categories"
    if values.dtype.kind in "iu" and isinstance(root.get(key), h5py.Dataset):
        categories = categories_of(read_array(root[key], f"{where}, categories {key!r}"), where)
        # The same name may belong to a column of var, whose categories need not fit.
        if len(values) == 0 or int(values.max()) < len(categories):
            return coded(values, categories, where)
    return numbers_of(values, where)


def _from_group(
    group: h5py.Group, where: str, n_obs: int | None = None, before: Reading | None = None
) -> ObsColumn:
    kind = encoding(group)
    if kind == "group":  # not every writer says what it is
        kind = next((name for name, parts in _PARTS.items() if parts <= set(group)), kind)
    if kind == "categorical":
        place = None if before is None else before.place
        codes = read_array(dataset(group, "codes", where), f"{where}, codes", length=n_obs, place=place)
        categories = child(group, "categories")
        if isinstance(categories, h5py.Group):
            column = _from_group(categories, f"{where}, categories")
            values = column.values
            if column.categories is not None:
                _check_named(values, f"{where}, categories")
                values = column.categories[values]
            return coded(codes, categories_of(values, where), where)
        stored = categories if isinstance(categories, h5py.Dataset) else dataset(group, "categories", where)

        def decode() -> npt.NDArray[Any]:
            return categories_of(read_array(stored, f"{where}, categories"), where)

        named = decode() if before is None else before.categories.get(stored_texts(stored), decode)
        return coded(codes, named, where)
    if kind.startswith("nullable-"):
        values = read_array(dataset(group, "values", where), f"{where}, values", length=n_obs)
        mask = read_mask(group, where, values.shape)
        if is_text(values):
            return _text(values, where, mask)
        return ObsColumn(_with_missing(numbers_of(values, where).values, mask, where))
    msg = f"{where} is encoded as {kind!r}, which is none of categorical, nullable, text and numbers"
    raise BadFileError(msg)


def _from_dataset(obs: h5py.Group, name: str, where: str, n_obs: int) -> ObsColumn:
    source = obs[name]
    values = read_array(source, where, length=n_obs)
    reference = attribute(source, "categories")
    key = f"__categories/{name}"
    if isinstance(reference, h5py.Reference):
        target = obs.file[reference]
    elif isinstance(reference, str) and reference in obs:
        target = obs[reference]
    else:
        target = obs.get(key)
    if isinstance(target, h5py.Dataset):
        return coded(values, categories_of(read_array(target, f"{where}, categories"), where), where)
    return _text(values, where) if is_text(values) else numbers_of(values, where)


def _text(values: npt.NDArray[Any], where: str, missing: npt.NDArray[np.bool_] | None = None) -> ObsColumn:
    codes, categories = number_sorted(decoded(values, where), missing)
    return ObsColumn(codes.astype(code_type(len(categories))), categories, is_sorted=True)


def categories_of(values: npt.NDArray[Any], where: str) -> npt.NDArray[Any]:
    """Return categories as text or numbers, distinct ones that are there.

    Raises
    ------
    BadFileError
        If they are something else.
    """
    values = values.reshape(1) if values.ndim == 0 else values  # one category, as old versions wrote it
    if values.ndim != 1:
        msg = f"{where}: categories must be a list, but have shape {values.shape}"
        raise BadFileError(msg)
    if is_text(values):
        values = np.array(decoded(values, f"{where}, categories"), dtype=np.str_)
    elif values.dtype.kind not in "biuf":
        msg = f"{where}: categories must be text or numbers, but have dtype {values.dtype}"
        raise BadFileError(msg)
    elif values.dtype.kind == "f" and np.isnan(values).any():
        msg = f"{where}: a category must not be missing, but category {int(np.argmax(np.isnan(values)))} is"
        raise BadFileError(msg)
    seen: set[Any] = set()
    for number, value in enumerate(values.tolist()):
        if value in seen:
            msg = f"{where}: categories must be distinct, but category {number}, {value!r}, came before"
            raise BadFileError(msg)
        seen.add(value)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def coded(codes: npt.NDArray[Any], categories: npt.NDArray[Any], where: str) -> ObsColumn:
    """Make a column of codes.

    Raises
    ------
    BadFileError
        If they are no integers, or one has no category.
    """
    if codes.dtype.kind not in "iu":
        msg = f"{where}: codes must be integers, but have dtype {codes.dtype}"
        raise BadFileError(msg)
    if codes.size and not -1 <= int(codes.min()) <= int(codes.max()) < len(categories):
        row = int(np.argmax((codes < -1) | (codes >= len(categories))))
        msg = (
            f"{where}: codes must be in [-1, {len(categories)}) for {len(categories)} categories, "
            f"but row {row} has {int(codes[row])}"
        )
        raise BadFileError(msg)
    return ObsColumn(signed_codes(codes), categories)


def numbers_of(values: npt.NDArray[Any], where: str) -> ObsColumn:
    """Make a column of numbers.

    Raises
    ------
    BadFileError
        If they are none, or not all can be given.
    """
    names = h5py.check_enum_dtype(values.dtype) or {}
    if {"FALSE", "TRUE"} <= set(names) <= {"FALSE", "TRUE", "NA"}:  # R's truth values
        known = values == names["TRUE"]
        missing = ~known & (values != names["FALSE"])
        return ObsColumn(_with_missing(known, missing, where))
    if values.dtype.kind not in "biuf":
        msg = f"{where} must hold numbers, text or categories, but has dtype {values.dtype}"
        raise BadFileError(msg)
    if values.dtype.itemsize > _LONGEST:
        narrow = values.astype(np.float64)
        if not np.array_equal(narrow, values, equal_nan=True):
            row = int(np.argmax((narrow != values) & ~np.isnan(values)))
            msg = f"{where} is given as float64, which cannot hold {values[row]} of row {row} exactly"
            raise BadFileError(msg)
        values = narrow
    native = np.dtype(values.dtype.str).newbyteorder("=")  # without h5py's notes on enums
    return ObsColumn(values.astype(native, copy=False))


def _with_missing(values: npt.NDArray[Any], mask: npt.NDArray[np.bool_], where: str) -> npt.NDArray[Any]:
    if not mask.any():
        return values
    if values.dtype.kind in "iu":
        kept = np.where(mask, 0, values)
        row = int(np.argmax(np.abs(kept.astype(np.float64))))
        if abs(int(kept[row])) > EXACT_FLOAT:
            msg = (
                f"{where} has missing values, so it is given as float64, "
                f"which cannot hold {int(kept[row])} of row {row} exactly"
            )
            raise BadFileError(msg)
    wide = values.astype(np.float64)
    wide[mask] = np.nan
    return wide
