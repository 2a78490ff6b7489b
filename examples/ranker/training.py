"""Train a ranker, epoch by epoch, and measure it on training, validation and test pairs.

What is compared is fair: same data, same initial weights, same optimiser; only the batches differ.
"""

import copy
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from tombola.strategies.series import SeriesSchedule

from .batches import BatchWatch, PairDataset, make_loader
from .data import PairData, PairSplit
from .model import Ranker

__all__ = ["EpochRecord", "RunRecord", "TrainOptions", "train"]

_logger = logging.getLogger("ranker.training")


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """How to train; ranges are checked where the options are read."""

    use_series_sampler: bool = False
    schedule: SeriesSchedule = "balanced"
    batch_size: int = 64
    max_epochs: int = 15
    lr: float = 1e-3
    weight_decay: float = 1e-2
    dropout: float = 0.0
    mlp_hidden_dims: tuple[int, ...] = (256,)
    seed: int = 0
    num_workers: int = 0


@dataclass(frozen=True, kw_only=True)
class EpochRecord:
    """What an epoch did: measures on whole parts after it, and what its batches held."""

    epoch: int
    train_loss: float
    validation_loss: float
    train_accuracy: float
    validation_accuracy: float
    batches: int
    unique_series_mean: float
    unique_series_min: int
    repeated_series: int
    first_batch_overlap: int | None
    seconds: float

    @property
    def gap(self) -> float:
        """Training less validation accuracy."""
        return self.train_accuracy - self.validation_accuracy


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """A whole training: the epochs, and the test accuracy of the weights that validated best."""

    options: TrainOptions
    epochs: tuple[EpochRecord, ...]
    test_accuracy: float
    shared_taste_accuracy: float | None
    """On generated test pairs, of the shared taste itself: about what a ranker can reach there."""

    @property
    def best(self) -> EpochRecord:
        """The epoch that validated best, the first of equals."""
        return max(self.epochs, key=lambda epoch: epoch.validation_accuracy)

    @property
    def last(self) -> EpochRecord:
        """The last epoch."""
        return self.epochs[-1]

    def to_dict(self) -> dict[str, Any]:
        """Return everything in a form that JSON can hold."""
        return {
            **asdict(self),
            "best_epoch": self.best.epoch,
            "gap_at_best": self.best.gap,
            "gap_at_last": self.last.gap,
        }


OnEpoch = Callable[[EpochRecord], None]


def train(
    data: PairData, split: PairSplit, options: TrainOptions, *, on_epoch: OnEpoch | None = None
) -> RunRecord:
    """Train on the training part; `on_epoch` sees every epoch and may raise to break off.

    Raises
    ------
    ValueError
        If the loss does not stay finite.
    """
    sets = {name: PairDataset(data, rows) for name, rows in split.parts().items()}
    torch.manual_seed(options.seed)
    model = Ranker(data.features.shape[1], options.mlp_hidden_dims, options.dropout)
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.lr, weight_decay=options.weight_decay)
    loader = make_loader(
        sets["train"],
        options.batch_size,
        use_series_sampler=options.use_series_sampler,
        schedule=options.schedule,
        seed=options.seed,
        num_workers=options.num_workers,
    )
    watch = BatchWatch(options.batch_size)
    records: list[EpochRecord] = []
    best_weights = copy.deepcopy(model.state_dict())
    for epoch in range(options.max_epochs):
        start = time.perf_counter()
        watch.begin_epoch()
        model.train()
        for batch in loader:
            watch.see(batch)
            loss = F.softplus(-model.margin(batch["winner"], batch["loser"])).mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        seconds = time.perf_counter() - start
        record = _record(
            epoch, seconds, watch, *(_measure(model, sets[part]) for part in ("train", "validation"))
        )
        if not records or record.validation_accuracy > max(r.validation_accuracy for r in records):
            best_weights = copy.deepcopy(model.state_dict())
        records.append(record)
        _say(record, watch)
        if on_epoch is not None:
            on_epoch(record)
    model.load_state_dict(best_weights)
    _, test_accuracy = _measure(model, sets["test"])
    return RunRecord(
        options=options,
        epochs=tuple(records),
        test_accuracy=test_accuracy,
        shared_taste_accuracy=(
            None if data.shared_margin is None else float(np.mean(data.shared_margin[split.test] > 0))
        ),
    )


def _measure(model: Ranker, pairs: PairDataset) -> tuple[float, float]:
    """Return the loss and the accuracy on all pairs, in evaluation mode."""
    model.eval()
    with torch.inference_mode():
        scores = model(pairs.features)
        margin = scores[pairs.winner] - scores[pairs.loser]
        return float(F.softplus(-margin).mean()), float((margin > 0).float().mean())


def _record(
    epoch: int,
    seconds: float,
    watch: BatchWatch,
    on_train: tuple[float, float],
    on_validation: tuple[float, float],
) -> EpochRecord:
    if not np.isfinite(on_train[0]):
        msg = f"the loss must stay finite, but is {on_train[0]} after epoch {epoch}: lr is too large"
        raise ValueError(msg)
    return EpochRecord(
        epoch=epoch,
        train_loss=on_train[0],
        validation_loss=on_validation[0],
        train_accuracy=on_train[1],
        validation_accuracy=on_validation[1],
        batches=len(watch.sizes),
        unique_series_mean=float(np.mean(watch.distinct)),
        unique_series_min=min(watch.distinct),
        repeated_series=watch.repeats,
        first_batch_overlap=watch.overlap,
        seconds=seconds,
    )


def _say(record: EpochRecord, watch: BatchWatch) -> None:
    overlap = (
        ""
        if watch.overlap is None
        else f", {watch.overlap}/{watch.distinct[0]} series as in the last epoch's"
    )
    text = "epoch %2d: train %.3f, validation %.3f; batch 0: %d/%d unique series%s; %d repeats in %d batches"
    _logger.info(
        text,
        record.epoch,
        record.train_accuracy,
        record.validation_accuracy,
        watch.distinct[0],
        watch.sizes[0],
        overlap,
        record.repeated_series,
        record.batches,
    )
