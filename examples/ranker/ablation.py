"""With and without the series sampler: pairs of runs that differ in nothing else, over several seeds."""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .data import PairData, PairSplit
from .training import EpochRecord, RunRecord, TrainOptions, train

__all__ = ["LAST_GAP", "MEASURES", "Ablation", "Measure", "run_ablation", "sign_test"]

_logger = logging.getLogger("ranker.ablation")


@dataclass(frozen=True)
class Measure:
    """A figure of a run, and how it is written."""

    name: str
    value: Callable[[RunRecord], float]
    form: str = ".1%"


def _best(of_epoch: Callable[[EpochRecord], float]) -> Callable[[RunRecord], float]:
    return lambda run: of_epoch(run.best)


def _last(of_epoch: Callable[[EpochRecord], float]) -> Callable[[RunRecord], float]:
    return lambda run: of_epoch(run.last)


LAST_GAP = Measure("train-validation gap, last epoch", _last(lambda e: e.gap))
MEASURES = (
    Measure("train accuracy, last epoch", _last(lambda e: e.train_accuracy)),
    Measure("validation accuracy, last epoch", _last(lambda e: e.validation_accuracy)),
    LAST_GAP,
    Measure("train-validation gap, best epoch", _best(lambda e: e.gap)),
    Measure("validation accuracy, best epoch", _best(lambda e: e.validation_accuracy)),
    Measure("test accuracy, best epoch", lambda run: run.test_accuracy),
    Measure("best epoch", _best(lambda e: e.epoch), ".1f"),
    Measure("repeats of a series, an epoch", _last(lambda e: e.repeated_series), ",.0f"),
    Measure("batches, an epoch", _last(lambda e: e.batches), ",.0f"),
    Measure("seconds, an epoch", lambda run: float(np.median([e.seconds for e in run.epochs])), ".2f"),
)


@dataclass(frozen=True)
class Ablation:
    """Runs by seed: with the sampler and without."""

    with_sampler: tuple[RunRecord, ...]
    without: tuple[RunRecord, ...]

    def differences(self, measure: Measure) -> list[float]:
        """Return, seed by seed, the figure with the sampler less that without."""
        pairs = zip(self.with_sampler, self.without, strict=True)
        return [measure.value(one) - measure.value(other) for one, other in pairs]

    def verdict(self, measure: Measure) -> str:
        """Say in how many seeds the difference goes which way, and how easily chance alone does so.

        The chance is that of the exact two-sided sign test; seeds without a difference are left out.
        """
        differences = self.differences(measure)
        lower, higher = sum(d < 0 for d in differences), sum(d > 0 for d in differences)
        if not lower and not higher:
            return "equal in every seed"
        name, count = ("lower", lower) if lower > higher else ("higher", higher)
        return f"{name} in {count} of {len(differences)} (p {sign_test(count, lower + higher):.2f})"

    def to_dict(self) -> dict[str, Any]:
        """Return all runs and the paired differences in a form that JSON can hold."""
        return {
            "with_sampler": [run.to_dict() for run in self.with_sampler],
            "without_sampler": [run.to_dict() for run in self.without],
            "differences": {
                measure.name: {
                    "by_seed": self.differences(measure),
                    "mean": float(np.mean(self.differences(measure))),
                    "verdict": self.verdict(measure),
                }
                for measure in MEASURES
            },
        }


def run_ablation(data: PairData, split: PairSplit, options: TrainOptions, repeats: int) -> Ablation:
    """Train with and without the sampler for `repeats` seeds from ``options.seed`` on; the split stays."""
    runs: dict[bool, list[RunRecord]] = {True: [], False: []}
    for seed in range(options.seed, options.seed + repeats):
        for use in (True, False):
            _logger.info("seed %d, %s the series sampler", seed, "with" if use else "without")
            runs[use].append(train(data, split, replace(options, seed=seed, use_series_sampler=use)))
    return Ablation(tuple(runs[True]), tuple(runs[False]))


def sign_test(count: int, of: int) -> float:
    """Return the chance that, of fair coins, as many or more fall on one side or on the other."""
    tail = sum(math.comb(of, k) for k in range(max(count, of - count), of + 1))
    return min(1.0, float(2 * tail / 2**of))
