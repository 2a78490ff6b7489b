"""What users pass as files and as a type of numbers, made plain, or an error that says what to pass instead.

AnnData, torch and Zarr are never imported: their objects are known by what they offer.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import NotAFileError

__all__ = [
    "PathLike",
    "as_paths",
    "batch_type",
    "check_is_file",
    "names_of_columns",
    "names_of_texts",
    "number_type",
    "one_of",
]

PathLike = str | os.PathLike[str]
_LISTED = 3


def as_paths(paths: PathLike | Iterable[PathLike]) -> tuple[Path, ...]:
    """Return one path or several as a tuple.

    Raises
    ------
    TypeError
        If they are no paths; an AnnData object or an open file is named as such.
    ValueError
        If there are none.
    """
    if isinstance(paths, str | os.PathLike):
        return (Path(paths),)
    given = [paths] if _is_open(paths) or not isinstance(paths, Iterable) else list(paths)
    if not given:
        msg = "paths must name at least one file, but is empty"
        raise ValueError(msg)
    for path in given:
        if not isinstance(path, str | os.PathLike):
            msg = f"paths must be paths of h5ad files, but one is {_what_it_is(path)}"
            raise TypeError(msg)
    return tuple(Path(path) for path in given)  # type: ignore[arg-type]


def is_zarr(path: Path) -> bool:
    """Tell whether a path is a Zarr store, or has the name of one."""
    return path.suffix == ".zarr" or (path / ".zgroup").exists() or (path / "zarr.json").exists()


def check_is_file(path: Path) -> None:
    """Refuse folders and Zarr stores, saying what to do.

    Raises
    ------
    FileNotFoundError
        If the path is one of them.
    """
    if is_zarr(path):
        msg = (
            f"{path}: a Zarr store, not an h5ad file; anndata.read_zarr({str(path)!r}).write_h5ad(...) "
            "makes a file that can be read"
        )
        raise NotAFileError(msg)
    if path.is_dir():
        names = sorted(each.name for each in path.glob("*.h5ad"))
        listed = ", ".join(names[:_LISTED]) + (", ..." if len(names) > _LISTED else "")
        held, cure = "no h5ad files", ""
        if names:
            held = f"h5ad files, {len(names):,} in number ({listed})"
            in_python = f"sorted(Path({str(path)!r}).glob('*.h5ad'))"
            cure = f"; {path / '*.h5ad'} names them on a command line, {in_python} in Python"
        msg = f"{path}: a folder, not an h5ad file, with {held} in it{cure}"
        raise NotAFileError(msg)


def batch_type(dtype: Any) -> str | None:
    """Return "bfloat16" where that is asked for, which torch has and NumPy has not; else None."""
    return "bfloat16" if str(dtype) in ("bfloat16", "torch.bfloat16") else None


def number_type(dtype: Any) -> np.dtype[Any]:
    """Return a type of numbers, of NumPy's or by the name of torch's; float32 in place of bfloat16.

    Raises
    ------
    TypeError
        If it is no type that NumPy has.
    ValueError
        If it is no type of numbers.
    """
    if batch_type(dtype) is not None:
        return np.dtype(np.float32)
    name = str(dtype)
    given: npt.DTypeLike = name.removeprefix("torch.") if name.startswith("torch.") else dtype
    try:
        made = np.dtype(given).newbyteorder("=")
    except TypeError:
        msg = f"dtype must be a type of numbers, but is {dtype!r}"
        raise TypeError(msg) from None
    if made.kind not in "biuf":
        msg = f"dtype must be a type of numbers, but is {made}"
        raise ValueError(msg)
    return made


def _is_anndata(value: object) -> bool:
    return all(hasattr(value, name) for name in ("obs", "var", "obs_names", "X"))


def _is_open(value: object) -> bool:
    """Tell whether a value is an object in place of a file, which may also be iterable."""
    return _is_anndata(value) or hasattr(value, "read") or hasattr(value, "filename")


def _what_it_is(value: object) -> str:
    if _is_anndata(value):
        path = getattr(value, "filename", None)
        backed = f"; it is backed by {str(path)!r}, which can be passed" if path else ""
        cure = "ArraySource(adata.X, drug=adata.obs['drug']) takes its rows from memory"
        return f"an AnnData object: {cure}{backed}"
    name = getattr(value, "filename", None) or getattr(value, "name", None)
    named = f", pass its path, {name!r}" if isinstance(name, str) else ""
    return f"of type {type(value).__name__}{named}"


def one_of(option: str, value: str, allowed: tuple[str, ...]) -> str:
    """Return a value that is one of those allowed.

    Raises
    ------
    ValueError
        If it is none.
    """
    if value not in allowed:
        msg = f"{option} must be one of {', '.join(allowed)}, but is {value!r}"
        raise ValueError(msg)
    return value


def names_of_texts(
    text: str | Sequence[str], obs_names: object, reserved: Sequence[str], columns: Sequence[str]
) -> tuple[str, ...]:
    """Return the names of the columns to give as text, beside those of `columns` that are read as codes.

    Raises
    ------
    TypeError
        If one is no text, or `obs_names` is no boolean.
    ValueError
        If a batch has another column of that name.
    """
    if not isinstance(obs_names, bool):
        msg = f"obs_names must be True or False, but is {obs_names!r}"
        raise TypeError(msg)
    if len(set(reserved)) < len(reserved):
        msg = "x must call no matrix 'obs_names' where batches hold the names of their rows under it"
        raise ValueError(msg)
    names = names_of_columns(text, reserved, option="text")
    for name in names:
        if name in columns:
            msg = f"obs column {name!r} is named by obs= and by text=, but batches hold one of a name"
            raise ValueError(msg)
    return tuple(dict.fromkeys(names))


def names_of_columns(
    obs: str | Sequence[str], reserved: Sequence[str], *, option: str = "obs"
) -> tuple[str, ...]:
    """Return the names of the obs columns to read.

    Raises
    ------
    TypeError
        If one is no text.
    ValueError
        If a batch has a column of its own of that name.
    """
    names: tuple[object, ...] = (obs,) if isinstance(obs, str) else tuple(obs)
    for name in names:
        if not isinstance(name, str):
            msg = f"{option} must name columns, but one is {name!r}"
            raise TypeError(msg)
        if name in reserved:
            msg = f"obs column {name!r} cannot be read: a batch has its own {name!r}; rename the column"
            raise ValueError(msg)
    return tuple(map(str, names))
