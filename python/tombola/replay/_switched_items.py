"""The part of a buffer that holds its balance, without drawing by it: switches, and what there is to see.

What can be set while a buffer is in use is part of its state; what is fixed when it is made is compared.
"""

import logging
from typing import Any

import torch

from .._base.checks import check_bool
from ._buffer_options import BufferOptions
from ._stored_items import StoredItems
from .buffer.balance import Balance
from .buffer.report import BufferReport, make_report
from .schedule import BalanceSchedule

__all__ = ["SwitchedItems"]

_logger = logging.getLogger("tombola")


class SwitchedItems(StoredItems):
    """Items in slots, their balance, and whether and how strongly draws go by it."""

    def __init__(
        self,
        buffer_size: int,
        device: str | torch.device,
        seed: int,
        options: BufferOptions,
        *,
        use_balanced_sampling: bool,
    ) -> None:
        super().__init__(buffer_size, device, seed, replace=options.replace)
        self.use_balanced_sampling = use_balanced_sampling
        self._options = options
        self._said: set[str] = set()
        self._balance = Balance(self.buffer_size, options)

    @property
    def use_balanced_sampling(self) -> bool:
        """Whether `get_balanced_data` goes by scores; else it draws uniformly."""
        return self._use_balanced_sampling

    @use_balanced_sampling.setter
    def use_balanced_sampling(self, use: bool) -> None:
        self._use_balanced_sampling = check_bool("use_balanced_sampling", use)

    @property
    def balance_weight(self) -> float | BalanceSchedule:
        """How strongly groups are balanced."""
        return self._options.balance_weight

    @balance_weight.setter
    def balance_weight(self, weight: float | BalanceSchedule) -> None:
        with self._lock:
            self._options = self._balance.options = self._options.with_weight(weight)

    @property
    def group_counts(self) -> dict[int, int]:
        """How many items of each semantic group are stored: group number to count, without empty ones."""
        with self._lock:
            sizes = self._balance.group_sizes().tolist() if self._balance.labelled else []
            return {group: size for group, size in enumerate(sizes) if size}

    @property
    def groups(self) -> dict[int, int]:
        """The semantic group of each class that is stored, as of the last balanced draw: label to number."""
        with self._lock:
            if not self._balance.labelled:
                return {}
            stored = self._balance.classes.counts > 0
            labels, groups = self._balance.classes.labels[stored], self._balance.groups.groups[stored]
            return dict(sorted(zip(labels.tolist(), groups.tolist(), strict=True)))

    def report(self) -> BufferReport:
        """Return groups, scores and draws so far: a dict that prints as a table; it has `plot`."""
        with self._lock:
            return make_report(self._balance, len(self), self.num_seen_examples, self._uniform_draws)

    def _described(self) -> dict[str, Any]:
        """Return what another buffer must have been made with to take over the state of this one."""
        return {"buffer_size": self.buffer_size} | self._options.described()

    def _say(self, reason: str) -> None:
        if reason not in self._said:
            self._said.add(reason)
            by_task = " inside each task" if self._options.factor_of_task else ""
            _logger.warning("BalancedBuffer draws uniformly%s as long as %s", by_task, reason)
