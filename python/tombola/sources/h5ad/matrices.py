"""Which matrices a file holds, and finding one: X, layers, raw, obsm, those of modalities of a MuData file.

A name is "X", "raw/X", "layers/NAME" or "obsm/NAME", with "mod/NAME/" before it for a modality. Names that
messages list are those that can be read.
"""

from collections.abc import Iterator
from pathlib import Path

import h5py

from ..._base.words import meant_or
from .dense import DenseMatrix
from .elements import attribute, child, encoding, listed, member, names_in
from .errors import BadFileError, MissingElementError
from .files import OpenFiles
from .sparse import CscMatrix, CsrMatrix

__all__ = [
    "Matrix",
    "check_x",
    "find_matrix",
    "is_mudata",
    "list_matrices",
    "modalities",
    "root_of",
    "split_x",
]

Matrix = CsrMatrix | DenseMatrix

NUMBERS = "biuf"
MODALITY = "mod/"


def check_x(x: object) -> None:
    """Check the name of a matrix.

    Raises
    ------
    ValueError
        If it is none of "X", "raw/X", "layers/NAME" and "obsm/NAME", nor one of these of a modality.
    """
    inner = split_x(x)[1] if isinstance(x, str) else ""
    head, _, name = inner.partition("/")
    if not (inner in ("X", "raw/X") or (head in ("layers", "obsm") and name)):
        modality = "; of a modality with 'mod/NAME/' before it"
        msg = f"x must be 'X', 'raw/X', 'layers/NAME' or 'obsm/NAME', but is {x!r}{modality}"
        raise ValueError(msg)


def split_x(x: str) -> tuple[str, str]:
    """Return the group of the modality, empty if there is none, and the name within it."""
    if not x.startswith(MODALITY):
        return "", x
    name, _, inner = x.removeprefix(MODALITY).partition("/")
    return MODALITY + name, inner


def root_of(file: h5py.File, root: str) -> h5py.Group:
    """Return the group that holds obs, var and the matrices."""
    return file[root] if root else file


def modalities(file: h5py.File) -> list[str]:
    """Return the names of the modalities of a MuData file; none of an h5ad file."""
    group = file.get("mod")
    if not isinstance(group, h5py.Group):
        return []
    return [name for name in group if isinstance(group.get(name), h5py.Group)]


def is_mudata(file: h5py.File) -> bool:
    """Tell whether a file is a MuData file, .h5mu."""
    kind = attribute(file, "encoding-type")
    return bool(kind == "MuData" or (kind != "anndata" and modalities(file)))


def find_matrix(file: h5py.File, path: Path, x: str, files: OpenFiles) -> tuple[Matrix, str | None]:
    """Open the matrix of this name, and say where the names of its columns are.

    Raises
    ------
    MissingElementError
        If there is none; the message lists those there are.
    BadFileError
        If it is no matrix that can be read.
    """
    root, inner = split_x(x)
    if not root and "mod" in file and is_mudata(file):
        msg = (
            f"{path}: a MuData file (.h5mu), whose matrices are those of its modalities, x='mod/NAME/X' and "
            f"so on; it has {listed(list_matrices(file))}"
        )
        raise MissingElementError(msg)
    group = child(file, root) if root else file
    head, _, name = inner.partition("/")
    prefix = f"{root}/" if root else ""
    if isinstance(group, h5py.Group):
        obsm = child(group, "obsm") if head == "obsm" else None
        if head == "obsm" and isinstance(obsm, h5py.Dataset):
            if name in (obsm.dtype.names or ()):
                return DenseMatrix(obsm, path, f"{prefix}obsm", files, field=name), None
        else:
            for key in ("raw/X", "raw.X") if inner == "raw/X" else (inner,):
                element = member(group, key, f"{path}: {prefix}{key}") if key in group else None
                if element is not None and not _is_nothing(element):
                    kind = encoding(element)
                    var = key.replace("X", "var") if head == "raw" else None if head == "obsm" else "var"
                    return _open_matrix(element, kind, path, f"{prefix}{key}", files), var
    names = list_matrices(file)
    msg = f"{path}: no {x!r}; {meant_or(x, names, f'the file has {listed(names)}', likeness=0.8)}"
    raise MissingElementError(msg)


def list_matrices(file: h5py.File) -> list[str]:
    """Return the names of the matrices that can be read."""
    within = [f"{MODALITY}{name}/" for name in modalities(file)]
    roots = within if is_mudata(file) else [""]
    found = []
    for prefix in roots:
        group = file[prefix] if prefix else file
        found += [f"{prefix}{name}" for name in _names(group)]
    return found


def _names(group: h5py.Group) -> Iterator[str]:
    if _is_matrix(group.get("X")):
        yield "X"
    if _is_matrix(group.get("raw/X")) or _is_matrix(group.get("raw.X")):
        yield "raw/X"
    for head in ("layers", "obsm"):
        part = group.get(head)
        if isinstance(part, h5py.Dataset):
            fields = part.dtype.fields or {}
            yield from (f"{head}/{name}" for name, (kind, _) in fields.items() if kind.base.kind in NUMBERS)
        elif isinstance(part, h5py.Group):
            yield from (f"{head}/{name}" for name in _within(part))


def _within(group: h5py.Group) -> Iterator[str]:
    """Yield the matrices below a group: a name with a slash is a group within a group."""
    for name in names_in(group):
        element = group.get(name)
        if _is_matrix(element):
            yield name
        elif isinstance(element, h5py.Group) and encoding(element) == "group":
            yield from (f"{name}/{inner}" for inner in _within(element))


def _is_nothing(element: h5py.HLObject) -> bool:
    """Tell whether an element says that there is none, as X of a file without X."""
    return encoding(element) == "null" or (isinstance(element, h5py.Dataset) and element.shape is None)


def _is_matrix(element: object) -> bool:
    """Tell whether an element is a matrix of numbers, as far as can be told without opening it."""
    if isinstance(element, h5py.Dataset):
        if encoding(element) != "dense" or len(element.shape or ()) not in (1, 2):
            return False
        try:
            return element.dtype.kind in NUMBERS
        except TypeError:  # of a type that NumPy has not
            return False
    return isinstance(element, h5py.Group) and encoding(element) in ("csr", "csc")


def _open_matrix(
    element: h5py.Group | h5py.Dataset, kind: str, path: Path, name: str, files: OpenFiles
) -> Matrix:
    if isinstance(element, h5py.Dataset) and kind == "dense":
        return DenseMatrix(element, path, name, files)
    if isinstance(element, h5py.Group) and kind in ("csr", "csc"):
        return (CsrMatrix if kind == "csr" else CscMatrix)(element, path, name, files)
    msg = (
        f"{path}: {name} is encoded as {kind!r}, which is no matrix that can be read; expected "
        "dense, csr or csc"
    )
    raise BadFileError(msg)
