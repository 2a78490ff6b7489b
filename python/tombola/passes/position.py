"""What of an epoch is consumed: a point between two batches of training.

A `Position` is the history of an epoch as spans, each a world size and how far its ranks went. Readers take a
batch a step, in turn: ranks alone, or the worker processes of all ranks. So an interrupted run that is
resumed by as many ranks, with as many workers each, equals an undisturbed one, and with others every batch
that is left comes exactly once. What a position leaves is the matter of `schedule`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from .._base.checks import check_integer

__all__ = ["Position", "Span", "Taken"]

Span: TypeAlias = tuple[int, int] | tuple[int, int, int, int]
"""(world size, steps), or (world size, steps, workers of each rank, how many of them took one batch more)."""


class Taken(NamedTuple):
    """A span, written out."""

    world_size: int
    steps: int
    workers: int = 1
    more: int = 0


@dataclass(frozen=True, slots=True)
class Position:
    """A point between two batches of training.

    Parameters
    ----------
    epoch : int
        The epoch, from 0.
    spans : tuple of (int, int) or (int, int, int, int)
        (world size, steps), in the order in which they were taken since the epoch began. Where worker
        processes read, steps are those of each worker, and two numbers follow: how many workers each rank
        has, and how many of them, the first ones, have taken one batch more. Neighbours of one world size
        and as many workers are merged and empty ones left out, so equal positions compare equal.

    Examples
    --------
    >>> Position(3).advanced(2, 10).advanced(2, 5).advanced(4, 1)
    Position(epoch=3, spans=((2, 15), (4, 1)))
    >>> Position(0).advanced(1, 2, workers=4, more=3).advanced(1, 0, workers=4, more=2)
    Position(epoch=0, spans=((1, 3, 4, 1),))
    """

    epoch: int
    spans: tuple[Span, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "epoch", check_integer("epoch", self.epoch))
        merged: list[tuple[int, int, int]] = []  # world size, workers, batches of each rank
        for span in self.spans:
            world_size, steps, workers, more = Taken(*span)
            world_size = check_integer("world_size", world_size, minimum=1)
            workers = check_integer("workers", workers, minimum=1)
            batches = check_integer("steps", steps) * workers + check_integer("more", more, limit=workers)
            if merged and merged[-1][:2] == (world_size, workers):
                merged[-1] = (world_size, workers, merged[-1][2] + batches)
            elif batches:
                merged.append((world_size, workers, batches))
        object.__setattr__(self, "spans", tuple(_span(*counts) for counts in merged))

    def advanced(self, world_size: int, steps: int, *, workers: int = 1, more: int = 0) -> "Position":
        """Return the position `steps` steps later, taken by `world_size` ranks or by workers of each.

        The first `more` workers of each rank have taken one batch more.
        """
        return Position(self.epoch, (*self.spans, Taken(world_size, steps, workers, more)))

    @property
    def steps(self) -> int:
        """Batches that each rank took, under whatever world sizes."""
        return sum(taken.steps * taken.workers + taken.more for taken in map(_taken, self.spans))

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


def _taken(span: Span) -> Taken:
    return Taken(*span)


def _span(world_size: int, workers: int, batches: int) -> Span:
    steps, more = divmod(batches, workers)
    return (world_size, steps) if workers == 1 else (world_size, steps, workers, more)
