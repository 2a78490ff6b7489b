"""The command `tombola train`: mini-epoch training over h5ad files as train.yaml says, options over it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from rich.markup import escape
from rich.table import Table
from torch import distributed

from tombola._base.console import say, stdout_console
from tombola.experiments.block_size import FILE, describe_blocks
from tombola.experiments.labels import left_out_text
from tombola.experiments.train import TrainConfig, TrainingData, TrainingRun, read_train_config, run_training
from tombola.experiments.train.loaders import ranks
from tombola.experiments.train.misfits import find_train_misfits
from tombola.training import StopReason

from .console import warn

__all__ = ["train_files"]


def train_files(path: Path, overrides: Mapping[str, Any], *, resume: bool, resume_from: Path | None) -> int:
    """Train, print what came of it and return the exit code: 75 where a signal stopped it, else 0.

    Processes that torchrun started train together, and the first of them prints.

    Raises
    ------
    ValueError, KeyError, OSError, TrainingError
        If the configuration, a file or a checkpoint does not do.
    """
    config = read_train_config(path, {key: value for key, value in overrides.items() if value is not None})
    if not distributed.is_torchelastic_launched():
        return _train(config, resume=resume, resume_from=resume_from)
    if config.device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if (config.device or "cpu").startswith("cuda") else "gloo")
    try:
        return _train(config, resume=resume, resume_from=resume_from)
    finally:
        distributed.destroy_process_group()


def _train(config: TrainConfig, *, resume: bool, resume_from: Path | None) -> int:
    is_first = ranks()[0] == 0
    console = stdout_console()

    def announce(data: TrainingData, chunk: str) -> None:
        if not is_first:
            return
        warn([*data.skipped.values(), *find_train_misfits(config, data)])
        say(console, _setup(config, data, chunk))

    run = run_training(
        config,
        resume=resume_from or ("latest" if resume else "no"),
        progress="auto",
        on_data=announce,
    )
    if is_first:
        _print_result(config, run)
    return run.result.exit_code


def _setup(config: TrainConfig, data: TrainingData, chunk: str) -> list[str]:
    labels = ", ".join(f"{name} ({n} classes)" for name, n in data.n_classes.items())
    dropped = f"; {left_out_text(data.left_out, data.n_dropped)}" if data.n_dropped else ""
    n_files = len(data.train_paths)
    return [
        f"files:      {n_files:,} to train on, "
        f"{data.n_train:,} rows of {len(data.var_names):,} features{dropped}",
        f"validation: {data.n_validation:,} rows" if config.validates else "validation: none",
        f"labels:     {labels}",
        f"batches:    {config.strategy}, {config.batch_size} rows, {_blocks(config)}"
        f"windows of {config.batch_size * config.fetch_factor:,} rows",
        f"mini epoch: {chunk}; {config.epochs} full epoch{'' if config.epochs == 1 else 's'}",
        f"training:   {config.model} model, {config.optimizer}, learning rate {config.learning_rate:g}, "
        f"seed {config.seed}",
        f"output:     {config.output}",
    ]


def _blocks(config: TrainConfig) -> str:
    return f"{describe_blocks(config.block_size)}, " if config.block_size == FILE else ""


def _print_result(config: TrainConfig, run: TrainingRun) -> None:
    console = stdout_console()
    result = run.result
    warn([f"left out {entry['shard']}: {entry['why']}" for entry in result.skipped])
    shown = [record for record in result.history if record["kind"] == "mini_epoch"]
    if shown:
        console.print(_table(config, shown, list(run.data.n_classes)))
    reasons = {
        StopReason.FINISHED: "all mini epochs are done",
        StopReason.EARLY_STOPPING: f"{config.monitor} has not improved for {config.patience} validations",
        StopReason.SIGNAL: "stopped by a signal; --resume goes on",
        StopReason.MAX_BATCHES: "the number of batches is reached",
    }
    best = "" if result.best_value is None else f"; best {config.figure} {result.best_value:.4f}"
    lines = [f"\nstopped:     {reasons[result.reason]}, {result.batches:,} batches{best}"]
    lines += [f"history:     {config.output / 'checkpoints' / 'history.jsonl'}"]
    if result.last_checkpoint is not None:
        lines.append(f"checkpoint:  {result.last_checkpoint}")
    if result.best_checkpoint is not None:
        lines.append(f"the best:    {result.best_checkpoint}")
    if run.curve is not None:
        lines.append(f"picture:     {run.curve}")
    say(console, lines)


SHOWN = 10
"""Mini epochs in the table; of more, the last ones."""


def _table(config: TrainConfig, records: list[dict[str, Any]], labels: list[str]) -> Table:
    title = "mini epochs" if len(records) <= SHOWN else f"the last {SHOWN} of {len(records):,} mini epochs"
    table = Table(title=title, title_justify="left")
    columns = {"train_loss": "train loss"}
    if config.validates:
        columns["validation_loss"] = "validation loss"
        columns |= {f"validation_macro_f1_{label}": f"macro-F1 {label}" for label in labels}
        columns |= {f"validation_accuracy_{label}": f"accuracy {label}" for label in labels}
    for name in ("epoch", "mini epoch", "batches", *columns.values(), "batches/s"):
        table.add_column(escape(name), justify="right")
    for record in records[-SHOWN:]:
        values = ["" if record.get(key) is None else f"{record[key]:.4f}" for key in columns]
        number = record["epoch"] * record["n_chunks"] + record["chunk"] + 1
        place = [str(record["epoch"]), f"{number} of {config.epochs * record['n_chunks']}"]
        table.add_row(*place, f"{record['batches']:,}", *values, f"{record['batches_per_second']:,.0f}")
    return table
