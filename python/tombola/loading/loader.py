"""A loader: batches of rows as tensors, read a fetch window at a time.

Rule: the plan says which rows form a fetch window; the source reads them once; batches are cut out
of the window. Which windows a rank takes is the matter of `tombola.passes.schedule`, which pass comes
next that of `tombola.passes.epochs`, as for the batch sampler. A thread keeps the next windows ready, two of
an `H5adSource`, of which one finds out what is to be read next while the other one reads.

Complexity: one read of each window, one copy of its rows a batch; memory of ``prefetch + 1`` windows, and
where sparse rows become dense of up to `KEPT_BATCHES` batches, fewer if they are large.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from itertools import repeat
from typing import TYPE_CHECKING, Any, NoReturn, SupportsIndex

import torch
from torch.utils.data import IterableDataset, Sampler

from .._base.checks import check_integer
from ..passes.epoch_methods import EpochMethods
from ..passes.epochs import Epochs
from ..passes.iterator import PassIterator
from ..passes.schedule import Even, Share
from ..sources.base import BufferPool, Source
from .delivery import Delivery, check_device, check_pin_memory
from .prefetch import in_order
from .windows import MAKING_THREADS, by_window, read_window, windows_at_once

if TYPE_CHECKING:
    from ..plans.plan import Plan
    from ..strategies.base import Strategy

__all__ = ["EpochTold", "Loader"]

KEPT_BATCHES = MAKING_THREADS + 3
KEPT_BYTES = 1 << 26
"""Memory of dropped dense batches of sparse rows is used again: so many, each up to so many bytes.

There are never more of a matrix: of those made ahead each thread has one, one waits, and the consumer may
have two.
"""


class Loader(EpochMethods, IterableDataset[dict[str, Any]]):
    """Batches of rows, read a fetch window at a time: an iterable over dicts of tensors.

    A batch holds ``X``, dense or sparse CSR as the source says, the source's other columns under their names
    (integers as int64), and ``row``, the row ids, int64. Columns of strings are lists.

    Every pass that hands out a batch is an epoch: the next pass is the next one, whether this one was
    completed or broken off.

    Parameters
    ----------
    source : Source
        Where rows come from, such as `tombola.H5adSource` or `tombola.ArraySource`.
    strategy : Strategy
        What decides which rows form a batch, such as ``BlockShuffling(block_size=16)``.
    batch_size : int
        Rows of a batch.
    fetch_factor : int
        Batches of a fetch window, whose rows are read at once.
    drop_last : bool
        Whether batches that are not full are left out.
    fetch_transform : callable, optional
        Given the columns of a window as read (arrays or `CsrRows`, rows sorted and distinct, with ``row``),
        returns the columns to cut batches from. Called in the prefetch thread, if there is one.
    batch_transform : callable, optional
        Given a batch, returns what is handed out instead.
    seed : int
        In [0, 2**63).
    rank, world_size : int, optional
        Ranks take whole windows in turn; what is left of an epoch is dealt out by batches. By default as
        torch.distributed says, if it is initialised when a pass begins.
    even : {"drop", "pad", "none"}
        How an epoch ends whose number of batches `world_size` does not divide: the last ones, fewer than
        `world_size`, are left out, or filled up with the first of the epoch, or some ranks have one more.
    prefetch : int
        Windows that a thread reads ahead; 0 reads in the consumer's own.
    device : torch.device or str, optional
        Where the tensors of batches go, before `batch_transform`. Sparse rows that are handed out dense go
        over sparse and become dense there. The CPU, where they are, costs nothing.
    pin_memory : bool
        Whether tensors pass through pinned memory, so that they move while the CPU works on; without `device`
        they are handed out in it. Where torch finds no CUDA nothing happens, which the log says.

    Raises
    ------
    TypeError, ValueError
        If an option is of a wrong type, out of range, or does not fit the strategy or the source.

    Notes
    -----
    The same version gives the same batches on every platform. Batches of a source that reads in order, as
    `H5adSource` does, are parts of their window's memory, which lives as long as one of them: `clone` what is
    to be kept for long. The thread does what worker processes are for elsewhere. Under
    ``DataLoader(loader, batch_size=None, num_workers=k)`` the workers share the windows of their rank; epochs
    advance and `set_epoch` is heard as in one process. Torch asks workers in turn, so the order of batches
    depends on how many there are. What of them was handed out is known by
    `tombola.DataLoader` alone, whose ``state_dict`` is to be saved.

    Examples
    --------
    >>> import numpy as np
    >>> from tombola import ArraySource, Loader, Streaming
    >>> source = ArraySource(np.eye(5, dtype=np.float32), label=np.array([0, 1, 0, 1, 0]))
    >>> for batch in Loader(source, Streaming(), batch_size=3):
    ...     print(batch["X"].shape, batch["label"], batch["row"])
    torch.Size([3, 5]) tensor([0, 1, 0]) tensor([0, 1, 2])
    torch.Size([2, 5]) tensor([1, 0]) tensor([3, 4])
    """

    def __init__(
        self,
        source: Source,
        strategy: "Strategy",
        batch_size: int,
        fetch_factor: int = 16,
        *,
        drop_last: bool = False,
        fetch_transform: Callable[[dict[str, Any]], Mapping[str, Any]] | None = None,
        batch_transform: Callable[[dict[str, Any]], Any] | None = None,
        seed: int = 0,
        rank: SupportsIndex | None = None,
        world_size: SupportsIndex | None = None,
        even: Even = "drop",
        prefetch: int = 2,
        device: torch.device | str | None = None,
        pin_memory: bool = False,
    ) -> None:
        _check_source(source)
        self.source = source
        self.prefetch = check_integer("prefetch", prefetch)
        self.fetch_transform = fetch_transform
        self.batch_transform = batch_transform
        matrices = frozenset(getattr(source, "matrices", ("X",)))
        self._delivery = Delivery(
            memory=BufferPool(keep=KEPT_BATCHES * max(1, len(matrices)), limit=KEPT_BYTES),
            device=check_device(device),
            pin=check_pin_memory(pin_memory),
            dtype=_batch_dtype(source),
            matrices=matrices,
        )
        self._epochs = Epochs(
            strategy,
            len(source),
            batch_size=batch_size,
            fetch_factor=fetch_factor,
            drop_last=drop_last,
            seed=seed,
            by_window=True,
            rank=rank,
            world_size=world_size,
            even=even,
            name=type(self).__name__,
        )
        self.batch_size = self._epochs.promised_size
        self.fetch_factor: int = self._epochs.options["fetch_factor"]

    @property
    def drop_last(self) -> bool:
        """As given."""
        return bool(self._epochs.options["drop_last"])

    @property
    def sampler(self) -> "EpochTold":
        """Where trainers say the epoch."""
        return EpochTold(self)

    @property
    def dataset(self) -> NoReturn:
        """Refused: what trainers take apart is a DataLoader, and this is none."""
        _refuse("dataset")

    @property
    def batch_sampler(self) -> NoReturn:
        """Refused, as `dataset` is."""
        _refuse("batch_sampler")

    def __iter__(self) -> PassIterator[Any]:
        """Return an iterator over one pass, which begins with its first ``next``."""
        return PassIterator(self._epochs, self._read, self)

    def _read(self, plan: "Plan", share: Share, _: str) -> Iterator[Any]:
        source, fetch_transform, batch_transform = self.source, self.fetch_transform, self.batch_transform
        delivery = self._delivery.checked()
        runs = by_window(share.runs(), plan.fetch_factor)
        planners = windows_at_once(source) if fetch_transform is None else 1
        with closing(
            in_order(
                runs,
                lambda run: read_window(plan, source, run, delivery, fetch_transform),
                ahead=self.prefetch,
                threads=planners,
                first_alone=True,
            )
        ) as windows:
            for window in windows:
                jobs, threads = iter(range(len(window))), window.threads if self.prefetch else 0
                ahead = threads + 1 if threads else 0
                with closing(in_order(jobs, window.batch, ahead=ahead, threads=threads)) as batches:
                    for batch in batches:
                        yield batch if batch_transform is None else batch_transform(batch)
                        del batch
                del window, batches


def _refuse(part: str) -> NoReturn:
    msg = f"a Loader has no {part}, as it is no DataLoader: give trainers tombola.DataLoader(loader)"
    raise AttributeError(msg)


class EpochTold(Sampler[None]):
    """What trainers look for as `sampler`, to say the epoch; torch asks it for nothing, without end."""

    def __init__(self, given: EpochMethods) -> None:
        self._given = given

    def set_epoch(self, epoch: int) -> None:
        """Say the epoch."""
        self._given.set_epoch(epoch)

    def __iter__(self) -> Iterator[None]:
        return repeat(None)


def _check_source(source: object) -> None:
    if not isinstance(source, Source):
        kind = type(source).__name__
        msg = f"source must have read() and a length, such as ArraySource(array), but is {kind}"
        raise TypeError(msg)


def _batch_dtype(source: Source) -> torch.dtype | None:
    """Return the type of torch's that a source wants X in where NumPy has none such."""
    name = getattr(source, "batch_dtype", None)
    return None if name is None else {"bfloat16": torch.bfloat16}[name]
