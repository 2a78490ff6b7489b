"""What can be set in a run, without importing what a run needs."""

from dataclasses import dataclass, field
from typing import Literal

__all__ = ["DATASETS", "SIMILARITIES", "THRESHOLDS", "DatasetName", "LearnerOptions", "RunOptions"]

DatasetName = Literal["digits", "superclasses"]
DATASETS: tuple[DatasetName, ...] = ("digits", "superclasses")
Similarity = Literal["learned", "cosine"]
SIMILARITIES: tuple[Similarity, ...] = ("learned", "cosine")
Threshold = Literal["quantile", "learned"]
THRESHOLDS: tuple[Threshold, ...] = ("quantile", "learned")


@dataclass(frozen=True, kw_only=True)
class LearnerOptions:
    """How to learn and to replay; ranges are checked where the options are read."""

    buffer_size: int = 100
    minibatch_size: int = 32
    """Samples drawn from the buffer for a step."""
    use_balanced_sampling: bool = True
    balance_weight: float = 1.0
    similarity: Similarity = "learned"
    """Of features to prototypes and of prototypes to each other: a `SemanticSimilarity`, or plain cosine."""
    threshold: Threshold = "quantile"
    """From which similarity on two classes are of one group: a quantile, or an `AdaptiveThreshold`."""
    threshold_quantile: float = 0.9
    """Of the similarities of all pairs of classes."""
    lr: float = 0.2
    """Of backbone and head, by SGD."""
    sim_lr: float = 1e-3
    """Of similarity and threshold, by Adam."""
    sm_weight: float = 0.1
    noise: float = 0.1
    """Standard deviation of what augmentation adds to an input."""
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """A run: the data, how often each task is passed over, the learner; all is by the learner's seed."""

    dataset: DatasetName = "digits"
    epochs: int = 5
    batch_size: int = 32
    quick: bool = False
    learner: LearnerOptions = field(default_factory=LearnerOptions)
