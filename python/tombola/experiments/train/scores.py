"""Scores on the validation rows by torchmetrics: macro-F1 and accuracy of each label."""

from collections.abc import Mapping
from typing import Any

import torch
from torchmetrics import Metric
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

from ..model import sum_of_losses
from .loaders import Batch

__all__ = ["classifier_step", "make_scores", "update_scores"]


def make_scores(n_classes: Mapping[str, int]) -> dict[str, Metric]:
    """Return for each label ``macro_f1_LABEL``, over the classes that occur, and ``accuracy_LABEL``."""
    scores: dict[str, Metric] = {}
    for label, n in n_classes.items():
        scores[f"macro_f1_{label}"] = MulticlassF1Score(n, average="macro", validate_args=False)
        scores[f"accuracy_{label}"] = MulticlassAccuracy(n, average="micro", validate_args=False)
    return scores


def classifier_step(model: torch.nn.Module, batch: Batch) -> dict[str, Any]:
    """Return the loss, the sum over labels of the mean cross-entropy, and the logits."""
    logits = model(batch["X"])
    return {"loss": sum_of_losses(logits, batch["targets"]), "logits": logits}


def update_scores(scores: Mapping[str, Any], batch: Batch, output: Mapping[str, Any]) -> None:
    """Take a validation batch into every score."""
    for label, logits in output["logits"].items():
        for kind in ("macro_f1", "accuracy"):
            scores[f"{kind}_{label}"].update(logits, batch["targets"][label])
