"""What of an epoch is consumed: a point between two batches of training.

A `Position` is the history of an epoch as spans, each a number of readers and how far they went. Readers take
a batch a step, in turn: ranks alone, or the worker processes of all ranks. So an interrupted run that is
resumed by as many readers equals an undisturbed one, and with others every batch that is left comes exactly
once. What a position leaves is the matter of `schedule`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from .._base.checks import check_integer

__all__ = ["Position", "Span"]

Span: TypeAlias = tuple[int, int] | tuple[int, int, int]
"""Readers, whole steps that they took, and how many readers, the first ones, took one more; 0 is left out."""


@dataclass(frozen=True, slots=True)
class Position:
    """A point between two batches of training.

    Parameters
    ----------
    epoch : int
        The epoch, from 0.
    spans : tuple of (int, int) or (int, int, int)
        (readers, steps), in the order in which they were taken since the epoch began, where the number of
        readers is the world size, or world size times worker processes. A third number says that a step was
        begun: so many readers, the first ones, have taken one batch more. Neighbours of as many readers are
        merged and empty ones left out, so equal positions compare equal.

    Examples
    --------
    >>> Position(3).advanced(2, 10).advanced(2, 5).advanced(4, 1)
    Position(epoch=3, spans=((2, 15), (4, 1)))
    >>> Position(0).advanced(4, 2, 3).advanced(4, 0, 2)
    Position(epoch=0, spans=((4, 3, 1),))
    """

    epoch: int
    spans: tuple[Span, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "epoch", check_integer("epoch", self.epoch))
        merged: list[tuple[int, int]] = []  # readers, batches
        for span in self.spans:
            readers, steps, more = span if len(span) == 3 else (*span, 0)
            readers = check_integer("world_size", readers, minimum=1)
            batches = check_integer("steps", steps) * readers + check_integer("more", more, limit=readers)
            if merged and merged[-1][0] == readers:
                merged[-1] = (readers, merged[-1][1] + batches)
            elif batches:
                merged.append((readers, batches))
        object.__setattr__(self, "spans", tuple(_span(*counts) for counts in merged))

    def advanced(self, readers: int, steps: int, more: int = 0) -> "Position":
        """Return the position `steps` steps later, taken by `readers`, the first `more` of them one more."""
        return Position(self.epoch, (*self.spans, (readers, steps, more)))

    @property
    def steps(self) -> int:
        """Whole steps that were taken, under whatever number of readers."""
        return sum(span[1] for span in self.spans)

    def to_dict(self) -> dict[str, Any]:
        """Return a fresh dict that JSON can hold."""
        return {"epoch": self.epoch, "spans": [list(span) for span in self.spans]}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "Position":
        """Return the position that `to_dict` described.

        Raises
        ------
        ValueError
            If `state` is not what `to_dict` gives.
        """
        try:
            return cls(state["epoch"], tuple(map(tuple, state["spans"])))
        except (KeyError, TypeError, ValueError) as error:
            message = f"a position is {{'epoch': e, 'spans': [[world_size, steps], ...]}}, but got {state!r}"
            raise ValueError(message) from error


def _span(readers: int, batches: int) -> Span:
    steps, more = divmod(batches, readers)
    return (readers, steps, more) if more else (readers, steps)
