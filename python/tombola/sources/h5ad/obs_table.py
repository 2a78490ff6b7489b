"""The obs columns of a source: read when first asked for, kept for the process."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy.typing as npt

from ..._base.fork import ForkLock
from .concat import unify
from .elements import listed
from .errors import MissingElementError, reading
from .files import open_h5
from .layout import FileLayout
from .obs import ObsColumn, read_obs_column


class ObsTable:
    """The columns that obs has in all files, one after the other.

    Parameters
    ----------
    layouts
        The files.
    """

    def __init__(self, layouts: list[FileLayout]) -> None:
        self._layouts = layouts
        shared = set(layouts[0].obs_columns).intersection(*(layout.obs_columns for layout in layouts[1:]))
        self.names = [name for name in layouts[0].obs_columns if name in shared]
        self._columns: dict[str, ObsColumn] = {}
        self._lock = ForkLock()

    def __reduce__(self) -> tuple[type["ObsTable"], tuple[list[FileLayout]]]:
        return ObsTable, (self._layouts,)

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
            column = self._columns.get(name)
            if column is None:
                column = self._columns[name] = self._read(name)
            return column

    def _read(self, name: str) -> ObsColumn:
        for layout in self._layouts:
            if name not in layout.obs_columns:
                msg = f"{layout.path}: obs has no column {name!r}; it has {listed(layout.obs_columns)}"
                raise MissingElementError(msg)
        parts = []
        for layout in self._layouts:
            with open_h5(layout.path) as file, reading(layout.path, f"obs column {name!r}"):
                parts.append(read_obs_column(file, layout.path, name, layout.n_obs))
        column = unify(name, parts, [layout.path for layout in self._layouts])
        column.values.flags.writeable = False
        return column


class ObsView(Mapping[str, npt.NDArray[Any]]):
    """Columns of obs by name: codes or numbers, one a row."""

    def __init__(self, table: ObsTable) -> None:
        self._table = table

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        return self._table.column(name).values

    def __iter__(self) -> Iterator[str]:
        return iter(self._table.names)

    def __len__(self) -> int:
        return len(self._table.names)

    def __repr__(self) -> str:
        return f"<obs columns {listed(self._table.names)}>"


class CategoriesView(Mapping[str, npt.NDArray[Any]]):
    """Categories of the obs columns that hold codes, by name."""

    def __init__(self, table: ObsTable) -> None:
        self._table = table

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        categories = self._table.column(name).categories
        if categories is None:
            msg = f"obs column {name!r} holds numbers, not categories"
            raise MissingElementError(msg)
        return categories

    def __contains__(self, name: object) -> bool:
        return name in self._table.names and self._table.column(str(name)).categories is not None

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._table.names if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)
