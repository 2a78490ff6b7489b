"""What a DataLoader handed out: the pass that it is in, and which position its state holds.

Several DataLoaders may share a sampler or loader, such as one to train and one to validate. Each knows what
it handed out itself, so the rules for its state are, the first that applies:

- the epoch was set, or a state loaded, for it since: the coming pass;
- its own pass is unfinished, the iterator is there or whoever read since is known to be another DataLoader:
  what it handed out of that pass, whatever others did meanwhile;
- its own pass is complete: the coming pass;
- otherwise whoever reads may do so in its place, as a trainer's loader does: what sampler or loader know.

A DataLoader that a trainer made anew from another one counts as that one.

Complexity: O(1) a batch.
"""

import weakref
from typing import Any, SupportsIndex

from ..passes.epochs import Epochs
from ..passes.iterator import PassIterator
from ..passes.position import Position
from ..passes.progress import Progress
from ..passes.readers import Handed

__all__ = ["OwnPasses", "Pass"]


class Pass:
    """One pass of a DataLoader: where it starts, and how many batches were handed out.

    What a sampler, or a loader in this process, begins is known by its progress. Workers that read a loader
    say in the record that they share where they begin, each a reader of its own.

    Parameters
    ----------
    epochs : Epochs
    workers : int
        Worker processes that read a loader.
    name : object
        Stands for the DataLoader.
    iterator : object
        What hands the batches out, kept alive by others alone.
    """

    def __init__(self, epochs: Epochs, workers: int, name: object, iterator: object) -> None:
        self._before = coming = epochs.coming()
        if coming.is_loaded and epochs.readers.loaded_for not in (None, name):
            epochs.remarks.taken()
        self._epochs = epochs
        self._workers = workers
        self._name = name
        self._iterator: weakref.ref[object] | None = weakref.ref(iterator)
        self.count = 0
        self.ahead = 0
        """Batches among them that a trainer holds back."""
        self.has_failed = False
        self._is_settled = False
        self._progress: Progress | None = None
        self._start, self._world_size = coming.start, epochs.ranks()[1]
        self._total = epochs.remaining()
        self._joined = set(coming.joined) if workers else set()
        self._latest: tuple[Handed | None, Progress | None, int] = (None, None, -1)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the other readers of the process that this is a copy from, and the iterator."""
        latest = (None, None, self._epochs.readers.generation)
        return {**vars(self), "_latest": latest, "_iterator": None, "_progress": None}

    def bind(self, iterator: Any) -> None:
        """Take over where the pass starts that torch's iterator has just begun."""
        if self._workers:
            seed = str(getattr(iterator, "_base_seed", ""))
            joined = self._epochs.coming().joined.items()
            begun = [at for key, at in joined if key not in self._joined and key.split()[2] == seed]
            if begun and begun[-1] != self._start:
                self._start, self._total = begun[-1], self._epochs.remaining(begun[-1])
            return
        progress = _progress(iterator, self._epochs.latest)
        if progress is not None:
            self._progress = progress
            self._start, self._total = progress.start, progress.total
            self._world_size = progress.world_size

    def fail(self, iterator: Any) -> None:
        """Note that a batch failed, and which pass that was of, if it was the first one."""
        self.has_failed = True
        if not self.count and not self._workers and self._progress is None:
            latest = self._epochs.latest
            self._progress = _progress(iterator, None if latest is self._latest[1] else latest)

    def settle(self, *, is_followed: bool = False) -> None:
        """Make this pass none if it handed out nothing, nor will, unless more has happened since.

        Parameters
        ----------
        is_followed : bool
            Whether another one begins. Torch may go on after a batch that failed, where none read a loader.
        """
        is_over = not self.may_go_on() or (self.has_failed and (is_followed or self._workers > 0))
        if self._is_settled or self.count > self.ahead or not self._total or not is_over:
            return
        self._is_settled = True
        if self._workers:
            self._epochs.record.give_back(self._before, self._start)
        elif self._progress is not None:
            self._epochs.take_back(self._progress)

    def note(self) -> None:
        """Note that nothing has advanced and nothing was set since."""
        self._epochs.readers.handed = Handed(self._name, self._epochs.latest, self.is_complete())
        self._latest = self._now()

    @property
    def generation(self) -> int:
        """How often the coming pass had been set when this pass gave a batch."""
        return self._latest[2]

    def is_latest(self) -> bool:
        """Tell whether no other pass has advanced, and none was set, since this one began or gave a batch."""
        return self._latest == self._now()

    def may_go_on(self) -> bool:
        """Tell whether the iterator is still there."""
        return self._iterator is not None and self._iterator() is not None

    def is_complete(self) -> bool:
        """Tell whether the last batch was handed out."""
        return self.count - self.ahead >= self._total

    def position(self) -> Position:
        """Return what was handed out."""
        consumed = self.count - self.ahead
        if not self._workers:
            return self._start.advanced(self._world_size, consumed)
        steps, more = divmod(consumed, self._workers)
        return self._start.advanced(self._world_size, steps, workers=self._workers, more=more)

    def _now(self) -> tuple[Handed | None, Progress | None, int]:
        return self._epochs.readers.handed, self._epochs.latest, self._epochs.readers.generation


class OwnPasses:
    """The passes of one DataLoader, and of those that trainers make anew from it."""

    def __init__(self, epochs: Epochs) -> None:
        self._epochs = epochs
        self.name = object()  # not this, which knows the epochs, for them to keep
        self.latest: Pass | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave out a pass that is no longer what the state is about."""
        latest = self.latest
        is_kept = latest is not None and (
            self._is_current(latest) or (latest.is_complete() and self._is_beside_another())
        )
        return {**vars(self), "latest": latest if is_kept else None}

    def settle(self, *, is_followed: bool = False) -> None:
        """Make the last pass none if it handed out nothing, see `Pass.settle`."""
        if self.latest is not None:
            self.latest.settle(is_followed=is_followed)

    def set_epoch(self, epoch: SupportsIndex) -> None:
        """Set the epoch of the coming pass, which is what a loaded state leaves, if the last one failed."""
        self.settle(is_followed=True)
        self._epochs.set_epoch(epoch, name=self.name)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the DataLoader.

        Raises
        ------
        RuntimeError
            If it cannot be known what was handed out.
        """
        epochs, latest = self._epochs, self.latest
        if latest is None or not self._is_current(latest):
            if not self._is_beside_another():
                return epochs.state_dict()
            if latest is None:
                self._check_others()
            return epochs.describe(epochs.start)
        if latest.has_failed and latest.count > latest.ahead:
            msg = (
                "it must be known which batches were handed out, but reading one failed: load an earlier "
                "state, or set the epoch"
            )
            raise RuntimeError(msg)
        return epochs.describe(epochs.start if latest.is_complete() else latest.position())

    def _is_current(self, latest: Pass) -> bool:
        """Tell whether a pass is the last one, or unfinished although others have advanced, or were set."""
        epochs = self._epochs
        if latest.is_latest():
            return True
        if latest.is_complete() or epochs.readers.is_set_for(self.name, latest.generation, epochs.latest):
            return False
        if self._is_beside_another():
            return True
        return latest.may_go_on() and not (epochs.latest is not None and epochs.latest.unknown)

    def _is_beside_another(self) -> bool:
        return self._epochs.readers.is_other(self.name, self._epochs.latest)

    def _check_others(self) -> None:
        """Raise RuntimeError where it is not known whether another DataLoader reads in place of this one."""
        handed, name = self._epochs.readers.handed, self._epochs.name
        if handed is not None and not handed.is_last:
            msg = (
                "the state must be asked of the DataLoader that handed out batches, but this one handed out "
                f"none, and another one over the same {name} is within a pass: ask that one, or give each a "
                f"{name} of its own"
            )
            raise RuntimeError(msg)


def _progress(iterator: Any, default: Progress | None) -> Progress | None:
    """Return the pass of the sampler or loader that torch's iterator has begun in this process."""
    readers = getattr(iterator, "_sampler_iter", None), getattr(iterator, "_dataset_fetcher", None)
    own = [getattr(reader, "dataset_iter", reader) for reader in readers]
    return next((one.progress for one in own if isinstance(one, PassIterator)), default)
