"""Reading one obs column of one h5ad file, in every way that anndata has stored one.

- categoricals: a group with codes and categories (since 0.8), a dataset that refers to `__categories` (0.7),
  or integers in a compound dataset with `uns/<column>_categories` (before 0.7);
- text: factorised, with sorted categories;
- nullable integers and booleans: as they are without missing values, else as float64 with NaN;
- numbers and booleans: as they are.

Missing categories and missing text have the code -1. Row names are text or, rarely, categories or nullable
text. O(rows).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from ...labels.numbering import number_sorted
from .elements import attribute, dataset, decoded, encoding, index_name, is_text, listed, place, read_array
from .errors import BadFileError, MissingElementError

EXACT_FLOAT = 2**53


@dataclass(frozen=True, slots=True, eq=False)
class ObsColumn:
    """One value a row.

    Parameters
    ----------
    values
        Numbers, or int64 codes into `categories` with -1 for missing.
    categories
        Text or numbers; None for a column of numbers.
    is_sorted
        Whether the categories come from text and are in sorted order, not in an order that the file gives.
    """

    values: npt.NDArray[Any]
    categories: npt.NDArray[Any] | None = None
    is_sorted: bool = False


def column_names(obs: h5py.Group | h5py.Dataset, where: str) -> list[str]:
    """List the columns of obs, without its index, in their order."""
    index = index_name(obs, where)
    if isinstance(obs, h5py.Dataset):
        return [name for name in obs.dtype.names or () if name != index]
    order = attribute(obs, "column-order")
    if order is None:
        return sorted(name for name in obs if name not in {index, "__categories"})
    return [name for name in decoded(np.asarray(order)) if name in obs]


def read_obs_column(file: h5py.File, path: Path, name: str, n_obs: int) -> ObsColumn:
    """Read one column of obs.

    Raises
    ------
    MissingElementError
        If there is no such column; the message lists those there are.
    ValueError
        If its length, its codes or its type are wrong.
    """
    where = place(path, f"obs column {name!r}")
    obs = file["obs"]
    names = column_names(obs, place(path, "obs"))
    if name not in names:
        msg = f"{path}: obs has no column {name!r}; it has {listed(names)}"
        raise MissingElementError(msg)
    if isinstance(obs, h5py.Dataset):
        column = _from_compound(file, obs, name, where)
    elif isinstance(obs[name], h5py.Group):
        column = _from_group(obs[name], where)
    else:
        column = _from_dataset(obs, name, where)
    if column.values.shape != (n_obs,):
        msg = (
            f"{where} must have shape ({n_obs},) as obs has {n_obs:,} rows, but has shape "
            f"{column.values.shape}"
        )
        raise BadFileError(msg)
    return column


def row_names(frame: h5py.Group | h5py.Dataset, where: str) -> list[str]:
    """Read the row names of a data frame, such as the gene names in var.

    Raises
    ------
    ValueError
        If a row has no name.
    """
    name = index_name(frame, where)
    if isinstance(frame, h5py.Dataset):
        return decoded(read_array(frame, where, name))
    where = f"{where}/{name}"
    if not isinstance(frame[name], h5py.Group):
        return decoded(read_array(dataset(frame, name, where), where))
    # Text that pandas keeps as categories, or in a type that knows missing values.
    column = _from_group(frame[name], where)
    if column.categories is None:
        return decoded(column.values)
    missing = np.flatnonzero(column.values < 0)
    if len(missing):
        msg = f"{where} must name every row, but row {missing[0]} has no name"
        raise BadFileError(msg)
    return decoded(column.categories[column.values])


def _from_compound(file: h5py.File, obs: h5py.Dataset, name: str, where: str) -> ObsColumn:
    values = read_array(obs, where, name)
    if is_text(values):
        return _text(values)
    key = f"uns/{name}_categories"
    if values.dtype.kind in "iu" and key in file:
        categories = _categories(read_array(file[key], f"{where}, categories {key!r}"))
        # The same name may belong to a column of var, whose categories need not fit.
        if len(values) == 0 or int(values.max()) < len(categories):
            return _coded(values, categories, where)
    return _numbers(values, where)


def _from_group(group: h5py.Group, where: str) -> ObsColumn:
    kind = encoding(group)
    if kind == "categorical":
        categories = group.get("categories")
        if isinstance(categories, h5py.Group):
            named = _from_group(categories, f"{where}, categories")
            values = named.values if named.categories is None else named.categories[named.values]
        else:
            values = read_array(dataset(group, "categories", where), f"{where}, categories")
        codes = read_array(dataset(group, "codes", where), f"{where}, codes")
        return _coded(codes, _categories(values), where)
    if kind.startswith("nullable-"):
        values = read_array(dataset(group, "values", where), f"{where}, values")
        mask = read_array(dataset(group, "mask", where), f"{where}, mask").astype(np.bool_)
        if values.shape != mask.shape:
            msg = f"{where}: values have shape {values.shape}, but their mask has shape {mask.shape}"
            raise BadFileError(msg)
        if is_text(values):
            return _text(values, mask)
        return ObsColumn(_with_missing(_numbers(values, where).values, mask, where))
    msg = f"{where} is encoded as {kind!r}, which is none of categorical, nullable, text and numbers"
    raise BadFileError(msg)


def _from_dataset(obs: h5py.Group, name: str, where: str) -> ObsColumn:
    source = obs[name]
    values = read_array(source, where)
    reference = source.attrs.get("categories")
    key = f"__categories/{name}"
    if isinstance(reference, h5py.Reference):
        target = obs.file[reference]
    elif isinstance(reference, str) and reference in obs:
        target = obs[reference]
    else:
        target = obs.get(key)
    if target is not None:
        return _coded(values, _categories(read_array(target, f"{where}, categories")), where)
    return _text(values) if is_text(values) else _numbers(values, where)


def _text(values: npt.NDArray[Any], missing: npt.NDArray[np.bool_] | None = None) -> ObsColumn:
    codes, categories = number_sorted(decoded(values), missing)
    return ObsColumn(codes, categories, is_sorted=True)


def _categories(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    flat = values.ravel()
    return np.array(decoded(flat), dtype=np.str_) if is_text(flat) else flat


def _coded(codes: npt.NDArray[Any], categories: npt.NDArray[Any], where: str) -> ObsColumn:
    if codes.dtype.kind not in "iu":
        msg = f"{where}: codes must be integers, but have dtype {codes.dtype}"
        raise BadFileError(msg)
    wide = codes.astype(np.int64)
    wrong = np.flatnonzero((wide < -1) | (wide >= len(categories)))
    if len(wrong):
        row = int(wrong[0])
        msg = (
            f"{where}: codes must be in [-1, {len(categories)}) for {len(categories)} categories, "
            f"but row {row} has {int(wide[row])}"
        )
        raise BadFileError(msg)
    return ObsColumn(wide, categories)


def _numbers(values: npt.NDArray[Any], where: str) -> ObsColumn:
    if values.dtype.kind not in "biuf":
        msg = f"{where} must hold numbers, text or categories, but has dtype {values.dtype}"
        raise BadFileError(msg)
    native = values.dtype.newbyteorder("=")
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
