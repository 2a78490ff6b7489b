"""Take a learner through the tasks of a data set, and measure it after each."""

import logging
import time
from dataclasses import asdict, dataclass
from typing import Any

import torch

from .data import ContinualData, load_data
from .learner import ContinualLearner
from .metrics import DrawWatch, final_accuracy, forgetting, semantic_consistency
from .settings import RunOptions

__all__ = ["RunRecord", "run"]

_logger = logging.getLogger("continual.training")


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What a run did, and what it is judged by."""

    options: RunOptions
    tasks: tuple[tuple[int, ...], ...]
    groups: tuple[int, ...]
    """Semantic group of each class, as the data set has them."""
    accuracies: tuple[tuple[float, ...], ...]
    """Entry t, j: accuracy on task j's test samples after task t, among all classes; j <= t."""
    drawn: tuple[tuple[int, ...], ...]
    """Entry t, c: how often class c was drawn in task t."""
    stored: tuple[int, ...]
    """How many samples of each class are stored at the end."""
    buffer_groups: tuple[int, ...]
    """Semantic groups that the buffer tells apart after each task."""
    group_unevenness: float
    semantic_consistency: float
    losses: tuple[float, ...]
    """Mean of each epoch."""
    notes: tuple[str, ...]
    """What the buffer warned of, such as that it drew uniformly for a while."""
    seconds: float

    @property
    def final_accuracy(self) -> float:
        """Mean over tasks, after the last."""
        return final_accuracy(self.accuracies)

    @property
    def forgetting(self) -> float:
        """Mean fall of a task from its best accuracy."""
        return forgetting(self.accuracies)

    def to_dict(self) -> dict[str, Any]:
        """Return everything in a form that JSON can hold."""
        return {**asdict(self), "final_accuracy": self.final_accuracy, "forgetting": self.forgetting}


def run(options: RunOptions) -> RunRecord:
    """Learn task by task; the same options give the same record, but for its seconds.

    Raises
    ------
    ValueError
        If loss or features do not stay finite.
    """
    notes = _Notes()
    logger = logging.getLogger("tombola")
    logger.addHandler(notes)
    try:
        return _run(options, notes)
    finally:
        logger.removeHandler(notes)


class _Notes(logging.Handler):
    """Keeps warnings."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def _run(options: RunOptions, notes: _Notes) -> RunRecord:
    seed = options.learner.seed
    data = load_data(options.dataset, seed, quick=options.quick)
    watch = DrawWatch(data.groups)
    learner = ContinualLearner(data.width, data.n_classes, options.learner, on_replay=watch.see)
    order = torch.Generator().manual_seed(seed)
    accuracies: list[tuple[float, ...]] = []
    losses: list[float] = []
    buffer_groups: list[int] = []
    started = time.perf_counter()
    for number, classes in enumerate(data.tasks):
        earlier = [known for task in data.tasks[:number] for known in task]
        watch.begin_task(earlier)
        part = data.train.of(classes)
        for _ in range(options.epochs):
            epoch = []
            for rows in torch.split(torch.randperm(len(part), generator=order), options.batch_size):
                inputs = part.inputs[rows]
                epoch.append(learner.observe(learner.augment(inputs), part.labels[rows], inputs))
            losses.append(sum(epoch) / len(epoch))
        accuracies.append(_measure(learner, data, number))
        buffer_groups.append(len(learner.buffer.group_counts))
        mean = sum(accuracies[-1]) / len(accuracies[-1])
        text = "task %d, classes %s: loss %.3f, accuracy on all tasks so far %.1f%%, buffer groups %d"
        _logger.debug(text, number, classes, losses[-1], 100 * mean, buffer_groups[-1])
    labels = learner.buffer.get_all_data()[1]
    with torch.no_grad():
        nearest = learner.prototypes.nearest(learner.backbone(data.test.inputs))
    return RunRecord(
        options=options,
        tasks=data.tasks,
        groups=tuple(data.groups.tolist()),
        accuracies=tuple(accuracies),
        drawn=tuple(tuple(counts.tolist()) for counts in watch.drawn),
        stored=tuple(torch.bincount(labels, minlength=data.n_classes).tolist()),
        buffer_groups=tuple(buffer_groups),
        group_unevenness=watch.group_unevenness(),
        semantic_consistency=semantic_consistency(nearest, data.test.labels, data.groups),
        losses=tuple(losses),
        notes=tuple(notes.texts),
        seconds=time.perf_counter() - started,
    )


def _measure(learner: ContinualLearner, data: ContinualData, last: int) -> tuple[float, ...]:
    """Return the accuracy on each task up to the last one."""
    with torch.no_grad():
        right = learner(data.test.inputs).argmax(dim=1) == data.test.labels
    of_tasks = (torch.isin(data.test.labels, torch.tensor(classes)) for classes in data.tasks[: last + 1])
    return tuple(float(right[chosen].double().mean()) for chosen in of_tasks)
