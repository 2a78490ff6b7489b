"""A run as a JSON object, and back."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tombola import __version__, _core

from .config import ExperimentConfig
from .data import ExperimentData
from .metrics import Scores
from .training import RunResult

__all__ = ["data_record", "result_of", "run_record"]


def run_record(
    result: RunResult, data: ExperimentData, config: ExperimentConfig, baseline: Mapping[str, Scores]
) -> dict[str, Any]:
    """Return what is kept of a run: how it was made, and all that came of it."""
    return {
        "tombola": __version__,
        "strategy": result.strategy,
        "config": dataclasses.asdict(config),
        "data": data_record(data),
        "seconds": result.seconds,
        "wait_seconds": result.wait_seconds,
        "cells": result.cells,
        "cells_per_second": result.cells_per_second,
        "tasks": {
            label.name: {
                **_named(result.scores[label.name], label.classes),
                "loss": result.test_loss[label.name],
                "baseline": _named(baseline[label.name], label.classes),
                "diversity_bits": result.diversity_bits[label.name],
            }
            for label in data.labels
        },
        "loss_curve": [list(point) for point in result.loss_curve],
    }


def data_record(data: ExperimentData) -> dict[str, Any]:
    """Return which rows an experiment trains and tests on, of which classes.

    The digest is one of row numbers and their classes by name: files of the same size may hold others.
    """
    return {
        "files": [str(path) for path in data.source.paths],
        "train_rows": len(data.train_rows),
        "test_rows": len(data.test_rows),
        "rows_without_label": data.n_dropped,
        "unseen": {name: dataclasses.asdict(unseen) for name, unseen in data.unseen().items()},
        "rows_and_classes": _digest(data),
    }


def _digest(data: ExperimentData) -> str:
    rows = np.concatenate([data.train_rows, data.test_rows])
    parts = [rows, *(label.codes[rows] for label in data.labels)]
    names = "\0".join(name for label in data.labels for name in (label.name, *label.classes))
    return "-".join(
        f"{_core.hash_array(part):016x}"
        for part in (*parts, np.frombuffer(names.encode(errors="surrogatepass"), dtype=np.uint8))
    )


def result_of(record: Mapping[str, Any]) -> RunResult:
    """Return the result that `run_record` described.

    Raises
    ------
    KeyError, TypeError
        If it is no such record.
    """
    tasks: Mapping[str, Mapping[str, Any]] = record["tasks"]
    return RunResult(
        strategy=record["strategy"],
        scores={name: _scores(task) for name, task in tasks.items()},
        test_loss={name: task["loss"] for name, task in tasks.items()},
        seconds=record["seconds"],
        wait_seconds=record["wait_seconds"],
        cells=record["cells"],
        diversity_bits={name: task["diversity_bits"] for name, task in tasks.items()},
        loss_curve=tuple((int(cells), float(loss)) for cells, loss in record["loss_curve"]),
    )


def _scores(task: Mapping[str, Any]) -> Scores:
    return Scores(task["macro_f1"], task["accuracy"], task["rare_f1"], tuple(task["class_f1"].values()))


def _named(scores: Scores, classes: Sequence[str]) -> dict[str, Any]:
    record = dataclasses.asdict(scores)
    record["class_f1"] = dict(zip(classes, scores.class_f1, strict=True))
    return record
