"""Scores and losses of a model on the test rows. Complexity: O(test rows)."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from tombola import Loader, Streaming

from ..model import MultiTaskLinear, log_normalise, losses_by_label
from .config import ExperimentConfig
from .data import ExperimentData
from .metrics import LabelScores, Scores

__all__ = ["TEST_BATCH", "Tested", "batch_transform", "test_model"]

TEST_BATCH = 256


@dataclass(frozen=True)
class Tested:
    """What a model is worth on the test rows.

    Parameters
    ----------
    scores : dict of str to Scores
        By label.
    losses : dict of str to float
        Mean cross-entropy, by label.
    """

    scores: dict[str, Scores]
    losses: dict[str, float]


def test_model(model: MultiTaskLinear, data: ExperimentData, config: ExperimentConfig) -> Tested:
    """Predict every test row and score what came.

    Raises
    ------
    ValueError
        If a loss is not finite.
    """
    counted = {label.name: LabelScores(data.train_counts(label)) for label in data.labels}
    sums = {label.name: 0.0 for label in data.labels}
    loader = Loader(
        data.source,
        Streaming(indices=data.test_rows),
        TEST_BATCH,
        fetch_factor=4,
        batch_transform=batch_transform(config),
    )
    with torch.inference_mode():
        for batch in loader:
            rows = batch["row"].numpy()
            codes = {label.name: label.codes[rows] for label in data.labels}
            logits = model(batch["X"])
            losses = losses_by_label(
                logits, {name: torch.from_numpy(values) for name, values in codes.items()}
            )
            for name, values in codes.items():
                counted[name].add(values, logits[name].argmax(dim=1).numpy())
                sums[name] += float(losses[name]) * len(rows)
    means = {name: total / len(data.test_rows) for name, total in sums.items()}
    for name, loss in means.items():
        if not math.isfinite(loss):
            msg = (
                f"the loss of {name!r} on the test rows must stay finite, but is {loss}: "
                "X holds values that are not finite, or the learning rate is too large"
            )
            raise ValueError(msg)
    return Tested({name: scores.result() for name, scores in counted.items()}, means)


def batch_transform(config: ExperimentConfig) -> Callable[[dict[str, Any]], dict[str, Any]] | None:
    """Return what is done to each batch of rows: their logarithms, if asked for."""
    return log_normalise if config.log1p else None
