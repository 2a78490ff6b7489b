"""What a run is judged by.

Final accuracy and forgetting are those of Chaudhry et al., "Riemannian Walk for Incremental Learning" (2018),
from the accuracies a[t][j] on task j's test samples after task t. Uneven draws: half the sum of absolute
differences between drawn shares and even ones, that is, the share of draws that would have to move.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

__all__ = ["DrawWatch", "final_accuracy", "forgetting", "semantic_consistency", "unevenness"]


def final_accuracy(accuracies: Sequence[Sequence[float]]) -> float:
    """Return the mean over tasks of the accuracy after the last one."""
    return float(np.mean(accuracies[-1]))


def forgetting(accuracies: Sequence[Sequence[float]]) -> float:
    """Return how far each task but the last fell from its best accuracy before the end, on average.

    It is negative where tasks got better; with a single task it is 0.
    """
    last = accuracies[-1]
    falls = [
        max(row[task] for row in accuracies[task:-1]) - last[task] for task in range(len(accuracies) - 1)
    ]
    return float(np.mean(falls)) if falls else 0.0


def unevenness(counts: npt.NDArray[np.int64]) -> float:
    """Return the total variation distance of shares from even ones: 0 is even, ``1 - 1/n`` all in one."""
    shares = counts / counts.sum()
    return float(np.abs(shares - 1 / len(shares)).sum() / 2)


def semantic_consistency(nearest: torch.Tensor, labels: torch.Tensor, groups: torch.Tensor) -> float:
    """Return the share of samples whose nearest prototype is of a class of their own semantic group."""
    return float((groups[nearest] == groups[labels]).double().mean())


class DrawWatch:
    """Counts what the buffer gave, by class, task by task.

    Parameters
    ----------
    groups : tensor of int64, shape (n_classes,)
        Semantic group of each class.
    """

    def __init__(self, groups: torch.Tensor) -> None:
        self.groups = groups
        self.drawn: list[npt.NDArray[np.int64]] = []
        self._seen: list[npt.NDArray[np.int64]] = []

    def begin_task(self, earlier: Sequence[int]) -> None:
        """Say that a task begins, and which classes came before it."""
        self.drawn.append(np.zeros(len(self.groups), dtype=np.int64))
        self._seen.append(np.array(sorted(earlier), dtype=np.int64))

    def see(self, labels: torch.Tensor) -> None:
        """Count the labels of a draw."""
        self.drawn[-1] += torch.bincount(labels.cpu(), minlength=len(self.groups)).numpy()

    def group_unevenness(self) -> float:
        """Return the unevenness of drawn semantic groups, a mean over tasks.

        Counted are draws of classes of earlier tasks, whose groups number at least two.
        """
        values = []
        for drawn, earlier in zip(self.drawn, self._seen, strict=True):
            present, codes = np.unique(self.groups.numpy()[earlier], return_inverse=True)
            if len(present) > 1 and drawn[earlier].sum():
                counts = np.bincount(codes, weights=drawn[earlier], minlength=len(present))
                values.append(unevenness(counts.astype(np.int64)))
        return float(np.mean(values)) if values else 0.0
