"""Row names and columns of text of several files: given with each batch, and as a whole.

Rule: each file says its own text, whatever kind another one has: free text, records, categories, nullable
text. A window reads its own rows of each file that it touches. O(rows asked for).
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Literal, overload

import numpy as np

from ... import _core
from ..._base.fork import ForkLock
from ..._base.types import IndexArray
from ..base import Column
from .files import OpenFiles, open_alone
from .heap import joined
from .layout import ObsLayout
from .text_parts import NoText, ObjectArray, StoredText, TextPart, open_text

__all__ = ["GivesTexts", "RowTexts", "TextTable", "WhereText"]

WhereText = Literal["file", "memory"]
OBS_NAMES = "obs_names"
PIECE_ROWS = 1 << 16


class RowTexts(Sequence[str | None]):
    """The text of every row of a source: a sequence of str, None where it is missing.

    What is asked for is read then: one row by its number, a list by a slice, an array by an array of numbers.

    Parameters
    ----------
    parts
        That of each file.
    lengths
        How many rows each file has.
    """

    def __init__(self, parts: Sequence[TextPart], lengths: Sequence[int]) -> None:
        self._parts, self._lengths = list(parts), list(lengths)
        self._offsets = np.cumsum([0, *lengths], dtype=np.int64)

    def __len__(self) -> int:
        return int(self._offsets[-1])

    @overload
    def __getitem__(self, rows: int) -> str | None: ...
    @overload
    def __getitem__(self, rows: slice) -> list[str | None]: ...
    @overload
    def __getitem__(self, rows: IndexArray | Sequence[int]) -> ObjectArray: ...
    def __getitem__(self, rows: Any) -> Any:
        if isinstance(rows, slice):
            return self.read(np.arange(len(self), dtype=np.int64)[rows]).tolist()
        wanted = np.asarray(rows)
        if wanted.dtype.kind not in "iu" and wanted.size:
            msg = f"rows must be integers, but have dtype {wanted.dtype}"
            raise TypeError(msg)
        wanted = wanted.astype(np.int64)
        wrong = (wanted < -len(self)) | (wanted >= len(self))
        if wrong.any():
            msg = f"rows must be in [0, {len(self):,}), but one is {wanted[wrong].flat[0]}"
            raise IndexError(msg)
        found = self.read(np.where(wanted < 0, wanted + len(self), wanted).reshape(-1))
        return found[0] if wanted.ndim == 0 else found

    def __iter__(self) -> Iterator[str | None]:
        for start in range(0, len(self), PIECE_ROWS):
            yield from self.read(np.arange(start, min(start + PIECE_ROWS, len(self)))).tolist()

    def __repr__(self) -> str:
        return f"<text of {len(self):,} rows>"

    @property
    def nbytes(self) -> int:
        """Bytes that are held between reads."""
        return sum(part.nbytes for part in self._parts)

    def read(self, rows: IndexArray) -> ObjectArray:
        """Give the text of rows, in [0, len(self)), in any order, repeats allowed.

        Returns
        -------
        ndarray of object
            Str, and None where it is missing.

        Raises
        ------
        ValueError
            If a text is not UTF-8, or a row has no name.
        OSError
            If a file cannot be read.
        """
        if len(rows) and not np.all(rows[1:] > rows[:-1]):
            distinct, where = np.unique(rows, return_inverse=True)
            found: ObjectArray = self.read(distinct)[where]
            return found
        out = np.empty(len(rows), dtype=object)
        bounds = np.searchsorted(rows, self._offsets).tolist()
        for part, offset, (lo, hi) in zip(
            self._parts, self._offsets[:-1].tolist(), pairwise(bounds), strict=True
        ):
            if hi > lo:
                out[lo:hi] = part.read(rows[lo:hi] - offset)
        return out

    def count_duplicates(self) -> int:
        """Count the rows whose text is that of a row before, in any of the files; missing text is none.

        O(n log n), one pass over all text, and 16 bytes a row: texts count as equal by 128 bits of each.
        """
        keys = np.empty((len(self), 2), dtype=np.uint64)
        done = 0
        for start in range(0, len(self), PIECE_ROWS):
            some = self.read(np.arange(start, min(start + PIECE_ROWS, len(self)))).tolist()
            bounds, texts = joined([text.encode() for text in some if text is not None])
            _core.text_keys(texts, bounds, keys[done : done + len(bounds) - 1])
            done += len(bounds) - 1
        return _core.count_repeats(keys[:done])

    def part(self, numbers: Sequence[int]) -> "RowTexts":
        """Give that of some files."""
        return RowTexts([self._parts[n] for n in numbers], [self._lengths[n] for n in numbers])

    def prepare(self) -> None:
        """Read what is held in memory."""
        for part in self._parts:
            if isinstance(part, StoredText):
                part.prepare()


class TextTable:
    """Columns of text of the files of a source, each found when it is first asked for.

    Parameters
    ----------
    layouts, files
        The files, and where to get readers from.
    where
        Where text is between reads.
    """

    def __init__(self, layouts: Sequence[ObsLayout], files: OpenFiles, where: WhereText) -> None:
        self._layouts, self._files, self._where = layouts, files, where
        self._lock = ForkLock(reentrant=True)
        self._columns: dict[str | None, RowTexts] = {}

    def column(self, name: str | None) -> RowTexts:
        """Give a column, or the row names for None; of files that have no such column nothing.

        Raises
        ------
        BadFileError
            If it is no text.
        """
        with self._lock:
            if name not in self._columns:
                parts = [self._open(layout, name) for layout in self._layouts]
                self._columns[name] = RowTexts(parts, [layout.n_obs for layout in self._layouts])
            return self._columns[name]

    def _open(self, layout: ObsLayout, name: str | None) -> TextPart:
        if name is not None and name not in layout.obs_columns:
            return NoText()
        with open_alone(layout.path) as file:
            return open_text(file, layout, name, self._files, self._where == "memory")

    def part(self, numbers: Sequence[int]) -> "TextTable":
        """Give that of some files."""
        part = TextTable([self._layouts[n] for n in numbers], self._files, self._where)
        with self._lock:
            part._columns = {name: column.part(numbers) for name, column in self._columns.items()}
        return part


class GivesTexts:
    """A source of files that gives text with its rows."""

    _texts: TextTable
    text_columns: tuple[str, ...]
    gives_obs_names: bool

    @property
    def obs_names(self) -> RowTexts:
        """Names of all rows, those of one file after the other; what is asked for of them is read then."""
        return self._texts.column(None)

    def _use_texts(self, check: Callable[[str], None]) -> None:
        """Find what batches hold; `check` raises where there is no such column."""
        for name in self.text_columns:
            check(name)
            self._texts.column(name).prepare()
        if self.gives_obs_names:
            self.obs_names.prepare()

    def _read_texts(self, rows: IndexArray) -> dict[str, Column]:
        found: dict[str, Column] = {name: self._texts.column(name).read(rows) for name in self.text_columns}
        if self.gives_obs_names:
            found[OBS_NAMES] = self.obs_names.read(rows)
        return found
