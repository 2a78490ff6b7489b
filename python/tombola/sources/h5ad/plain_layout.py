"""What the usual h5ad file holds, found by the core without HDF5: see `cpp/include/tombola/h5ad`.

Usual are files that h5py wrote as it does if not told otherwise: CSR or dense X, layers or raw X, obs and var
as groups, row pointers and labels not compressed or by gzip. Of any other, and of any that is not as it
should be, nothing is found here: `layout` reads it through HDF5, with its errors. What is found is what it
would find.

The core looks into several files at once, as long as all are usual and have the names of those before: one,
two, four and so on up to `MOST_AHEAD`. Files that somebody writes to are left to HDF5, which knows what is
not in them yet.
"""

import os
from collections import deque
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import h5py
import numpy as np
import numpy.typing as npt

from ... import _core
from ...labels.categorical import signed_codes
from .dense import DenseMatrix
from .elements import place
from .errors import H5adError
from .files import OpenFiles
from .libraries import inflate_functions
from .matrices import Matrix
from .obs import ObsColumn, categories_of, numbers_of
from .obs_codes import Before, Reading
from .sparse import CsrMatrix, index_type
from .stored_codes import FoundColumns, StoredCodes

__all__ = ["LookAhead", "NotPlainError", "PlainContents", "plain_contents"]

MOST_AHEAD = 32
"""Files that are looked into at once: what is found in small ones takes some hundred kB each."""


class NotPlainError(Exception):
    """Something is not as the fast way expects; HDF5 reads the file, and says what is wrong if that is so."""


class PlainContents(NamedTuple):
    """What was found in a file.

    Parameters
    ----------
    matrix, var_names
        The matrix that was asked for, and the names of its columns.
    obs_columns
        Names of the columns of obs.
    columns
        Those of them that were read on the way, or of which it is known where their codes lie.
    versions
        What the file and its obs say of their format.
    """

    matrix: Matrix
    var_names: list[str]
    obs_columns: list[str]
    columns: FoundColumns
    versions: tuple[str | None, str | None]


class _Opening(Protocol):
    """What goes from file to file, see `layout.Opening`."""

    before: dict[str, Reading]
    var_names: Before[list[str]]
    ahead: "LookAhead"

    def takes(self, n_obs: int) -> bool: ...
    def most_rows(self) -> int: ...


def plain_contents(path: Path, x: str, files: OpenFiles, opening: _Opening) -> PlainContents:
    """Look into a file.

    Raises
    ------
    NotPlainError
        If it is none of the usual ones, or anything about it is not as it should be.
    """
    found, shared = opening.ahead.find(path, x, opening)
    matrix: Matrix
    if found.sparse is None:
        matrix = DenseMatrix.known(path, x, files, found.shape, found.dtype)
    else:
        n_values, stored, pointers = found.sparse
        index_dtype = index_type(stored, x)
        matrix = CsrMatrix.known(path, x, files, found.shape, n_values, found.dtype, index_dtype, pointers)
    var_names = shared
    if found.names is not None:
        var_names = opening.ahead.names(*found.names, found.held, opening.var_names)
    are_taken = opening.takes(found.shape[0])
    columns = {}
    for name, values, stored_at, categories in found.columns:
        column: ObsColumn | StoredCodes | None = None
        if stored_at is not None and categories is not None:
            column = _stored(path, found.stamp, stored_at, categories, opening.before[name], name)
        elif are_taken:
            column = _column(path, name, values, categories, opening.before[name])
        if column is not None:
            columns[name] = column
    files.note(path, found.stamp)
    return PlainContents(matrix, var_names, found.obs_columns, columns, found.versions)


_Categories = tuple[int, int, int, bytes]
"""The least code and the largest, how many categories there are, and what `heap_texts` gives of them."""


class _Found(NamedTuple):
    """What the core has found in a file.

    Parameters
    ----------
    stamp
        What the file is, see `OpenFiles.note`.
    shape, dtype
        Of the matrix.
    sparse
        Of a sparse one how many values it has room for, the type of its indices, and where its rows lie.
    names
        How many names its columns have, and what `_core.heap_texts` gives of them; None if they are those
        that were held.
    obs_columns, versions
        See `PlainContents`.
    columns
        Name and values of columns of obs; of codes that were not read their address and type instead; of
        codes their categories.
    held
        Names that may be held for the next files.
    """

    stamp: tuple[int, int, int, int]
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    sparse: tuple[int, np.dtype[Any], _core.RowPointers] | None
    names: tuple[int, bytes] | None
    obs_columns: list[str]
    versions: tuple[str | None, str | None]
    columns: list[tuple[str, npt.NDArray[Any], tuple[int, np.dtype[Any]] | None, _Categories | None]]
    held: _core.HeldNames | None


class LookAhead:
    """Looks into files, and into those that follow.

    Parameters
    ----------
    paths
        The files, in the order in which they will be asked for; any other is looked into alone.
    """

    def __init__(self, paths: Sequence[Path] = ()) -> None:
        self._paths = paths
        self._turn = -1
        self._size = 1
        self._found: deque[tuple[Path, str, _Found | None, list[str]]] = deque()
        self._held: _core.HeldNames | None = None
        self._names: list[str] = []

    def find(self, path: Path, x: str, opening: _Opening) -> tuple[_Found, list[str]]:
        """Give what is found in a file, and the names that it has if it says none.

        Raises
        ------
        NotPlainError
            If it is not plain.
        """
        self._turn += 1
        if not self._found or self._found[0][:2] != (path, x):
            self._look(path, x, opening)
        _, _, found, names = self._found.popleft()
        if found is None:
            raise NotPlainError
        return found, names

    def _look(self, path: Path, x: str, opening: _Opening) -> None:
        self._found.clear()
        if _is_written_here():
            raise NotPlainError
        try:
            for text in (x, *opening.before):
                text.encode()
        except UnicodeEncodeError:
            raise NotPlainError from None
        paths = self._paths[self._turn : self._turn + self._size]
        if not paths or paths[0] != path:
            paths = [path]
        looked = _core.look_into(
            [os.fsencode(each) for each in paths],
            x=x,
            columns=list(opening.before),
            most_rows=opening.most_rows(),
            names=self._held,
            inflate=inflate_functions(),
        )
        if _is_written_here():  # by another thread, since
            raise NotPlainError
        are_alike = True
        for each, contents in zip(paths, looked, strict=True):
            self._found.append((each, x, None if contents is None else _Found(*contents), self._names))
            are_alike = are_alike and contents is not None and contents[4] is None
        self._size = min(2 * self._size, MOST_AHEAD) if are_alike else 1

    def names(
        self, n: int, stored: bytes, held: _core.HeldNames | None, before: Before[list[str]]
    ) -> list[str]:
        """Give names that were read; the same list as before, if they are equal.

        Raises
        ------
        NotPlainError
            If they are no text.
        """
        names = before.get(stored, lambda: _split(stored, n))
        if held is not None:
            self._held, self._names = held, names
        return names


def _is_written_here() -> bool:
    """Tell whether HDF5 has a file open in this process that may have changes which are not in it yet."""
    if not h5py.h5f.get_obj_count(h5py.h5f.OBJ_ALL, h5py.h5f.OBJ_FILE):
        return False
    try:
        files = h5py.h5f.get_obj_ids(h5py.h5f.OBJ_ALL, h5py.h5f.OBJ_FILE)
        return any(file.get_intent() != h5py.h5f.ACC_RDONLY for file in files)
    except ValueError:  # another thread has closed one meanwhile
        return True


def _column(
    path: Path, name: str, values: npt.NDArray[Any], categories: _Categories | None, before: Reading
) -> ObsColumn | None:
    """Make a column of numbers or of categories of text; None of a wrong one, which HDF5 reads."""
    try:
        if categories is None:
            return numbers_of(values, place(path, f"obs column {name!r}"))
        named = _named(path, name, categories, before)
        least, largest = categories[:2]
        return ObsColumn(signed_codes(values), named) if -1 <= least and largest < len(named) else None
    except (NotPlainError, H5adError):
        return None


def _stored(
    path: Path,
    stamp: tuple[int, int, int, int],
    stored_at: tuple[int, np.dtype[Any]],
    categories: _Categories,
    before: Reading,
    name: str,
) -> StoredCodes | None:
    try:
        return StoredCodes(path, stamp, *stored_at, _named(path, name, categories, before))
    except (NotPlainError, H5adError):
        return None


def _named(path: Path, name: str, categories: _Categories, before: Reading) -> npt.NDArray[Any]:
    _, _, n, stored = categories

    def decode() -> npt.NDArray[Any]:
        where = place(path, f"obs column {name!r}")
        return categories_of(np.array(_split(stored, n), dtype=object), where)

    return before.categories.get(stored, decode)


def _split(stored: bytes, n: int) -> list[str]:
    """Return texts as they were stored."""
    if b"\0" in memoryview(stored)[4 * n :].tobytes():  # where HDF5 ends a text
        raise NotPlainError
    bounds = np.full(n + 1, 4 * n, dtype=np.int64)
    bounds[1:] += np.cumsum(np.frombuffer(stored, "<u4", n), dtype=np.int64)
    try:
        return [stored[a:b].decode() for a, b in pairwise(bounds.tolist())]
    except UnicodeDecodeError as error:
        raise NotPlainError from error
