"""How far one pass is."""

from collections.abc import Callable
from dataclasses import dataclass

from .callers import Caller, HandedOut
from .position import Position

__all__ = ["Claim", "Progress"]


@dataclass(frozen=True, slots=True)
class Claim:
    """What a pass took when it began.

    Parameters
    ----------
    before : Progress or None
        The pass that had advanced last.
    undo : callable or None
        Gives the epoch back, unless that was set or taken since.
    """

    before: "Progress | None"
    undo: Callable[[], None] | None


class Progress:
    """How far one pass is. Light, so that holding it keeps neither rows nor threads of its iterator alive."""

    __slots__ = (
        "_caller",
        "claim",
        "has_lost",
        "is_worker",
        "next_told",
        "start",
        "steps",
        "total",
        "workers",
        "world_size",
    )

    def __init__(
        self,
        *,
        start: Position,
        world_size: int,
        workers: int,
        total: int,
        is_worker: bool,
        caller: Caller,
    ) -> None:
        self.start, self.world_size, self.workers, self.total = start, world_size, workers, total
        self.is_worker = is_worker
        self.steps = 0
        """Batches that were asked for."""
        self.next_told = 1
        """The batch, counted from 1, that others are told of."""
        self.has_lost = False
        """Whether a batch failed on its way and others were asked for after it."""
        self.claim: Claim | None = None
        """What makes this pass none, as long as no other has begun."""
        self._caller = caller

    @property
    def unknown(self) -> str:
        """Why it cannot be known what was handed out; empty if it can."""
        if self._caller.unknown:
            return f"{self._caller.unknown} asks ahead"
        ahead = self._caller.handed_out
        has_failed = self.has_lost or (ahead is not None and ahead.has_failed())
        return "a batch failed on its way" if has_failed else ""

    @property
    def _handed_out(self) -> HandedOut | None:
        return self._caller.handed_out

    @property
    def dealer(self) -> str:
        """Who deals the batches out to ranks; empty if nobody does."""
        return self._caller.dealer

    def is_watched(self) -> bool:
        """Tell whether each batch is told of: those of a worker, and those that may fail on their way."""
        ahead = self._handed_out
        return self.is_worker or (ahead is not None and not ahead.is_ahead)

    def watch(self) -> None:
        """See, when another batch is asked for, whether the one before came through."""
        ahead = self._handed_out
        if ahead is not None and not ahead.is_ahead and ahead.count_alone() < self.steps - 1:
            self.has_lost = True

    def is_late(self) -> bool:
        """Tell whether batches were asked for, but none was handed out: an epoch set now is another one's."""
        return not self.is_worker and self.steps > 0 and self._consumed() == 0

    def is_nothing(self, *, is_followed: bool = False) -> bool:
        """Tell whether a DataLoader asked for batches, but handed out none and never will.

        Parameters
        ----------
        is_followed : bool
            Whether another pass begins, so that none goes on with one that failed at once.
        """
        caller = self._caller
        if self.is_worker or not self.total or caller.reader is None:
            return False
        reader = caller.reader
        held = caller.held if self.steps < self.total else 0  # at the end it is let go
        if reader.is_nothing(held):
            return True
        # Workers may still be at batches of a pass before, unless this one began with the DataLoader's first.
        is_whole = caller.handed_out is not None or caller.held > 0 or not reader.is_ahead
        return is_whole and (reader.has_failed_at_once() or (is_followed and reader.is_left(held)))

    def is_forgotten(self) -> bool:
        """Tell whether it is no longer known how far it came, as its workers serve another pass."""
        return self._handed_out is not None and self._handed_out.is_over()

    def is_complete(self) -> bool:
        """Tell whether the last batch was handed out to those who train."""
        return not self.is_worker and self._consumed() >= self.total and self.steps >= self.total

    def position(self) -> Position:
        """Return what is consumed; the start of the next epoch, if that is all of this one."""
        if self.is_complete():
            return Position(self.start.epoch + 1)
        return self._advanced(self._consumed())

    def asked(self) -> Position:
        """Return what was asked for, a point of this pass even at its end."""
        return self._advanced(self.steps)

    def _advanced(self, steps: int) -> Position:
        return self.start.advanced(self.world_size, steps, workers=self.workers)

    def _consumed(self) -> int:
        ahead = self._handed_out
        return self.steps if ahead is None else min(ahead.count(), self.steps)
