"""Reading whole small elements of an h5ad file: attributes, arrays, strings, names of rows and columns.

Covers what anndata has written since 0.6: groups with `encoding-type`, the older h5sparse attributes, and
obs, var and obsm as one dataset with a compound dtype.
"""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from .errors import MissingElementError, UnreadableFileError
from .files import require_codecs


def listed(names: list[str]) -> str:
    """Join names for an error message, the first 30 of them."""
    if not names:
        return "none"
    return ", ".join(names[:30]) + (f" and {len(names) - 30:,} more" if len(names) > 30 else "")


def attribute(element: h5py.HLObject, *names: str) -> Any:
    """Give the first of these attributes that is there, text as str, or None."""
    for name in names:
        if name in element.attrs:
            value = element.attrs[name]
            return value.decode() if isinstance(value, bytes) else value
    return None


def encoding(element: h5py.HLObject) -> str:
    """Name the encoding of an element: csr, csc, dense, categorical, dataframe, null and so on."""
    written = attribute(element, "encoding-type", "h5sparse_format")
    if written is None:
        return "dense" if isinstance(element, h5py.Dataset) else "group"
    name = str(written).removesuffix("_matrix")
    return "dense" if name == "array" else name


def dataset(group: h5py.Group, name: str, where: str) -> h5py.Dataset:
    """Give a dataset of a group.

    Raises
    ------
    MissingElementError
        If it is not there or is no dataset.
    """
    found = group.get(name)
    if not isinstance(found, h5py.Dataset):
        msg = f"{where}: expected a dataset {name!r}, but found {listed(sorted(group))}"
        raise MissingElementError(msg)
    return found


def read_array(source: h5py.Dataset, where: str, field: str | None = None) -> npt.NDArray[Any]:
    """Read a dataset, or one field of a compound one, as it is stored.

    Raises
    ------
    UnreadableFileError
        If it cannot be read.
    """
    require_codecs(source, where)
    try:
        value = source[()] if field is None else source[field]
    except (OSError, RuntimeError, ValueError, TypeError) as error:
        msg = f"{where}: cannot read it; the file is damaged ({error})"
        raise UnreadableFileError(msg) from error
    return np.asarray(value)


def is_text(values: npt.NDArray[Any]) -> bool:
    """Tell whether an array from HDF5 holds text."""
    return values.dtype.kind in "SUO"


def decoded(values: npt.NDArray[Any]) -> list[str]:
    """Turn text from HDF5, bytes or str, into a list of str."""
    return [v.decode(errors="replace") if isinstance(v, bytes) else str(v) for v in values.ravel().tolist()]


def index_name(frame: h5py.Group | h5py.Dataset, where: str) -> str:
    """Name the column of a data frame that holds its row names.

    Raises
    ------
    MissingElementError
        If there is none.
    """
    if isinstance(frame, h5py.Dataset):
        names: tuple[str, ...] = frame.dtype.names or ()
        if names:
            return names[0]
    else:
        for name in (attribute(frame, "_index"), "_index", "index"):
            if isinstance(name, str) and name in frame:
                return name
    msg = f"{where}: expected a data frame with an index, but it has none"
    raise MissingElementError(msg)


def frame_length(frame: h5py.Group | h5py.Dataset, where: str) -> int:
    """Count the rows of a data frame without reading them."""
    if isinstance(frame, h5py.Dataset):
        return int(frame.shape[0])
    name = index_name(frame, where)
    index = frame[name]
    if isinstance(index, h5py.Group):
        part = "codes" if encoding(index) == "categorical" else "values"
        return int(dataset(index, part, f"{where}/{name}").shape[0])
    return int(dataset(frame, name, where).shape[0])


def written_by(file: h5py.File) -> str:
    """Say which version of anndata's format a file follows, as far as it says so itself."""
    obs = file.get("obs")
    if isinstance(obs, h5py.Dataset):
        return "before 0.7 (compound obs)"
    version = attribute(file, "encoding-version")
    if version is not None:
        return f"anndata {version}"
    frame = attribute(obs, "encoding-version") if obs is not None else None
    return "0.7 (no file version" + (f", dataframe {frame})" if frame is not None else ")")


def place(path: Path, name: str) -> str:
    """Name an element in error messages."""
    return f"{path}: {name}"
