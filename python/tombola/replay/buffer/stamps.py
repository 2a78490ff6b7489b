"""Which item is in each slot, and which one was given out of it: priorities that come late are noticed.

A stamp is the number of an item in all that was ever offered to a buffer, from 1 on, so it names an item
where a slot names a place. Priorities are computed for items that were given out, while others come in and
take their slots; those of an item that is gone are left out, and counted. O(1) an item, 16 bytes a slot.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..._base.checks import index_array
from ..._base.types import IndexArray
from ..scores.arrays import check_shape

__all__ = ["Stamps", "carried", "carry"]

_STAMPS, _VERSION = "stamps", "_stamped_version"


class Stamps:
    """Stamps of slots; 0 where nothing is stored, or was given out."""

    def __init__(self, size: int) -> None:
        self.items: IndexArray = np.zeros(size, dtype=np.int64)
        self.given_out: IndexArray = np.zeros(size, dtype=np.int64)
        self.before = 0  # items of the streams before this one
        self.ignored = 0

    def write(self, slots: IndexArray, rows: IndexArray, seen: int) -> None:
        """Take in items, rows of a batch that came after so many of the stream."""
        self.items[slots] = self.before + seen + 1 + rows

    def give_out(self, slots: IndexArray) -> IndexArray:
        """Return the stamps of items whose slots are told to users."""
        stamps = self.items[slots]
        self.given_out[slots] = stamps
        return stamps

    def current(self, slots: IndexArray, stamps: IndexArray | None) -> npt.NDArray[np.bool_]:
        """Return whether each slot holds the item that is meant, and count those that do not.

        That is the one with this stamp; without stamps the one that was given out last, if there is one.
        """
        if stamps is None:
            last = self.given_out[slots]
            found = (last == 0) | (last == self.items[slots])
        else:
            found = stamps == self.items[slots]
        self.ignored += len(found) - int(np.count_nonzero(found))
        return np.asarray(found)

    def begin(self, seen: int) -> "Stamps":
        """Return stamps for another stream, after so many items of this one."""
        other = Stamps(len(self.items))
        other.before, other.ignored = self.before + seen, self.ignored
        return other

    def state(self, stored: int) -> dict[str, Any]:
        """Return copies of the first slots' stamps, and the numbers."""
        arrays = {"items": self.items, "given_out": self.given_out}
        copies = {name: torch.from_numpy(array[:stored].copy()) for name, array in arrays.items()}
        return {**copies, "before": self.before, "ignored": self.ignored}

    @classmethod
    def loaded(cls, state: Mapping[str, Any], size: int) -> "Stamps":
        """Return what `state` returned."""
        stamps, stored = cls(size), len(state["items"])
        stamps.items[:stored], stamps.given_out[:stored] = state["items"], state["given_out"]
        stamps.before, stamps.ignored = state["before"], state["ignored"]
        return stamps


def carry(indices: torch.Tensor, stamps: IndexArray) -> torch.Tensor:
    """Let slots that are given out carry their stamps, as the attribute ``stamps``."""
    setattr(indices, _STAMPS, torch.from_numpy(stamps))
    setattr(indices, _VERSION, indices._version)
    return indices


def carried(indices: Any, stamps: Any, count: int) -> IndexArray | None:
    """Return the stamps that come with slots: those given, else those they carry and belong to.

    Raises
    ------
    TypeError, ValueError
        If stamps are given that are no integers, or not one for each slot.
    """
    if stamps is None and isinstance(indices, torch.Tensor):
        if getattr(indices, _VERSION, None) == indices._version:  # else they were changed in place
            stamps = getattr(indices, _STAMPS)
    if stamps is None:
        return None
    values = index_array("stamps", stamps.cpu().numpy() if isinstance(stamps, torch.Tensor) else stamps)
    check_shape("stamps", values.shape, (count,), "one an index")
    return values
