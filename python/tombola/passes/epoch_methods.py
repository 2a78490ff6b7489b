"""The methods that the batch sampler and the loader share: what is said of passes, all of it by `_epochs`."""

from collections.abc import Mapping
from typing import Any, SupportsIndex

from .._base.checks import check_integer
from ..plans.plan import Plan
from ..strategies.base import Strategy
from .epochs import Epochs
from .position import Position

__all__ = ["EpochMethods"]


class EpochMethods:
    """Epoch, length and state of what gives passes, from its `_epochs`."""

    _epochs: Epochs

    @property
    def epoch(self) -> int:
        """Epoch of the coming pass."""
        return self._epochs.epoch

    @property
    def strategy(self) -> Strategy:
        """What decides."""
        return self._epochs.strategy

    @property
    def seed(self) -> int:
        """As given."""
        return self._epochs.seed

    def plan(self, epoch: SupportsIndex | None = None) -> Plan:
        """Return the plan of an epoch, of the coming pass by default: the batches of all ranks."""
        return self._epochs.plan(self.epoch if epoch is None else check_integer("epoch", epoch))

    def __repr__(self) -> str:
        options = {"n": self._epochs.n, **self._epochs.options, "seed": self.seed, "epoch": self.epoch}
        shown = ", ".join(f"{name}={value}" for name, value in options.items())
        return f"{type(self).__name__}({self.strategy!r}, {shown})"

    def set_epoch(self, epoch: SupportsIndex) -> None:
        """Set the epoch of the coming pass.

        A loaded state is the coming pass and stays it; epochs that are set later are then counted from it.
        """
        self._epochs.set_epoch(epoch)

    def __len__(self) -> int:
        """Return the number of batches of this rank in a whole epoch, whatever state was loaded."""
        return self._epochs.steps()

    @property
    def remaining(self) -> int:
        """Number of batches of this rank that are left in the coming pass."""
        return self._epochs.remaining()

    def state_dict(self) -> dict[str, Any]:
        """Return what is consumed, by the iterator that advanced last, as a small dict that JSON can hold.

        Under a DataLoader with worker processes, the batches that it handed out are counted.

        Raises
        ------
        RuntimeError
            If it cannot be known what was handed out: worker processes read copies of this object, or a
            trainer asks ahead. `tombola.DataLoader` knows it.
        """
        return self._epochs.state_dict()

    def state_at(self, position: Position) -> dict[str, Any]:
        """Return the state in which `position` is consumed, wherever the iterators are.

        For those who count themselves what they have consumed, as worker processes read ahead.

        Raises
        ------
        ValueError
            If the epoch is not as long.
        """
        return self._epochs.state_at(position)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the coming pass go on where `state` was saved.

        Raises
        ------
        ValueError
            If `state` belongs to another configuration; the message names what differs.
        """
        self._epochs.load_state_dict(state)
