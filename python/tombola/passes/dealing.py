"""What of those who ask for batches is refused: rows would come twice, or not at all, or in other batches."""

from .callers import Caller
from .coming import Coming
from .position import Position
from .schedule import Even, Schedule

__all__ = [
    "check_dealer",
    "check_enough",
    "check_ranks_are_free",
    "check_same_ranks",
    "check_whole",
    "named_start",
    "state_of_workers",
    "unknown_state",
]


def check_whole(caller: Caller, name: str) -> None:
    """Raise ValueError if whole batches are joined to larger ones."""
    if caller.joins == "a BatchSampler":
        msg = (
            f"a DataLoader must be given a {name} as batch_sampler, but was given it as sampler, and joins "
            "whole batches to larger ones: use batch_sampler=, not sampler=, or batch_size=None beside it; "
            "its own sampler gives rows one by one"
        )
        raise ValueError(msg)
    if caller.joins:
        msg = (
            f"a DataLoader around a {name} must have batch_size=None, but it joins whole batches to "
            f"larger ones: pass batch_size=None, or use tombola.DataLoader"
        )
        raise ValueError(msg)


def check_dealer(caller: Caller, name: str, *, varies: bool) -> None:
    """Raise ValueError if batches that vary in size are cut in equal parts, as a remainder would be lost."""
    if caller.cuts and varies:
        msg = (
            f"batches must all have as many rows if {caller.dealer} joins them and cuts them in equal "
            f"parts, but those of this {name} vary: leave the DataLoader out of what Accelerate prepares, as "
            "tombola deals out batches itself"
        )
        raise ValueError(msg)


def check_enough(schedule: Schedule, world_size: int, even: Even) -> None:
    """Raise ValueError if ``even="drop"`` would leave out all of an epoch, which has too few batches."""
    if even == "drop" and 0 < schedule.n_batches < world_size:
        batches = f"{schedule.n_batches} batch{'es' if schedule.n_batches > 1 else ''}"
        msg = (
            f"an epoch must have a batch for each of {world_size} ranks, but has {batches}, which "
            'even="drop" would leave out: use a smaller batch_size, fewer ranks, or even="pad" or "none"'
        )
        raise ValueError(msg)


def named_start(caller: Caller, coming: Coming, start: Position | None) -> Position | None:
    """Return `start`, or else the epoch of a trainer that resumes and skips what was seen.

    Raises
    ------
    RuntimeError
        If batches that a loaded state leaves out would be skipped once more.
    """
    if caller.skipper and coming.is_loaded and coming.start.spans:
        msg = (
            f"batches that were seen must be left out once, but a state was loaded and {caller.skipper} "
            "skips as well: load none, or in transformers' TrainingArguments give ignore_data_skip=True"
        )
        raise RuntimeError(msg)
    return Position(caller.epoch) if start is None and caller.epoch is not None else start


def check_ranks_are_free(caller: Caller, given: tuple[int, int] | None) -> None:
    """Raise RuntimeError if a rank was given whose batches another one deals out."""
    if given is not None:
        msg = (
            f"batches must be dealt out to ranks once, but {caller.dealer} deals out what rank={given[0]} "
            f"of world_size={given[1]} is to get: leave rank and world_size out, or give "
            "rank=0, world_size=1"
        )
        raise RuntimeError(msg)


def check_same_ranks(position: Position, world_size: int, name: str) -> None:
    """Raise ValueError if Lightning would go on within an epoch that other ranks shared.

    It adds the batches that each of them had to those that are left, and ends the epoch by that sum.
    """
    others = {span[0] for span in position.spans} - {world_size}
    if others:
        msg = (
            "a checkpoint of Lightning within an epoch must be loaded by as many ranks as shared that epoch, "
            f"{max(others)}, but there are {world_size}: Lightning would end it early. Go on with as many "
            f"ranks or from the end of an epoch, or load the state of the {name} into a loop of your own"
        )
        raise ValueError(msg)


def state_of_workers(name: str) -> RuntimeError:
    """Return the error for a state that worker processes would have to know, each a part of it."""
    return RuntimeError(
        "the state must be asked of whoever knows which batches were handed out, but worker processes read "
        f"copies of this {name}: use tombola.DataLoader, and its state_dict"
    )


def unknown_state(name: str, why: str) -> RuntimeError:
    """Return the error for a state that cannot be known, and why."""
    return RuntimeError(
        f"the state must be asked of whoever knows which batches were handed out, but {why}, so this {name} "
        "does not: use tombola.DataLoader outside of trainers that ask ahead, or count the batches and use "
        "state_at"
    )
