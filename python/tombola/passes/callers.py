"""Who asks for batches: what of a trainer's machinery lies between a pass and those who train.

A sampler is asked by a DataLoader, often through wrappers that deal batches out to ranks, ask for some ahead,
or join them. None of them says so; but while a batch is asked for, they stand on the stack. So the first
``next`` of a pass looks there, once, by the names of their modules and functions. `tests/compat` holds these
names against the real packages. Where they are not found, nothing is assumed.

- torch's DataLoader counts what it hands out. It is told exactly what is consumed by that number, if nothing
  lies between: with worker processes it sends batches ahead, without them one may fail on its way.
- Accelerate's `BatchSamplerShard`, `IterableDatasetShard` and `DataLoaderDispatcher` deal batches out to
  ranks, the last one by cutting them in equal parts; workers of torchdata begin while these are made. Its
  `DataLoaderShard` asks for one batch ahead.
- Both of these say the epoch as often as they are asked for a pass, and count those that came to their end.
- Accelerate's `SkipBatchSampler` and `SkipDataLoader` leave out the first batches, for transformers' Trainer
  too when it resumes; the epoch that this one says does not always get through them.
- Lightning's `DistributedSamplerWrapper` deals out what a sampler gives, be it batches.
- Ray Train's prepared DataLoader asks a DataLoader for one batch ahead, until there is none.
- torch's fetcher for iterable data joins what it gets if its DataLoader has a batch size; what it gets are
  whole batches, unless a dataset of the user's lies between. So does torch's BatchSampler, which a DataLoader
  makes of its `sampler` and batch size.

O(depth of the stack) a pass.
"""

import sys
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Any

__all__ = [
    "Caller",
    "HandedOut",
    "find_caller",
    "is_asked_ahead",
    "is_asked_by",
    "is_counted",
    "is_of_lightning",
    "is_resumed_by_lightning",
]

_DEPTH = 60
_TORCH = "torch.utils.data.dataloader"
_MAKING = ("_BaseDataLoaderIter.__init__", "_BaseDataLoaderIter._reset")
"""Functions that make an iterator of a sampler, and ask for nothing of ours."""

_FETCH = "torch.utils.data._utils.fetch"
_SAMPLER = "torch.utils.data.sampler"
_ACCELERATE = "accelerate.data_loader"
_LIGHTNING = ("lightning", "lightning_fabric", "pytorch_lightning")
_RAY = "ray.train.torch.train_loop_utils"
_TRANSFORMERS = "transformers.trainer"
_BORDERS = ("_worker_loop", "_bootstrap")
"""Functions below which the stack is that of the parent process, if forked, or of nobody."""

_DEALERS = (
    "BatchSamplerShard._iter_with_no_split",
    "BatchSamplerShard._iter_with_split",
    "BatchSamplerShard.__len__",
    "BatchSamplerShard.total_length",
    "IterableDatasetShard.__iter__",
    "IterableDatasetShard.__len__",
    "DataLoaderDispatcher._fetch_batches",
    "DataLoaderDispatcher.__iter__",
    "DataLoaderDispatcher.__len__",
    "prepare_data_loader",
)
_WRAPPERS = (
    "DistributedSamplerWrapper.__iter__",
    "UnrepeatedDistributedSamplerWrapper.__iter__",
    "_DatasetSamplerWrapper.__len__",
)
"""Of Lightning, made for several processes only."""

_SKIPPERS = ("SkipBatchSampler.__iter__", "SkipDataLoader.__iter__")
_HANDING_ON = ("torch", "accelerate", "transformers", *_LIGHTNING)
"""Packages whose datasets hand on what they get from others."""

_AHEAD = ("DataLoaderShard.__iter__", "DataLoaderDispatcher.__iter__")


class HandedOut:
    """How many batches a DataLoader has handed out since now.

    Parameters
    ----------
    iterator : object
        torch's iterator, which is kept alive by others alone; what it had counted at its end is kept.
    """

    def __init__(self, iterator: Any) -> None:
        counters = vars(iterator)
        self.is_ahead = counters.get("_num_workers", 0) > 0
        """Whether batches are asked for while others are on their way."""
        self._is_torchs = type(iterator).__module__ == _TORCH
        """Torchdata's count from where they resume, and start again when they end."""
        self._source = _reference(counters["_sampler_iter"])
        self._before = _counts(counters)
        self._final = self._before

        def keep(_: object, counts: Callable[..., tuple[int, int]] = _counts) -> None:
            nonlocal counters  # by names that are there when the interpreter ends, too
            self._final = counts(counters)
            counters = {}

        self._iterator = weakref.ref(iterator, keep)

    def count(self) -> int:
        """Return the number of batches; more than any pass has, if the iterator serves another by now."""
        return sys.maxsize if self.is_over() else self._now()[0] - self._before[0]

    def count_alone(self) -> int:
        """Return the same, for an iterator without workers, which serves one pass only."""
        iterator = self._iterator()
        return (self._final[0] if iterator is None else int(iterator._num_yielded)) - self._before[0]

    def has_failed(self) -> bool:
        """Tell whether a batch came back as an error, so that it was not handed out."""
        return not self.is_over() and self._now()[1] - self._before[1] != self.count()

    def is_nothing(self, held: int) -> bool:
        """Tell whether no more than `held` batches were handed out, nor will be, as the iterator is gone."""
        return self._is_torchs and self._iterator() is None and self._final[0] - self._before[0] <= held

    def has_failed_at_once(self) -> bool:
        """Tell whether workers failed at the first batch; not once they serve another pass."""
        return self._is_torchs and self.is_ahead and self.has_failed() and self.count() == 0

    def is_left(self, held: int) -> bool:
        """Tell the same of an iterator that is still there, as an error is kept that one of the first raised.

        Without workers it failed if no thread waits for a batch of it. Who likes may go on with it, so this
        is to be asked when another pass begins.
        """
        iterator = self._iterator()
        if not self._is_torchs or iterator is None or self.count() > held:
            return False
        if self.is_ahead:
            return self.has_failed()
        return not any(_is_asked(iterator, frame) for frame in sys._current_frames().values())

    def is_over(self) -> bool:
        """Tell whether workers that persist have begun another pass: the count of this one is gone."""
        iterator = self._iterator()
        return iterator is not None and self._source() is not iterator._sampler_iter

    def _now(self) -> tuple[int, int]:
        iterator = self._iterator()
        return self._final if iterator is None else _counts(vars(iterator))


def _is_asked(iterator: object, frame: FrameType | None) -> bool:
    """Tell whether torch's iterator is asked for a batch on a stack."""
    while frame is not None:
        if frame.f_code.co_qualname == "_BaseDataLoaderIter.__next__" and frame.f_locals["self"] is iterator:
            return True
        frame = frame.f_back
    return False


def _reader(iterator: Any) -> HandedOut | None:
    return HandedOut(iterator) if "_num_yielded" in vars(iterator) else None


def _reference(source: Any) -> Callable[[], Any]:
    try:
        return weakref.ref(source)
    except TypeError:  # of torchdata, for samplers without a state
        return lambda: source


def _counts(counters: Mapping[str, Any]) -> tuple[int, int]:
    """Return how many batches torch's iterator has handed out, and how many came back from its workers."""
    yielded = int(counters["_num_yielded"])
    return yielded, int(counters.get("_rcvd_idx", yielded))


@dataclass(frozen=True)
class Caller:
    """What stands between a pass and those who train.

    Parameters
    ----------
    handed_out : HandedOut or None
        What of the batches that are asked for is consumed, where a DataLoader asks ahead.
    reader : HandedOut or None
        What the DataLoader that asks has handed out, whatever lies between and beyond.
    held : int
        Batches of it that a trainer is known to hold back until it is asked for another one.
    unknown : str
        Who asks ahead without a count that could be told; empty if nobody does.
    dealer : str
        Who deals the batches out to ranks; empty if nobody does.
    cuts : bool
        Whether the dealer joins batches and cuts them in equal parts, so that a remainder is lost.
    joins : str
        Who joins batches to larger ones; empty if nobody does.
    skipper : str
        Who leaves out the first batches; empty if nobody does.
    epoch : int or None
        The epoch of a trainer that resumes with a skipper.
    counts : str
        Who leaves out first batches by their number, be it a skipper or a prepared DataLoader; empty if
        nobody does.
    """

    handed_out: HandedOut | None = None
    reader: HandedOut | None = None
    held: int = 0
    unknown: str = ""
    dealer: str = ""
    cuts: bool = False
    joins: str = ""
    skipper: str = ""
    epoch: int | None = None
    counts: str = ""


def find_caller(asked: object) -> Caller:
    """Return who asks `asked`, a batch sampler or loader, for its first batch."""
    reader: HandedOut | None = None
    unknown, dealer, skipper, counts, joins = "", "", "", "", ""
    held = 0
    is_known = cuts = False
    epoch: int | None = None
    is_direct, is_own = True, True  # nothing lies between; the stack is that of this process
    for frame in _frames(beyond=True):
        module, function = frame.f_globals.get("__name__"), frame.f_code.co_qualname
        is_own = is_own and frame.f_code.co_name not in _BORDERS
        if module == _ACCELERATE:
            is_direct = False
            if function in _DEALERS and _processes(frame) > 1:
                dealer = f"Accelerate's {function.partition('.')[0]}"
                cuts = function.startswith("DataLoaderDispatcher")
            elif function in _SKIPPERS:
                skipper = counts = f"Accelerate's {function.partition('.')[0]}"
            elif function in _AHEAD and getattr(frame.f_locals.get("self"), "skip_batches", None):
                counts = f"Accelerate's {function.partition('.')[0]}"
            if function in _AHEAD and is_own:
                unknown, held = f"Accelerate's {function.partition('.')[0]}", 1
        elif function in _WRAPPERS and is_of_lightning(module):
            is_direct, dealer = False, "Lightning's DistributedSamplerWrapper"
        elif module == _TRANSFORMERS and function == "Trainer._run_epoch" and skipper:
            epoch = frame.f_locals.get("epoch")
        elif not is_own:
            continue
        elif module == _TORCH and function == "_BaseDataLoaderIter._next_index":
            iterator = frame.f_locals["self"]
            reader = reader or _reader(iterator)
            has_workers = getattr(iterator, "_num_workers", 0) > 0
            if has_workers and not getattr(iterator, "_in_order", True):
                unknown = "a DataLoader with worker processes and in_order=False"
            elif is_direct and iterator._index_sampler is asked and reader is not None:
                is_known = True
            else:
                unknown = f"a DataLoader{' with worker processes' if has_workers else ''}, through a wrapper,"
        elif module == _TORCH and function in _MAKING:
            unknown = "a DataLoader, through a wrapper,"
        elif module == _TORCH and function == "_SingleProcessDataLoaderIter._next_data":
            iterator = frame.f_locals["self"]
            reader = reader or _reader(iterator)
            is_known = is_known or (is_direct and iterator._dataset is asked and reader is not None)
        elif module == _RAY and function == "_WrappedDataLoader._prefetch_next_batch":
            unknown, held = "Ray Train's prepared DataLoader", 1
        elif module == _FETCH and function == "_IterableDatasetFetcher.fetch":
            fetcher = frame.f_locals["self"]
            is_joining = getattr(fetcher, "auto_collation", False)
            if is_joining and _hands_on(getattr(fetcher, "dataset", None), asked):
                joins = "a DataLoader"
        elif module == _SAMPLER and function == "BatchSampler.__iter__":
            if hasattr(asked, "plan") and _hands_on(frame.f_locals["self"].sampler, asked):  # no single rows
                joins = "a BatchSampler"
    handed_out = reader if is_known and not unknown else None
    held = held if is_known else 0
    return Caller(handed_out, reader, held, unknown, dealer, cuts, joins, skipper, epoch, counts)


def is_asked_by(package: str) -> bool:
    """Tell whether a function of a package stands on the stack of whoever calls the caller."""
    return any(str(frame.f_globals.get("__name__")).partition(".")[0] == package for frame in _frames())


def is_asked_ahead() -> bool:
    """Tell whether a DataLoader is asked for a batch by someone who hands out the one before."""
    return any(
        frame.f_globals.get("__name__") == _RAY
        and frame.f_code.co_qualname == "_WrappedDataLoader._prefetch_next_batch"
        for frame in _frames()[:4]
    )


def is_counted() -> bool:
    """Tell whether a DataLoader of Accelerate, not its user, says the epoch: the passes it has completed."""
    return any(
        frame.f_globals.get("__name__") == _ACCELERATE and frame.f_code.co_qualname in _AHEAD
        for frame in _frames()[:4]
    )


def is_of_lightning(module: object) -> bool:
    """Tell whether a module of this name is one of Lightning's, which comes as one package or as several."""
    return str(module).partition(".")[0] in _LIGHTNING


def is_resumed_by_lightning() -> bool:
    """Tell whether Lightning loads the states of a checkpoint, and so counts batches on from it."""
    return any(
        frame.f_code.co_qualname == "CombinedLoader._load_state_dicts"
        and is_of_lightning(frame.f_globals.get("__name__"))
        for frame in _frames()[:6]
    )


def _frames(*, beyond: bool = False) -> list[FrameType]:
    """Return the frames above the caller's, from the nearest on, up to a border of the process or beyond.

    A forked worker stands on the stack of who made it, which says for whom it reads.
    """
    frames: list[FrameType] = []
    frame = sys._getframe(2).f_back
    while frame is not None and len(frames) < _DEPTH:
        if frame.f_code.co_name in _BORDERS and not beyond:
            break
        frames.append(frame)
        frame = frame.f_back
    return frames


def _hands_on(dataset: object, asked: object) -> bool:
    """Tell whether a dataset is the one asked for batches, or hands them on as they are: chains, and shards.

    Users' own datasets may make of them what they like, such as single rows.
    """
    if dataset is asked:
        return True
    if type(dataset).__module__.partition(".")[0] not in _HANDING_ON:
        return False
    parts = getattr(dataset, "datasets", ())
    inner = [getattr(dataset, name, None) for name in ("dataset", "_sampler")]
    parts = [*inner, *(parts if isinstance(parts, list | tuple) else ())]
    return any(part is not None and _hands_on(part, asked) for part in parts)


def _processes(frame: FrameType) -> int:
    """Return to how many processes a dealer deals."""
    dealer = frame.f_locals.get("self")
    places = (dealer, getattr(dealer, "state", None))
    named = frame.f_locals.get("num_processes") or 1
    return max(int(named), *(int(getattr(place, "num_processes", 1)) for place in places))
