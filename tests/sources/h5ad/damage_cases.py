"""One damaged file, and what must come of reading it: the rules are those of `damage`."""

import io
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.sources.h5ad.by_hdf5 import as_values, column_by_hdf5, rows_by_hdf5
from tests.sources.h5ad.damage_files import HAS_CHECKSUM, KINDS, Damage, damage_of, regions, write_kind
from tests.sources.h5ad.h5ad_files import dense
from tombola.cli.inspect import inspect_files
from tombola.sources import H5adSource
from tombola.sources.h5ad.errors import H5adError

WINDOW = 64
SAME, ERROR, OTHER = "as before", "an error", "other values, as HDF5 reads them"


@dataclass(frozen=True, slots=True)
class Whole:
    """The files of a kind before any damage, and what they hold."""

    path: Path
    paths: tuple[Path, ...]
    content: bytes
    places: dict[str, list[tuple[int, int]]]
    rows: npt.NDArray[Any]
    bounds: list[int]
    columns: dict[str, list[Any]]


class WrongError(Exception):
    """What must not happen."""


def whole_files(kind: str, folder: Path) -> Whole:
    """Write the files of a kind and read what they hold by h5py."""
    path, paths = write_kind(folder, kind)
    names = list(H5adSource(path).obs)
    columns = {name: [*chain.from_iterable(column_by_hdf5(each, name) for each in paths)] for name in names}
    parts = [rows_by_hdf5(each) for each in paths]
    bounds = np.cumsum([0, *map(len, parts)]).tolist()
    return Whole(path, paths, path.read_bytes(), regions(path), np.concatenate(parts), bounds, columns)


def damage_of_seed(seed: int, whole: Whole) -> Damage:
    """Return the damage of a seed."""
    return damage_of(whole.content, whole.places, np.random.default_rng([seed, 31]))


def kind_of_seed(seed: int) -> str:
    """Return the kind of file of a seed."""
    return list(KINDS)[seed % len(KINDS)]


class Case:
    """One damaged file and what is read of it."""

    def __init__(self, seed: int, whole: Whole, folder: Path) -> None:
        self.damage = damage_of_seed(seed, whole)
        self.path = folder / f"damaged-{seed}.h5ad"
        self.path.write_bytes(self.damage.apply(whole.content))
        self.paths = tuple(self.path if each == whole.path else each for each in whole.paths)
        self._whole = whole
        values = whole.places["values"]
        covered = all(
            any(start <= at and at + len(piece) <= stop for start, stop in values)
            for at, piece in self.damage.pieces
        )
        self._has_checksum = kind_of_seed(seed) in HAS_CHECKSUM and covered

    def run(self) -> list[str]:
        """Read everything; return what came of each part.

        Raises
        ------
        WrongError
            If something happens that must not.
        """
        found = [self._judge("inspect", self._inspect, None, None)]
        made: list[H5adSource] = []
        found.append(self._judge("open", lambda: made.append(H5adSource(self.paths)), None, None))
        if made:
            found += self._rows(made[0]) + self._columns(made[0])
        return found

    def _inspect(self) -> None:
        with redirect_stdout(io.StringIO()):
            inspect_files([self.path])

    def _rows(self, source: H5adSource) -> list[str]:
        if len(source) != len(self._whole.rows):
            return [f"open: {len(source)} rows"]  # whatever they are: the file says so in two places
        every = np.arange(len(source))
        mixed = np.random.default_rng(3).permutation(np.repeat(every, 2))[: len(every)]

        def in_order() -> Any:
            batch = source.read_in_order(mixed)
            return self._whole.rows[mixed] if batch is None else batch["X"]

        found = [
            self._judge_rows(every, partial(self._read, source, every)),
            self._judge_rows(mixed, in_order),
        ]
        if any(ERROR in outcome for outcome in found):  # what is sound is read still
            for lo in range(0, len(every), WINDOW):
                window = every[lo : lo + WINDOW]
                found.append(self._judge_rows(window, partial(self._read, source, window)))
        return found

    @staticmethod
    def _read(source: H5adSource, rows: npt.NDArray[np.int64]) -> Any:
        return source.read(rows)["X"]

    def _judge_rows(self, rows: npt.NDArray[np.int64], read: Callable[[], Any]) -> str:
        def by_hdf5() -> Any:
            """Only these rows: others may be what HDF5 cannot read."""
            bounds = self._whole.bounds
            out = np.empty((len(rows), self._whole.rows.shape[1]), dtype=np.float32)
            for path, start, stop in zip(self.paths, bounds, bounds[1:], strict=False):
                here = (start <= rows) & (rows < stop)
                if here.any():
                    out[here] = rows_by_hdf5(path, rows[here] - start)
            return out

        expected = self._whole.rows[rows]
        return self._judge("rows", lambda: dense(read()), expected, None if self._has_checksum else by_hdf5)

    def _columns(self, source: H5adSource) -> list[str]:
        found = []
        for name, expected in self._whole.columns.items():

            def by_hdf5(name: str = name) -> Any:
                return [*chain.from_iterable(column_by_hdf5(path, name) for path in self.paths)]

            def read(name: str = name) -> Any:
                return as_values(source.obs[name].tolist())

            found.append(self._judge("labels", read, expected, by_hdf5))
        return found

    def _judge(
        self, what: str, read: Callable[[], Any], expected: Any, by_hdf5: Callable[[], Any] | None
    ) -> str:
        try:
            values = read()
        except Exception as error:
            self._check_error(what, error)
            return f"{what}: {ERROR}"
        if expected is None or _is_same(values, expected):
            return f"{what}: {SAME}"
        try:
            theirs = None if by_hdf5 is None else by_hdf5()
        except Exception as error:
            msg = f"{what} differ, and nothing is said, but HDF5 says {error!r}"
            raise WrongError(msg) from error
        if theirs is None or not _is_same(values, theirs):
            why = "though a checksum covers them" if theirs is None else "and are not what HDF5 reads"
            msg = f"{what} differ, and nothing is said, {why}"
            raise WrongError(msg)
        return f"{what}: {OTHER}"

    def _check_error(self, what: str, error: Exception) -> None:
        message = str(error)
        is_known = isinstance(error, H5adError | FileNotFoundError) or type(error) is ValueError
        if not (is_known and any(str(path) in message for path in self.paths) and "\n" not in message):
            msg = f"{what}: {error!r}, which is no error of the documented kinds that names the file"
            raise WrongError(msg) from error
        if what == "rows" and "X" not in message.replace(str(self.path), ""):
            msg = f"{what}: {error!r} does not name the dataset"
            raise WrongError(msg) from error
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, MemoryError):
                msg = f"{what}: {error!r}, after {cause!r}"
                raise WrongError(msg) from error
            cause = cause.__cause__


def _is_same(a: Any, b: Any) -> bool:
    if isinstance(b, np.ndarray):
        return a.shape == b.shape and np.array_equal(a, b, equal_nan=b.dtype.kind == "f")
    return bool(a == b)
