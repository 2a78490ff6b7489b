"""Uniform beside balanced draws: pairs of runs that differ in nothing else, over several seeds.

Differences are paired by seed: same data, same tasks, same initial weights, same stream. Their mean has the
standard error and the 95% interval of Student's t; p is that of the two-sided paired t-test, not corrected
for the number of measures.
"""

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch

from .settings import RunOptions
from .training import RunRecord, run

__all__ = ["MEASURES", "Comparison", "Difference", "Measure", "Way", "compare", "make_ways", "paired"]

CONFIDENCE = 0.95

_logger = logging.getLogger("continual.comparison")


@dataclass(frozen=True)
class Way:
    """A way to replay, and what it changes in the learner's options."""

    name: str
    changes: Mapping[str, Any]

    @property
    def slug(self) -> str:
        """The name as part of a file's name."""
        return self.name.replace(",", "").replace(" ", "-")

    def apply(self, options: RunOptions, seed: int) -> RunOptions:
        """Return the options of this way's run with a seed."""
        return replace(options, learner=replace(options.learner, **self.changes, seed=seed))


UNIFORM = Way("uniform", {"use_balanced_sampling": False})
BALANCED = Way("balanced", {"use_balanced_sampling": True})
VARIANTS = (
    Way("uniform, no semantic loss", {"use_balanced_sampling": False, "sm_weight": 0.0}),
    Way("balanced, cosine", {"use_balanced_sampling": True, "similarity": "cosine"}),
    Way("balanced, learned threshold", {"use_balanced_sampling": True, "threshold": "learned"}),
    Way("balanced, groups and classes", {"use_balanced_sampling": True, "threshold_quantile": (0.9, 1.0)}),
    Way("balanced, difficulty", {"use_balanced_sampling": True, "difficulty_weight": 0.5}),
    Way("balanced, uncertainty", {"use_balanced_sampling": True, "uncertainty_weight": 0.5}),
    Way("balanced, old ones", {"use_balanced_sampling": True, "temporal_weight": -1.0, "half_life": 2_000.0}),
    Way("uniform, stored logits", {"use_balanced_sampling": False, "alpha": 0.1}),
    Way("balanced, stored logits", {"use_balanced_sampling": True, "alpha": 0.1}),
)


def make_ways(balance_weights: Iterable[float], *, variants: bool = True) -> tuple[Way, ...]:
    """Return the two ways to compare, then other weights of the balance, then other variants."""
    weights = (
        Way(f"balanced, weight {weight:g}", {"use_balanced_sampling": True, "balance_weight": weight})
        for weight in dict.fromkeys(balance_weights)
    )
    return (UNIFORM, BALANCED, *weights, *(VARIANTS if variants else ()))


@dataclass(frozen=True)
class Measure:
    """A figure of a run; `better` is +1 where more is better, -1 where less is."""

    name: str
    value: Callable[[RunRecord], float]
    better: int


FINAL_ACCURACY = Measure("final accuracy", lambda r: r.final_accuracy, +1)
FORGETTING = Measure("forgetting", lambda r: r.forgetting, -1)
UNEVENNESS = Measure("draws off an even share of groups", lambda r: r.group_unevenness, -1)
CONSISTENCY = Measure("semantic consistency", lambda r: r.semantic_consistency, +1)
MEASURES = (FINAL_ACCURACY, FORGETTING, UNEVENNESS, CONSISTENCY)


@dataclass(frozen=True)
class Difference:
    """Paired differences, seed by seed; what needs two seeds or unequal differences is None without."""

    by_seed: tuple[float, ...]
    mean: float
    standard_error: float | None
    interval: tuple[float, float] | None
    p: float | None


def paired(ones: Sequence[float], others: Sequence[float]) -> Difference:
    """Return what `ones` have more than `others`, pair by pair."""
    from scipy.stats import t

    values = np.subtract(ones, others)
    mean = float(values.mean())
    if len(values) < 2:
        return Difference(tuple(values.tolist()), mean, None, None, None)
    error = float(values.std(ddof=1) / math.sqrt(len(values)))
    freedom = len(values) - 1
    half = float(t.ppf((1 + CONFIDENCE) / 2, freedom)) * error
    p = float(2 * t.sf(abs(mean) / error, freedom)) if error > 0 else None
    return Difference(tuple(values.tolist()), mean, error, (mean - half, mean + half), p)


@dataclass(frozen=True)
class Comparison:
    """Records by data set and way, seed by seed."""

    records: dict[str, dict[str, tuple[RunRecord, ...]]]

    def values(self, dataset: str, way: str, measure: Measure) -> list[float]:
        """Return a figure of each seed."""
        return [measure.value(record) for record in self.records[dataset][way]]

    def difference(
        self, dataset: str, measure: Measure, way: str = BALANCED.name, against: str = UNIFORM.name
    ) -> Difference:
        """Return what a way has more than another."""
        return paired(self.values(dataset, way, measure), self.values(dataset, against, measure))

    def to_dict(self) -> dict[str, Any]:
        """Return figures and differences in a form that JSON can hold; whole records are written by run."""
        return {
            dataset: {
                "ways": {
                    way: {measure.name: self.values(dataset, way, measure) for measure in MEASURES}
                    for way in records
                },
                "less_uniform": {
                    way: {m.name: asdict(self.difference(dataset, m, way)) for m in MEASURES}
                    for way in records
                    if way != UNIFORM.name
                },
            }
            for dataset, records in self.records.items()
        }


OnRun = Callable[[Way, RunRecord], None]


def compare(
    options: Sequence[RunOptions],
    ways: Sequence[Way],
    *,
    seeds: Sequence[int],
    workers: int = 1,
    on_run: OnRun | None = None,
) -> Comparison:
    """Run every way on every data set with every seed; records do not depend on the number of processes."""
    jobs = [(of_data, way, seed) for of_data in options for seed in seeds for way in ways]
    todo = [way.apply(of_data, seed) for of_data, way, seed in jobs]
    records: dict[str, dict[str, list[RunRecord]]] = {
        of_data.dataset: {way.name: [] for way in ways} for of_data in options
    }
    for (of_data, way, seed), record in zip(jobs, _run_all(todo, workers), strict=True):
        records[of_data.dataset][way.name].append(record)
        text = "%s, seed %d, %s: final accuracy %.1f%%, forgetting %.1f%%, %.1f s"
        figures = (100 * record.final_accuracy, 100 * record.forgetting, record.seconds)
        _logger.info(text, of_data.dataset, seed, way.name, *figures)
        if on_run is not None:
            on_run(way, record)
    return Comparison({name: {way: tuple(runs) for way, runs in of.items()} for name, of in records.items()})


def _run_all(todo: Sequence[RunOptions], workers: int) -> Iterator[RunRecord]:
    if workers == 1:
        yield from map(_run_alone, todo)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_run_alone, todo)


def _run_alone(options: RunOptions) -> RunRecord:
    """Run on one core: the models are too small for more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return run(options)
    finally:
        torch.set_num_threads(threads)
