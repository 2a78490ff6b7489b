"""What one h5ad file holds: its rows, the matrix that was asked for, the names of its columns."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py

from .elements import (
    child,
    frame_length,
    index_name,
    listed,
    member,
    names_in,
    place,
    version_text,
    written_by,
)
from .errors import BadFileError, MissingElementError, reading
from .files import OpenFiles, open_alone, stamp_of
from .matrices import Matrix, find_matrix, is_mudata, list_matrices, modalities, root_of, split_x
from .obs import ObsColumn, column_names, read_obs_column, row_names
from .obs_codes import Before, Reading
from .plain_layout import LookAhead, NotPlainError, PlainContents, plain_contents
from .stored_codes import FoundColumns

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

FEW_ROWS = 1 << 16
MOST_UNNAMED = 1 << 24
"""Columns that a matrix without names of its own may have: each is given one."""
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
        Version of the format, as far as the file says, and who writes that.
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
    paths
        The files, in their order.

    Attributes
    ----------
    var_names : Before
        Names of the columns of the file before.
    ahead : LookAhead
        What was found in files that follow.
    before : dict of Reading
        What each column of obs takes from the files before.
    rows : int
        How many rows of obs may still be read on the way.
    """

    def __init__(self, columns: Sequence[str] = (), paths: Sequence[Path] = ()) -> None:
        self.var_names: Before[list[str]] = Before()
        self.ahead = LookAhead(paths)
        self.before = {name: Reading() for name in columns}
        self.rows = MOST_ROWS

    def read_columns(self, file: h5py.File, layout: ObsLayout) -> FoundColumns:
        """Read the columns of a file that has few rows, and none of others."""
        if not self.takes(layout.n_obs):
            return {}
        names = [name for name in self.before if name in layout.obs_columns]
        return read_columns(root_of(file, layout.root), layout, names, self.before)

    def takes(self, n_obs: int) -> bool:
        """Tell whether columns of a file of so many rows are read on the way."""
        if n_obs > self.most_rows():
            return False
        self.rows -= n_obs
        return True

    def most_rows(self) -> int:
        """Return how many rows a file may have whose columns are read on the way; negative if none is."""
        return min(FEW_ROWS, self.rows)


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
    try:
        return _of_plain(path, plain_contents(path, x, files, opening))
    except NotPlainError:
        pass  # HDF5 reads it, or says what is wrong with it
    with open_alone(path) as file:
        with reading(path, "its structure"):
            layout, names = _read_layout(file, path, x, files, opening.var_names)
        return layout, names, opening.read_columns(file, layout)


def read_contents(path: Path) -> Contents:
    """Say what a file holds, whether there is an X or not."""
    with open_alone(path) as file, reading(path, "its structure"):
        found = modalities(file) if is_mudata(file) else []
        matrices = list_matrices(file)
        obs = None
        if not found and not (matrices and "obs" not in file):
            _check_parts(file, path)
            obs = _read_obs(file, path, "", 0)
        return Contents(matrices=matrices, modalities=found, obs=obs)


def read_columns(
    root: h5py.Group, layout: ObsLayout, names: Iterable[str], before: Mapping[str, Reading]
) -> dict[str, ObsColumn]:
    """Read columns of obs of an open file; `before` says of each what it takes from the files before."""
    columns: dict[str, ObsColumn] = {}
    obs = None
    for name in names:
        with reading(layout.path, f"obs column {name!r}"):
            obs = child(root, "obs") if obs is None else obs
            columns[name] = read_obs_column(root, obs, layout.path, name, layout.n_obs, before[name])
    return columns


def _of_plain(path: Path, found: PlainContents) -> tuple[FileLayout, list[str], FoundColumns]:
    layout = FileLayout(
        path=path,
        root="",
        n_obs=found.matrix.shape[0],
        obs_columns=found.obs_columns,
        written_by=version_text(*found.versions),
        matrix=found.matrix,
    )
    return layout, found.var_names, found.columns


def _read_layout(
    file: h5py.File, path: Path, x: str, files: OpenFiles, before: Before[list[str]]
) -> tuple[FileLayout, list[str]]:
    files.note(path, stamp_of(file))
    root, inner = split_x(x)
    if not root:
        _check_parts(file, path)
    matrix, var = find_matrix(file, path, x, files)
    obs = _read_obs(file, path, root, matrix.shape[0])
    group = root_of(file, root)
    if matrix.shape[0] != obs.n_obs:
        msg = f"{path}: {x} must have {obs.n_obs:,} rows as obs has, but has {matrix.shape[0]:,}"
        raise BadFileError(msg)
    if (var is None or var not in group) and matrix.shape[1] > MOST_UNNAMED:
        most, found = MOST_UNNAMED, matrix.shape[1]
        msg = f"{path}: {x} must have at most {most:,} columns without names, but has {found:,}"
        raise BadFileError(msg)
    if var is None:
        var_names = [f"{inner.removeprefix('obsm/')}_{i}" for i in range(matrix.shape[1])]
    elif var not in group:
        var_names = list(map(str, range(matrix.shape[1])))  # as anndata names them
    else:
        where = place(path, f"{root}/{var}".lstrip("/"))
        var_names = row_names(member(group, var, where), where, before)
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


def _check_parts(file: h5py.File, path: Path) -> None:
    """Refuse what is no h5ad file; some writers leave out obs or var where they have no columns."""
    if not any(part in file for part in ("obs", "var", "obsm", "mod")):
        msg = f"{path}: no 'obs' and no 'var', so not h5ad; the file has {listed(names_in(file))}"
        raise MissingElementError(msg)


def _read_obs(file: h5py.File, path: Path, root: str, n_obs: int) -> ObsLayout:
    """Read how obs is laid out; of a file without it, there are so many rows without columns."""
    group = root_of(file, root)
    if "obs" not in group:
        written = written_by(file, None)
        return ObsLayout(path=path, root=root, n_obs=n_obs, obs_columns=[], written_by=written)
    where = place(path, f"{root}/obs".lstrip("/"))
    obs = member(group, "obs", where)
    index = index_name(obs, where)
    return ObsLayout(
        path=path,
        root=root,
        n_obs=frame_length(obs, where, index),
        obs_columns=column_names(obs, where, index),
        written_by=written_by(file, obs),
    )
