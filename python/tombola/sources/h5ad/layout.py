"""What one h5ad file holds: its rows, the matrix that was asked for, the names of its columns."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py

from .elements import child, frame_length, index_name, listed, place, written_by
from .errors import BadFileError, MissingElementError, reading
from .files import OpenFiles, open_alone
from .matrices import Matrix, find_matrix, is_mudata, list_matrices, modalities, root_of, split_x
from .obs import ObsColumn, column_names, read_obs_column, row_names
from .obs_codes import Before, Reading

__all__ = [
    "Contents",
    "FileLayout",
    "FoundColumns",
    "ObsLayout",
    "Opening",
    "read_columns",
    "read_contents",
    "read_layout",
]

FoundColumns = Mapping[str, ObsColumn]
"""Columns of obs of one file that were read, by name."""

FEW_ROWS = 1 << 16
MOST_ROWS = 1 << 22
"""Obs of files of few rows are read when they are opened, of so many rows in all: they are copied later."""


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


class Opening:
    """What goes from one file to the next while the files of a source are opened.

    Parameters
    ----------
    columns
        Columns of obs to read on the way, of files that are small: to open a file takes longer than that.

    Attributes
    ----------
    var_names : Before
        Names of the columns of the file before.
    before : dict of Reading
        What each column of obs takes from the files before.
    rows : int
        How many rows of obs may still be read on the way.
    """

    def __init__(self, columns: Sequence[str] = ()) -> None:
        self.var_names: Before[list[str]] = Before()
        self.before = {name: Reading() for name in columns}
        self.rows = MOST_ROWS

    def read_columns(self, file: h5py.File, layout: ObsLayout) -> FoundColumns:
        """Read the columns of a file that has few rows, and none of others."""
        if layout.n_obs > min(FEW_ROWS, self.rows):
            return {}
        self.rows -= layout.n_obs
        names = [name for name in self.before if name in layout.obs_columns]
        return read_columns(root_of(file, layout.root), layout, names, self.before)


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


def read_layout(
    path: Path, x: str, files: OpenFiles, opening: Opening
) -> tuple[FileLayout, list[str], FoundColumns]:
    """Open a file, find and check its parts, and close it again.

    Parameters
    ----------
    path, x, files
        The file, the matrix, and where to get readers from.
    opening
        What goes from file to file.

    Returns
    -------
    tuple
        The layout, the names of the columns of the matrix, and columns of obs that were read on the way.

    Raises
    ------
    FileNotFoundError, OSError
        If the file cannot be read.
    MissingElementError
        If `x` or obs is not there.
    ValueError
        If the parts do not fit each other.
    """
    with open_alone(path) as file:
        with reading(path, "its structure"):
            layout, names = _read_layout(file, path, x, files, opening.var_names)
        return layout, names, opening.read_columns(file, layout)


def read_contents(path: Path) -> Contents:
    """Say what a file holds, whether there is an X or not."""
    with open_alone(path) as file, reading(path, "its structure"):
        found = modalities(file) if is_mudata(file) else []
        if not found:
            _check_parts(file, path, "")
        obs = None if found else _read_obs(file, path, "")
        return Contents(matrices=list_matrices(file), modalities=found, obs=obs)


def read_columns(
    root: h5py.Group, layout: ObsLayout, names: Iterable[str], before: Mapping[str, Reading]
) -> FoundColumns:
    """Read columns of obs of an open file; `before` says of each what it takes from the files before."""
    columns: dict[str, ObsColumn] = {}
    obs = None
    for name in names:
        with reading(layout.path, f"obs column {name!r}"):
            obs = child(root, "obs") if obs is None else obs
            columns[name] = read_obs_column(root, obs, layout.path, name, layout.n_obs, before[name])
    return columns


def _read_layout(
    file: h5py.File, path: Path, x: str, files: OpenFiles, before: Before[list[str]]
) -> tuple[FileLayout, list[str]]:
    files.note(path, file)
    root, inner = split_x(x)
    if not root:
        _check_parts(file, path, root)
    matrix, var = find_matrix(file, path, x, files)
    if root:
        _check_parts(file, path, root)
    obs = _read_obs(file, path, root)
    group = root_of(file, root)
    if matrix.shape[0] != obs.n_obs:
        msg = f"{path}: {x} must have {obs.n_obs:,} rows as obs has, but has {matrix.shape[0]:,}"
        raise BadFileError(msg)
    if var is None:
        var_names = [f"{inner.removeprefix('obsm/')}_{i}" for i in range(matrix.shape[1])]
    else:
        var_names = row_names(child(group, var), place(path, f"{root}/{var}".lstrip("/")), before)
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
    where = place(path, f"{root}/obs".lstrip("/"))
    obs = child(root_of(file, root), "obs")
    index = index_name(obs, where)
    return ObsLayout(
        path=path,
        root=root,
        n_obs=frame_length(obs, where, index),
        obs_columns=column_names(obs, where, index),
        written_by=written_by(file, obs),
    )
