"""Scores of predictions, which torchmetrics counts, and the diversity of batches.

Macro-F1 is the plain mean of the F1 of every class that occurs in the truth or in the predictions, which is
what scikit-learn and torchmetrics take by default; a class of ten cells counts as much as one of ten
thousand. Complexity: O(rows + classes). torchmetrics, which takes a second to import, comes when it is used.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch

from tombola._base.types import IndexArray

__all__ = ["LabelScores", "Scores", "entropy_bits", "majority_scores"]


@dataclass(frozen=True)
class Scores:
    """How good predictions of one label are.

    Parameters
    ----------
    macro_f1, accuracy : float
        In [0, 1].
    rare_f1 : float
        Macro-F1 over the rarest third of the training data's classes, those of them that occur.
    class_f1 : tuple of float or None
        F1 of each class; None where it occurs neither in the truth nor in the predictions.
    """

    macro_f1: float
    accuracy: float
    rare_f1: float
    class_f1: tuple[float | None, ...]


class LabelScores:
    """Takes predictions of one label, as many at a time as one likes, and scores them together.

    Parameters
    ----------
    train_counts : ndarray of int64, shape (n_classes,)
        Rows of each class in training, by which classes are rare; two classes at least.
    """

    def __init__(self, train_counts: IndexArray) -> None:
        from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

        n = len(train_counts)
        self._rare = np.argsort(train_counts, kind="stable")[: max(1, n // 3)]
        # Counts are exact in float64, too, and quotients then are not rounded to float32. By nan, which only
        # the check of arguments refuses, a class that does not occur differs from one never recognised.
        self._f1 = MulticlassF1Score(n, average=None, zero_division=math.nan, validate_args=False)
        self._accuracy = MulticlassAccuracy(n, average="micro", validate_args=False)
        for metric in (self._f1, self._accuracy):
            metric.set_dtype(torch.float64)

    def add(self, truth: IndexArray, predicted: IndexArray) -> None:
        """Count the true and the predicted class codes of some rows."""
        codes = torch.from_numpy(predicted), torch.from_numpy(truth)
        self._f1.update(*codes)
        self._accuracy.update(*codes)

    def result(self) -> Scores:
        """Return the scores of all that was added; not nothing."""
        f1 = self._f1.compute().numpy()
        occurs = ~np.isnan(f1)
        rare_f1 = f1[self._rare][occurs[self._rare]]
        return Scores(
            macro_f1=float(f1[occurs].mean()),
            accuracy=float(self._accuracy.compute()),
            rare_f1=float(rare_f1.mean()) if len(rare_f1) else 0.0,
            class_f1=tuple(float(value) if there else None for value, there in zip(f1, occurs, strict=True)),
        )


def majority_scores(truth: IndexArray, train_counts: IndexArray) -> Scores:
    """Score the guess that every row is of the class most common in training."""
    scores = LabelScores(train_counts)
    scores.add(truth, np.full_like(truth, int(train_counts.argmax())))
    return scores.result()


def entropy_bits(codes: IndexArray) -> float:
    """Return the entropy of the class shares among these rows, in bits; 0 where all are of one class."""
    counts = np.bincount(codes)
    shares = counts[counts > 0] / len(codes)
    return float(-(shares * np.log2(shares)).sum()) + 0.0
