"""What a file holds by h5py alone, read the plain way: the second opinion on damaged files."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pandas as pd


def rows_by_hdf5(path: Path, rows: npt.NDArray[np.int64] | None = None) -> npt.NDArray[Any]:
    """Read rows of X as a dense array, by default all."""
    with h5py.File(path, "r") as file:
        x = file["X"]
        if isinstance(x, h5py.Dataset):
            values = np.asarray(x[()])
            return values if rows is None else values[rows]
        shape = tuple(x.attrs["shape"] if "shape" in x.attrs else x.attrs["h5sparse_shape"])
        data, indices, indptr = (x[name][()] for name in ("data", "indices", "indptr"))
        rows = np.arange(shape[0]) if rows is None else rows
        out = np.zeros((len(rows), shape[1]), dtype=data.dtype)
        with np.errstate(all="ignore"):
            for i, row in enumerate(rows.tolist()):
                part = slice(indptr[row], indptr[row + 1])
                np.add.at(out[i], indices[part], data[part])
        return out


def column_by_hdf5(path: Path, name: str) -> list[Any]:
    """Read a column of obs as a list, None where a value is missing."""
    with h5py.File(path, "r") as file:
        obs = file["obs"]
        element: Any = obs[()][name] if isinstance(obs, h5py.Dataset) else obs[name]
        coded = file.get(f"uns/{name}_categories")
        if isinstance(element, np.ndarray):
            # anndata leaves what does not fit its categories as numbers
            if element.dtype.kind in "iu" and coded is not None and element.max() < len(coded):
                return _coded(element, coded[()])
            return as_values(element.tolist())
        if isinstance(element, h5py.Dataset):
            return as_values(element[()].tolist())
        if "codes" in element:
            return _coded(element["codes"][()], element["categories"][()])
        values = np.asarray(element["values"][()], dtype=object)
        return as_values(np.where(element["mask"][()], np.array(None), values).tolist())


def _coded(codes: npt.NDArray[Any], categories: npt.NDArray[Any]) -> list[Any]:
    names = as_values(categories.tolist())
    return [None if code < 0 else names[code] for code in codes.tolist()]


def as_values(values: list[Any]) -> list[Any]:
    """Give text as str, and None for what is missing."""
    values = [value.decode() if isinstance(value, bytes) else value for value in values]
    return [None if pd.isna(value) else value for value in values]


def touch_all(path: Path) -> None:
    """Have HDF5 do with a file all that it is asked for by anybody here, whatever it answers."""
    with suppress(Exception), h5py.File(path, "r") as file:
        names: list[str] = []
        with suppress(Exception):
            file.visit(names.append)
        for name in ("/", "X", "X/data", "X/indices", "X/indptr", "obs", "var", *names):
            _touch(file, name)


def _touch(file: h5py.File, name: str) -> None:
    with suppress(Exception):
        element = file[name]
        questions: list[Callable[[], Any]] = [lambda: dict(element.attrs)]
        if isinstance(element, h5py.Group):
            questions.append(lambda: list(element.items()))
        if isinstance(element, h5py.Dataset):
            questions += [
                element.id.get_storage_size,
                element.id.get_num_chunks,
                lambda: element.id.chunk_iter(lambda chunk: None),
                lambda: element.id.read_direct_chunk((0,) * element.ndim),
                lambda: element[:1],
                lambda: element[()],
            ]
        for question in questions:
            with suppress(Exception):
                question()
