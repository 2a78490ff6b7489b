"""Scores of predictions and the diversity of batches.

Macro-F1 is the plain mean of the F1 of every class that occurs in the truth or in the predictions, which is
what scikit-learn and torchmetrics take by default; a class of ten cells counts as much as one of ten
thousand. Complexity: O(rows + classes**2).
"""

from dataclasses import dataclass

import numpy as np

from .._base.types import IndexArray

__all__ = ["Scores", "confusion_matrix", "entropy_bits", "majority_scores", "score"]


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


def confusion_matrix(truth: IndexArray, predicted: IndexArray, n_classes: int) -> IndexArray:
    """Count pairs: entry (t, p) is how often class t was taken for class p; shape (n_classes, n_classes)."""
    pairs = np.bincount(truth * n_classes + predicted, minlength=n_classes * n_classes)
    return pairs.reshape(n_classes, n_classes).astype(np.int64, copy=False)


def score(confusion: IndexArray, train_counts: IndexArray) -> Scores:
    """Score a confusion matrix.

    Parameters
    ----------
    confusion : ndarray of int64, shape (n_classes, n_classes)
        Truth along the first axis; not all zero.
    train_counts : ndarray of int64, shape (n_classes,)
        Rows of each class in training, by which classes are rare.
    """
    right = confusion.diagonal()
    seen = confusion.sum(axis=0) + confusion.sum(axis=1)
    f1 = np.divide(2.0 * right, seen, out=np.full(len(seen), np.nan), where=seen > 0)
    rare = np.argsort(train_counts, kind="stable")[: max(1, len(train_counts) // 3)]
    rare_f1 = f1[rare][seen[rare] > 0]
    return Scores(
        macro_f1=float(f1[seen > 0].mean()),
        accuracy=float(right.sum() / confusion.sum()),
        rare_f1=float(rare_f1.mean()) if len(rare_f1) else 0.0,
        class_f1=tuple(None if np.isnan(value) else float(value) for value in f1),
    )


def majority_scores(truth: IndexArray, train_counts: IndexArray) -> Scores:
    """Score the guess that every row is of the class most common in training."""
    guess = np.full_like(truth, int(train_counts.argmax()))
    return score(confusion_matrix(truth, guess, len(train_counts)), train_counts)


def entropy_bits(codes: IndexArray) -> float:
    """Return the entropy of the class shares among these rows, in bits; 0 where all are of one class."""
    counts = np.bincount(codes)
    shares = counts[counts > 0] / len(codes)
    return float(-(shares * np.log2(shares)).sum()) + 0.0
