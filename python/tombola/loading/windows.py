"""The rows of one fetch window: read once, handed out as batches of tensors.

Rule: a source that can reads rows straight into the order of the batches, which are parts of the window's
memory then. Any other reads the rows of the window's batches sorted and without repeats, and a batch is cut
out by position. Sparse rows are made dense batch by batch, so a window takes the memory that its values take.

Complexity: O(rows log rows) a window beside reading; a copy of its rows a batch where they were read sorted.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from .._base.types import IndexArray
from ..sources.base import BufferPool, CsrRows, OrderedSource, Source

if TYPE_CHECKING:
    from ..plans.plan import Plan

__all__ = ["Window", "by_window", "read_window"]

ROW = "row"
FEATURES = "X"


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Columns of the distinct rows of some batches, and where each batch finds its rows in them.

    Parameters
    ----------
    rows
        Row ids in the order of the batches, int64.
    bounds
        Batch i is ``rows[bounds[i] : bounds[i + 1]]``.
    positions
        Where each of `rows` is in the columns, int64; None if these have the same order.
    columns
        Name to array, tensor or `CsrRows`, whose first axis is the distinct rows, or `rows`.
    memory
        Where dense batches of sparse rows come from.
    """

    rows: IndexArray
    bounds: list[int]
    positions: IndexArray | None
    columns: Mapping[str, Any]
    memory: BufferPool

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def batch(self, i: int) -> dict[str, Any]:
        """Return batch i as a dict of tensors; columns of strings come as lists."""
        part = slice(self.bounds[i], self.bounds[i + 1])
        if self.positions is None:
            batch = {name: _part(column, part, self.memory) for name, column in self.columns.items()}
        else:
            where = self.positions[part]
            batch = {name: _take(column, where) for name, column in self.columns.items()}
        batch[ROW] = torch.from_numpy(self.rows[part])
        return batch


def by_window(runs: Iterable[range], size: int) -> Iterator[range]:
    """Cut runs of batches where one fetch window of `size` batches ends and the next begins."""
    for run in runs:
        while run:
            stop = (run[0] // size + 1) * size
            count = len(range(run[0], min(stop, run[-1] + 1), run.step))
            yield run[:count]
            run = run[count:]


def read_window(
    plan: "Plan",
    source: Source,
    batches: range,
    memory: BufferPool,
    transform: Callable[[dict[str, Any]], Mapping[str, Any]] | None = None,
) -> Window:
    """Plan these batches of one fetch window and read their rows.

    Raises
    ------
    ValueError
        If the source or `transform` gives something else than a mapping of columns, each as long as there are
        distinct rows.
    """
    rows, offsets = plan.batches(batches[0], batches[-1] + 1)
    bounds = offsets.tolist()
    if batches.step > 1:
        parts = [
            rows[a:b] for a, b in zip(bounds[: -1 : batches.step], bounds[1 :: batches.step], strict=True)
        ]
        rows = np.concatenate(parts)
        bounds = [0, *np.cumsum([len(part) for part in parts]).tolist()]
    if transform is None and (in_order := _reads_in_order(source)) is not None:
        given = in_order.read_in_order(rows)
        if given is not None:
            columns: Mapping[str, Any] = _named(given)
            _check(columns, len(rows), "the source's read_in_order")
            return Window(rows, bounds, None, columns, memory)
    distinct, positions = np.unique(rows, return_inverse=True)
    columns = _named(source.read(distinct))
    _check(columns, len(distinct), "the source's read")
    if transform is not None:
        columns = transform({**columns, ROW: distinct})
        _check(columns, len(distinct), "fetch_transform")
    return Window(rows, bounds, positions.astype(np.int64, copy=False), columns, memory)


def _reads_in_order(source: Source) -> OrderedSource | None:
    """Return the source if it reads in any order, and means the same by that as by `read`.

    A class that has another `read` than the one it inherits `read_in_order` with does not.
    """
    for kind in type(source).__mro__:
        if "read" in vars(kind):
            is_one = "read_in_order" in vars(kind) and "read" not in getattr(source, "__dict__", ())
            return source if is_one and isinstance(source, OrderedSource) else None
    return None


def _named(columns: dict[str, Any]) -> dict[str, Any]:
    if ROW in columns:
        message = f"a source must not have a column named {ROW!r}: it is that of the row ids"
        raise ValueError(message)
    return {name: column if name == FEATURES else _widened(column) for name, column in columns.items()}


def _widened(column: Any) -> Any:
    """Integers as int64, which is what torch takes as class labels and indices."""
    if isinstance(column, np.ndarray) and column.dtype.kind in "iu" and np.can_cast(column.dtype, np.int64):
        return column.astype(np.int64, copy=False)
    return column


def _check(columns: object, n_rows: int, giver: str) -> None:
    if not isinstance(columns, Mapping):
        message = f"{giver} must give a mapping of columns, but gave {type(columns).__name__}"
        raise ValueError(message)
    for name, column in columns.items():
        if not isinstance(column, np.ndarray | torch.Tensor | CsrRows):
            message = (
                f"{giver} must give columns that are arrays, tensors or CsrRows, "
                f"but column {name!r} is {type(column).__name__}"
            )
            raise ValueError(message)
        length = column.shape[0] if column.shape else 0
        if length != n_rows:
            message = f"{giver} must give {n_rows} rows of each column, but column {name!r} has {length}"
            raise ValueError(message)


def _part(column: Any, part: slice, memory: BufferPool) -> Any:
    """Return rows of a column in its own memory; sparse ones that are meant to be dense in new memory."""
    if isinstance(column, torch.Tensor):
        return column[part]
    if not isinstance(column, CsrRows):
        return _tensor(np.asarray(column)[part])
    if not column.as_dense:
        return _sparse_tensor(column.part(part.start, part.stop))
    shape = (part.stop - part.start, column.shape[1])
    out = memory.empty(shape[0] * shape[1], column.dtype).reshape(shape)
    return torch.from_numpy(column.part_dense(part.start, part.stop, out))


def _take(column: Any, where: IndexArray) -> Any:
    if isinstance(column, torch.Tensor):
        return column[torch.from_numpy(where)]
    if isinstance(column, CsrRows):
        if column.as_dense:
            return torch.from_numpy(column.take_dense(where))
        return _sparse_tensor(column.take(where))
    return _tensor(np.asarray(column).take(where, axis=0))


def _tensor(part: npt.NDArray[Any]) -> Any:
    if not part.dtype.isnative:  # torch has no other byte order
        part = part.astype(part.dtype.newbyteorder("="))
    return torch.from_numpy(part) if part.dtype.kind in "biufc" else part.tolist()


def _sparse_tensor(rows: CsrRows) -> torch.Tensor:
    _say_nothing_of_beta()
    indptr = rows.indptr.astype(rows.indices.dtype, copy=False)
    return torch.sparse_csr_tensor(
        torch.from_numpy(indptr),
        torch.from_numpy(rows.indices),
        torch.from_numpy(rows.data),
        size=rows.shape,
        check_invariants=False,
    )


@cache
def _say_nothing_of_beta() -> None:
    """Let torch say once, unheard, that its CSR tensors are new: users ask for them knowingly."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nothing = torch.zeros(1, dtype=torch.int64)
        torch.sparse_csr_tensor(nothing, nothing[:0], nothing[:0], size=(0, 1), check_invariants=False)
