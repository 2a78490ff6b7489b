"""What users are told of passes in the log, each thing once: what they may not expect."""

import logging
from collections.abc import Callable

from .._base.workers import loader_worker
from .callers import Caller
from .progress import Progress
from .schedule import Schedule

__all__ = ["Remarks"]

_logger = logging.getLogger("tombola.passes")

ENOUGH_BLOCKS = 16
"""Blocks that a window must hold for its batches to be mixed nearly as rows drawn alone are."""


class Remarks:
    """What one object says, each thing once.

    Parameters
    ----------
    name : str
        What it is called.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._said: set[str] = set()

    def empty(self, batch_size: int) -> None:
        """Say that ``drop_last`` leaves no batch."""
        self._say("drop_last=True leaves no batch, as there are fewer rows than batch_size=%d", batch_size)

    def few_blocks(
        self, block_size: int, batch_size: int, fetch_factor: int, n_rows: Callable[[], int]
    ) -> None:
        """Say that batches are few runs, if windows mix few blocks; loudly if they are one batch.

        How many rows an epoch has, which asks for its plan, is only asked where that decides.
        """
        rows = batch_size * fetch_factor
        if rows >= ENOUGH_BLOCKS * block_size or block_size == 1 or rows >= n_rows():
            return
        self._say(
            "a window of batch_size * fetch_factor = %d rows mixes few blocks (%d) of block_size=%d "
            "neighbouring rows, so batches are less balanced than rows drawn alone: set block_size=1 for "
            "data in memory, and for files that are read in runs fetch_factor=%d or more",
            rows,
            -(-rows // block_size),
            block_size,
            max(ENOUGH_BLOCKS, -(-ENOUGH_BLOCKS * block_size // batch_size)),
            level=logging.WARNING if fetch_factor == 1 else logging.INFO,
        )

    def other_data(self, rows: int, data: int) -> None:
        """Say that the data have another number of rows than the strategy knows of."""
        self._say(
            "the data have %d rows, but the strategy knows of %d: %s",
            data,
            rows,
            "those beyond never come" if data > rows else "it asks for some that are not there",
        )

    def overruled(self, epoch: int, count: int) -> None:
        """Say that a loaded state wins over `set_epoch`."""
        self._say(
            "a state of epoch %d was loaded, so the coming pass is what is left of that epoch, although "
            "set_epoch(%d) was called; epochs that are set later are counted from there",
            epoch,
            count,
        )

    def late(self, latest: Progress | None, count: int) -> None:
        """Say that an epoch is set for a pass that has begun, if it has, but has handed out nothing."""
        if latest is None or not latest.is_late() or latest.start.epoch == count:
            return
        self._say(
            "set_epoch(%d) comes too late for the pass that has begun: batches of epoch %d are on their way "
            "to workers. Set it before the iterator is made, or use tombola.DataLoader, whose passes begin "
            "with their first batch",
            count,
            latest.start.epoch,
        )

    def taken(self) -> None:
        """Say that a DataLoader reads what was loaded for another one over the same sampler or loader."""
        self._say(
            "a state that was loaded into one DataLoader is gone on with by another one, as both share what "
            "they read, and its coming pass: give each one of its own",
        )

    def skipped(self, caller: Caller) -> None:
        """Say what it rests on that batches are left out by their number, if they are; one worker does."""
        worker = loader_worker()
        if not caller.counts or (worker is not None and worker.number):
            return
        self._say(
            "%s leaves out the first batches by their number alone. Which ones those are depends on how many "
            "worker processes read, so there must be as many as before, or rows are lost and others come "
            "twice; a state of tombola.DataLoader goes on with any number",
            caller.counts,
        )

    def dealt_out(self, dealer: str) -> None:
        """Say that a trainer deals batches out to ranks."""
        self._say("%s deals the batches out to ranks, so each rank asks for all of them", dealer)

    def dropped(self, schedule: Schedule, world_size: int) -> None:
        """Say how many batches ``even="drop"`` leaves out, loudly if they are more than one in a hundred."""
        n_dropped = schedule.n_batches % world_size
        if n_dropped:
            self._say(
                '%d ranks share %d batches, of which even="drop" leaves out %d at the end of each epoch; '
                '"pad" repeats some instead, "none" gives some ranks more',
                world_size,
                schedule.n_batches,
                n_dropped,
                level=logging.WARNING if n_dropped * 100 > schedule.n_batches else logging.INFO,
            )

    def _say(self, text: str, *arguments: object, level: int = logging.WARNING) -> None:
        if text not in self._said:
            self._said.add(text)
            _logger.log(level, "%s: " + text, self._name, *arguments)
