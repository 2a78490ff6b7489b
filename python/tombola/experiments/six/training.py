"""Train the linear model once on the batches of one strategy, and test it.

Rule: all strategies start from the same weights and take the same number of steps of gradient descent with
momentum. The learning rate, too, is the same for all: constant, then falling linearly to 0 over the last
fifth of the steps, which averages out the noise of the last few batches. Only which rows come when differs.
The loop over batches is that of `tombola.training`. Seconds count reading and training, not testing. A test
within an epoch, where one is asked for, lets the loader read ahead unseen, by two windows at most.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tombola import DataLoader, Loader, Streaming
from tombola.strategies.names import EXPERIMENT, StrategyInputs
from tombola.training.parts import Parts
from tombola.training.steps import Stepper

from ..block_size import block_inputs
from ..model import (
    LINEAR_THREADS,
    MOMENTUM,
    PROBED_ROWS,
    MultiTaskLinear,
    losses_by_label,
    torch_threads,
    typical_row,
)
from .config import ExperimentConfig, check_strategies
from .course import Course
from .data import ExperimentData
from .evaluation import TEST_BATCH, batch_transform, test_model
from .metrics import Scores, entropy_bits

__all__ = ["RunResult", "count_steps", "run_strategy"]

CURVE_POINTS = 200
DECAY = 0.2
"""Share of the steps over which the learning rate falls."""

OnStep = Callable[[int, float], None]


@dataclass(frozen=True)
class RunResult:
    """What came of one strategy.

    Parameters
    ----------
    strategy : str
    scores : dict of str to Scores
        By label, on the test rows.
    test_loss : dict of str to float
        Mean cross-entropy of the test rows, by label.
    seconds, wait_seconds : float
        Reading and training together; the part of it that training waited for rows.
    cells : int
        Rows trained on, repeats included.
    diversity_bits : dict of str to float
        By label: mean entropy of the classes within a batch.
    loss_curve : tuple of (int, float)
        Rows seen, and the mean training loss since the last point.
    """

    strategy: str
    scores: dict[str, Scores]
    test_loss: dict[str, float]
    seconds: float
    wait_seconds: float
    cells: int
    diversity_bits: dict[str, float]
    loss_curve: tuple[tuple[int, float], ...]

    @property
    def cells_per_second(self) -> float:
        """Rows trained on a second."""
        return self.cells / self.seconds


def count_steps(config: ExperimentConfig, data: ExperimentData) -> int:
    """Return the batches that one strategy trains on; it is the same for all."""
    return config.epochs * -(-len(data.train_rows) // config.batch_size)


def run_strategy(
    name: str,
    data: ExperimentData,
    config: ExperimentConfig,
    *,
    on_step: OnStep | None = None,
    on_record: Callable[[dict[str, Any]], None] | None = None,
) -> RunResult:
    """Train with one strategy and test.

    Parameters
    ----------
    name : str
        One of `STRATEGIES`.
    data : ExperimentData
    config : ExperimentConfig
    on_step : callable, optional
        Called after each batch with its rows and loss.
    on_record : callable, optional
        Called with each record of `Course`, where the options have a `log_interval`.

    Returns
    -------
    RunResult
        The same for the same data, options and seed, but for the seconds.

    Raises
    ------
    ValueError
        If the name is unknown, or the loss does not stay finite.
    """
    (name,) = check_strategies([name])
    n_classes = {label.name: len(label.classes) for label in data.labels}
    centre, spread = _typical_rows(data, config)
    model = MultiTaskLinear(data.source.n_vars, n_classes, centre=centre, spread=spread)
    with torch_threads(LINEAR_THREADS):
        _warm_up(data.source.n_vars, n_classes, config)
        course = None
        if config.log_interval is not None and on_record is not None:
            course = Course(data, config, count_steps(config, data) // config.epochs, on_record)
        log = _train(model, _loader(name, data, config), config, _Log(data, on_step, course))
        tested = (course and course.tested) or test_model(model, data, config)
    return RunResult(
        strategy=name,
        scores=tested.scores,
        test_loss=tested.losses,
        seconds=log.seconds,
        wait_seconds=log.wait_seconds,
        cells=log.cells,
        diversity_bits={label: float(np.mean(bits)) for label, bits in log.bits.items()},
        loss_curve=_curve(log.rows, log.losses),
    )


def _warm_up(n_features: int, n_classes: dict[str, int], config: ExperimentConfig) -> None:
    """Take one step with a model of its own, so that what torch does at first is in nobody's seconds."""
    model = MultiTaskLinear(n_features, n_classes, centre=torch.zeros(n_features))
    no_codes = torch.zeros(config.batch_size, dtype=torch.int64)
    batch = torch.zeros(config.batch_size, n_features), dict.fromkeys(n_classes, no_codes)
    stepper = _stepper(model, config, 1, lambda model, batch: model.loss(*batch))
    stepper.run(iter([batch]).__next__, 1, lambda loss: None)


def _stepper(
    model: MultiTaskLinear, config: ExperimentConfig, n_steps: int, loss: Callable[[Any, Any], Tensor]
) -> Stepper:
    optimizer = torch.optim.SGD(model.parameters(), lr=config.learning_rate, momentum=MOMENTUM)
    decay = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step / n_steps))
    return Stepper(Parts(model, optimizer, decay), loss, None, device=None, schedule_batches=True)


def _loader(name: str, data: ExperimentData, config: ExperimentConfig) -> Loader | DataLoader:
    inputs = StrategyInputs(
        indices=data.train_rows,
        keys=[label.codes[data.train_rows] for label in data.labels],
        min_count_baseline=config.min_count_baseline,
        **block_inputs(config.block_size_of(name), data.source),
    )
    loader = Loader(
        data.source,
        EXPERIMENT[name].make(inputs),
        config.batch_size,
        config.fetch_factor,
        seed=config.seed,
        batch_transform=batch_transform(config),
    )
    return DataLoader(loader, num_workers=config.num_workers) if config.num_workers else loader


@dataclass
class _Log:
    """What is noted of training as it goes: of each batch rows, loss and diversity, and the time waited."""

    data: ExperimentData
    on_step: OnStep | None
    course: Course | None = None
    rows: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    bits: dict[str, list[float]] = field(default_factory=dict)
    cells: int = 0
    seconds: float = 0.0
    wait_seconds: float = 0.0

    def fetching(self, batches: Iterator[Any]) -> Callable[[], Any]:
        """Return what gives the next batch and counts the time until it is there."""

        def fetch() -> Any:
            asked = time.perf_counter()
            batch = next(batches)
            self.wait_seconds += time.perf_counter() - asked
            return batch

        return fetch

    def loss(self, model: Any, batch: Any) -> Tensor:
        """Return the loss of a batch, whose rows and diversity are noted."""
        rows = batch["row"].numpy()
        codes = {label.name: label.codes[rows] for label in self.data.labels}
        self.rows.append(len(rows))
        self.cells += len(rows)
        for label, values in codes.items():
            self.bits.setdefault(label, []).append(entropy_bits(values))
        targets = {label: torch.from_numpy(values) for label, values in codes.items()}
        if self.course is None:
            loss: Tensor = model.loss(batch["X"], targets)
            return loss
        logits = model(batch["X"])
        losses = losses_by_label(logits, targets)
        self.course.add(losses, logits, codes)
        return torch.stack(list(losses.values())).sum()

    def keep(self, loss: float) -> None:
        """Note the loss of a batch.

        Raises
        ------
        ValueError
            If it is not finite.
        """
        if not math.isfinite(loss):
            msg = (
                f"the training loss must stay finite, but is {loss} at step {len(self.losses)}: "
                "X holds values that are not finite, or the learning rate is too large"
            )
            raise ValueError(msg)
        self.losses.append(loss)
        if self.on_step is not None:
            self.on_step(self.rows[-1], loss)


def _train(model: MultiTaskLinear, loader: Loader | DataLoader, config: ExperimentConfig, log: _Log) -> _Log:
    n_steps = count_steps(config, log.data)
    stepper = _stepper(model, config, n_steps, log.loss)
    done = 0
    with closing(batch for _ in range(config.epochs) for batch in loader) as batches:
        fetch = log.fetching(batches)
        while done < n_steps:
            stop = n_steps if log.course is None else log.course.next_stop(done)
            start = time.perf_counter()
            segment = stepper.run(fetch, stop - done, log.keep)
            log.seconds += time.perf_counter() - start
            if segment.error is not None:
                raise segment.error
            done = stop
            if log.course is not None:
                log.course.note(done, log.cells, log.seconds, lambda: test_model(model, log.data, config))
    return log


def _typical_rows(data: ExperimentData, config: ExperimentConfig) -> tuple[torch.Tensor, float]:
    """Return the mean of a few rows and the root mean square of their distance from it; 1 where that is 0.

    The rows are taken evenly from the training rows.
    """
    step = max(1, len(data.train_rows) // PROBED_ROWS)
    probe = Streaming(indices=data.train_rows[::step])
    loader = Loader(data.source, probe, TEST_BATCH, fetch_factor=4, batch_transform=batch_transform(config))
    return typical_row((batch["X"] for batch in loader), data.source.n_vars)


def _rate(progress: float) -> float:
    """Return the learning rate at this share of the steps, relative to the first."""
    return min(1.0, (1.0 - progress) / DECAY)


def _curve(rows: list[int], losses: list[float]) -> tuple[tuple[int, float], ...]:
    """Cut the steps into at most `CURVE_POINTS` equal runs and take the mean loss of each."""
    seen = np.cumsum(rows)
    parts = np.array_split(np.arange(len(losses)), min(CURVE_POINTS, len(losses)))
    return tuple((int(seen[part[-1]]), float(np.mean(np.take(losses, part)))) for part in parts)
