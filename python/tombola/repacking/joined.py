"""obs of several inputs as one, by the rules of `H5adSource`.

A column that all inputs encode alike follows one after the other as it is: numbers of one type, text,
nullable ones. Categories become their union, other numbers the type that holds all. Columns that not all
inputs have are left out, and a note says so.
"""

from itertools import pairwise
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from ..labels.categorical import Categorical
from ..sources import H5adSource
from ..sources.h5ad.elements import encoding, index_name, place
from ..sources.h5ad.obs import column_names, row_names
from .frames import Assembly, copy_attributes, set_column_order
from .rows import ArrayOfRows

__all__ = ["same_arrays", "write_array", "write_joined_obs"]

INDEX = "_index"
_ARRAY = {"encoding-type": "array", "encoding-version": "0.2.0"}
_TEXT = {"encoding-type": "string-array", "encoding-version": "0.2.0"}
_CATEGORICAL = {"encoding-type": "categorical", "encoding-version": "0.2.0"}


def write_joined_obs(assembly: Assembly, source: H5adSource) -> None:
    """Write obs of all inputs, whose columns a source unites."""
    obs = assembly.out.create_group("obs")
    obs.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.2.0", "_index": INDEX})
    _write_index(assembly)
    written = []
    for name in _names_of_all(assembly):
        if name == INDEX:
            assembly.note(f"obs column {name!r} is left out: the index of the output has that name")
            continue
        if name not in source.obs:
            assembly.note(f"obs column {name!r} is left out: not all inputs have it")
            continue
        written.append(name)
        if _are_alike(assembly, f"obs/{name}"):
            _join(assembly, f"obs/{name}")
        else:
            _unite(assembly, f"obs/{name}", source.obs[name])
    set_column_order(obs, written)


def same_arrays(assembly: Assembly, name: str) -> bool:
    """Tell whether an element is an array of one type and width in all inputs."""
    numbers = range(len(assembly.inputs))
    first = assembly.inputs[0].get(name)
    if not isinstance(first, h5py.Dataset) or not first.shape:
        return False
    kind, shape = first.dtype, first.shape
    return all(
        isinstance(found := assembly.inputs[number].get(name), h5py.Dataset)
        and found.dtype == kind
        and h5py.check_string_dtype(found.dtype) == h5py.check_string_dtype(kind)
        and found.shape[1:] == shape[1:]
        and len(found.shape) == len(shape)
        for number in numbers
    )


def _names_of_all(assembly: Assembly) -> list[str]:
    names: dict[str, None] = {}
    for number, path in enumerate(assembly.inputs.paths):
        obs, where = assembly.inputs[number]["obs"], place(path, "obs")
        names |= dict.fromkeys(column_names(obs, where, index_name(obs, where)))
    return list(names)


def _are_alike(assembly: Assembly, name: str) -> bool:
    """Tell whether a column needs no decoding in any input."""
    kinds = set()
    for number in range(len(assembly.inputs)):
        file = assembly.inputs[number]
        if isinstance(file["obs"], h5py.Dataset) or name.replace("obs/", "obs/__categories/", 1) in file:
            return False
        kinds.add(encoding(file[name]))
    if len(kinds) > 1:
        return False
    kind = kinds.pop()
    if kind.startswith("nullable-"):
        return same_arrays(assembly, f"{name}/values") and same_arrays(assembly, f"{name}/mask")
    return kind in ("dense", "string-array") and same_arrays(assembly, name)


def _join(assembly: Assembly, name: str) -> None:
    first = assembly.inputs[0][name]
    if isinstance(first, h5py.Dataset):
        assembly.rows(name)
        return
    copy_attributes(first, assembly.out.create_group(name))
    for part in ("values", "mask"):
        assembly.rows(f"{name}/{part}")


def _unite(assembly: Assembly, name: str, column: npt.NDArray[Any] | Categorical) -> None:
    if not isinstance(column, Categorical):
        assembly.rows(name, ArrayOfRows(column)).attrs.update(_ARRAY)
        return
    group = assembly.out.create_group(name)
    group.attrs.update({**_CATEGORICAL, "ordered": _are_ordered(assembly, name)})
    assembly.rows(f"{name}/codes", ArrayOfRows(column.codes)).attrs.update(_ARRAY)
    write_array(group, "categories", column.categories)


def write_array(group: h5py.Group, name: str, values: npt.NDArray[Any]) -> None:
    """Write a small array of numbers or text as anndata does."""
    if values.dtype.kind == "U":
        kind = h5py.string_dtype()
        group.create_dataset(name, data=values.astype(object), dtype=kind).attrs.update(_TEXT)
    else:
        group.create_dataset(name, data=values).attrs.update(_ARRAY)


def _are_ordered(assembly: Assembly, name: str) -> bool:
    """Tell whether the categories are ordered, and the same, in all inputs."""
    found = []
    for number in range(len(assembly.inputs)):
        group = assembly.inputs[number].get(name)
        if not isinstance(group, h5py.Group) or not group.attrs.get("ordered", False):
            return False
        categories = group.get("categories")
        if not isinstance(categories, h5py.Dataset):
            return False
        found.append(categories[()].tolist())
    return all(a == b for a, b in pairwise(found))


def _write_index(assembly: Assembly) -> None:
    names: list[str] = []
    for number, path in enumerate(assembly.inputs.paths):
        names += row_names(assembly.inputs[number]["obs"], place(path, "obs"))
    text = np.array(names, dtype=object)
    values = ArrayOfRows(text, h5py.string_dtype())
    assembly.rows(f"obs/{INDEX}", values).attrs.update(_TEXT)
