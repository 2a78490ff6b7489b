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

from ..passes.callers import is_asked_ahead
from ..passes.epoch_methods import EpochMethods
from ..passes.epochs import Epochs
from ..passes.position import Position

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
        self._reads_in_workers = reads_loader and self.num_workers > 0
        self._pass: _Pass | None = None
        if not reads_loader:
            vars(self)["sampler"] = _Dealt(given)  # torch guards the attribute, but does not use it here

    @property
    def epoch(self) -> int:
        """Epoch of the coming pass."""
        return self._coming().epoch

    @property
    def remaining(self) -> int:
        """Number of batches of this rank that are left in the coming pass."""
        self._settle()
        return self._epochs.remaining()

    def set_epoch(self, epoch: SupportsIndex) -> None:
        """Set the epoch of the coming pass; a loaded state stays it, and is counted from later on."""
        self._settle()
        self._epochs.set_epoch(epoch)

    def __len__(self) -> int:
        """Return the number of batches of this rank in a whole epoch, whatever state was loaded."""
        return self._epochs.steps()

    def __iter__(self) -> Any:
        """Return an iterator over one pass."""
        self._settle()
        last = self._pass
        running = _Pass(self._epochs, self.num_workers, in_workers=self._reads_in_workers)
        if last is not None and last.is_latest():
            running.before.by_workers = False  # what they read was counted here
        self._pass = running
        iterator = super().__iter__()
        if self.num_workers:
            running.bind()
        return _HandingOut(self, running, iterator)

    def state_dict(self) -> dict[str, Any]:
        """Return what was handed out, as a small dict that JSON can hold.

        Raises
        ------
        RuntimeError
            If it cannot be known: a trainer made a DataLoader of its own from this one, and asks ahead.
        """
        self._settle()
        running = self._pass
        if running is None or not running.is_latest():  # whoever reads, it is not this DataLoader
            return self._epochs.state_dict()
        return self._epochs.describe(running.position() if running.count else self._epochs.start)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the coming pass go on where `state` was saved.

        Raises
        ------
        ValueError
            If `state` belongs to another configuration; the message names what differs.
        """
        self._epochs.load_state_dict(state)

    def _coming(self) -> Position:
        self._settle()
        return self._epochs.start

    def _settle(self) -> None:
        """Forget what workers began, if nothing of it was handed out."""
        running = self._pass
        if self.num_workers and running is not None and not running.count and running.is_latest():
            self._epochs.rewind(running.before)
            self._pass = None


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
    return getattr(batch_sampler, "_batch_sampler", batch_sampler)


class _Pass:
    """One pass of a DataLoader: where it starts, and how many batches were handed out.

    What a sampler, or a loader in this process, begins is known by its progress. Workers that read a loader
    begin where this process says, each a reader of its own.
    """

    def __init__(self, epochs: Epochs, workers: int, *, in_workers: bool) -> None:
        self._epochs = epochs
        self.before = epochs.coming()
        self.count = 0
        self.ahead = 0
        """Batches among them that a trainer holds back."""
        self._generation = epochs.generation
        self._workers = workers if in_workers else 0
        self._start, self._total, self._world_size = Position(0), 0, 1
        if in_workers:
            self._start, self._total = self.before.start, epochs.remaining()
            self._world_size = epochs.ranks()[1]

    def bind(self) -> None:
        """Take over where the pass starts that has just begun in this process."""
        progress = self._epochs.latest
        if not self._workers and progress is not None:
            self._start, self._total, self._world_size = progress.start, progress.total, progress.readers

    def is_latest(self) -> bool:
        """Tell whether the coming pass was not set since."""
        return self._generation == self._epochs.generation

    def position(self) -> Position:
        """Return what was handed out."""
        consumed = self.count - self.ahead
        if consumed >= self._total:
            return Position(self._start.epoch + 1)
        steps, more = divmod(consumed, self._workers or 1)
        return self._start.advanced(self._world_size * (self._workers or 1), steps, more * self._world_size)


class _HandingOut(Iterator[Any]):
    """Counts what torch's iterator hands out."""

    def __init__(self, loader: DataLoader, running: _Pass, iterator: Iterator[Any]) -> None:
        self._loader, self._running, self._iterator = loader, running, iterator

    def __next__(self) -> Any:
        running = self._running
        try:
            batch = next(self._iterator)
        except StopIteration:
            running.ahead = 0
            raise
        running.count += 1
        if running.count == 1:
            running.ahead = int(is_asked_ahead())
        if running.count == 1 and not self._loader.num_workers:
            running.bind()
        self._loader._pass = running
        return batch

    def __len__(self) -> int:
        return len(self._loader)
