"""Shards in the order of one full epoch, cut into chunks: one chunk is one mini epoch.

Rule: the shards that are there when a full epoch begins, sorted by name, are permuted by the engine, keyed by
a hash of (seed, epoch), and cut in that order: every so many shards, or greedily, as many as fit a budget of
rows or bytes, one at least. Which shards are listed first does not matter, and nothing is added to seeds.
By option they are not permuted, but come as they are listed.

Complexity: O(shards) an epoch; a budget asks for each shard's size once an epoch.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from torch.utils.data import get_worker_info

from .. import _core
from .._base.checks import check_integer
from ..draws.permutations import permutation
from .errors import is_no_shards

__all__ = [
    "Budget",
    "Bytes",
    "Chunk",
    "ChunkSize",
    "Rows",
    "ShardOrder",
    "Stateful",
    "derived_seed",
    "file_size",
    "list_shards",
    "order_shards",
    "shard_name",
    "shard_sizes",
]

Shards: TypeAlias = Sequence[Any] | Callable[[], Iterable[Any]]
"""Shards, or what gives them anew whenever a full epoch begins."""


@runtime_checkable
class Stateful(Protocol):
    """Shards, or a hook, with a state that checkpoints hold.

    Of shards, what is listed where training goes on hangs on it.
    """

    def state_dict(self) -> Mapping[str, Any]:
        """Return numbers, texts, lists and dicts."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the state; of shards the next list is the one that it was saved under."""


def file_size(shard: Any) -> int:
    """Return the bytes of a file."""
    return Path(shard).stat().st_size


@dataclass(frozen=True)
class Rows:
    """Chunks of at most so many rows, and of one shard at least.

    Parameters
    ----------
    most : int
        Rows of a chunk.
    size : callable
        Gives the rows of a shard.
    """

    most: int
    size: Callable[[Any], int] = field(repr=False)

    def __post_init__(self) -> None:
        check_integer("Rows.most", self.most, minimum=1)


@dataclass(frozen=True)
class Bytes:
    """Chunks of at most so many bytes, and of one shard at least.

    Parameters
    ----------
    most : int
        Bytes of a chunk.
    size : callable
        Gives the bytes of a shard; by default it is a file.
    """

    most: int
    size: Callable[[Any], int] = field(default=file_size, repr=False)

    def __post_init__(self) -> None:
        check_integer("Bytes.most", self.most, minimum=1)


Budget: TypeAlias = int | Rows | Bytes
ChunkSize: TypeAlias = Budget | Literal["auto"]


@dataclass(frozen=True)
class Chunk:
    """What one mini epoch trains on.

    Parameters
    ----------
    epoch : int
        The full epoch, from 0.
    start : int
        Where the chunk begins in the epoch's order of shards.
    index, n_chunks : int
        Which chunk of the epoch it is, from 0, and how many there are.
    shards : tuple
        The shards, in order. Where whole shards are dealt out to ranks, this rank's.
    seed : int
        A hash of the trainer's seed, `epoch` and `start`, in [0, 2**63): for the strategy or the sampler.
    rank, world_size : int
        How the chunk's batches are to be dealt out, for `tombola.Loader` or a sampler: this process's where
        rows are shared, 0 and 1 where whole shards are.
    """

    epoch: int
    start: int
    index: int
    n_chunks: int
    shards: tuple[Any, ...]
    seed: int
    rank: int = 0
    world_size: int = 1

    def of_worker(self) -> tuple[Any, ...]:
        """Return the shards that a worker process of a DataLoader reads: every so many, all without workers.

        An IterableDataset that goes by it reads each shard in one worker only. A worker may get none.
        """
        worker = get_worker_info()
        return self.shards if worker is None else self.shards[worker.id :: worker.num_workers]


@dataclass(frozen=True)
class ShardOrder:
    """The shards of one full epoch by name, in order, and where each chunk begins.

    Parameters
    ----------
    names : tuple of str
    files : tuple of bool
        Whether each is a file, which can be missed before it is read.
    starts : tuple of int
        Strictly increasing, from 0.
    """

    names: tuple[str, ...]
    files: tuple[bool, ...]
    starts: tuple[int, ...]

    def chunk(self, start: int) -> list[tuple[str, bool]]:
        """Return name and whether it is a file for each shard of the chunk that begins at `start`."""
        stop = (*self.starts, len(self.names))[self.starts.index(start) + 1]
        return list(zip(self.names[start:stop], self.files[start:stop], strict=True))

    def following(self, start: int) -> int | None:
        """Return where the next chunk begins; None after the last one."""
        index = self.starts.index(start) + 1
        return self.starts[index] if index < len(self.starts) else None

    def file_names(self) -> set[str]:
        """Return the names of those that are files."""
        return {name for name, is_file in zip(self.names, self.files, strict=True) if is_file}

    def with_least(self, least: int, start: int, *, has_begun: bool = True) -> "ShardOrder":
        """Return the order in which each chunk that has not begun has `least` shards, if it can.

        That is each one after the one at `start`, and this one, too, unless it has.

        Chunks of fewer shards join the one before, the first of them the one after; others stay as they are.
        """
        index = self.starts.index(start) + has_begun
        kept: list[int] = []
        for candidate in self.starts[index:]:
            if not kept or candidate - kept[-1] >= least:
                kept.append(candidate)
        if len(kept) > 1 and len(self.names) - kept[-1] < least:
            kept.pop()
        return ShardOrder(self.names, self.files, (*self.starts[:index], *kept))

    def to_dict(self) -> dict[str, list[Any]]:
        """Return lists that a checkpoint can hold."""
        return {"names": list(self.names), "files": list(self.files), "starts": list(self.starts)}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "ShardOrder":
        """Return the order that `to_dict` described."""
        return cls(tuple(state["names"]), tuple(state["files"]), tuple(state["starts"]))


def derived_seed(*numbers: int) -> int:
    """Return a seed in [0, 2**63): the engine's hash of integers in [0, 2**63)."""
    return _core.hash_array(np.array(numbers, dtype=np.uint64)) >> 1


def list_shards(shards: Shards) -> dict[str, Any]:
    """Return the shards by name: a path as it is written, other things as `str` has it.

    Raises
    ------
    TypeError
        If it is neither a sequence of shards nor a callable that gives one.
    ValueError
        If there are none, or two have one name.
    """
    listed = shards() if callable(shards) else shards
    if isinstance(listed, str | bytes | os.PathLike) or not isinstance(listed, Iterable):
        msg = f"shards must be a sequence of shards, or a callable that gives one, but is {listed!r}"
        raise TypeError(msg)
    named: dict[str, Any] = {}
    for shard in listed:
        name = shard_name(shard)
        if name in named:
            msg = f"shards must differ, but {name} comes twice"
            raise ValueError(msg)
        named[name] = shard
    if not named:
        msg = "shards must not be empty: there is nothing to train on"
        raise ValueError(msg)
    return named


def shard_name(shard: Any) -> str:
    """Return the text of a shard: a path as it is written, other things as `str` has it."""
    if isinstance(shard, str | bytes | os.PathLike):
        return os.fsdecode(shard)
    kind: Any = type(shard)
    if kind.__str__ is object.__str__ and kind.__repr__ is object.__repr__:
        msg = f"shards must have a text by which they are known again, but {kind.__name__} has no __str__"
        raise TypeError(msg)
    return str(shard)


def shard_sizes(shards: Mapping[str, Any], budget: Rows | Bytes) -> tuple[dict[str, int], dict[str, str]]:
    """Return the size of each shard by name, and what is wrong with each whose size cannot be had.

    Faults of `size` itself, such as a NameError, are raised.
    """
    kind = type(budget).__name__.lower()
    sizes: dict[str, int] = {}
    problems: dict[str, str] = {}
    for name, shard in shards.items():
        try:
            sizes[name] = check_integer(f"its number of {kind}", budget.size(shard))
        except Exception as error:
            if is_no_shards(error):
                raise
            problems[name] = f"has no number of {kind} that can be had: {str(error) or repr(error)}"
    return sizes, problems


def order_shards(
    shards: Mapping[str, Any],
    chunk_size: Budget,
    sizes: Mapping[str, int] | None = None,
    *,
    seed: int,
    epoch: int,
    least: int = 1,
    shuffle: bool = True,
) -> ShardOrder:
    """Return the order of a full epoch.

    Parameters
    ----------
    shards : dict
        Name to shard.
    chunk_size : int, Rows or Bytes
    sizes : mapping, optional
        Name to size, for a budget.
    seed, epoch : int
        Together they pick the permutation.
    least : int
        Shards that a chunk has at least; a last chunk of fewer joins the one before.
    shuffle : bool
        Whether they are permuted; else they stay in the order in which they are listed.
    """
    order = list(shards)
    if shuffle:
        names = sorted(shards)
        order = [names[i] for i in permutation(len(names), derived_seed(seed, epoch))]
    if isinstance(chunk_size, int):
        starts = list(range(0, len(order), max(chunk_size, least)))
    else:
        assert sizes is not None
        starts = _cut([sizes[name] for name in order], chunk_size.most, least)
    if len(starts) > 1 and len(order) - starts[-1] < least:
        starts.pop()
    files = tuple(_is_file(shards[name]) for name in order)
    return ShardOrder(tuple(order), files, tuple(starts))


def _is_file(shard: Any) -> bool:
    return isinstance(shard, os.PathLike) or (
        isinstance(shard, str | bytes) and Path(os.fsdecode(shard)).exists()
    )


def _cut(sizes: Sequence[int], most: int, least: int) -> list[int]:
    starts, taken = [0], 0
    for i, size in enumerate(sizes):
        if i - starts[-1] >= least and taken + size > most:
            starts.append(i)
            taken = 0
        taken += size
    return starts
