"""torch's DataLoader, which knows what it handed out: a state that is right with any number of workers.

A DataLoader with worker processes asks for batches ahead, and workers that read a `Loader` hold copies of it.
So neither sampler nor loader can know what was consumed, but the DataLoader can: it counts what it hands out,
and the position follows from that number, as readers take their batches in turn. States are those of the
sampler or loader, and fit both.

Complexity: O(1) a batch beyond torch's own.
"""

from collections.abc import Iterator, Mapping
from typing import Any, SupportsIndex

import numpy.random  # noqa: F401  (torch seeds it in each worker, which would import it there, one by one)
from torch.utils.data import DataLoader as TorchDataLoader
from torch.utils.data.distributed import DistributedSampler

from ..passes.callers import is_asked_ahead, is_of_lightning
from ..passes.epoch_methods import EpochMethods
from ..passes.epochs import Epochs
from ..passes.position import Position
from ..passes.remade import hand_over
from .handing_out import OwnPasses, Pass
from .loader import EpochTold, Loader

__all__ = ["DataLoader"]


class DataLoader(TorchDataLoader[Any]):
    """A torch DataLoader over a `PlanBatchSampler` or a `Loader`, exact on resume with any number of workers.

    Parameters
    ----------
    dataset : Dataset or Loader
        With a `Loader`, ``batch_size`` is None, as its batches are whole.
    batch_sampler : PlanBatchSampler
        With any dataset whose rows are numbered. One with more rows than the strategy knows of is said once.
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
        reads_loader = isinstance(dataset, Loader)
        if reads_loader and not args:
            options.setdefault("batch_size", None)
        super().__init__(dataset, *args, **options)
        given: object = dataset if reads_loader else _unwrapped(self.batch_sampler)
        if not isinstance(given, EpochMethods):
            has = f"has a {type(self.dataset).__name__} and batch_sampler={self.batch_sampler!r}"
            if isinstance(self.sampler, EpochMethods):
                has = f"has sampler={type(self.sampler).__name__}(...): use batch_sampler=, not sampler="
            msg = (
                "tombola.DataLoader needs batch_sampler=PlanBatchSampler(...), or a tombola.Loader as data, "
                f"but {has}"
            )
            raise TypeError(msg)
        if reads_loader and self.batch_size is not None:
            msg = f"batch_size must be None with a Loader, whose batches are whole, but is {self.batch_size}"
            raise ValueError(msg)
        if not getattr(self, "in_order", True):
            msg = "in_order must be True, for what was handed out to be known, but is False"
            raise ValueError(msg)
        self._epochs: Epochs = given._epochs
        if not reads_loader:
            _compare_rows(dataset, self._epochs)
        self._reads_loader = reads_loader
        self._pass: Pass | None = None
        self._started_as = (0, 1)
        """Rank and world size that workers which persist were started for."""
        self._use(OwnPasses(self._epochs))

    def _use(self, own: OwnPasses) -> None:
        self._own = own
        # torch guards the attribute; trainers look there for what they tell the epoch.
        vars(self)["sampler"] = (EpochTold if self._reads_loader else _Dealt)(_Told(self._epochs, own))
        hand_over(self, _take_over, own, self._epochs)

    @property
    def _reads_in_workers(self) -> bool:
        return self._reads_loader and self.num_workers > 0

    @property
    def epoch(self) -> int:
        """Epoch of the coming pass."""
        self._own.settle()
        return self._epochs.epoch

    @property
    def remaining(self) -> int:
        """Number of batches of this rank that are left in the coming pass."""
        self._own.settle()
        return self._epochs.remaining()

    def set_epoch(self, epoch: SupportsIndex) -> None:
        """Set the epoch of the coming pass; a loaded state stays it, and is counted from later on."""
        self._own.set_epoch(epoch)

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
        """Return what this DataLoader handed out, as a small dict that JSON can hold.

        Others over the same sampler or loader do not matter, see `tombola.loading.handing_out`.

        Raises
        ------
        RuntimeError
            If it cannot be known: a batch failed on its way, a trainer made a DataLoader of its own from this
            one, and asks ahead, or this one handed out nothing and another one is within a pass.
        """
        return self._own.state_dict()

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
        self._epochs.load_state_dict(state, name=self._own.name)


def _compare_rows(dataset: Any, epochs: Epochs) -> None:
    """Say where rows of the data would never come, as the strategy does not know of them."""
    rows = epochs.strategy.number_of_rows(epochs.n)
    try:
        data = len(dataset)
    except (AttributeError, NotImplementedError, TypeError):
        return
    if rows is not None and rows != data:
        epochs.remarks.other_data(rows, data)


def _take_over(new: DataLoader, own: OwnPasses, epochs: Epochs) -> None:
    """Let a DataLoader that is made anew from another one count as that one."""
    if new._epochs is epochs:
        new._use(own)


class _Told(EpochMethods):
    """A sampler or loader, to which the epoch is said for one DataLoader."""

    def __init__(self, epochs: Epochs, own: OwnPasses) -> None:
        self._epochs, self._own = epochs, own

    def set_epoch(self, epoch: SupportsIndex) -> None:
        self._own.set_epoch(epoch)


class _Dealt(DistributedSampler[Any]):
    """Says that rows are dealt out to ranks already: trainers put in a sampler of theirs where none does."""

    def __init__(self, told: EpochMethods) -> None:
        self._told = told

    def set_epoch(self, epoch: int) -> None:
        self._told.set_epoch(epoch)

    def __len__(self) -> int:
        return self._told.plan().n_rows

    def __iter__(self) -> Iterator[int]:
        return iter(self._told.plan().indices().tolist())


def _unwrapped(batch_sampler: object) -> object:
    """Return what is in Lightning's wrapper, which keeps track of the rows that it predicts for."""
    if not is_of_lightning(type(batch_sampler).__module__):
        return batch_sampler
    return getattr(batch_sampler, "_batch_sampler", batch_sampler)


class _HandingOut(Iterator[Any]):
    """One pass over a DataLoader: begins with the first ``next``, and counts what torch's iterator gives."""

    def __init__(self, loader: DataLoader) -> None:
        self._loader = loader
        self._running: Pass | None = None
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
            running.fail(self._iterator)
            raise
        running.count += 1
        if running.count == 1:
            running.ahead = int(is_asked_ahead())
            running.bind(self._iterator)
        running.note()
        loader._pass = loader._own.latest = running
        return batch

    def _begin(self) -> Pass:
        loader, own = self._loader, self._loader._own
        own.settle(is_followed=True)
        workers = loader.num_workers if loader._reads_in_workers else 0
        running = Pass(loader._epochs, workers, own.name, self)
        self._iterator = loader._begin()
        if loader.num_workers and not workers:  # batches are asked for by now
            running.bind(self._iterator)
        running.note()
        loader._pass = own.latest = self._running = running
        return running

    def __len__(self) -> int:
        return len(self._loader)
