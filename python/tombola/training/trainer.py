"""Mini-epoch training: chunks of shards, a checkpoint and a validation after each, exact resume.

Rule: the trainer owns epochs, chunks and files; `make_loader` owns data; torch is plain. Which shards form a
chunk is a function of (shards, seed, epoch), see `chunks`; where training is, is what was consumed, see
`course`; what happens between batches is said in `run`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from .chunks import ChunkSize, Shards
from .learning import BeforeStep, Learning
from .optimizer_options import given_options
from .options import (
    Distribute,
    Loss,
    Metric,
    Mode,
    OnFullDisk,
    OnMiniEpoch,
    OnNonFinite,
    ProgressKind,
    Restored,
    Schedule,
    Skippable,
    Step,
    TrainerOptions,
    UpdateMetrics,
    Validation,
)
from .parts import Parts
from .result import TrainingResult
from .stream import MakeLoader, ResumeBy
from .wiring import train

__all__ = ["MiniEpochTrainer"]


class MiniEpochTrainer:
    """Trains a model over chunks of shards, with checkpoints from which it goes on exactly.

    Parameters
    ----------
    model : torch.nn.Module
        Under torch.distributed it is wrapped in DistributedDataParallel, unless it is already.
    shards : sequence, or callable that gives one
        Files, numbers, whatever `make_loader` knows. A callable is asked at each full epoch, so that new
        shards join at the next one; if it has ``state_dict`` and ``load_state_dict``, checkpoints hold its
        state. Their order does not matter; their texts must differ.
    make_loader : callable
        ``make_loader(chunk)`` gives the batches of one chunk: a new iterable, as a function of the `Chunk`.
        A `tombola.Loader`, a DataLoader over any dataset, a list.
    optimizer : torch.optim.Optimizer
    loss : callable
        ``loss(model, batch)`` gives a tensor without axes, the mean over the batch.
    step : callable
        Instead of `loss`: ``step(model, batch)`` gives the loss, or a mapping with ``"loss"``; its other
        numbers are averaged over batches, too, and all of it goes to `update_metrics`.
    scheduler : optional
        Steps after each mini epoch, ReduceLROnPlateau with the monitored value; with ``schedule="batch"``
        after each step of the optimizer.
    scaler : torch.amp.GradScaler, optional
    autocast : {"bfloat16", "float16"}, optional
        Loss, step and validation compute in it where ``torch.autocast`` may. Give float16 a `scaler`.
    accumulate : int
        Batches whose gradients are averaged before the optimizer steps; the last ones of a chunk may be
        fewer. Counts of batches, as in `checkpoint_every`, stay those of batches.
    clip_grad_norm : float, optional
        The gradients' norm is cut to this before each step.
    before_step : callable, optional
        ``before_step(model, optimizer)`` is called before each step, with gradients that are unscaled and not
        clipped yet. If it has ``state_dict`` and ``load_state_dict``, checkpoints hold its state.
    chunk_size : int, Rows, Bytes or "auto"
        Shards of a chunk, or a budget; or what memory allows, see Notes.
    shuffle_shards : bool
        Whether each full epoch has its shards in an order of its own, else they come as they are listed.
    num_epochs : int
        Full epochs.
    seed : int
        In [0, 2**63); for shards, chunks and loaders. The model's random numbers are torch's own.
    validation : iterable or callable, optional
        Batches, or what gives them, after each mini epoch.
    validate_every : int, optional
        Validate after every so many batches of a chunk, too.
    metrics, update_metrics : mapping and callable, optional
        Name to torchmetrics.Metric, and ``update_metrics(metrics, batch, output)``, called for each batch of
        validation with what `loss` or `step` gave. They come as ``validation_<name>``.
    monitor : str
        The value of a record that decides what is best: ``"validation_loss"``, or ``"train_loss"`` without
        validation; ``"validation_<name>"``, ``"train_<name>"``.
    mode : {"min", "max"}
        Whether small or large values are good.
    patience : int, optional
        Stop after so many validations in a row that did not improve.
    checkpoints : path
        The folder of checkpoints, ``history.jsonl`` and ``tensorboard``.
    checkpoint_every : int, optional
        Save after every so many batches of a chunk, too.
    keep_last : int or None
        How many of the newest files are kept; the newest of a whole chunk is kept besides.
    keep_best : bool
        Whether the best one is kept besides.
    resume : None, "latest" or path
        Go on from the newest whole checkpoint of the folder, if there is one, or from a file.
    resume_by : {"auto", "seek", "replay"}
        How a loader is brought to where it was, see Notes.
    config : dict, optional
        What JSON can hold; saved, and compared when training goes on.
    on_missing_shard, on_bad_shard : {"error", "skip"}
        What to do with a shard that is gone, or that a loader's error carries, see Notes.
    on_full_disk : {"stop", "continue"}
        Whether a full disk while saving is an error or a warning. Earlier files stay whole.
    on_nonfinite_loss : {"stop", "continue"}
        Whether a training loss that is NaN or infinite is an error, which names the batch and its rows, or
        trained on. With float16 a loss may be infinite now and then: the scaler leaves such steps out.
    optimizer_options : {"saved", "given"}
        Whether learning rate, weight decay and the like are those of the checkpoint when training goes on, or
        those that are given now. Where they differ, it is said.
    distribute : {"rows", "shards"}
        What ranks share: the rows of each chunk, dealt out by its loader, or its shards. Worker processes
        of a DataLoader share a chunk's shards by `Chunk.of_worker`.
    schedule : {"mini_epoch", "batch"}
    device : optional
        Where model and batches are moved to; by default they stay where they are.
    tensorboard : bool or "auto"
    progress : {"auto", "rich", "plain", "none"}
        Bars or lines on stderr; by "auto" bars where it is a terminal.
    log_every : int
        Batches after which losses are looked at.
    max_batches : int, optional
        Stop after so many batches in all. The last mini epoch then ends there.
    on_mini_epoch : callable, optional
        Called with the record after each mini epoch; what it raises ends training.

    Raises
    ------
    TypeError, ValueError
        If an option is of a wrong type or out of range.
    CheckpointError
        By `fit`, if a file cannot be written or read, or belongs to another model or configuration, or
        another training writes into the folder.
    ShardError
        By `fit`, if a shard is missing or cannot be read.
    NonFiniteLossError
        By `fit`, if a loss is not finite.

    Notes
    -----
    A training that is interrupted anywhere, SIGKILL included, and goes on with ``resume="latest"`` has on the
    CPU the same weights, bit for bit, and the same history but for seconds, as an undisturbed one with the
    same options. What a file holds was consumed, never what was read ahead. SIGTERM, SIGUSR1 and Ctrl-C save
    and stop; ``result.exit_code`` is then 75. Ctrl-C a second time raises KeyboardInterrupt.

    By ``on_bad_shard="skip"`` that shard is left out which an error carries: `ShardError` with ``shard=``,
    OSError with its file. Where it carries none, each shard of the chunk is read alone, by `make_loader`, and
    those that fail as the chunk did are left out; if none or all do, the error is raised. A NameError, a
    TypeError, an AttributeError or the like is a fault of the code and never left out. Worker processes of a
    DataLoader hand on the text of an error only.

    ``resume_by="auto"`` seeks in loaders with random access in this process (`tombola.Loader`, a DataLoader
    without workers whose batch_sampler is a `tombola.PlanBatchSampler`, a list) and replays others: the
    chunk's loader begins anew under the random state of the chunk's start and gives away what is consumed.
    Both are exact, and replay is under worker processes, too. ``"seek"`` reads nothing again under workers,
    and is exact if they draw no random numbers. While a loader is replayed or may be, it has random numbers
    of its own; that costs some 30 µs a batch. A dataset must not draw from what it was not given: the global
    generators of Python, NumPy and torch, or generators seeded by `Chunk.seed`.

    By ``chunk_size="auto"`` the batches of the first shard are measured, and a chunk has as many rows as half
    of the free memory holds, at least one shard and at most a tenth of all. Other shards count as of equal
    size, or, where all are files, by their bytes. It is said, and stays when training goes on.

    Ranks take equally many steps: a mini epoch ends for all when one has no more batches. Going on under
    another number of ranks delivers each row of a chunk that is left once, up to the loader's ``even``, if
    rows are shared and the loader has random access; otherwise training goes on from the last file that was
    saved at the end of a chunk. Random numbers are then new ones.

    Examples
    --------
    >>> import torch
    >>> from tombola.training import MiniEpochTrainer
    >>> model = torch.nn.Linear(1, 1)
    >>> def make_loader(chunk):
    ...     return [torch.full((4, 1), float(shard)) for shard in chunk.shards]
    >>> trainer = MiniEpochTrainer(
    ...     model,
    ...     range(6),
    ...     make_loader,
    ...     optimizer=torch.optim.SGD(model.parameters(), lr=0.01),
    ...     loss=lambda model, batch: (model(batch) - batch).square().mean(),
    ...     chunk_size=2,
    ...     progress="none",
    ...     tensorboard=False,
    ... )
    >>> result = trainer.fit()
    >>> result.reason.value, result.batches, len(result.history)
    ('finished', 6, 3)
    """

    def __init__(
        self,
        model: nn.Module,
        shards: Shards,
        make_loader: MakeLoader,
        *,
        optimizer: torch.optim.Optimizer,
        loss: Loss | None = None,
        step: Step | None = None,
        scheduler: Any = None,
        scaler: Any = None,
        autocast: torch.dtype | str | None = None,
        accumulate: int = 1,
        clip_grad_norm: float | None = None,
        before_step: BeforeStep | None = None,
        chunk_size: ChunkSize = 20,
        shuffle_shards: bool = True,
        num_epochs: int = 1,
        seed: int = 0,
        validation: Validation | None = None,
        validate_every: int | None = None,
        metrics: Mapping[str, Metric] | None = None,
        update_metrics: UpdateMetrics | None = None,
        monitor: str = "validation_loss",
        mode: Mode = "min",
        patience: int | None = None,
        checkpoints: str | Path = "checkpoints",
        checkpoint_every: int | None = None,
        keep_last: int | None = 3,
        keep_best: bool = True,
        resume: str | Path | None = None,
        resume_by: ResumeBy = "auto",
        config: Mapping[str, Any] | None = None,
        on_missing_shard: Skippable = "error",
        on_bad_shard: Skippable = "error",
        on_full_disk: OnFullDisk = "stop",
        on_nonfinite_loss: OnNonFinite = "stop",
        optimizer_options: Restored = "saved",
        distribute: Distribute = "rows",
        schedule: Schedule = "mini_epoch",
        device: Any = None,
        tensorboard: bool | Literal["auto"] = "auto",
        progress: ProgressKind = "auto",
        log_every: int = 50,
        max_batches: int | None = None,
        on_mini_epoch: OnMiniEpoch | None = None,
    ) -> None:
        if (loss is None) == (step is None):
            msg = "give either loss or step"
            raise ValueError(msg)
        for name, value in (("make_loader", make_loader), ("loss or step", loss or step)):
            if not callable(value):
                msg = f"{name} must be callable, but is {value!r}"
                raise TypeError(msg)
        self.model, self.optimizer = model, optimizer
        self.options = TrainerOptions(
            chunk_size=chunk_size,
            shuffle_shards=shuffle_shards,
            num_epochs=num_epochs,
            seed=seed,
            validation=validation,
            validate_every=validate_every,
            metrics=metrics or {},
            update_metrics=update_metrics,
            monitor=monitor,
            mode=mode,
            patience=patience,
            checkpoints=Path(checkpoints),
            checkpoint_every=checkpoint_every,
            keep_last=keep_last,
            keep_best=keep_best,
            resume=resume,
            resume_by=resume_by,
            config=config,
            on_missing_shard=on_missing_shard,
            on_bad_shard=on_bad_shard,
            on_full_disk=on_full_disk,
            on_nonfinite_loss=on_nonfinite_loss,
            optimizer_options=optimizer_options,
            learning=Learning(
                accumulate=accumulate,
                clip_grad_norm=clip_grad_norm,
                autocast=autocast,
                before_step=before_step,
            ),
            distribute=distribute,
            schedule=schedule,
            device=None if device is None else torch.device(device),
            tensorboard=tensorboard,
            progress=progress,
            log_every=log_every,
            max_batches=max_batches,
            on_mini_epoch=on_mini_epoch,
        )
        self.options.check_scheduler(scheduler)
        self._shards, self._make_loader = shards, make_loader
        self._loss, self._step = loss, step
        self._parts = Parts(model, optimizer, scheduler, scaler)
        self._given = given_options(optimizer)

    def fit(self) -> TrainingResult:
        """Train, from the beginning or from where `resume` says, until there is a reason to stop.

        Errors are those of the class and what the model, the loss and `on_mini_epoch` raise.
        """
        return train(
            self._parts, self.options, self._given, self._shards, self._make_loader, self._loss or self._step
        )
