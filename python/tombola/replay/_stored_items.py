"""The part of a buffer that knows no scores: items in their slots, uniform draws, and how both come out.

O(items) for all; a uniform draw of m items from n takes O(m).
"""

from collections.abc import Callable
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from .. import _core
from .._base.checks import check_bool, check_integer
from .._base.fork import ForkLock
from .._base.types import IndexArray
from .buffer.arguments import check_device, slot_array
from .buffer.items import Storage

__all__ = ["Batch", "StoredItems", "Transform"]

Transform: TypeAlias = Callable[[torch.Tensor], torch.Tensor]
Batch: TypeAlias = tuple[torch.Tensor, ...]

_RETURNED = ("examples", "labels", "logits", "task_labels")


class StoredItems:
    """Items in slots, of which the first ``len(self)`` are in use, and uniform draws from them."""

    def __init__(self, buffer_size: int, device: str | torch.device, seed: int, *, replace: bool) -> None:
        self.buffer_size = check_integer("buffer_size", buffer_size, minimum=1, limit=2**31)
        self.device = check_device(device)
        self.seed = check_integer("seed", seed)
        self.num_seen_examples = 0
        self._replace = check_bool("replace", replace)
        self._steps = 0
        self._uniform_draws = 0
        self._lock = ForkLock(reentrant=True)
        self._storage = Storage(self.buffer_size, self.device)

    def __len__(self) -> int:
        return min(self.num_seen_examples, self.buffer_size)

    def __repr__(self) -> str:
        shown = f"buffer_size={self.buffer_size}, stored={len(self)}, device='{self.device}'"
        return f"{type(self).__name__}({shown})"

    def __getstate__(self) -> dict[str, Any]:
        with self._lock:
            return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._lock = ForkLock(reentrant=True)

    def is_empty(self) -> bool:
        """Return whether nothing was added yet."""
        return self.num_seen_examples == 0

    def get_data(
        self,
        size: int,
        transform: Transform | None = None,
        *,
        return_index: bool = False,
        return_weights: bool = False,
        device: str | torch.device | None = None,
    ) -> Batch:
        """Return items drawn uniformly; arguments and result as for `get_balanced_data`, all weights 1."""
        with self._lock:
            self._check_filled()
            target = self._target(device)
            many = self._how_many(check_integer("size", size))
            slots = _core.uniform_draws(self.seed, self._steps, len(self), many, replace=self._replace)
            self._steps += 1
            self._uniform_draws += 1
            corrections = np.ones(many) if return_weights else None
            return self._give(slots, transform, target, return_index, corrections)

    def get_all_data(
        self, transform: Transform | None = None, device: str | torch.device | None = None
    ) -> Batch:
        """Return all items that are stored, in the order of slots."""
        with self._lock:
            self._check_filled()
            return self._give(np.arange(len(self)), transform, self._target(device))

    def get_data_by_index(
        self, indices: Any, transform: Transform | None = None, device: str | torch.device | None = None
    ) -> Batch:
        """Return the items of some slots; IndexError names the first slot that holds nothing."""
        with self._lock:
            self._check_filled()
            return self._give(slot_array(indices, len(self)), transform, self._target(device))

    def to(self, device: str | torch.device) -> Self:
        """Move what is stored to a device that is there, and return the buffer."""
        with self._lock:
            found = check_device(device)
            self._storage.to(found)
            self.device = found
        return self

    def _target(self, device: str | torch.device | None) -> torch.device:
        return self.device if device is None else check_device(device)

    def _how_many(self, size: int) -> int:
        return size if self._replace else min(size, len(self))

    def _give(
        self,
        slots: IndexArray,
        transform: Transform | None,
        target: torch.device,
        return_index: bool = False,
        corrections: npt.NDArray[np.float64] | None = None,
    ) -> Batch:
        given = [self._storage.read(name, slots) for name in _RETURNED if name in self._storage.parts]
        if transform is not None and len(slots):
            given[0] = torch.stack([transform(example) for example in given[0]])
        if check_bool("return_index", return_index):
            given.append(torch.from_numpy(slots))
        if corrections is not None:
            given.append(torch.from_numpy(corrections).to(torch.get_default_dtype()))
        return tuple(part.to(target) for part in given)

    def _check_filled(self) -> None:
        if self.is_empty():
            msg = "the buffer must hold an item or more, but is empty: add_data comes first"
            raise ValueError(msg)
