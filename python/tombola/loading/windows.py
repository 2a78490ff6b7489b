"""The rows of one fetch window: read once, handed out as batches of tensors.

Rule: a source that can reads rows straight into the order of the batches, which are parts of the window's
memory then. Any other reads the rows of the window's batches sorted and without repeats, and a batch is cut
out by position. Sparse rows are made dense batch by batch, so a window takes the memory that its values take.

Complexity: O(rows log rows) a window beside reading; a copy of its rows a batch where they were read sorted.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .._base.types import IndexArray
from ..sources.base import CsrRows, OrderedSource, Source, get_num_threads
from .delivery import Delivery

if TYPE_CHECKING:
    from ..plans.plan import Plan

__all__ = ["Window", "by_window", "read_window", "windows_at_once"]

ROW = "row"
MAKING_THREADS = 4
AHEAD_BYTES = 1 << 30
"""At most so many batches are made dense at once, as more would only wait for memory; fewer where they, and
one that waits for its consumer, would take more than so many bytes."""


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
    delivery
        Where batches go.
    """

    rows: IndexArray
    bounds: list[int]
    positions: IndexArray | None
    columns: Mapping[str, Any]
    delivery: Delivery

    def __len__(self) -> int:
        return len(self.bounds) - 1

    @property
    def threads(self) -> int:
        """How many threads it takes to make batches; 0 where they are parts of what is there.

        Making sparse rows dense takes as long as reading them. Each thread makes whole batches: where several
        share one, all wait for the slowest, which the system may have put aside for a thread that reads.
        """
        columns = self.columns.values()
        widths = [
            column.shape[1] * column.dtype.itemsize
            for column in columns
            if isinstance(column, CsrRows) and column.as_dense
        ]
        if not widths or self.delivery.device is not None:
            return min(1, len(widths))
        largest = max(b - a for a, b in pairwise(self.bounds)) * sum(widths)
        return max(1, min(get_num_threads(), MAKING_THREADS, AHEAD_BYTES // max(1, largest) - 1))

    def batch(self, i: int) -> dict[str, Any]:
        """Return batch i as a dict of tensors; columns of strings come as lists."""
        part = slice(self.bounds[i], self.bounds[i + 1])
        give, columns = self.delivery, self.columns.items()
        if self.positions is None:
            batch = {name: give.part(column, part, is_x=name in give.matrices) for name, column in columns}
        else:
            where = self.positions[part]
            batch = {name: give.take(column, where, is_x=name in give.matrices) for name, column in columns}
        batch[ROW] = give.array(self.rows[part])
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
    delivery: Delivery,
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
            columns: Mapping[str, Any] = _named(given, delivery)
            _check(columns, len(rows), "the source's read_in_order")
            return Window(rows, bounds, None, columns, delivery)
    distinct, positions = np.unique(rows, return_inverse=True)
    columns = _named(source.read(distinct), delivery)
    _check(columns, len(distinct), "the source's read")
    if transform is not None:
        columns = transform({**columns, ROW: distinct})
        _check(columns, len(distinct), "fetch_transform")
    return Window(rows, bounds, positions.astype(np.int64, copy=False), columns, delivery)


def _reads_in_order(source: Source) -> OrderedSource | None:
    """Return the source if it reads in any order, and means the same by that as by `read`.

    A class that has another `read` than the one it inherits `read_in_order` with does not.
    """
    for kind in type(source).__mro__:
        if "read" in vars(kind):
            is_one = "read_in_order" in vars(kind) and "read" not in getattr(source, "__dict__", ())
            return source if is_one and isinstance(source, OrderedSource) else None
    return None


def windows_at_once(source: Source) -> int:
    """Return how many windows may be asked for at once: as many as the class says that reads them."""
    for own in (getattr(source, "__dict__", {}), *map(vars, type(source).__mro__)):
        if "read" in own or "read_in_order" in own:
            return int(own.get("windows_at_once", 1))
    return 1


def _named(columns: dict[str, Any], delivery: Delivery) -> dict[str, Any]:
    if ROW in columns:
        message = f"a source must not have a column named {ROW!r}: it is that of the row ids"
        raise ValueError(message)
    items = columns.items()
    return {name: column if name in delivery.matrices else _widened(column) for name, column in items}


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
