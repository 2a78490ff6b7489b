"""Batch samplers for torch's DataLoader.

Rule: `tombola.passes.schedule` says which batches of an epoch a rank takes and `tombola.passes.epochs` which
pass comes next; here they are read. Whole fetch windows are asked of the plan in one call, first one and then
ever more up to 65,536 rows, so that the first batch comes at once and later ones cost a slice each.

Complexity: O(batch) a batch, O(65,536 + fetch window) rows of memory.
"""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any, Self, SupportsIndex

from torch.utils.data import BatchSampler, Sampler

from .._base.checks import check_bool
from .._base.types import IndexArray
from ..passes.epoch_methods import EpochMethods
from ..passes.epochs import Epochs
from ..passes.iterator import PassIterator
from ..passes.schedule import Even, Share
from ..plans.lists import batch_lists
from .injection import check_injected, forget_arguments, refuse_sampler, remember_arguments, share_passes

if TYPE_CHECKING:
    from ..plans.plan import Plan
    from ..strategies.base import Strategy

__all__ = ["PlanBatchSampler"]

CHUNK_ROWS = 65_536
"""Rows after which reading further ahead gains nothing."""

SKIPPED_ROWS = 4_096
"""Rows of other ranks between two batches from which on skipping them is cheaper than planning them."""


class PlanBatchSampler(EpochMethods, BatchSampler):
    """The batches of a strategy, for one rank, epoch after epoch.

    Every pass that hands out a batch is an epoch: the next pass is the next one, whether this one was
    completed or broken off. The batches of an epoch depend on the strategy, the options and the seed alone,
    never on ranks or workers.

    Parameters
    ----------
    strategy : Strategy
        What decides, such as ``BlockShuffling(block_size=16)``.
    n : int, optional
        Rows of the data. May be left out where the strategy holds a key, label or weight for each.
    batch_size : int
        Rows of a batch.
    fetch_factor : int
        Batches of a fetch window, within which the windowed strategies permute rows. Where it holds fewer
        than 16 blocks of a strategy, the log says so once.
    drop_last : bool
        Whether batches that are not full are left out.
    seed : int
        In [0, 2**63).
    rank, world_size : int, optional
        Rank r takes the batches k with ``k % world_size == rank``. By default as torch.distributed says, if
        it is initialised when a pass begins; under Accelerate, which deals batches out itself, each rank
        gives it all of them.
    even : {"drop", "pad", "none"}
        How an epoch ends whose number of batches `world_size` does not divide: the last ones, fewer than
        `world_size`, are left out, or filled up with the first of the epoch, or some ranks have one more.
        ``"drop"`` is refused where it would leave out the whole epoch.
    as_array : bool
        Whether batches are int64 arrays, views into larger ones, rather than lists of int.
    sampler : torch.utils.data.Sampler, optional
        For trainers that build batch samplers anew with a sampler of their own. It chooses nothing, as the
        strategy does; its number of ranks must be that of this one.

    Attributes
    ----------
    batch_size : int or None
        None where batches other than the last differ in size, so that nobody relies on it.
    remaining : int
        Batches of this rank that are left in the coming pass.

    Raises
    ------
    TypeError, ValueError
        If an option is of a wrong type, out of range, or does not fit the strategy.

    Notes
    -----
    The same version gives the same batches on every platform. A state says which batches are consumed; under
    another `world_size` every batch that is left comes exactly once, up to `even` at the end of the epoch.

    Examples
    --------
    >>> from tombola import PlanBatchSampler, Streaming
    >>> sampler = PlanBatchSampler(Streaming(), 10, batch_size=4)
    >>> batches = iter(sampler)
    >>> next(batches)
    [0, 1, 2, 3]
    >>> state = sampler.state_dict()
    >>> list(batches), sampler.epoch
    ([[4, 5, 6, 7], [8, 9]], 1)
    >>> sampler.load_state_dict(state)
    >>> len(sampler), sampler.remaining, list(sampler), sampler.epoch
    (3, 2, [[4, 5, 6, 7], [8, 9]], 1)
    """

    sampler: "_EpochSampler"

    def __init__(
        self,
        strategy: "Strategy",
        n: int | None = None,
        *,
        batch_size: int,
        fetch_factor: int = 1,
        drop_last: bool = False,
        seed: int = 0,
        rank: SupportsIndex | None = None,
        world_size: SupportsIndex | None = None,
        even: Even = "drop",
        as_array: bool = False,
        sampler: Sampler[Any] | None = None,
    ) -> None:
        refuse_sampler("strategy", strategy)
        epochs = Epochs(
            strategy,
            n,
            batch_size=batch_size,
            fetch_factor=fetch_factor,
            drop_last=drop_last,
            seed=seed,
            by_window=False,
            rank=rank,
            world_size=world_size,
            even=even,
            name=type(self).__name__,
        )
        check_injected(sampler, epochs.ranks())
        self.as_array = check_bool("as_array", as_array)
        options = epochs.options
        super().__init__(_EpochSampler(epochs), options["batch_size"], options["drop_last"])
        self.batch_size = epochs.promised_size  # type: ignore[assignment]  # torch's type has no None
        self._use(epochs)
        share_passes(self, epochs)
        if getattr(strategy, "bounds", None) is None:
            epochs.remarks.few_blocks(
                getattr(strategy, "block_size", 1),
                options["batch_size"],
                options["fetch_factor"],
                lambda: epochs.plan(epochs.epoch).n_rows,
            )

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Make one that remembers its arguments, for trainers that build it anew."""
        made = super().__new__(cls)
        remember_arguments(made, args, kwargs)
        return made

    def __getstate__(self) -> dict[str, Any]:
        return forget_arguments(self.__dict__)

    def _use(self, epochs: Epochs) -> None:
        self._epochs = epochs
        self.sampler = _EpochSampler(epochs)

    def __iter__(self) -> PassIterator[Any]:
        """Return an iterator over one pass, which begins with its first ``next``."""
        return PassIterator(self._epochs, self._read, self)

    def _read(self, plan: "Plan", share: Share, dealer: str) -> Iterator[Any]:
        """Give the batches of a pass; who deals them out to ranks joins some, and knows lists only."""
        return _read(plan, share, _as_arrays if self.as_array and not dealer else batch_lists)


class _EpochSampler(Sampler[int]):
    """What trainers look for as `sampler`: forwards `set_epoch`; its rows are a pass, as batches are."""

    def __init__(self, epochs: Epochs) -> None:
        self._epochs = epochs

    def set_epoch(self, epoch: SupportsIndex) -> None:
        self._epochs.set_epoch(epoch)

    def __len__(self) -> int:
        plan, share = self._epochs.share()
        return plan.n_rows if len(share) == len(plan) else sum(map(len, _read(plan, share, _as_arrays)))

    def __iter__(self) -> Iterator[int]:
        return chain.from_iterable(PassIterator(self._epochs, _read_lists, self))


_Converter = Callable[[IndexArray, IndexArray, int], Iterator[Any]]


def _as_arrays(rows: IndexArray, offsets: IndexArray, step: int) -> Iterator[Any]:
    bounds = offsets.tolist()
    return map(rows.__getitem__, map(slice, bounds[:-1:step], bounds[1::step]))


def _read_lists(plan: "Plan", share: Share, _: str) -> Iterator[Any]:
    return _read(plan, share, batch_lists)


def _read(plan: "Plan", share: Share, convert: _Converter) -> Iterator[Any]:
    return chain.from_iterable(_chunks(plan, share.runs(), convert))


def _chunks(plan: "Plan", runs: Iterator[range], convert: _Converter) -> Iterator[Iterator[Any]]:
    """Yield iterators over the batches of the runs, each over what one call of the plan gave."""
    window = plan.fetch_factor
    most = max(CHUNK_ROWS // (plan.batch_size * window), 1)
    windows = 1
    for run in runs:
        if run.step >= window and (run.step - 1) * plan.batch_size >= SKIPPED_ROWS:
            for batch in run:
                yield convert(*plan.batches(batch, batch + 1), 1)
            continue
        while run:
            stop = min((run[0] // window + windows) * window, run[-1] + 1)
            rows, offsets = plan.batches(run[0], stop)
            taken = len(range(run[0], stop, run.step))
            yield convert(rows, offsets, run.step)
            run = run[taken:]
            windows = min(windows * 4, most)
