"""The options of a trainer, checked once, before anything is done."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, get_args

from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from .._base.checks import check_bool, check_choice, check_integer
from .auto_size import AUTO
from .chunks import Bytes, ChunkSize, Rows
from .learning import Learning
from .stream import ResumeBy

__all__ = ["Loss", "Metric", "OnMiniEpoch", "Step", "TrainerOptions", "UpdateMetrics", "Validation"]

Loss: TypeAlias = Callable[[nn.Module, Any], Tensor]
Step: TypeAlias = Callable[[nn.Module, Any], Tensor | Mapping[str, Any]]
Validation: TypeAlias = Iterable[Any] | Callable[[], Iterable[Any]]
OnMiniEpoch: TypeAlias = Callable[[dict[str, Any]], object]
Skippable = Literal["error", "skip"]
OnFullDisk = Literal["stop", "continue"]
OnNonFinite = Literal["stop", "continue"]
Restored = Literal["saved", "given"]
Mode = Literal["min", "max"]
Distribute = Literal["rows", "shards"]
Schedule = Literal["mini_epoch", "batch"]
ProgressKind = Literal["auto", "rich", "plain", "none"]


class Metric(Protocol):
    """What is asked of a metric: torchmetrics.Metric has it."""

    def reset(self) -> object:
        """Forget all batches."""

    def compute(self) -> Any:
        """Give the value over all batches."""


UpdateMetrics: TypeAlias = Callable[[Mapping[str, Any], Any, Any], object]


@dataclass(frozen=True, kw_only=True)
class TrainerOptions:
    """See `MiniEpochTrainer`, whose keyword arguments these are."""

    chunk_size: ChunkSize
    shuffle_shards: bool
    num_epochs: int
    seed: int
    validation: Validation | None
    validate_every: int | None
    metrics: Mapping[str, Metric]
    update_metrics: UpdateMetrics | None
    monitor: str
    mode: Mode
    patience: int | None
    checkpoints: Path
    checkpoint_every: int | None
    keep_last: int | None
    keep_best: bool
    resume: str | Path | None
    resume_by: ResumeBy
    config: Mapping[str, Any] | None
    on_missing_shard: Skippable
    on_bad_shard: Skippable
    on_full_disk: OnFullDisk
    on_nonfinite_loss: OnNonFinite
    optimizer_options: Restored
    learning: Learning
    distribute: Distribute
    schedule: Schedule
    device: Any
    tensorboard: bool | Literal["auto"]
    progress: ProgressKind
    log_every: int
    max_batches: int | None
    on_mini_epoch: OnMiniEpoch | None

    def __post_init__(self) -> None:
        if isinstance(self.chunk_size, str):
            check_choice("chunk_size, where it is a text,", self.chunk_size, (AUTO,))
        elif not isinstance(self.chunk_size, Rows | Bytes):
            check_integer("chunk_size", self.chunk_size, minimum=1)
        check_integer("seed", self.seed)
        for name in ("num_epochs", "log_every"):
            check_integer(name, getattr(self, name), minimum=1)
        self.learning.check()
        for name in ("validate_every", "patience", "checkpoint_every", "keep_last", "max_batches"):
            if getattr(self, name) is not None:
                check_integer(name, getattr(self, name), minimum=1)
        check_bool("keep_best", self.keep_best)
        check_bool("shuffle_shards", self.shuffle_shards)
        for name, choices in _CHOICES.items():
            check_choice(name, getattr(self, name), get_args(choices))
        if self.tensorboard != "auto":
            check_bool("tensorboard", self.tensorboard)
        if bool(self.metrics) != (self.update_metrics is not None):
            msg = "give both metrics and update_metrics or neither"
            raise ValueError(msg)
        if self.validation is None and (self.metrics or self.validate_every is not None):
            msg = "metrics and validate_every are about validation: give validation, too"
            raise ValueError(msg)
        if (
            self.validation is not None
            and not callable(self.validation)
            and iter(self.validation) is self.validation
        ):
            kind = type(self.validation).__name__
            msg = f"validation must be iterable again and again, or a callable, but is {kind}"
            raise TypeError(msg)
        self.config_as_json()

    def check_scheduler(self, scheduler: object) -> None:
        """Raise ValueError if the scheduler cannot step as `schedule` says."""
        if self.schedule == "batch" and isinstance(scheduler, ReduceLROnPlateau):
            msg = (
                "ReduceLROnPlateau goes by the monitored value, which each mini epoch has: schedule must be "
                "'mini_epoch', but is 'batch'"
            )
            raise ValueError(msg)

    def config_as_json(self) -> Any:
        """Return the configuration as JSON gives it back."""
        try:
            return json.loads(json.dumps(self.config))
        except (TypeError, ValueError) as error:
            msg = f"config must be what JSON can hold, but: {error}"
            raise TypeError(msg) from error

    def compared(self) -> dict[str, Any]:
        """Return what must be the same when training goes on: what decides about batches and files."""
        budget = self.chunk_size
        return {
            "chunk_size": budget if isinstance(budget, int | str) else repr(budget),
            "seed": self.seed,
            "distribute": self.distribute,
            "schedule": self.schedule,
            "monitor": self.monitor,
            "mode": self.mode,
            "config": self.config_as_json(),
            # Files of before these options mean what they are by default.
            **({} if self.shuffle_shards else {"shuffle_shards": False}),
            **({} if self.learning.accumulate == 1 else {"accumulate": self.learning.accumulate}),
        }


_CHOICES: dict[str, Any] = {
    "mode": Mode,
    "resume_by": ResumeBy,
    "on_missing_shard": Skippable,
    "on_bad_shard": Skippable,
    "on_full_disk": OnFullDisk,
    "on_nonfinite_loss": OnNonFinite,
    "optimizer_options": Restored,
    "distribute": Distribute,
    "schedule": Schedule,
    "progress": ProgressKind,
}
