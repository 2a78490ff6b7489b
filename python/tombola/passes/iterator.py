"""One pass: the iterator that the batch sampler and the loader give."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from ..plans.plan import Plan
from .epochs import Epochs
from .position import Position
from .progress import Progress
from .schedule import Share

__all__ = ["PassIterator"]

T = TypeVar("T")


class PassIterator(Iterator[T], Generic[T]):
    """One pass: hands out what `read` gives for the plan and the share of it that is left, and counts.

    Parameters
    ----------
    epochs : Epochs
        Where the pass starts, and whom to tell how far it is.
    read : callable
        ``read(plan, share, dealer)`` iterates over the batches of the share, in order; the last one names
        who deals them out, if anybody does.
    asked : object
        The batch sampler or loader whose pass this is.
    """

    def __init__(
        self, epochs: Epochs, read: Callable[[Plan, Share, str], Iterator[T]], asked: object
    ) -> None:
        self._epochs, self._read, self._asked = epochs, read, asked
        self._start: Position | None = None
        self._progress: Progress | None = None
        self._batches: Iterator[T] = iter(())
        self._over = self._has_failed = False

    def __next__(self) -> T:
        progress = self._progress
        if progress is None:
            return self._first()
        try:
            for batch in self._batches:
                progress.steps = steps = progress.steps + 1
                self._epochs.latest = progress
                if steps == progress.next_told:
                    self._tell(progress)
                return batch
        except BaseException:
            self._has_failed = True
            self.close()
            raise
        if self._has_failed:
            msg = "a batch of this pass could not be read, and no more come: begin another pass"
            raise RuntimeError(msg)
        self.close()
        raise StopIteration

    @property
    def progress(self) -> Progress | None:
        """How far the pass is; None before it has begun."""
        return self._progress

    def state_dict(self) -> dict[str, Any]:
        """Return the state of this pass: what it was asked for."""
        if self._progress is not None:
            return self._epochs.describe(self._progress.asked())
        return self._epochs.describe(self._epochs.start if self._start is None else self._start)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let this pass go on where `state` says; others are not concerned."""
        start = self._epochs.read(state)
        self.close()
        self._start, self._progress = start, None
        self._over = self._has_failed = False
        self._epochs.note(start)

    def close(self) -> None:
        """Break the pass off: no more batches come, and what reads ahead is stopped."""
        close = getattr(self._batches, "close", None)
        self._batches, self._over = iter(()), True
        if close is not None:
            close()

    def _tell(self, progress: Progress) -> None:
        """Tell of a batch that is the first or the last one of a pass, or one of which each is told."""
        if progress.is_worker:
            self._epochs.record.mark()
        progress.watch()
        progress.next_told = progress.steps + 1 if progress.is_watched() else progress.total
        if progress.steps == progress.total:
            self.close()

    def _first(self) -> T:
        """Begin the pass and hand out its first batch; where that fails, the pass was none."""
        if self._over:
            raise StopIteration
        with self._epochs.beginning:  # threads do so one after another, each an epoch
            progress, plan, share = self._epochs.begin(self._asked, self._start)
            self._epochs.claim(progress)
        try:
            self._progress = progress
            self._batches = self._read(plan, share, progress.dealer)
            return next(self)
        except StopIteration:
            raise
        except BaseException:
            if not progress.steps:
                self._epochs.take_back(progress)
            raise
