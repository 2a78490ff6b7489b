"""One column of text of one file, or its row names, by rows.

Rule: of text that is stored row by row, those of a window are read from the file, or all of it is held in
memory: its bytes, and where each row begins, packed to less than 2 bytes a row (a fifth of a byte where
texts are equally long). Of categories the names are held, and the codes as they are stored. Which rows of a
nullable column are missing takes an eighth of a byte a row. Text is decoded strictly where it is given out.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, Protocol

import h5py
import numpy as np
import numpy.typing as npt

from ... import _core
from ..._base.fork import ForkLock
from ..._base.types import IndexArray
from ..ranges import gather_ranges
from .elements import child, encoding, index_name, member, place
from .errors import BadFileError, reading
from .files import OpenFiles, looking, open_alone
from .heap import Texts, joined
from .layout import ObsLayout
from .matrices import root_of
from .obs import ObsColumn, read_mask, read_obs_column
from .runs import RunReader

__all__ = ["CodedText", "NoText", "NumberedRows", "ObjectArray", "StoredText", "TextPart", "open_text"]

ObjectArray = npt.NDArray[np.object_]
HELD_ROWS = 1 << 18
"""Text that is held in memory is read so many rows at a time."""


class TextPart(Protocol):
    """The text of one file."""

    def read(self, rows: IndexArray) -> ObjectArray:
        """Give the text of rows, strictly increasing; None where it is missing."""

    @property
    def nbytes(self) -> int:
        """Bytes that are held between reads."""


class NoText:
    """Of a file that has not got the column, or misses it throughout."""

    nbytes = 0

    def read(self, rows: IndexArray) -> ObjectArray:
        """Give None for each row."""
        return np.full(len(rows), None, dtype=object)


class NumberedRows:
    """Names of the rows of a file that has no obs: their numbers, as anndata names them."""

    nbytes = 0

    def read(self, rows: IndexArray) -> ObjectArray:
        """Give the rows' numbers as text."""
        return _objects(list(map(str, rows.tolist())))


class CodedText:
    """Text that is kept as categories.

    Parameters
    ----------
    layout, name
        The file's rows, and the column.
    column
        What was read of it.
    is_named
        Whether every row must have a text.
    """

    def __init__(self, layout: ObsLayout, name: str, column: ObsColumn, is_named: bool) -> None:
        self._layout, self._name, self._is_named = layout, name, is_named
        self._lock = ForkLock()
        self._column: ObsColumn | None = column

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_column": None}

    @property
    def nbytes(self) -> int:
        """Bytes of codes and categories."""
        column = self._column
        if column is None or column.categories is None:
            return 0
        return int(column.values.nbytes + column.categories.nbytes)

    def read(self, rows: IndexArray) -> ObjectArray:
        """Give the categories of rows."""
        with self._lock:
            if self._column is None:
                self._column = _read_column(self._layout, self._name)
            column = self._column
        assert column.categories is not None
        names = _objects([*column.categories.tolist(), None])
        codes = column.values[rows]
        if self._is_named and (codes < 0).any():
            row = int(rows[np.argmax(codes < 0)])
            msg = f"{self._layout.path}: obs names must name every row, but row {row} has no name"
            raise BadFileError(msg)
        found: ObjectArray = names[codes]
        return found


class _Held(NamedTuple):
    """Texts in memory."""

    pointers: _core.RowPointers
    texts: npt.NDArray[np.uint8]

    def take(self, rows: IndexArray) -> Texts:
        starts, stops = self.pointers.ranges(rows)
        bounds = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum(stops - starts, out=bounds[1:])
        return bounds, gather_ranges(self.texts, starts, stops - starts).tobytes()


class StoredText:
    """Text that is stored row by row.

    Parameters
    ----------
    files, path
        Where to get readers from, and the file.
    dataset, field
        What holds it: a list of text, or a field of records.
    n_obs
        How many rows there are.
    where
        What messages call it.
    mask
        Of a nullable column its group, which holds a mask.
    is_named
        Whether every row must have a text.
    holds
        Whether all of it is held in memory.
    """

    def __init__(
        self,
        files: OpenFiles,
        path: Path,
        dataset: str,
        n_obs: int,
        where: str,
        *,
        field: str | None = None,
        mask: str | None = None,
        is_named: bool = False,
        holds: bool = False,
    ) -> None:
        self._files, self._path, self._dataset, self._n_obs, self._where = files, path, dataset, n_obs, where
        self._field, self._mask, self._is_named, self._holds = field, mask, is_named, holds
        self._lock = ForkLock()
        self._held: _Held | None = None
        self._missing: npt.NDArray[np.uint8] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_held": None, "_missing": None}

    @property
    def nbytes(self) -> int:
        """Bytes of text that is held, and of what says where it is missing."""
        held, missing = self._held, self._missing
        return (0 if held is None else held.pointers.nbytes + held.texts.nbytes) + (
            0 if missing is None else missing.nbytes
        )

    def prepare(self) -> None:
        """Read what is held in memory, unless it is there."""
        with self._lock:
            if self._holds and self._held is None:
                texts = bytearray()
                pointers = _core.RowPointers.from_pieces(self._ends(texts), self._n_obs)
                self._held = _Held(pointers, np.frombuffer(texts, dtype=np.uint8))
            if self._mask is not None and self._missing is None:
                self._missing = self._read_missing(self._mask)

    def read(self, rows: IndexArray) -> ObjectArray:
        """Give the text of rows.

        Raises
        ------
        ValueError
            If a text is not UTF-8, or a row that must have one has none.
        OSError
            If the file cannot be read.
        """
        self.prepare()
        bounds, texts = self._stored(rows) if self._held is None else self._held.take(rows)
        found = _objects(self._decoded(bounds, texts, rows))
        if self._missing is not None and len(self._missing):
            is_missing = (self._missing[rows >> 3] >> (7 - (rows & 7)) & 1).astype(np.bool_)
            if self._is_named and is_missing.any():
                msg = f"{self._where} must name every row, but row {rows[np.argmax(is_missing)]} has no name"
                raise BadFileError(msg)
            found[is_missing] = None
        return found

    def _ends(self, texts: bytearray) -> Iterator[IndexArray]:
        """Append all texts, and yield where each ends, 0 first."""
        yield np.zeros(1, dtype=np.int64)
        for first in range(0, self._n_obs, HELD_ROWS):
            bounds, piece = self._stored(np.arange(first, min(first + HELD_ROWS, self._n_obs)))
            yield bounds[1:] + len(texts)
            texts += piece

    def _read_missing(self, mask: str) -> npt.NDArray[np.uint8]:
        """Return a bit for each row, set where it is missing; none where no row is."""
        with open_alone(self._path) as file, reading(self._path, "a mask"):
            missing = read_mask(file[mask], self._where, (self._n_obs,))
        return np.packbits(missing) if missing.any() else np.empty(0, dtype=np.uint8)

    def _stored(self, rows: IndexArray) -> Texts:
        reader = self._files.reader(self._path, self._dataset, (self._n_obs,))
        found = None if reader.texts is None else reader.texts.read(rows, partial(self._refuse, reader, rows))
        return self._by_hdf5(reader, rows) if found is None else found

    def _refuse(self, reader: RunReader, rows: IndexArray, fault: tuple[int, int, str]) -> NoReturn:
        reader.refuse(rows, rows + 1, fault, _rows_of)

    def _by_hdf5(self, reader: RunReader, rows: IndexArray) -> Texts:
        values = np.empty(len(rows), dtype=reader.dtype)
        with looking:
            for _ in reader.read(rows, rows + 1, values, _rows_of):
                pass
        entries = (values if self._field is None else values[self._field]).tolist()
        return joined([entry if isinstance(entry, bytes) else str(entry).encode() for entry in entries])

    def _decoded(self, bounds: IndexArray, texts: bytes, rows: IndexArray) -> list[str]:
        if texts.isascii():
            whole = texts.decode("ascii")
            return [whole[a:b] for a, b in pairwise(bounds.tolist())]
        found = []
        for row, (a, b) in zip(rows.tolist(), pairwise(bounds.tolist()), strict=True):
            try:
                found.append(texts[a:b].decode())
            except UnicodeDecodeError as error:
                text = texts[a:b][:40]
                msg = f"{self._where} must be UTF-8 text, but row {row} is {text!r} ({error.reason})"
                raise BadFileError(msg) from None
        return found


def open_text(
    file: h5py.File, layout: ObsLayout, name: str | None, files: OpenFiles, holds: bool
) -> TextPart:
    """Find a column of text in an open file; the row names, if `name` is None.

    Raises
    ------
    BadFileError
        If it holds something else, or is not as long as obs.
    """
    obs = child(root_of(file, layout.root), "obs")
    if obs is None:
        return NumberedRows()
    where = place(layout.path, "obs names" if name is None else f"obs column {name!r}")
    own = index_name(obs, where) if name is None else name
    path = f"{layout.root}/obs".lstrip("/")
    make: Callable[..., StoredText] = partial(
        StoredText, files, layout.path, holds=holds, is_named=name is None
    )
    if isinstance(obs, h5py.Dataset):
        if _is_text(obs.dtype[own]) or (name is None and obs.dtype[own].kind in "iu"):
            return make(path, layout.n_obs, where, field=own)
        return _coded(layout, own, where, is_named=name is None)
    element = member(obs, own, where)
    if isinstance(element, h5py.Dataset) and (_is_text(element.dtype) or name is None):
        return make(f"{path}/{own}", _checked(element, layout.n_obs, where), where)
    if isinstance(element, h5py.Group) and encoding(element) != "categorical":
        values = child(element, "values")
        if isinstance(values, h5py.Dataset) and _is_text(values.dtype):
            n_obs = _checked(values, layout.n_obs, where)
            return make(f"{path}/{own}/values", n_obs, where, mask=f"{path}/{own}")
    return _coded(layout, own, where, is_named=name is None)


def _coded(layout: ObsLayout, name: str, where: str, *, is_named: bool) -> TextPart:
    column = _read_column(layout, name)
    if column.categories is not None and column.categories.dtype.kind == "U":
        return CodedText(layout, name, column, is_named)
    values = column.values if column.categories is None else column.categories
    if not is_named and values.dtype.kind == "f" and np.isnan(column.values).all():
        return NoText()  # as pandas writes a column that is missing throughout
    what = "numbers" if column.categories is None else "categories that are numbers"
    msg = f"{where} must hold text or categories of text, but holds {what} ({values.dtype}); obs= gives such"
    raise BadFileError(msg)


def _read_column(layout: ObsLayout, name: str) -> ObsColumn:
    with open_alone(layout.path) as file, reading(layout.path, f"obs column {name!r}"):
        root = root_of(file, layout.root)
        return read_obs_column(root, root["obs"], layout.path, name, layout.n_obs)


def _checked(dataset: h5py.Dataset, n_obs: int, where: str) -> int:
    if dataset.shape != (n_obs,):
        msg = f"{where} must have shape ({n_obs},) as obs has {n_obs:,} rows, but has shape {dataset.shape}"
        raise BadFileError(msg)
    return n_obs


def _is_text(kind: np.dtype[Any]) -> bool:
    return h5py.check_string_dtype(kind) is not None


def _objects(values: list[Any]) -> ObjectArray:
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found


def _rows_of(start: int, stop: int) -> str:
    return f"rows {start} to {stop - 1}"
