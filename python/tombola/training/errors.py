"""What can go wrong in training, beyond wrong arguments: checkpoints, shards, losses that are not finite."""

from collections.abc import Iterable
from typing import Any

import torch

__all__ = [
    "CheckpointError",
    "NonFiniteLossError",
    "ShardError",
    "TrainingError",
    "UnreadableCheckpointError",
    "is_no_shards",
]


class TrainingError(RuntimeError):
    """Training cannot go on; the message says what was expected and what came."""


class CheckpointError(TrainingError):
    """A checkpoint cannot be written, read, or belongs to another model or configuration."""


class ShardError(TrainingError):
    """A shard is missing or cannot be read; the message names it and where in training that was.

    A loader raises it, too, to say which shard is bad, so that ``on_bad_shard="skip"`` need not look for it.

    Parameters
    ----------
    message : str
    shard : optional
        The bad shard, as it was given to the trainer or as its text is.
    shards : iterable
        Where there are several.

    Attributes
    ----------
    shards : tuple
    shard
        The first one, None where the error names none.

    Examples
    --------
    >>> from tombola.training import ShardError
    >>> error = ShardError("plate_7.h5ad: row 3 is cut off", shard="plate_7.h5ad")
    >>> error.shard, error.shards, str(error)
    ('plate_7.h5ad', ('plate_7.h5ad',), 'plate_7.h5ad: row 3 is cut off')
    """

    def __init__(self, message: str = "", *, shard: Any = None, shards: Iterable[Any] = ()) -> None:
        super().__init__(message)
        self.shards: tuple[Any, ...] = (*(() if shard is None else (shard,)), *shards)

    @property
    def shard(self) -> Any:
        """The first of the shards, None without one."""
        return self.shards[0] if self.shards else None


class NonFiniteLossError(TrainingError):
    """The loss of a batch is NaN or infinite; the message names the batch and, where it says so, its rows."""


class UnreadableCheckpointError(CheckpointError):
    """A checkpoint may be whole, but cannot be read now: permissions, the device, a newer format."""


_OF_THE_CODE = (
    NameError,
    TypeError,
    AttributeError,
    AssertionError,
    ImportError,
    SyntaxError,
    NotImplementedError,
    RecursionError,
    MemoryError,
    torch.OutOfMemoryError,
)
"""What a program raises that is wrong, or that has too little memory, whatever it reads."""


def is_no_shards(error: BaseException) -> bool:
    """Tell whether an error is none of a shard: a fault of the code, or of training itself."""
    return isinstance(error, (*_OF_THE_CODE, TrainingError)) and not isinstance(error, ShardError)
