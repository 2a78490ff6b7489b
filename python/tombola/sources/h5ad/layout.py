"""What one h5ad file holds: its rows, the matrix that was asked for, the names of its columns.

Resolves `x`: "X", "layers/NAME", "raw/X" or "obsm/NAME", in files of any age.
"""

from dataclasses import dataclass
from pathlib import Path

import h5py

from .dense import DenseMatrix
from .elements import encoding, frame_length, listed, place, written_by
from .errors import BadFileError, MissingElementError, reading
from .files import OpenFiles, open_h5
from .obs import column_names, row_names
from .sparse import CscMatrix, CsrMatrix

Matrix = CsrMatrix | DenseMatrix


@dataclass(frozen=True, slots=True, eq=False)
class FileLayout:
    """One file of a source, read and checked but for the values.

    Parameters
    ----------
    path
        The file.
    n_obs
        Its rows.
    matrix
        The matrix that was asked for.
    obs_columns
        Names of the columns of obs.
    written_by
        Version of the format, as the file says.
    """

    path: Path
    n_obs: int
    matrix: Matrix
    obs_columns: list[str]
    written_by: str


def read_layout(path: Path, x: str, files: OpenFiles) -> tuple[FileLayout, list[str]]:
    """Open a file, find and check its parts, and close it again.

    Returns
    -------
    tuple
        The layout, and the names of the columns of the matrix.

    Raises
    ------
    FileNotFoundError, OSError
        If the file cannot be read.
    MissingElementError
        If `x` or obs is not there.
    ValueError
        If the parts do not fit each other.
    """
    with open_h5(path) as file, reading(path, "its structure"):
        return _read_layout(file, path, x, files)


def check_x(x: object) -> None:
    """Check the name of a matrix.

    Raises
    ------
    ValueError
        If it is none of "X", "raw/X", "layers/NAME" and "obsm/NAME".
    """
    head, _, name = x.partition("/") if isinstance(x, str) else ("", "", "")
    if not (x in ("X", "raw/X") or (head in ("layers", "obsm") and name)):
        msg = f"x must be 'X', 'raw/X', 'layers/NAME' or 'obsm/NAME', but is {x!r}"
        raise ValueError(msg)


def _read_layout(file: h5py.File, path: Path, x: str, files: OpenFiles) -> tuple[FileLayout, list[str]]:
    for part in ("obs", "var"):
        if part not in file:
            msg = f"{path}: no {part!r}, so not h5ad; the file has {listed(sorted(file))}"
            raise MissingElementError(msg)
    n_obs = frame_length(file["obs"], place(path, "obs"))
    matrix, var = _find_matrix(file, path, x, files)
    if matrix.shape[0] != n_obs:
        msg = f"{path}: {x} must have {n_obs:,} rows as obs has, but has {matrix.shape[0]:,}"
        raise BadFileError(msg)
    if var is None:
        var_names = [f"{x.removeprefix('obsm/')}_{i}" for i in range(matrix.shape[1])]
    else:
        var_names = row_names(file[var], place(path, var))
        if len(var_names) != matrix.shape[1]:
            msg = (
                f"{path}: {x} must have {len(var_names):,} columns as {var} has rows, but has "
                f"{matrix.shape[1]:,}"
            )
            raise BadFileError(msg)
    names = column_names(file["obs"], place(path, "obs"))
    return FileLayout(path, n_obs, matrix, names, written_by(file)), var_names


def _find_matrix(file: h5py.File, path: Path, x: str, files: OpenFiles) -> tuple[Matrix, str | None]:
    head, _, name = x.partition("/")
    if head == "obsm" and isinstance(file.get("obsm"), h5py.Dataset):
        if name in (file["obsm"].dtype.names or ()):
            return DenseMatrix(file["obsm"], path, "obsm", files, field=name), None
    else:
        for key in ("raw/X", "raw.X") if x == "raw/X" else (x,):
            if key in file and encoding(file[key]) != "null":
                var = key.replace("X", "var") if head == "raw" else None if head == "obsm" else "var"
                return _open_matrix(file[key], path, key, files), var
    msg = f"{path}: no {x!r}; the file has {listed(_matrices(file))}"
    raise MissingElementError(msg)


def _open_matrix(element: h5py.Group | h5py.Dataset, path: Path, name: str, files: OpenFiles) -> Matrix:
    kind = encoding(element)
    if isinstance(element, h5py.Dataset) and kind == "dense":
        return DenseMatrix(element, path, name, files)
    if isinstance(element, h5py.Group) and kind in ("csr", "csc"):
        return (CsrMatrix if kind == "csr" else CscMatrix)(element, path, name, files)
    msg = (
        f"{path}: {name} is encoded as {kind!r}, which is no matrix that can be read; expected "
        "dense, csr or csc"
    )
    raise BadFileError(msg)


def _matrices(file: h5py.File) -> list[str]:
    found = [name for name in ("X", "raw/X", "raw.X") if name in file and encoding(file[name]) != "null"]
    found = [name.replace("raw.X", "raw/X") for name in found]
    for head in ("layers", "obsm"):
        group = file.get(head)
        if isinstance(group, h5py.Dataset):
            found += [f"{head}/{name}" for name in group.dtype.names or ()]
        elif group is not None:
            found += [f"{head}/{name}" for name in sorted(group)]
    return found
