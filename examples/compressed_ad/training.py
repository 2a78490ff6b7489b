"""Train with one of the two ways to make batches, and measure what it costs.

Runs in a process of its own, so that peak memory is that of this way alone. Both ways start from the same
weights, see each sample once an epoch, and are validated on the same batches.
"""

import logging
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from example_tools import log_to
from tombola import BucketSampler, collate_compressed_batch

from .batches import (
    Batch,
    EncoderTokens,
    collate_mixed_batch,
    count_tokens,
    describe_batch,
    make_loader,
)
from .config import Config
from .histories import IGNORED, HistoryDataset
from .model import CompressedHistoryModel

__all__ = ["Job", "WayRecord", "train_one_way"]

_logger = logging.getLogger("compressed_ad.training")

EVALUATION_BATCH = 96
PROBED_BATCHES = 16


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a process is asked to do."""

    way: str
    config: Config
    data: Path
    seed: int
    log: Path
    verbose: bool


@dataclass(frozen=True, kw_only=True)
class WayRecord:
    """What one way of making batches cost and gained.

    Losses are means over targets, in nats; the validation loss is measured every few steps, at `steps`, after
    `seconds` and `cpu_seconds` of training (measuring left out). Memory is in MiB: what the process held at
    most, by how much that grew in training, and what a batch keeps for its backward pass on average and at
    most.
    """

    way: str
    seed: int
    epoch_seconds: tuple[float, ...]
    epoch_cpu_seconds: tuple[float, ...]
    """Of all threads; other work on the machine counts little."""

    epoch_steps: tuple[int, ...]
    tokens: EncoderTokens
    decoder_tokens: int
    steps: tuple[int, ...]
    seconds: tuple[float, ...]
    cpu_seconds: tuple[float, ...]
    validation_loss: tuple[float, ...]
    train_loss: tuple[float, ...]
    """Of each batch."""

    validation_accuracy: float
    same_loss: float
    """Largest difference of a target's loss in mixed batches from that in batches of one depth."""

    peak_memory: float
    memory_growth: float
    kept_mean: float
    kept_most: float

    def to_dict(self) -> dict[str, Any]:
        """Return everything in a form that JSON can hold."""
        return asdict(self)


def train_one_way(job: Job) -> WayRecord:
    """Train and measure; meant to be called in a process of its own.

    Raises
    ------
    ValueError
        If the loss does not stay finite.
    """
    with log_to(job.log, verbose=job.verbose):
        return _train(job)


def _train(job: Job) -> WayRecord:
    config = job.config
    training, validation = (HistoryDataset(job.data, part, config) for part in ("train", "validation"))
    loader = make_loader(job.way, training, config.train_batch_size, job.seed)
    torch.manual_seed(job.seed)
    model = CompressedHistoryModel(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate)
    checks = list(_one_depth(validation))
    before = _peak_memory()
    tokens = EncoderTokens()
    decoder_tokens = 0
    losses: list[float] = []
    epoch_seconds: list[float] = []
    epoch_cpu_seconds: list[float] = []
    epoch_steps: list[int] = []
    curve = [(0, 0.0, 0.0, _evaluate(model, checks)[0])]
    clock = _Clock()
    for epoch in range(config.epochs):
        started, cpu_started, first = clock.seconds(), clock.cpu_seconds(), len(losses)
        for batch in loader:
            with clock.stopped():
                _logger.debug("%s, step %d: %s", job.way, len(losses) + 1, describe_batch(batch))
            loss = model.loss(batch)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses.append(_finite(float(loss.detach()), len(losses)))
            tokens.add(count_tokens(batch, config.memory_tokens))
            decoder_tokens += batch["targets"].numel() + len(batch["targets"]) * config.memory_tokens
            if len(losses) % config.evaluate_every == 0:
                now, cpu_now = clock.seconds(), clock.cpu_seconds()
                with clock.stopped():
                    curve.append((len(losses), now, cpu_now, _evaluate(model, checks)[0]))
        epoch_seconds.append(clock.seconds() - started)
        epoch_cpu_seconds.append(clock.cpu_seconds() - cpu_started)
        epoch_steps.append(len(losses) - first)
        text = "%s, seed %d, epoch %d: %d steps in %.1f s, validation loss %.3f"
        _logger.info(text, job.way, job.seed, epoch, epoch_steps[-1], epoch_seconds[-1], curve[-1][3])
    peak = _peak_memory()
    kept = _kept_for_backward(model, make_loader(job.way, training, config.train_batch_size, job.seed))
    steps, seconds, cpu_seconds, validation_loss = zip(*curve, strict=True)
    return WayRecord(
        way=job.way,
        seed=job.seed,
        epoch_seconds=tuple(epoch_seconds),
        epoch_cpu_seconds=tuple(epoch_cpu_seconds),
        epoch_steps=tuple(epoch_steps),
        tokens=tokens,
        decoder_tokens=decoder_tokens,
        steps=steps,
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        validation_loss=validation_loss,
        train_loss=tuple(losses),
        validation_accuracy=_evaluate(model, checks)[1],
        same_loss=_compare_losses(model, validation),
        peak_memory=peak,
        memory_growth=peak - before,
        kept_mean=float(np.mean(kept)),
        kept_most=max(kept),
    )


def _one_depth(dataset: HistoryDataset) -> DataLoader[Batch]:
    sampler = BucketSampler(dataset, EVALUATION_BATCH, shuffle=False)
    return DataLoader(dataset, batch_sampler=sampler, collate_fn=collate_compressed_batch)


def _evaluate(model: CompressedHistoryModel, batches: list[Batch]) -> tuple[float, float]:
    """Return mean loss and accuracy over all targets."""
    total, right, count = 0.0, 0, 0
    model.eval()
    with torch.no_grad():
        for batch in batches:
            logits, targets = model(batch), batch["targets"]
            loss = torch.nn.functional.cross_entropy(
                logits.transpose(1, 2), targets, ignore_index=IGNORED, reduction="sum"
            )
            total += float(loss)
            right += int((logits.argmax(dim=-1) == targets).sum())
            count += int((targets != IGNORED).sum())
    model.train()
    return total / count, right / count


def _compare_losses(model: CompressedHistoryModel, dataset: HistoryDataset) -> float:
    """Return by how much a target's loss differs at most between the two ways."""
    sampler = BucketSampler(dataset, EVALUATION_BATCH, shuffle=False)
    rows = [row for batch in sampler for row in batch]
    mixed = DataLoader(dataset, EVALUATION_BATCH, collate_fn=collate_mixed_batch)
    with torch.no_grad():
        of_one_depth = torch.cat([model.loss(batch, reduction="none") for batch in _one_depth(dataset)])
        of_mixed = torch.cat([model.loss(batch, reduction="none") for batch in mixed])
    return float((of_one_depth - of_mixed[rows]).abs().max())


def _kept_for_backward(model: CompressedHistoryModel, loader: DataLoader[Batch]) -> list[float]:
    """Return what each of some batches keeps for its backward pass, in MiB, weights left out."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    sizes: list[float] = []
    for number, batch in enumerate(loader):
        if number % max(1, len(loader) // PROBED_BATCHES):
            continue
        seen: dict[int, int] = {}

        def note(tensor: torch.Tensor, seen: dict[int, int] = seen) -> torch.Tensor:
            storage = tensor.untyped_storage()
            seen[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            loss = model.loss(batch)
        sizes.append(sum(size for place, size in seen.items() if place not in weights) / 2**20)
        del loss
    return sizes


def _peak_memory() -> float:
    """Return the most that this process has held, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


class _Clock:
    """Counts seconds and CPU seconds, but not those while it is stopped."""

    def __init__(self) -> None:
        self._start = (time.perf_counter(), time.process_time())
        self._left_out = (0.0, 0.0)

    def seconds(self) -> float:
        """Return the seconds counted so far; not to be called while stopped."""
        return time.perf_counter() - self._start[0] - self._left_out[0]

    def cpu_seconds(self) -> float:
        """Return the CPU seconds of all threads counted so far; not to be called while stopped."""
        return time.process_time() - self._start[1] - self._left_out[1]

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stand still for as long as the context lasts."""
        began = (time.perf_counter(), time.process_time())
        yield
        wall, cpu = self._left_out
        self._left_out = (wall + time.perf_counter() - began[0], cpu + time.process_time() - began[1])


def _finite(loss: float, step: int) -> float:
    if not np.isfinite(loss):
        msg = f"the loss must stay finite, but is {loss} at step {step}: learning_rate is too large"
        raise ValueError(msg)
    return loss
