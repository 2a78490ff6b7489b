"""Batches as lists of Python's integers, which torch's DataLoader wants.

Complexity: O(rows), 8 ns a row for its integer and little else.
"""

from collections.abc import Iterator
from itertools import chain

from .._base.types import IndexArray
from .._core import as_lists

__all__ = ["LIST_ROWS", "batch_lists"]

LIST_ROWS = 1_024
"""Rows of which lists are made at once: so few that their numbers are in the cache when they are freed."""


def batch_lists(rows: IndexArray, offsets: IndexArray, step: int = 1) -> Iterator[list[int]]:
    """Yield every `step`-th of the batches that `Plan.batches` gave, from the first one on.

    Parameters
    ----------
    rows : ndarray of int64, shape (n,)
    offsets : ndarray of int64, shape (n_batches + 1,)
        Where batches begin, and the end.
    step : int
        At least 1.
    """
    count = len(offsets) - 1
    reach = max(LIST_ROWS * count // max(len(rows), 1), 1) * step
    lists = (as_lists(rows, offsets, at, min(at + reach, count), step) for at in range(0, count, reach))
    return chain.from_iterable(lists)
