"""Train the linear model once on the batches of one strategy, and test it.

Rule: all strategies start from the same weights and take the same number of steps of gradient descent with
momentum. The learning rate, too, is the same for all: constant, then falling linearly to 0 over the last
fifth of the steps, which averages out the noise of the last few batches. Only which rows come when differs.
Seconds count reading and training, not testing.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tombola import Loader, Streaming
from tombola.strategies.base import Strategy

from .config import ExperimentConfig
from .data import ExperimentData
from .metrics import Scores, confusion_matrix, entropy_bits, score
from .model import MultiTaskLinear, typical_row
from .strategies_table import StrategyOptions, make_strategy

__all__ = ["RunResult", "count_steps", "log_normalise", "run_strategy", "torch_threads"]

CURVE_POINTS = 200
TEST_BATCH = 256
TARGET_SUM = 10_000.0
MOMENTUM = 0.9
PROBED_ROWS = 1_024
DECAY = 0.2
"""Share of the steps over which the learning rate falls."""
MODEL_THREADS = 1
"""A linear model's steps are too small to share; the other cores read."""

OnStep = Callable[[int, float], None]


@dataclass(frozen=True)
class RunResult:
    """What came of one strategy.

    Parameters
    ----------
    strategy : str
    scores : dict of str to Scores
        By label, on the test rows.
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
    seconds: float
    wait_seconds: float
    cells: int
    diversity_bits: dict[str, float]
    loss_curve: tuple[tuple[int, float], ...]

    @property
    def cells_per_second(self) -> float:
        """Rows trained on a second."""
        return self.cells / self.seconds


@contextmanager
def torch_threads(n: int) -> Iterator[None]:
    """Let torch compute with n threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def count_steps(config: ExperimentConfig, data: ExperimentData) -> int:
    """Return the batches that one strategy trains on; it is the same for all."""
    return config.epochs * -(-len(data.train_rows) // config.batch_size)


def run_strategy(
    name: str, data: ExperimentData, config: ExperimentConfig, *, on_step: OnStep | None = None
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

    Returns
    -------
    RunResult
        The same for the same data, options and seed, but for the seconds.

    Raises
    ------
    ValueError
        If the loss does not stay finite.
    """
    options = StrategyOptions(
        indices=data.train_rows,
        labels=[label.codes[data.train_rows] for label in data.labels],
        block_size=config.block_size,
        min_count_baseline=config.min_count_baseline,
    )
    n_classes = {label.name: len(label.classes) for label in data.labels}
    centre, spread = _typical_rows(data, config)
    model = MultiTaskLinear(data.source.n_vars, n_classes, centre=centre, spread=spread)
    with torch_threads(MODEL_THREADS):
        _warm_up(data.source.n_vars, n_classes, config)
        log = _train(model, make_strategy(name, options), data, config, on_step)
        scores = _test(model, data, config)
    return RunResult(
        strategy=name,
        scores=scores,
        seconds=log.seconds,
        wait_seconds=log.wait_seconds,
        cells=sum(log.rows),
        diversity_bits={label: float(np.mean(bits)) for label, bits in log.bits.items()},
        loss_curve=_curve(log.rows, log.losses),
    )


def _warm_up(n_features: int, n_classes: dict[str, int], config: ExperimentConfig) -> None:
    """Take one step with a model of its own, so that what torch does at first is in nobody's seconds."""
    model = MultiTaskLinear(n_features, n_classes, centre=torch.zeros(n_features))
    optimizer = torch.optim.SGD(model.parameters(), lr=config.learning_rate, momentum=MOMENTUM)
    no_codes = torch.zeros(config.batch_size, dtype=torch.int64)
    model.loss(torch.zeros(config.batch_size, n_features), dict.fromkeys(n_classes, no_codes)).backward()  # type: ignore[no-untyped-call]
    optimizer.step()


@dataclass
class _Log:
    rows: list[int]
    losses: list[float]
    bits: dict[str, list[float]]
    seconds: float = 0.0
    wait_seconds: float = 0.0


def _train(
    model: MultiTaskLinear,
    strategy: Strategy,
    data: ExperimentData,
    config: ExperimentConfig,
    on_step: OnStep | None,
) -> _Log:
    loader = Loader(
        data.source,
        strategy,
        config.batch_size,
        config.fetch_factor,
        seed=config.seed,
        batch_transform=_transform(config),
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=config.learning_rate, momentum=MOMENTUM)
    n_steps = count_steps(config, data)
    decay = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step / n_steps))
    log = _Log(rows=[], losses=[], bits={label.name: [] for label in data.labels})
    start = asked = time.perf_counter()
    for _ in range(config.epochs):
        for batch in loader:
            log.wait_seconds += time.perf_counter() - asked
            rows = batch["row"].numpy()
            codes = {label.name: label.codes[rows] for label in data.labels}
            loss = model.loss(
                batch["X"], {label: torch.from_numpy(values) for label, values in codes.items()}
            )
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            decay.step()
            log.rows.append(len(rows))
            log.losses.append(_finite(float(loss.detach()), len(log.losses)))
            for label, values in codes.items():
                log.bits[label].append(entropy_bits(values))
            if on_step is not None:
                on_step(len(rows), log.losses[-1])
            asked = time.perf_counter()
    log.seconds = time.perf_counter() - start
    return log


def _finite(loss: float, step: int) -> float:
    if not math.isfinite(loss):
        msg = (
            f"the training loss must stay finite, but is {loss} at step {step}: "
            "X holds values that are not finite, or the learning rate is too large"
        )
        raise ValueError(msg)
    return loss


def _test(model: MultiTaskLinear, data: ExperimentData, config: ExperimentConfig) -> dict[str, Scores]:
    confusion = {
        label.name: np.zeros((len(label.classes), len(label.classes)), dtype=np.int64)
        for label in data.labels
    }
    loader = Loader(
        data.source,
        Streaming(indices=data.test_rows),
        TEST_BATCH,
        fetch_factor=4,
        batch_transform=_transform(config),
    )
    with torch.inference_mode():
        for batch in loader:
            rows: npt.NDArray[np.int64] = batch["row"].numpy()
            logits = model(batch["X"])
            for label in data.labels:
                predicted = logits[label.name].argmax(dim=1).numpy()
                confusion[label.name] += confusion_matrix(label.codes[rows], predicted, len(label.classes))
    return {label.name: score(confusion[label.name], data.train_counts(label)) for label in data.labels}


def _typical_rows(data: ExperimentData, config: ExperimentConfig) -> tuple[torch.Tensor, float]:
    """Return the mean of a few rows and the root mean square of their distance from it; 1 where that is 0.

    The rows are taken evenly from the training rows.
    """
    step = max(1, len(data.train_rows) // PROBED_ROWS)
    probe = Streaming(indices=data.train_rows[::step])
    loader = Loader(data.source, probe, TEST_BATCH, fetch_factor=4, batch_transform=_transform(config))
    return typical_row((batch["X"] for batch in loader), data.source.n_vars)


def _rate(progress: float) -> float:
    """Return the learning rate at this share of the steps, relative to the first."""
    return min(1.0, (1.0 - progress) / DECAY)


def _transform(config: ExperimentConfig) -> Callable[[dict[str, Any]], dict[str, Any]] | None:
    return log_normalise if config.log1p else None


def log_normalise(batch: dict[str, Any]) -> dict[str, Any]:
    """Return the batch with rows of ``X`` scaled to the sum 10,000, and log(1 + x) of that."""
    totals = batch["X"].sum(dim=1, keepdim=True).clamp(min=1.0)
    return {**batch, "X": torch.log1p(batch["X"] * (TARGET_SUM / totals))}


def _curve(rows: list[int], losses: list[float]) -> tuple[tuple[int, float], ...]:
    """Cut the steps into at most `CURVE_POINTS` equal runs and take the mean loss of each."""
    seen = np.cumsum(rows)
    parts = np.array_split(np.arange(len(losses)), min(CURVE_POINTS, len(losses)))
    return tuple((int(seen[part[-1]]), float(np.mean(np.take(losses, part)))) for part in parts)
