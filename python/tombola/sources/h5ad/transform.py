"""What is done to the values of X between file and batch: columns picked, totals made equal, log, scale.

The order is fixed, whatever is asked for, and is that of the usual steps of scanpy:

1. The total of a row, over all columns that its file has.
2. Columns picked and renumbered (`vars=`, `join=`).
3. ``normalize_total=target``: the row times ``target / total``; a row whose total is 0 stays.
4. ``log1p=True``: ``log(1 + x)``.
5. ``scale=(mean, std)``: ``(x - mean) / std`` of each column.

The core does it in one pass over the rows of a window, on all threads, right after they were read. Each step
is computed in double and rounded to the type of the values.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ... import _core
from ..._base.types import FloatArray, IndexArray
from .concat import ColumnMap

__all__ = ["ColumnOutOfRangeError", "RowTransform", "Steps", "check_steps"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Steps:
    """Steps 3 to 5, checked.

    Parameters
    ----------
    normalize_total
        The total that rows get; None leaves them.
    log1p
        Whether to take logs.
    mean, std
        Of each column; None for no such step.
    """

    normalize_total: float | None = None
    log1p: bool = False
    mean: FloatArray | None = None
    std: FloatArray | None = None

    @property
    def are_any(self) -> bool:
        """Whether there is anything to do."""
        return self.log1p or any(step is not None for step in (self.normalize_total, self.mean, self.std))

    def describe(self) -> dict[str, Any]:
        """Say what is done, by the names of the options; JSON-able, empty if nothing is."""
        said: dict[str, Any] = {}
        if self.normalize_total is not None:
            said["normalize_total"] = self.normalize_total
        if self.log1p:
            said["log1p"] = True
        if self.std is not None:
            said["scale"] = "std" if self.mean is None else "mean, std"
        return said

    def __str__(self) -> str:
        return "".join(f", {name}={value}" for name, value in self.describe().items())


def check_steps(
    normalize_total: object,
    log1p: object,
    scale: Any,
    *,
    names: Sequence[str],
    dtype: np.dtype[Any],
    gives_dense: bool,
) -> Steps:
    """Check what a user asks for.

    Parameters
    ----------
    normalize_total, log1p, scale
        As given.
    names
        Names of the columns that there are to scale.
    dtype
        Type of X.
    gives_dense
        Whether batches of X are dense.

    Raises
    ------
    TypeError
        If an option is of a wrong type, or X is to have no floats.
    ValueError
        If one is out of range, or does not fit the columns; the message names the first that does not.
    """
    if normalize_total is not None:
        if isinstance(normalize_total, bool | np.bool_) or not isinstance(
            normalize_total, int | float | np.integer | np.floating
        ):
            msg = (
                f"normalize_total must be the total that rows get, such as 10_000, but is {normalize_total!r}"
            )
            raise TypeError(msg)
        normalize_total = float(normalize_total)
        if not 0 < normalize_total < np.inf:
            msg = f"normalize_total must be finite and > 0, but is {normalize_total!r}"
            raise ValueError(msg)
    if not isinstance(log1p, bool | np.bool_):
        msg = f"log1p must be True or False, but is {log1p!r}"
        raise TypeError(msg)
    mean, std = (None, None) if scale is None else _mean_and_std(scale, names)
    if mean is not None and not gives_dense:
        msg = (
            "scale=(mean, std) leaves no zeros, so needs x_format='dense'; scale=std alone keeps rows sparse"
        )
        raise ValueError(msg)
    steps = Steps(normalize_total=normalize_total, log1p=bool(log1p), mean=mean, std=std)
    if steps.are_any and dtype.kind != "f":
        msg = f"dtype must be a type of floats with {', '.join(steps.describe())}, but is {dtype}"
        raise TypeError(msg)
    return steps


def _mean_and_std(scale: Any, names: Sequence[str]) -> tuple[FloatArray | None, FloatArray]:
    is_pair = (
        isinstance(scale, tuple | list) and len(scale) == 2 and all(np.ndim(part) == 1 for part in scale)
    )
    mean = _numbers("the mean", scale[0], names) if is_pair else None
    std = _numbers("the std", scale[1] if is_pair else scale, names)
    wrong = np.flatnonzero(std <= 0)
    if len(wrong):
        at = int(wrong[0])
        more = f", and {len(wrong) - 1:,} more" if len(wrong) > 1 else ""
        msg = f"the std of scale must be > 0, but is {std[at]} for {names[at]!r}{more}; 1 leaves a column"
        raise ValueError(msg)
    return mean, std


def _numbers(what: str, given: Any, names: Sequence[str]) -> FloatArray:
    values = np.asarray(given)
    if values.dtype.kind not in "iuf":
        msg = f"{what} of scale must be numbers, one a column, but has dtype {values.dtype}"
        raise TypeError(msg)
    if values.shape != (len(names),):
        msg = f"{what} of scale must have {len(names):,} entries, one a column, but has shape {values.shape}"
        raise ValueError(msg)
    values = np.array(values, dtype=np.float64)
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        at = int(wrong[0])
        msg = f"{what} of scale must be finite, but is {values[at]} for {names[at]!r}"
        raise ValueError(msg)
    values.flags.writeable = False
    return values


class ColumnOutOfRangeError(Exception):
    """A row of the window has a column that its file has not got."""

    def __init__(self, row: int, column: int) -> None:
        super().__init__(row, column)
        self.row, self.column = row, column


class RowTransform:
    """Steps 1 to 5 for the rows of some files.

    Parameters
    ----------
    steps
        What is asked for.
    column_maps
        Where the columns of each file go; None where they stay.
    widths
        Number of columns of each file.
    n_vars
        Number of columns here.
    """

    def __init__(
        self, steps: Steps, column_maps: Sequence[ColumnMap], widths: Sequence[int], n_vars: int
    ) -> None:
        self.steps = steps
        self._maps: list[npt.NDArray[np.int32] | int] = [
            width if column_map is None else column_map
            for column_map, width in zip(column_maps, widths, strict=True)
        ]
        self._n_vars = n_vars
        self._of_dense: dict[tuple[int, np.dtype[Any]], _core.DenseWork] = {}
        self._work: dict[str, Any] = {
            "target": steps.normalize_total or 0.0,
            "log1p": steps.log1p,
            "mean": steps.mean,
            "factor": None if steps.std is None else 1.0 / steps.std,
        }

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_of_dense": {}}

    def is_needed(self, files: Sequence[int]) -> bool:
        """Tell whether anything happens to rows of these files."""
        return len(files) > 0 and (self.steps.are_any or any(map(self.moves, files)))

    def moves(self, file: int) -> bool:
        """Tell whether columns of this file are picked or renumbered."""
        return not isinstance(self._maps[file], int)

    def background(self, dtype: np.dtype[Any]) -> npt.NDArray[Any] | None:
        """Give what becomes of zeros, by column; None if they stay."""
        if self.steps.mean is None:
            return None
        made: npt.NDArray[Any] = (0.0 - self.steps.mean).astype(dtype) * self._work["factor"]
        return made.astype(dtype)

    def sparse(
        self,
        data: npt.NDArray[Any],
        indices: npt.NDArray[Any],
        indptr: IndexArray,
        files: Sequence[int],
        file_of_row: npt.NDArray[np.int32] | None,
        memory: _core.BufferPool,
    ) -> tuple[npt.NDArray[Any], npt.NDArray[Any], IndexArray, bool, bool]:
        """Do it to sparse rows.

        Parameters
        ----------
        data, indices, indptr
            The rows, which are overwritten.
        files
            The files that they come from.
        file_of_row
            Which of `files` each row comes from; None if there is one.
        memory
            Where new arrays come from.

        Returns
        -------
        tuple
            data, indices, indptr, whether columns ascend and are distinct, which they do of floats, and
            whether they did so in the files.

        Raises
        ------
        ColumnOutOfRangeError
            If a row has a column that its file has not got.
        """
        maps = [self._maps[k] for k in files]
        counts, row, column, ascending, as_stored = _core.csr_transform(
            data, indices, indptr, maps, file_of_row, n_columns=self._n_vars, **self._work
        )
        if row >= 0:
            raise ColumnOutOfRangeError(row, column)
        places = np.zeros_like(indptr)
        np.cumsum(counts, out=places[1:])
        if places[-1] == indptr[-1]:
            return data, indices, indptr, ascending, as_stored
        kept_data = memory.empty(int(places[-1]), data.dtype)
        kept_indices = memory.empty(int(places[-1]), indices.dtype)
        _core.csr_compact(data, indices, indptr, places, kept_data, kept_indices)
        return kept_data, kept_indices, places, ascending, as_stored

    def of_dense(self, file: int, dtype: np.dtype[Any]) -> _core.DenseWork | None:
        """Return what does it to dense rows of a file, of this type; None where nothing is to be done."""
        if not self.is_needed([file]):
            return None
        column_map = self._maps[file]
        key = (column_map if isinstance(column_map, int) else -1 - id(column_map), dtype)
        if key not in self._of_dense:
            self._of_dense[key] = _core.DenseWork(
                column_map, n_columns=self._n_vars, dtype=dtype, **self._work
            )
        return self._of_dense[key]
