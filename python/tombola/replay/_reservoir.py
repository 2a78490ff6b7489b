"""Reservoir filling: every item of a stream is stored with the same chance, however the stream is cut.

Item t takes slot t while there is room; later items take a slot uniform in [0, t] and are left out where that
lies beyond the buffer. Within a batch the last writer of a slot holds. Source: Vitter, "Random sampling with
a reservoir", ACM TOMS 11(1), 1985 (algorithm R), each item's number from the counter-based generator.
"""

from typing import NamedTuple

import numpy as np

from .. import _core
from .._base.types import IndexArray

__all__ = ["Arrivals", "arrivals"]


class Arrivals(NamedTuple):
    """Which items of a batch are stored, ascending, and where; no slot comes twice."""

    rows: IndexArray
    slots: IndexArray


def arrivals(seed: int, seen: int, count: int, size: int) -> Arrivals:
    """Return where a batch goes that comes after so many items; O(count log count)."""
    slots = _core.reservoir_slots(seed, seen, count, size)
    rows = np.flatnonzero(slots >= 0)
    if seen + count > size:  # while there is room no slot comes twice
        _, last = np.unique(slots[rows][::-1], return_index=True)
        rows = np.sort(rows[len(rows) - 1 - last])
    return Arrivals(rows, slots[rows])
