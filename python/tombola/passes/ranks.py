"""Rank and world size: as given, as torch.distributed says, or as a helper was told by who started it."""

import multiprocessing
import os
import sys
from typing import NamedTuple, SupportsIndex

from .._base.checks import check_integer
from .._base.fork import before_fork

__all__ = ["Told", "distributed_ranks", "given_ranks", "tell", "told_ranks"]


def given_ranks(rank: SupportsIndex | None, world_size: SupportsIndex | None) -> tuple[int, int] | None:
    """Return rank and world size as they were given, None if neither was.

    Raises
    ------
    TypeError, ValueError
        If they are no integers or out of range, or only one was given.
    """
    if rank is None and world_size is None:
        return None
    if rank is None or world_size is None:
        message = f"give both rank and world_size or neither, but got rank={rank} and world_size={world_size}"
        raise ValueError(message)
    world_size = check_integer("world_size", world_size, minimum=1)
    return check_integer("rank", rank, limit=world_size), world_size


def distributed_ranks() -> tuple[int, int] | None:
    """Return rank and world size as torch.distributed says, None if it is not initialised."""
    # Nobody has initialised what nobody has imported, and importing it is slow.
    distributed = sys.modules.get("torch.distributed")
    if distributed is None or not (distributed.is_available() and distributed.is_initialized()):
        return None
    return int(distributed.get_rank()), int(distributed.get_world_size())


_ancestors: set[int] = set()
"""Processes that forks led from to this one, and this one once it has forked."""


class Told(NamedTuple):
    """What a copy is told: the process that made it, and the rank and world size that this one knew."""

    process: int
    ranks: tuple[int, int]


def tell(ranks: tuple[int, int] | None) -> Told | None:
    """Return what a copy of something in this process is told."""
    return None if ranks is None else Told(os.getpid(), ranks)


def told_ranks(told: Told | None) -> tuple[int, int] | None:
    """Return rank and world size of a process that this one stems from, if it made the copy that was told.

    Such helpers, as a DataLoader's workers are, read for it. Other copies stand alone: whoever loads one
    later, or when torch.distributed is gone, is no rank.
    """
    if told is None or told.process == os.getpid():
        return None
    return told.ranks if told.process in (_ancestors | _parents()) else None


def _parents() -> set[int]:
    parent = multiprocessing.parent_process()
    return set() if parent is None or parent.pid is None else {parent.pid}


@before_fork
def _note_ancestors() -> None:
    _ancestors.update({os.getpid()} | _parents())
