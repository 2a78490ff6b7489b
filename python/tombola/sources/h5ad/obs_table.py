"""The obs columns of a source: read when first asked for, kept for the process.

Rule: what a column means, its categories or its type of numbers, is that of all files of the source; a part
of the source has the same. A part takes the rows of its files from the whole, or, in another process, reads
its own files alone where the meaning is known. Columns that are used together are read together, each file
opened once. O(rows) once a column.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..._base.fork import ForkLock
from ..._base.types import IndexArray
from ..._base.words import meant_or
from ...labels.categorical import Categorical
from .elements import listed
from .errors import H5adError, MissingElementError
from .files import check_stamp, open_alone
from .layout import ObsLayout, read_columns
from .matrices import root_of
from .obs import ObsColumn
from .obs_codes import Reading
from .stored_codes import FoundColumns, StoredCodes, read_stored
from .unite import Part, Unknown, Whole, conform, unite, unite_numbers, vocabulary

Given = npt.NDArray[Any] | Categorical
"""A column as it is given to users: numbers, or codes with their categories."""


class ObsOptions(NamedTuple):
    """How the columns of several files become one.

    Parameters
    ----------
    join
        "inner": columns that all files have; "outer": those that any file has, missing where one lacks them.
    categories
        The categories of columns, by name, where they are given.
    unknown
        What becomes of a value that is none of the categories given: "error" or "missing".
    """

    join: str = "inner"
    categories: Mapping[str, Any] | None = None
    unknown: Unknown = "error"


class ObsTable:
    """The columns of obs, those of all files one after the other.

    Parameters
    ----------
    layouts
        The files.
    options
        How they become one.
    """

    def __init__(self, layouts: Sequence[ObsLayout], options: ObsOptions) -> None:
        self._layouts = layouts
        self._options = options
        first, *others = [layout.obs_columns for layout in layouts]
        if options.join == "outer":
            self.names = list(dict.fromkeys([*first, *(name for names in others for name in names)]))
        else:
            shared = set(first).intersection(*others)
            self.names = [name for name in first if name in shared]
        self._columns: dict[str, ObsColumn] = {}
        self._given: dict[str, Given] = {}
        self._together: tuple[str, ...] = ()
        self._lock = ForkLock(reentrant=True)
        if isinstance(options.categories, dict):
            for name in options.categories:
                self.check_name(name)

    def __reduce__(self) -> tuple[type["ObsTable"], tuple[Any, ...], dict[str, Any]]:
        return ObsTable, (self._layouts, self._options), {"_together": self._together}

    def column(self, name: str) -> ObsColumn:
        """Read a column of all files, or give it as it was read before.

        Raises
        ------
        MissingElementError
            If a file has no such column.
        ValueError
            If the files' columns do not go together.
        """
        with self._lock:
            if name not in self._columns:
                together = self._together if name in self._together else (name,)
                self._read([each for each in together if each not in self._columns])
            return self._columns[name]

    def read(self, names: Sequence[str], rows: IndexArray) -> dict[str, npt.NDArray[Any]]:
        """Give rows of columns: numbers, or codes as int64."""
        found: dict[str, npt.NDArray[Any]] = {}
        for name in names:
            column = self.column(name)
            values = column.values[rows]
            found[name] = values if column.categories is None else values.astype(np.int64)
        return found

    def use(self, names: Sequence[str], found: Sequence[FoundColumns] = ()) -> None:
        """Read columns that are used together.

        Parameters
        ----------
        names
            The columns.
        found
            For each file the columns of it that were read already, if any was.

        Raises
        ------
        MissingElementError
            If a file has no such column.
        ValueError
            If the files' columns do not go together.
        """
        with self._lock:
            self._together = tuple(dict.fromkeys(names))
            self._read([name for name in self._together if name not in self._columns], found)

    def given(self, name: str) -> Given:
        """Give a column as users have it."""
        column = self.column(name)
        if column.categories is None:
            return column.values
        with self._lock:
            if name not in self._given:
                self._given[name] = Categorical(column.values, column.categories, name)
            return self._given[name]

    def part(self, numbers: Sequence[int]) -> "ObsTable":
        """Give the rows of some files, with the meaning that columns have for all."""
        return PartOfObs(self, numbers)

    def _read(self, names: Sequence[str], found: Sequence[FoundColumns] = ()) -> None:
        for name in names:
            self.check_name(name)
        for name, parts, whole in self._parts(names, found):
            column = self._columns[name] = self._unite(name, parts, whole)
            column.values.flags.writeable = False

    def _unite(self, name: str, parts: list[Part], whole: Whole) -> ObsColumn:
        categories = self._options.categories
        if categories is not None and name in categories:
            known = vocabulary(name, categories[name])
            return conform(name, parts, known, self._options.unknown, whole)
        return unite(name, parts, whole)

    def _parts(
        self, names: Sequence[str], found: Sequence[FoundColumns] = ()
    ) -> Iterator[tuple[str, list[Part], Whole]]:
        """Yield for each column what each file has of it, and the array that holds codes of all rows."""
        total = sum(layout.n_obs for layout in self._layouts)
        before = {name: Reading(total) for name in names}
        parts: dict[str, list[Part]] = {name: [] for name in names}
        known = read_stored(found, [layout.n_obs for layout in self._layouts], before) if found else []
        for number, layout in enumerate(self._layouts):
            columns = known[number] if known else {}
            wanted = [name for name in names if name in layout.obs_columns and name not in columns]
            if wanted:
                with open_alone(layout.path) as file:
                    for column in found[number].values() if found else ():
                        if isinstance(column, StoredCodes):
                            check_stamp(file, layout.path, column.stamp)
                    columns.update(read_columns(root_of(file, layout.root), layout, wanted, before))
            for name in names:
                parts[name].append(Part(layout.path, layout.n_obs, columns.get(name)))
                before[name].start += layout.n_obs
        for name in names:
            yield name, parts.pop(name), before.pop(name).whole

    def check_name(self, name: str) -> None:
        """Raise MissingElementError if there is no such column."""
        if name in self.names:
            return
        lacking = next(layout for layout in self._layouts if name not in layout.obs_columns)
        elsewhere = any(name in layout.obs_columns for layout in self._layouts)
        has = f"it has {listed(lacking.obs_columns)}"
        cure = f"{has}; obs_join='outer' takes it as missing there"
        said = cure if elsewhere else meant_or(name, lacking.obs_columns, has)
        msg = f"{lacking.path}: obs has no column {name!r}; {said}"
        raise MissingElementError(msg)


class PartOfObs(ObsTable):
    """The rows of some files of a table, with the categories and types of all.

    Parameters
    ----------
    whole
        The table of all files.
    numbers
        Which files, in their order.
    meanings
        Columns of the whole without their rows, where they are known.
    """

    def __init__(
        self, whole: ObsTable, numbers: Sequence[int], meanings: Mapping[str, ObsColumn] | None = None
    ) -> None:
        super().__init__([whole._layouts[number] for number in numbers], ObsOptions("outer"))
        self.names = whole.names
        self._whole, self._numbers = whole, tuple(numbers)
        self._meanings = dict(meanings or {})

    def __reduce__(self) -> tuple[type["ObsTable"], tuple[Any, ...], dict[str, Any]]:
        with self._lock:
            known = {
                name: ObsColumn(column.values[:0], column.categories, column.is_sorted)
                for name, column in self._columns.items()
            }
        given = (self._whole, self._numbers, {**self._meanings, **known})
        return PartOfObs, given, {"_together": self._together}

    def check_name(self, name: str) -> None:
        """Raise MissingElementError if there is no such column."""
        self._whole.check_name(name)

    def _read(self, names: Sequence[str], found: Sequence[FoundColumns] = ()) -> None:
        own = [name for name in names if name in self._meanings]
        for name, parts, whole in self._parts(own):
            self._columns[name] = self._own(name, self._meanings[name], parts, whole)
        for name in names:
            if name not in self._meanings:
                self._columns[name] = self._of_whole(name)
            self._columns[name].values.flags.writeable = False

    def _of_whole(self, name: str) -> ObsColumn:
        whole = self._whole.column(name)
        bounds = np.cumsum([0, *(layout.n_obs for layout in self._whole._layouts)])
        pieces = [whole.values[bounds[number] : bounds[number + 1]] for number in self._numbers]
        values = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        return ObsColumn(values, whole.categories, whole.is_sorted)

    def _own(self, name: str, meaning: ObsColumn, parts: list[Part], whole: Whole) -> ObsColumn:
        if meaning.categories is not None:
            unknown = self._whole._options.unknown
            codes = conform(name, parts, meaning.categories, unknown, whole).values
            codes = codes.astype(meaning.values.dtype, copy=False)
            return ObsColumn(codes, meaning.categories, meaning.is_sorted)
        return ObsColumn(unite_numbers(name, parts).astype(meaning.values.dtype, copy=False))


class ObsView(Mapping[str, Any]):
    """Columns of obs by name, one entry a row: arrays of numbers, or categoricals.

    To type checkers they are anything: which of the two a column is, its file says.
    """

    def __init__(self, table: ObsTable) -> None:
        self._table = table

    def __getitem__(self, name: str) -> Given:
        return self._table.given(name)

    def __contains__(self, name: object) -> bool:
        return name in self._table.names

    def __iter__(self) -> Iterator[str]:
        return iter(self._table.names)

    def __len__(self) -> int:
        return len(self._table.names)

    def __repr__(self) -> str:
        return f"<obs columns {listed(self._table.names)}>"


class CategoriesView(Mapping[str, npt.NDArray[Any]]):
    """Categories of the obs columns that have some, by name; columns that cannot be read are not listed."""

    def __init__(self, table: ObsTable) -> None:
        self._table = table

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        categories = self._table.column(name).categories
        if categories is None:
            msg = f"obs column {name!r} holds numbers, not categories"
            raise MissingElementError(msg)
        return categories

    def __contains__(self, name: object) -> bool:
        if name not in self._table.names:
            return False
        try:
            return self._table.column(str(name)).categories is not None
        except H5adError:
            return False

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._table.names if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)
