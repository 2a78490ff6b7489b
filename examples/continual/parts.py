"""What a data set for continual learning is: samples for training and for testing, groups, tasks."""

from dataclasses import dataclass

import numpy as np
import torch

from .settings import DatasetName

__all__ = ["ContinualData", "Part"]


@dataclass(frozen=True)
class Part:
    """Samples of training or of testing.

    Parameters
    ----------
    inputs : tensor of float32, shape (n, width) or (n, channels, height, width)
    labels : tensor of int64, shape (n,)
    """

    inputs: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def of(self, classes: tuple[int, ...]) -> "Part":
        """Return the samples of some classes."""
        chosen = torch.isin(self.labels, torch.tensor(classes))
        return Part(self.inputs[chosen], self.labels[chosen])


@dataclass(frozen=True, kw_only=True)
class ContinualData:
    """A data set cut into tasks.

    Parameters
    ----------
    name : str
    train, test : Part
    groups : tensor of int64, shape (n_classes,)
        Semantic group of each class.
    tasks : tuple of tuples of int
        Classes of each task.
    class_names : tuple of str
        Where classes have names.
    """

    name: DatasetName
    train: Part
    test: Part
    groups: torch.Tensor
    tasks: tuple[tuple[int, ...], ...]
    class_names: tuple[str, ...] = ()

    @property
    def n_classes(self) -> int:
        """Number of classes of all tasks."""
        return len(self.groups)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an input."""
        return tuple(self.train.inputs.shape[1:])

    def describe(self) -> str:
        """Return one line: sizes, tasks and groups."""
        counts = sorted(np.bincount(self.groups[self.train.labels].numpy()).tolist(), reverse=True)
        by_group = f"by semantic group {', '.join(map(str, counts))}"
        if len(set(counts)) == 1:
            by_group = f"in each of {len(counts)} semantic groups {counts[0]}"
        return (
            f"{self.name}: {len(self.train):,} samples for training, {len(self.test):,} for testing; "
            f"{len(self.tasks)} tasks of {len(self.tasks[0])} classes; "
            f"training samples {by_group}"
        )
