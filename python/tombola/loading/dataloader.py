"""torch's DataLoader, which knows what it handed out: a state that is right with any number of workers.

A DataLoader with worker processes asks for batches ahead, and workers that read a `Loader` hold copies of it.
So neither sampler nor loader can know what was consumed, but the DataLoader can: it counts what it hands out,
and the position follows from that number, as readers take their batches in turn. States are those of the
sampler or loader, and fit both.

Complexity: O(1) a batch beyond torch's own.
"""

from collections.abc import Iterator, Mapping
from typing import Any, SupportsIndex

from torch.utils.data import DataLoader as TorchDataLoader
from torch.utils.data.distributed import DistributedSampler

from ..passes.callers import is_asked_ahead, is_of_lightning
from ..passes.epoch_methods import EpochMethods
from ..passes.epochs import Epochs
from ..passes.iterator import PassIterator
from ..passes.position import Position
from .loader import EpochTold

__all__ = ["DataLoader"]


class DataLoader(TorchDataLoader[Any]):
    """A torch DataLoader over a `PlanBatchSampler` or a `Loader`, exact on resume with any number of workers.

    Parameters
    ----------
    dataset : Dataset or Loader
        With a `Loader`, ``batch_size`` is None, as its batches are whole.
    batch_sampler : PlanBatchSampler
        With any dataset whose rows are numbered.
    **options
        All others of torch's DataLoader: ``num_workers``, ``persistent_workers``, ``pin_memory``, ...

    Raises
    ------
    TypeError
        If neither is one of tombola's.
    ValueError
        If batches could come out of order, or be joined.

    Notes
    -----
    Every pass that handed out a batch is an epoch. A state that is saved after a batch was handed out resumes
    with the next one, with as many workers or others: with as many the batches come in the order of the
    undisturbed run, with others each that is left comes exactly once.

    Examples
    --------
    >>> from tombola import DataLoader, PlanBatchSampler, Streaming
    >>> def make():
    ...     return DataLoader(range(10), batch_sampler=PlanBatchSampler(Streaming(), 10, batch_size=4))
    >>> loader = make()
    >>> batches = iter(loader)
    >>> next(batches).tolist()
    [0, 1, 2, 3]
    >>> state = loader.state_dict()
    >>> resumed = make()
    >>> resumed.load_state_dict(state)
    >>> [batch.tolist() for batch in resumed], resumed.epoch
    ([[4, 5, 6, 7], [8, 9]], 1)
    """

    def __init__(self, dataset: Any, *args: Any, **options: Any) -> None:
        if isinstance(dataset, EpochMethods) and not args:
            options.setdefault("batch_size", None)
        super().__init__(dataset, *args, **options)
        reads_loader = isinstance(dataset, EpochMethods)
        given: object = dataset if reads_loader else _unwrapped(self.batch_sampler)
        if not isinstance(given, EpochMethods):
            msg = (
                "tombola.DataLoader needs batch_sampler=PlanBatchSampler(...), or a tombola.Loader as data, "
                f"but has a {type(self.dataset).__name__} and batch_sampler={self.batch_sampler!r}"
            )
            raise TypeError(msg)
        if reads_loader and self.batch_size is not None:
            msg = f"batch_size must be None with a Loader, whose batches are whole, but is {self.batch_size}"
            raise ValueError(msg)
        if not getattr(self, "in_order", True):
            msg = "in_order must be True, for what was handed out to be known, but is False"
            raise ValueError(msg)
        self._epochs: Epochs = given._epochs
        self._reads_loader = reads_loader
        self._pass: _Pass | None = None
        self._started_as = (0, 1)
        """Rank and world size that workers which persist were started for."""
        # torch guards the attribute; trainers look there for what they tell the epoch.
        vars(self)["sampler"] = EpochTold(given) if reads_loader else _Dealt(given)

    @property
    def _reads_in_workers(self) -> bool:
        return self._reads_loader and self.num_workers > 0

    @property
    def epoch(self) -> int:
        """Epoch of the coming pass."""
        return self._epochs.epoch

    @property
    def remaining(self) -> int:
        """Number of batches of this rank that are left in the coming pass."""
        return self._epochs.remaining()

    def set_epoch(self, epoch: SupportsIndex) -> None:
        """Set the epoch of the coming pass; a loaded state stays it, and is counted from later on."""
        self._epochs.set_epoch(epoch)

    def __len__(self) -> int:
        """Return the number of batches of this rank in a whole epoch, whatever state was loaded."""
        return self._epochs.steps()

    def __iter__(self) -> Any:
        """Return an iterator over one pass, which begins with its first ``next``."""
        return _HandingOut(self)

    def _begin(self) -> Iterator[Any]:
        if self._reads_in_workers and self.persistent_workers:
            ranks = self._epochs.ranks()
            if self._iterator is None:
                self._started_as = ranks
            elif self._started_as != ranks:
                (rank, world_size), (was, of) = ranks, self._started_as
                msg = (
                    f"workers that persist must read for the rank that they were started for, {was} of {of}, "
                    f"but this process is rank {rank} of {world_size} by now: make the DataLoader after "
                    "init_process_group"
                )
                raise RuntimeError(msg)
        return super().__iter__()

    def state_dict(self) -> dict[str, Any]:
        """Return what was handed out, as a small dict that JSON can hold.

        Raises
        ------
        RuntimeError
            If it cannot be known: a batch failed on its way, or a trainer made a DataLoader of its own from
            this one, and asks ahead.
        """
        running = self._pass
        if running is None or not running.is_latest():  # whoever read last, it is not this DataLoader
            return self._epochs.state_dict()
        if running.has_failed:
            msg = (
                "it must be known which batches were handed out, but reading one failed: load an earlier "
                "state, or set the epoch"
            )
            raise RuntimeError(msg)
        return self._epochs.describe(self._epochs.start if running.is_complete() else running.position())

    def state_at(self, position: Position) -> dict[str, Any]:
        """Return the state in which `position` is consumed, for those who count themselves.

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


class _Dealt(DistributedSampler[Any]):
    """Says that rows are dealt out to ranks already: trainers put in a sampler of theirs where none does."""

    def __init__(self, given: EpochMethods) -> None:
        self._given = given

    def set_epoch(self, epoch: int) -> None:
        self._given.set_epoch(epoch)

    def __len__(self) -> int:
        return self._given.plan().n_rows

    def __iter__(self) -> Iterator[int]:
        return iter(self._given.plan().indices().tolist())


def _unwrapped(batch_sampler: object) -> object:
    """Return what is in Lightning's wrapper, which keeps track of the rows that it predicts for."""
    if not is_of_lightning(type(batch_sampler).__module__):
        return batch_sampler
    return getattr(batch_sampler, "_batch_sampler", batch_sampler)


class _Pass:
    """One pass of a DataLoader: where it starts, and how many batches were handed out.

    What a sampler, or a loader in this process, begins is known by its progress. Workers that read a loader
    say in the record that they share where they begin, each a reader of its own.
    """

    def __init__(self, epochs: Epochs, workers: int) -> None:
        self._epochs = epochs
        self._workers = workers
        self.count = 0
        self.ahead = 0
        """Batches among them that a trainer holds back."""
        self.has_failed = False
        self._start, self._world_size = epochs.start, epochs.ranks()[1]
        self._total = epochs.remaining()
        self._joined = set(epochs.coming().joined) if workers else set()
        self._latest: tuple[object, object, int] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the pass of the process that this is a copy from."""
        latest = (None, None, self._epochs.generation) if self.is_latest() else None
        return {**vars(self), "_latest": latest}

    def bind(self, iterator: Any) -> None:
        """Take over where the pass starts that torch's iterator has just begun."""
        if self._workers:
            seed = str(getattr(iterator, "_base_seed", ""))
            joined = self._epochs.coming().joined.items()
            begun = [at for key, at in joined if key not in self._joined and key.split()[2] == seed]
            if begun and begun[-1] != self._start:
                self._start, self._total = begun[-1], self._epochs.remaining(begun[-1])
            return
        readers = getattr(iterator, "_sampler_iter", None), getattr(iterator, "_dataset_fetcher", None)
        own = [getattr(reader, "dataset_iter", reader) for reader in readers]
        progress = next((one.progress for one in own if isinstance(one, PassIterator)), self._epochs.latest)
        if progress is not None:
            self._start, self._total = progress.start, progress.total
            self._world_size = progress.world_size

    def note(self) -> None:
        """Note that nothing has advanced and nothing was set since."""
        self._epochs.handing_out = object()  # not this pass itself, which knows the epochs
        self._latest = self._now()

    def is_latest(self) -> bool:
        """Tell whether no other pass has advanced, and none was set, since this one began or gave a batch."""
        return self._latest == self._now()

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

    def _now(self) -> tuple[object, object, int]:
        return self._epochs.handing_out, self._epochs.latest, self._epochs.generation


class _HandingOut(Iterator[Any]):
    """One pass over a DataLoader: begins with the first ``next``, and counts what torch's iterator gives."""

    def __init__(self, loader: DataLoader) -> None:
        self._loader = loader
        self._running: _Pass | None = None
        self._iterator: Iterator[Any] = iter(())

    def __next__(self) -> Any:
        running = self._running or self._begin()
        loader = self._loader
        if loader._pass is not running and loader.persistent_workers and loader._pass is not None:
            msg = "workers that persist serve one pass at a time, but another one has begun since this one"
            raise RuntimeError(msg)
        if running.has_failed and loader._reads_in_workers:
            msg = "a batch of this pass failed in a worker, which gives no more: begin another pass"
            raise RuntimeError(msg)
        try:
            batch = next(self._iterator)
        except StopIteration:
            running.ahead = 0
            raise
        except BaseException:
            running.has_failed = True
            raise
        running.count += 1
        if running.count == 1:
            running.ahead = int(is_asked_ahead())
            running.bind(self._iterator)
        running.note()
        loader._pass = running
        return batch

    def _begin(self) -> _Pass:
        loader = self._loader
        running = _Pass(loader._epochs, loader.num_workers if loader._reads_in_workers else 0)
        self._iterator = loader._begin()
        if loader.num_workers and not loader._reads_in_workers:  # batches are asked for by now
            running.bind(self._iterator)
        running.note()
        loader._pass = self._running = running
        return running

    def __len__(self) -> int:
        return len(self._loader)
