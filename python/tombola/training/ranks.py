"""The processes that train together, and what they agree on.

Rule: whatever is decided from something that ranks may see differently (the end of a loader, a bad file, a
signal) is decided by all at the same step, so that none waits for others. Without torch.distributed there is
one rank and nothing is sent. Agreement goes over a gloo group of its own, so GPUs are not waited for.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import distributed

from ..passes.ranks import distributed_ranks
from .errors import TrainingError

__all__ = ["Ranks"]


class Ranks:
    """The process among those that torch.distributed has initialised, as under ``torchrun``."""

    def __init__(self) -> None:
        self.rank, self.world_size = distributed_ranks() or (0, 1)
        self._is_alone = self.world_size == 1
        self._group = None if self._is_alone else distributed.new_group(backend="gloo")

    @property
    def is_alone(self) -> bool:
        """Whether there is one rank."""
        return self._is_alone

    @property
    def is_first(self) -> bool:
        """Whether this rank writes."""
        return self.rank == 0

    def most(self, *numbers: int) -> list[int]:
        """Return for each place the largest of all ranks' numbers."""
        if self._is_alone:
            return list(numbers)
        shared = torch.tensor(numbers)
        distributed.all_reduce(shared, op=distributed.ReduceOp.MAX, group=self._group)
        largest: list[int] = shared.tolist()
        return largest

    def gather(self, value: Any) -> list[Any]:
        """Return the values of all ranks, in order."""
        if self._is_alone:
            return [value]
        values: list[Any] = [None] * self.world_size
        distributed.all_gather_object(values, value, group=self._group)
        return values

    def from_first(self, value: Any) -> Any:
        """Return the first rank's value."""
        if self._is_alone:
            return value
        values = [value]
        distributed.broadcast_object_list(values, src=0, group=self._group)
        return values[0]

    def first(self, action: Callable[[], Any], error_type: type[TrainingError] = TrainingError) -> Any:
        """Let the first rank act; what that returns or raises is everybody's, as `error_type` elsewhere."""
        if self._is_alone:
            return action()
        value: Any = None
        error: Exception | None = None
        if self.is_first:
            try:
                value = action()
            except Exception as raised:
                error = raised
        value, message = self.from_first((value, None if error is None else str(error) or repr(error)))
        if error is not None:
            raise error
        if message is not None:
            raise error_type(message)
        return value

    def close(self) -> None:
        """Give the group back."""
        if self._group is not None and distributed.is_initialized():
            distributed.destroy_process_group(self._group)
        self._group = None
