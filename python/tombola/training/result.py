"""What training came to: why it stopped, its history, its files, and the exit code that says so."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

__all__ = ["INTERRUPTED_EXIT_CODE", "StopReason", "TrainingResult"]

INTERRUPTED_EXIT_CODE = 75
"""EX_TEMPFAIL of sysexits.h: stopped by a signal and saved; start again with ``resume="latest"``."""


class StopReason(StrEnum):
    """Why training stopped."""

    FINISHED = "finished"
    EARLY_STOPPING = "early_stopping"
    MAX_BATCHES = "max_batches"
    SIGNAL = "signal"


@dataclass(frozen=True)
class TrainingResult:
    """What `MiniEpochTrainer.fit` returns.

    Parameters
    ----------
    reason : StopReason
    batches : int
        Batches trained on by each rank, over all runs that were resumed.
    history : list of dict
        One record a mini epoch, and one for each validation within one; as in ``history.jsonl``.
    last_checkpoint, best_checkpoint : Path or None
        The newest file, and that of the best value of `monitor`.
    best_value : float or None
        Of `monitor`.
    skipped : list of dict
        Shards that were left out: ``shard``, ``why``, ``epoch``, ``chunk_start``, ``batch``.
    """

    reason: StopReason
    batches: int
    history: list[dict[str, Any]] = field(repr=False)
    last_checkpoint: Path | None
    best_checkpoint: Path | None
    best_value: float | None
    skipped: list[dict[str, Any]] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0, or 75 where a signal stopped it."""
        return INTERRUPTED_EXIT_CODE if self.reason is StopReason.SIGNAL else 0
