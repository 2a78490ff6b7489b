"""What the usual h5ad file holds, found without HDF5: see `structure`.

Usual are files that h5py wrote as it does if not told otherwise: CSR or dense X, layers or raw X, obs and var
as groups, row pointers and labels not compressed. Of any other, and of any that is not as it should be,
nothing is found here: `layout` reads it through HDF5, with its errors. What is found is what it would find.
"""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from ... import _core
from ..._base.types import IndexArray
from .claims import LARGE
from .dense import DenseMatrix
from .elements import place
from .errors import H5adError
from .files import OpenFiles
from .matrices import Matrix
from .obs import ObsColumn, categories_of, coded, numbers_of
from .obs_codes import Before, Reading
from .plain_file import REFERENCE, NotPlainError, PlainFile, need, open_plain
from .sparse import CsrMatrix, index_type
from .structure import TEXT, PlainObject

__all__ = ["NamesBefore", "PlainContents", "plain_contents"]

MOST_BYTES = 1 << 22
"""Bytes of a list of numbers that is read here."""
MOST_NAMES = 1 << 20
MOST_HELD = 1 << 24
"""Bytes of collections of text that are kept."""

Words = npt.NDArray[np.uint64]


class PlainContents(NamedTuple):
    """What was found in a file.

    Parameters
    ----------
    matrix, var_names
        The matrix that was asked for, and the names of its columns.
    obs_columns
        Names of the columns of obs.
    columns
        Those of them that were read on the way.
    versions
        What the file and its obs say of their format.
    """

    matrix: Matrix
    var_names: list[str]
    obs_columns: list[str]
    columns: Mapping[str, ObsColumn]
    versions: tuple[Any, Any]


class _Opening(Protocol):
    """What goes from file to file, see `layout.Opening`."""

    before: dict[str, Reading]
    names_before: "NamesBefore"

    def takes(self, n_obs: int) -> bool: ...


def plain_contents(path: Path, x: str, files: OpenFiles, opening: _Opening) -> PlainContents:
    """Look into a file.

    Raises
    ------
    NotPlainError
        If it is none of the usual ones, or anything about it is not as it should be.
    """
    with open_plain(path) as file:
        root = PlainObject(file, file.root_address)
        need("mod" not in root.names)
        obs = root.child("obs")
        matrix = _matrix(root, path, x, files)
        index = _index_name(obs)
        need(obs.child(index).dataset().shape == matrix.shape[:1])
        columns = _column_names(obs, index)
        var = root.child("raw").child("var") if x == "raw/X" else root.child("var")
        names = opening.names_before.read(file, var.child(_index_name(var)))
        need(len(names) == matrix.shape[1])
        read = {}
        versions = _text(root, "encoding-version"), _text(obs, "encoding-version")
        if opening.takes(matrix.shape[0]):
            for name, before in opening.before.items():
                column = _column(file, obs, path, name, matrix.shape[0], before) if name in columns else None
                if column is not None:
                    read[name] = column
        files.note(path, file.stamp)
    return PlainContents(matrix, names, columns, read, versions)


def _text(element: PlainObject, name: str) -> str | None:
    found = element.attribute(name)
    if found is not None and not isinstance(found, str):
        raise NotPlainError
    return found


def _matrix(root: PlainObject, path: Path, x: str, files: OpenFiles) -> Matrix:
    parts = x.split("/")
    need(parts[0] in ("X", "layers", "raw"))
    element = root
    for part in parts:
        element = element.child(part)
    kind = _text(element, "encoding-type")
    if not element.is_group:
        stored = element.dataset()
        need(kind == "array" and len(stored.shape) == 2 and stored.dtype is not TEXT)
        return DenseMatrix.known(path, x, files, (stored.shape[0], stored.shape[1]), stored.dtype)
    need(kind == "csr_matrix")
    shape = element.attribute("shape")
    if not isinstance(shape, np.ndarray) or len(shape) != 2 or int(shape.min()) < 0:
        raise NotPlainError
    n, width = map(int, shape)
    data, indices = (element.child(part).dataset() for part in ("data", "indices"))
    need(len(data.shape) == 1 and data.shape == indices.shape and TEXT not in (data.dtype, indices.dtype))
    (n_values,) = data.shape
    for values in (data, indices):  # see `check_scale`
        size = n_values * values.dtype.itemsize
        need(size <= LARGE or (size <= element.file.size and not values.is_filtered))
    stored_pointers = element.child("indptr").values(MOST_BYTES)
    need(len(stored_pointers) == n + 1 and stored_pointers.dtype.kind in "iu")
    try:
        index_dtype = index_type(indices.dtype, str(path))
        pointers = _core.RowPointers.from_pieces(iter([stored_pointers]), n, "row")
    except (H5adError, ValueError) as error:
        raise NotPlainError from error
    need(pointers.n_values <= n_values)
    return CsrMatrix.known(path, x, files, (n, width), n_values, data.dtype, index_dtype, pointers)


def _index_name(frame: PlainObject) -> str:
    for name in (frame.attribute("_index"), "_index", "index"):
        if isinstance(name, str) and name in frame.names:
            return name
    raise NotPlainError


def _column_names(obs: PlainObject, index: str) -> list[str]:
    order = obs.attribute("column-order")
    if isinstance(order, str):
        order = [order]
    need(isinstance(order, list))
    return [name for name in dict.fromkeys(order) if name in obs.names]


def _column(
    file: PlainFile, obs: PlainObject, path: Path, name: str, n_obs: int, before: Reading
) -> ObsColumn | None:
    """Read a column of numbers or of categories of text; None of any other, which HDF5 reads."""
    where = place(path, f"obs column {name!r}")
    try:
        element = obs.child(name)
        if not element.is_group:
            need("__categories" not in obs.names and not element.has_attribute("categories"))
            values = element.values(MOST_BYTES)
            need(len(values) == n_obs)
            return numbers_of(values, where)
        need(_text(element, "encoding-type") == "categorical")
        codes = element.child("codes").values(MOST_BYTES)
        need(len(codes) == n_obs)
        texts = element.child("categories")
        n_texts = _count_texts(texts)
        stored = _stored_texts(file, texts, n_texts)

        def decode() -> npt.NDArray[Any]:
            return categories_of(np.array(_split(stored, n_texts), dtype=object), where)

        return coded(codes, before.categories.get(stored, decode), where)
    except (NotPlainError, H5adError):
        return None


def _stored_texts(file: PlainFile, element: PlainObject, n: int) -> bytes:
    """Give texts as `heap_texts` of the core does: lengths of 4 bytes, then all of them."""
    address = element.dataset().address
    if address is not None:
        stored = _core.heap_texts(file.descriptor, address, n)
        if stored is None:
            raise NotPlainError
        return stored
    found = _core.texts_at(file.data_file(), np.frombuffer(_references(element, n), np.uint8))
    if found is None:
        raise NotPlainError
    return np.diff(found[0]).astype("<u4").tobytes() + found[1]


def _references(element: PlainObject, n: int) -> bytearray:
    return element.content(REFERENCE.size, n * REFERENCE.size)


def _count_texts(element: PlainObject) -> int:
    """Return how many texts a list has: some, and not too many."""
    where = element.dataset()
    need(where.dtype is TEXT and len(where.shape) == 1 and 0 < where.shape[0] <= MOST_NAMES)
    need(where.address is None or (where.size == where.shape[0] * REFERENCE.size and not where.is_filtered))
    return where.shape[0]


def _split(stored: bytes, n: int) -> list[str]:
    """Return texts as they were stored."""
    need(b"\0" not in memoryview(stored)[4 * n :].tobytes())  # where HDF5 ends a text
    bounds = np.full(n + 1, 4 * n, dtype=np.int64)
    bounds[1:] += np.cumsum(np.frombuffer(stored, "<u4", n), dtype=np.int64)
    try:
        return [stored[a:b].decode() for a, b in pairwise(bounds.tolist())]
    except UnicodeDecodeError as error:
        raise NotPlainError from error


class NamesBefore:
    """The names of a file before, as they lie in it: most files of a source have the same.

    Equal references into equal bytes are equal names, which is told in a fifth of the time of reading them.

    Parameters
    ----------
    names
        What was decoded of the file before, shared with those that are read through HDF5.
    """

    def __init__(self, names: Before[list[str]]) -> None:
        self._names = names
        self._before: _Held | None = None

    def read(self, file: PlainFile, element: PlainObject) -> list[str]:
        """Give the names of a file; the same list as before, if they are equal."""
        n = _count_texts(element)
        if self._before is not None and self._before.is_in(file, element):
            return self._before.names
        stored = _stored_texts(file, element, n)
        names = self._names.get(stored, lambda: _split(stored, n))
        self._before = _Held.make(file, element, names)
        return names


class _Held:
    """Names, the references to them, and the collections of text that they are in.

    What another file has in their place is read into the same memory each time: new memory takes longer to
    get than the bytes to read. Other texts of a file lie in the same collections, and may differ.
    """

    def __init__(self, names: list[str], words: Words, starts: IndexArray, lengths: IndexArray) -> None:
        self.names, self._words, self._starts = names, words, starts
        ends = starts + lengths
        cuts = np.flatnonzero(starts[1:] > ends[:-1]) + 1  # collections that lie together are one
        self._stretches = list(
            zip(starts[[0, *cuts]].tolist(), ends[[*(cuts - 1), len(ends) - 1]].tolist(), strict=True)
        )
        self._bounds = np.cumsum(lengths) // 8
        self._held: Words = np.empty(int(self._bounds[-1]), dtype=np.uint64)
        self._is_name = np.zeros(len(self._held), dtype=np.bool_)
        self._objects: list[tuple[IndexArray, IndexArray]] = []
        self._room: Words = np.empty_like(self._held)
        self._differs = np.empty_like(self._is_name)
        self._words_room = np.empty_like(words)

    @classmethod
    def make(cls, file: PlainFile, element: PlainObject, names: list[str]) -> "_Held | None":
        """Keep what was read; None of what is beyond 4 GiB, has empty names, or is unusually large."""
        words: Words = np.empty((len(names), 2), dtype=np.uint64)
        _read_words(file, element, words)
        if (words[:, 1] & 0xFFFFFFFF).any() or not (words[:, 0] & 0xFFFFFFFF).all():
            return None
        starts = np.unique(_addresses(words))
        sizes = [int.from_bytes(file.read(start + 8, 8), "little") for start in starts.tolist()]
        lengths = np.array(sizes, dtype=np.int64)  # which were checked when the names were read
        if (
            (lengths % 8).any()
            or (starts[1:] < starts[:-1] + lengths[:-1]).any()
            or lengths.sum() > MOST_HELD
        ):
            return None
        held = cls(names, words, starts, lengths)
        held._read(file, 0, held._held)
        held._find(file)
        return held

    def _find(self, file: PlainFile) -> None:
        """Note where the names lie in their collections."""
        addresses, firsts = _addresses(self._words), [0, *self._bounds.tolist()]
        for start, first in zip(self._starts.tolist(), firsts, strict=False):
            numbers = (self._words[addresses == start, 1] >> np.uint64(32)).astype(np.int64)
            places = file.objects(start).reshape(-1, 2)[numbers] - [start, 0]
            self._objects.append((numbers, places))
            begins, sizes = first + places[:, 0] // 8, -(-places[:, 1] // 8)
            for size in np.unique(sizes).tolist():
                at = begins[sizes == size]
                self._is_name[(at[:, None] + np.arange(size)).ravel()] = True

    def is_in(self, file: PlainFile, element: PlainObject) -> bool:
        """Tell whether a file holds these names, where this one has them."""
        if _count_texts(element) != len(self.names):
            return False
        words = self._words_room
        _read_words(file, element, words)
        shift = int(words[0, 0] >> np.uint64(32)) - int(self._words[0, 0] >> np.uint64(32))
        if shift:  # addresses stay within 4 bytes, see below
            words[:, 0] -= np.uint64((shift << 32) % 2**64)
        if not np.array_equal(words, self._words):
            return False
        first, end = self._stretches[0][0] + shift, self._stretches[-1][1] + shift
        if first < 0 or end > min(file.size, 2**32):
            return False
        self._read(file, shift, self._room)
        np.not_equal(self._room, self._held, out=self._differs)
        others = np.flatnonzero(self._differs)
        if self._is_name[others].any():
            return False
        for number in np.unique(np.searchsorted(self._bounds, others, side="right")).tolist():
            start = int(self._starts[number]) + shift
            numbers, places = self._objects[number]
            found = file.objects(start).reshape(-1, 2)
            if numbers.max() >= len(found) or not np.array_equal(found[numbers] - [start, 0], places):
                return False
        return True

    def _read(self, file: PlainFile, shift: int, out: Words) -> None:
        at = 0
        for start, stop in self._stretches:
            size = (stop - start) // 8
            file.read_into(start + shift, out[at : at + size])
            at += size


def _read_words(file: PlainFile, element: PlainObject, out: Words) -> None:
    """Read references into an array of their number."""
    address = element.dataset().address
    if address is None:
        out[...] = np.frombuffer(_references(element, len(out)), np.uint64).reshape(out.shape)
    else:
        file.read_into(address, out)


def _addresses(words: Words) -> IndexArray:
    """Return the addresses in references: size of 4 bytes, address of 8, of which 4 are used, number of 4."""
    return (words[:, 0] >> np.uint64(32)).astype(np.int64)
