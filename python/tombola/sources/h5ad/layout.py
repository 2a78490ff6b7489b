"""What one h5ad file holds: its rows, the matrix that was asked for, the names of its columns."""

from dataclasses import dataclass
from pathlib import Path

import h5py

from .elements import frame_length, listed, place, written_by
from .errors import BadFileError, MissingElementError, reading
from .files import OpenFiles, open_alone
from .matrices import Matrix, find_matrix, is_mudata, list_matrices, modalities, root_of, split_x
from .obs import column_names, row_names

__all__ = ["Contents", "FileLayout", "ObsLayout", "read_contents", "read_layout"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ObsLayout:
    """The rows of one file.

    Parameters
    ----------
    path
        The file.
    root
        The group that holds obs: empty, or that of a modality.
    n_obs
        Its rows.
    obs_columns
        Names of the columns of obs.
    written_by
        Version of the format, as the file says.
    """

    path: Path
    root: str
    n_obs: int
    obs_columns: list[str]
    written_by: str


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class FileLayout(ObsLayout):
    """One file of a source, read and checked but for the values.

    Parameters
    ----------
    matrix
        The matrix that was asked for.
    """

    matrix: Matrix


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Contents:
    """What a file offers, whatever its matrices are.

    Parameters
    ----------
    matrices
        Names of the matrices that can be read.
    modalities
        Those of a MuData file.
    obs
        The rows of an h5ad file; None of a MuData file.
    """

    matrices: list[str]
    modalities: list[str]
    obs: ObsLayout | None


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
    with open_alone(path) as file, reading(path, "its structure"):
        return _read_layout(file, path, x, files)


def read_contents(path: Path) -> Contents:
    """Say what a file holds, whether there is an X or not."""
    with open_alone(path) as file, reading(path, "its structure"):
        found = modalities(file) if is_mudata(file) else []
        obs = None if found else _read_obs(file, path, "")
        return Contents(matrices=list_matrices(file), modalities=found, obs=obs)


def _read_layout(file: h5py.File, path: Path, x: str, files: OpenFiles) -> tuple[FileLayout, list[str]]:
    files.note(path, file)
    root, inner = split_x(x)
    if not root:
        _check_parts(file, path, root)
    matrix, var = find_matrix(file, path, x, files)
    obs = _read_obs(file, path, root)
    group = root_of(file, root)
    if matrix.shape[0] != obs.n_obs:
        msg = f"{path}: {x} must have {obs.n_obs:,} rows as obs has, but has {matrix.shape[0]:,}"
        raise BadFileError(msg)
    if var is None:
        var_names = [f"{inner.removeprefix('obsm/')}_{i}" for i in range(matrix.shape[1])]
    else:
        var_names = row_names(group[var], place(path, f"{root}/{var}".lstrip("/")))
        if len(var_names) != matrix.shape[1]:
            msg = (
                f"{path}: {x} must have {len(var_names):,} columns as {var} has rows, but has "
                f"{matrix.shape[1]:,}"
            )
            raise BadFileError(msg)
    layout = FileLayout(
        path=path,
        root=root,
        n_obs=obs.n_obs,
        obs_columns=obs.obs_columns,
        written_by=obs.written_by,
        matrix=matrix,
    )
    return layout, var_names


def _check_parts(file: h5py.File, path: Path, root: str) -> None:
    group = root_of(file, root)
    for part in ("obs", "var"):
        if part not in group:
            msg = f"{path}: no {part!r}, so not h5ad; the file has {listed(sorted(group))}"
            raise MissingElementError(msg)


def _read_obs(file: h5py.File, path: Path, root: str) -> ObsLayout:
    _check_parts(file, path, root)
    obs = root_of(file, root)["obs"]
    where = place(path, f"{root}/obs".lstrip("/"))
    return ObsLayout(
        path=path,
        root=root,
        n_obs=frame_length(obs, where),
        obs_columns=column_names(obs, where),
        written_by=written_by(file),
    )
