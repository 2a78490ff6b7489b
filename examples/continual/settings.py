"""What can be set in a run, without importing what a run needs."""

from dataclasses import dataclass, field
from typing import Literal

__all__ = [
    "ALL_DATASETS",
    "CIFAR",
    "DATASETS",
    "LR",
    "SCHEDULES",
    "SIMILARITIES",
    "THRESHOLDS",
    "DatasetName",
    "LearnerOptions",
    "RunOptions",
]

DatasetName = Literal["digits", "superclasses", "seq-cifar100"]
CIFAR: DatasetName = "seq-cifar100"
DATASETS: tuple[DatasetName, ...] = ("digits", "superclasses")
"""Those that need no files."""
ALL_DATASETS: tuple[DatasetName, ...] = (*DATASETS, CIFAR)
Similarity = Literal["learned", "cosine"]
SIMILARITIES: tuple[Similarity, ...] = ("learned", "cosine")
Threshold = Literal["quantile", "learned"]
THRESHOLDS: tuple[Threshold, ...] = ("quantile", "learned")
Schedule = Literal["constant", "linear", "cosine"]
SCHEDULES: tuple[Schedule, ...] = ("constant", "linear", "cosine")
LR = {"digits": 0.2, "superclasses": 0.2, CIFAR: 0.1}
"""The usual learning rate of backbone and head, by data set."""


@dataclass(frozen=True, kw_only=True)
class LearnerOptions:
    """How to learn and to replay; ranges are checked where the options are read."""

    buffer_size: int = 200
    minibatch_size: int = 32
    """Samples drawn from the buffer for a step."""
    use_balanced_sampling: bool = True
    balance_weight: float = 1.0
    """Of all levels of groups."""
    balance_schedule: Schedule = "constant"
    balance_end: float | None = None
    """What a schedule takes the balance weight to; `balance_weight` itself by default."""
    balance_steps: int = 1_000
    """Balanced draws until then."""
    similarity: Similarity = "learned"
    """Of features to prototypes and of prototypes to each other: a `SemanticSimilarity`, or plain cosine."""
    threshold: Threshold = "quantile"
    """From which similarity on two classes are of one group: a quantile, or an `AdaptiveThreshold`."""
    threshold_quantile: tuple[float, ...] = (0.9,)
    """Of the similarities of all pairs of classes; several, rising, are levels of groups."""
    temporal_weight: float = 0.0
    half_life: float | None = None
    difficulty_weight: float = 0.0
    uncertainty_weight: float = 0.0
    """Powers of these scores; 0 leaves one out."""
    task_weights: tuple[float, ...] = ()
    """Factor of the samples of each task, the first one first; 1 for tasks beyond."""
    alpha: float = 0.0
    """Of the loss of dark experience replay; 0 leaves it out, and no logits are stored."""
    beta: float = 0.5
    """With it, of the cross-entropy of drawn samples."""
    lr: float = LR["digits"]
    """Of backbone and head, by SGD."""
    sim_lr: float = 1e-3
    """Of similarity and threshold, by Adam."""
    sm_weight: float = 0.01
    channels: int = 20
    """Of the first stage of the network for images; the features have eight times as many."""
    noise: float = 0.1
    """Standard deviation of what augmentation adds to an input that is no image."""
    device: str = "cpu"
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """A run: the data, how often each task is passed over, the learner; all is by the learner's seed."""

    dataset: DatasetName = "digits"
    data: str | None = None
    """Folder of a data set that is read from files."""
    epochs: int = 5
    batch_size: int = 32
    quick: bool = False
    learner: LearnerOptions = field(default_factory=LearnerOptions)
