"""Both ways beside each other: each in a process of its own, one after the other, by seed."""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from .batches import WAYS
from .config import Config
from .training import Job, WayRecord, train_one_way

__all__ = ["MEASURES", "PROGRESS", "Comparison", "Measure", "Progress", "compare"]

PROGRESS = 0.9
Progress = Literal["steps", "seconds", "cpu_seconds"]


@dataclass(frozen=True)
class Comparison:
    """Records of each way, seed by seed, and the loss whose first step is looked for."""

    records: dict[str, tuple[WayRecord, ...]]
    given_target: float | None

    def target(self, seed: int) -> float:
        """Return the target loss of a seed's runs: as given, or nearly the best that both reach.

        The latter is `PROGRESS` of the way from the untrained loss, which both share, to the higher one of
        the two lowest losses: the minimum itself depends too much on chance.
        """
        if self.given_target is not None:
            return self.given_target
        runs = [records[seed] for records in self.records.values()]
        start, best = runs[0].validation_loss[0], max(min(run.validation_loss) for run in runs)
        return start - PROGRESS * (start - best)

    def reached(self, way: str, seed: int) -> int | None:
        """Return at which measurement the target was reached first, None if never."""
        losses = np.array(self.records[way][seed].validation_loss)
        found = np.flatnonzero(losses <= self.target(seed))
        return int(found[0]) if len(found) else None

    def to_target(self, way: str, what: Progress) -> list[float]:
        """Return the steps or seconds of training to the target, of those seeds that reached it."""
        places = ((record, self.reached(way, seed)) for seed, record in enumerate(self.records[way]))
        return [float(getattr(record, what)[place]) for record, place in places if place is not None]

    def to_dict(self) -> dict[str, Any]:
        """Return all records in a form that JSON can hold."""
        seeds = range(len(self.records[WAYS[0]]))
        return {
            "target_loss": [self.target(seed) for seed in seeds],
            "ways": {
                way: {
                    "runs": [record.to_dict() for record in records],
                    "dummy_share": [_dummy_share(record) for record in records],
                    **{f"{what}_to_target": self.to_target(way, what) for what in get_args(Progress)},
                }
                for way, records in self.records.items()
            },
        }


@dataclass(frozen=True)
class Measure:
    """A figure of a run, and how it is written."""

    name: str
    value: Callable[[WayRecord], float]
    form: str


def _dummy_share(record: WayRecord) -> float:
    return record.tokens.dummies / record.tokens.total


def _an_epoch(value: Callable[[WayRecord], float]) -> Callable[[WayRecord], float]:
    return lambda record: value(record) / len(record.epoch_seconds)


MEASURES = (
    Measure("encoder tokens, an epoch", _an_epoch(lambda r: r.tokens.total), ",.0f"),
    Measure("of which dummies", _dummy_share, ".1%"),
    Measure("of which padding in real stages", lambda r: r.tokens.padding / r.tokens.total, ".1%"),
    Measure("both together", lambda r: 1 - r.tokens.real / r.tokens.total, ".1%"),
    Measure("decoder tokens, an epoch", _an_epoch(lambda r: r.decoder_tokens), ",.0f"),
    Measure("steps, an epoch", _an_epoch(lambda r: sum(r.epoch_steps)), ",.1f"),
    Measure("seconds, an epoch (median)", lambda r: float(np.median(r.epoch_seconds)), ".2f"),
    Measure("CPU seconds, an epoch (median)", lambda r: float(np.median(r.epoch_cpu_seconds)), ".2f"),
    Measure("kept for backward, mean batch, MiB", lambda r: r.kept_mean, ",.0f"),
    Measure("kept for backward, largest batch, MiB", lambda r: r.kept_most, ",.0f"),
    Measure("growth of peak memory in training, MiB", lambda r: r.memory_growth, ",.0f"),
    Measure("peak memory of the process, MiB", lambda r: r.peak_memory, ",.0f"),
    Measure("validation loss, lowest", lambda r: min(r.validation_loss), ".3f"),
    Measure("validation loss, last", lambda r: r.validation_loss[-1], ".3f"),
    Measure("validation accuracy, last", lambda r: r.validation_accuracy, ".1%"),
)


def compare(
    config: Config, data: Path, *, seeds: Sequence[int], output: Path, verbose: bool = False
) -> Comparison:
    """Train in both ways for each seed, the order of the two turning about."""
    records: dict[str, list[WayRecord]] = {way: [] for way in WAYS}
    for number, seed in enumerate(seeds):
        for way in WAYS if number % 2 == 0 else reversed(WAYS):
            job = Job(
                way=way,
                config=config,
                data=data,
                seed=seed,
                log=output / f"train-{way}-{seed}.log",
                verbose=verbose,
            )
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                records[way].append(pool.submit(train_one_way, job).result())
    return Comparison({way: tuple(runs) for way, runs in records.items()}, config.target_loss)
