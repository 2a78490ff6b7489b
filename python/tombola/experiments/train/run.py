"""Train as a configuration says: the place where files, strategy, classifier and trainer are wired together.

Written to the output folder: ``config.yaml`` (what was trained, which `tombola train` reads),
``classifier.json`` (labels, classes and features, which `load_classifier` reads), and by the
trainer ``checkpoints/`` with ``history.jsonl``; at the end ``curve.png``.
"""

import os
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from tombola._base.files import make_output, replacing
from tombola.training import Bytes, MiniEpochTrainer, Rows, TrainingResult, saved_shards
from tombola.training.classifier import NAME as CLASSIFIER
from tombola.training.classifier import write_classifier
from tombola.training.folders import holding
from tombola.training.ranks import Ranks

from ..config_files import expanded
from ..model import LINEAR_THREADS, torch_threads
from .config import TrainConfig
from .curve import plot_curve
from .data import TrainingData
from .loaders import LoaderMaker, ranks
from .models import make_model, make_optimizer, make_scheduler
from .scores import classifier_step, make_scores, update_scores
from .shards import FileShards

__all__ = ["Resume", "TrainingRun", "config_values", "run_training"]

CHECKPOINTS = "checkpoints"
Resume = Literal["no", "latest", "if_any"] | Path
OnMiniEpoch = Callable[[dict[str, Any]], object]

FREE_ON_RESUME = {
    "files",
    "validation_files",
    "output",
    "epochs",
    "patience",
    "keep_last",
    "checkpoint_every",
    "validate_every",
    "on_missing_shard",
    "on_bad_shard",
    "on_full_disk",
    "on_nonfinite_loss",
    "device",
    "tensorboard",
}
"""Keys that may change when training goes on; with the others the batches or the steps would."""

LATER = ("accumulate", "clip_grad_norm", "autocast", "distribute", "shuffle_files")
"""Keys that checkpoints of before them lack: what they are by default is not saved."""


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """What came of a training.

    Parameters
    ----------
    result : TrainingResult
    data : TrainingData
    curve : Path or None
        The picture, where a mini epoch was completed; only the first of several ranks draws it.
    """

    result: TrainingResult
    data: TrainingData
    curve: Path | None


def config_values(config: TrainConfig) -> dict[str, Any]:
    """Return the configuration as train.yaml has it, with absolute paths."""
    values: dict[str, Any] = config.model_dump(mode="json", exclude_none=True)
    for key in ("files", "validation_files"):
        values[key] = [str(expanded(name).absolute()) for name in values[key]]
    values["output"] = str(config.output.absolute())
    return values


def _compared(config: TrainConfig) -> dict[str, Any]:
    """Return what must be the same when training goes on."""
    values: dict[str, Any] = config.model_dump(mode="json", exclude=FREE_ON_RESUME)
    fields = TrainConfig.model_fields
    return {key: value for key, value in values.items() if key not in LATER or value != fields[key].default}


def run_training(
    config: TrainConfig,
    *,
    resume: Resume = "no",
    progress: Literal["auto", "rich", "plain", "none"] = "none",
    on_data: Callable[[TrainingData, str], object] | None = None,
    on_mini_epoch: OnMiniEpoch | None = None,
) -> TrainingRun:
    """Train, or go on training; where torch.distributed is initialised, with all its ranks.

    Each rank then takes batches of ``batch_size`` rows of its own, and the first one writes.

    Parameters
    ----------
    config : TrainConfig
    resume : {"no", "latest", "if_any"} or Path
        Begin (the output folder must then hold no checkpoints), go on from the newest checkpoint, go on if
        there is one, or from this one.
    progress : {"auto", "rich", "plain", "none"}
    on_data : callable, optional
        Called with the data and what a mini epoch holds, in words, before training begins.
    on_mini_epoch : callable, optional
        Called with each record of the history after a mini epoch; may raise to stop.

    Raises
    ------
    ValueError, KeyError
        If the data do not suit the configuration, the output folder holds a training already, or another
        process trains into it.
    OSError
        If a file cannot be read or written.
    TrainingError
        If training cannot go on, or the checkpoint is another training's.
    """
    checkpoints = make_output(config.output, CHECKPOINTS)
    with ExitStack() as stack:
        group = Ranks()
        try:
            group.first(lambda: stack.enter_context(holding(config.output)))
        finally:
            group.close()
        return _train(config, checkpoints, resume, progress, on_data, on_mini_epoch)


def _train(
    config: TrainConfig,
    checkpoints: Path,
    resume: Resume,
    progress: Literal["auto", "rich", "plain", "none"],
    on_data: Callable[[TrainingData, str], object] | None,
    on_mini_epoch: OnMiniEpoch | None,
) -> TrainingRun:
    rank, n_ranks = ranks()
    is_first = rank == 0
    there = any(checkpoints.glob("checkpoint_*.pt"))
    if resume == "no" and there:
        cure = "--resume goes on with it, another --output begins anew"
        msg = f"{config.output} holds a training already: {cure}"
        raise ValueError(msg)
    if resume == "latest" and not there:
        msg = f"{checkpoints} holds no checkpoint to resume from; without --resume training begins"
        raise ValueError(msg)
    saved = None if resume == "no" else saved_shards(resume if isinstance(resume, Path) else checkpoints)
    shards = FileShards(config, saved)
    data = shards.data
    if on_data is not None:
        on_data(data, _chunk_text(config, shards))
    loaders = LoaderMaker(config, shards)
    with torch_threads(LINEAR_THREADS) if config.model == "linear" else nullcontext():
        model = make_model(config, loaders)
        optimizer = make_optimizer(config, model)
        if is_first and not there:
            _write_config(config)
        if is_first and not (there and (config.output / CLASSIFIER).exists()):
            _write_classifier(config, data)
        trainer = MiniEpochTrainer(
            model,
            shards,
            loaders,
            optimizer=optimizer,
            step=classifier_step,
            scheduler=make_scheduler(config, optimizer, _steps(config, shards, n_ranks)),
            schedule="batch",
            chunk_size=_chunk_size(config, shards),
            shuffle_shards=config.shuffle_files,
            distribute=config.distribute,
            num_epochs=config.epochs,
            seed=config.seed,
            validation=loaders.validation if config.validates else None,
            validate_every=config.validate_every,
            metrics=make_scores(data.n_classes) if config.validates else None,
            update_metrics=update_scores if config.validates else None,
            monitor=config.figure,
            mode=config.mode,
            patience=config.patience,
            checkpoints=checkpoints,
            checkpoint_every=config.checkpoint_every,
            keep_last=config.keep_last,
            resume=_where(resume),
            config=_compared(config),
            on_missing_shard=config.on_missing_shard,
            on_bad_shard=config.on_bad_shard,
            on_full_disk=config.on_full_disk,
            on_nonfinite_loss=config.on_nonfinite_loss,
            accumulate=config.accumulate,
            clip_grad_norm=config.clip_grad_norm,
            autocast=config.autocast,
            device=_own_device(config.device),
            tensorboard=config.tensorboard,
            progress=progress,
            on_mini_epoch=on_mini_epoch,
        )
        result = trainer.fit()
    curve = config.output / "curve.png"
    if is_first:
        _write_config(config)
        _write_classifier(config, shards.data)
    if not result.history or not is_first:
        return TrainingRun(result=result, data=shards.data, curve=None)
    plot_curve(curve, result.history, list(data.n_classes), title=f"{config.strategy}, {config.model} model")
    return TrainingRun(result=result, data=shards.data, curve=curve)


def _steps(config: TrainConfig, shards: FileShards, n_ranks: int) -> int:
    """Return about how many steps the optimizer takes in all."""
    return config.epochs * -(-shards.epoch_batches // (n_ranks * config.accumulate))


def _own_device(device: str | None) -> str | None:
    """Return the device of this process: "cuda" is one for each that torchrun started on a machine."""
    local_rank = os.environ.get("LOCAL_RANK")
    return f"cuda:{local_rank}" if device == "cuda" and ranks()[1] > 1 and local_rank else device


def _where(resume: Resume) -> str | Path | None:
    return resume if isinstance(resume, Path) else None if resume == "no" else "latest"


def _chunk_size(config: TrainConfig, shards: FileShards) -> int | Rows | Bytes:
    amount, unit = config.chunk
    if unit == "auto":
        assert shards.chunk_rows is not None
        amount = shards.chunk_rows
    if unit == "files":
        return amount
    if unit == "bytes":
        return Bytes(amount)
    return Rows(amount, lambda shard: shards.data.train_rows(Path(shard)))


def _chunk_text(config: TrainConfig, shards: FileShards) -> str:
    amount, unit = config.chunk
    if unit != "auto":
        return f"{amount:,} {unit.removesuffix('s') if amount == 1 else unit}"
    return f"{shards.chunk_rows:,} rows at most ({shards.chunk_reason})"


def _write_config(config: TrainConfig) -> None:
    with replacing(config.output / "config.yaml") as temporary:
        text = yaml.safe_dump(config_values(config), sort_keys=False, allow_unicode=True)
        temporary.write_text(text, encoding="utf-8")


def _write_classifier(config: TrainConfig, data: TrainingData) -> None:
    write_classifier(
        config.output,
        classes={task.name: task.classes for task in data.tasks},
        var_names=data.var_names,
        x=config.x,
        log1p=config.log1p,
        options={"model": config.model, "hidden": list(config.hidden), "dropout": config.dropout},
    )
