"""Take a learner through the tasks of a data set, and measure it after each."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch

from tombola.replay.buffer.report import BufferReport

from .data import load_data
from .learner import ContinualLearner
from .metrics import DrawWatch, final_accuracy, forgetting, semantic_consistency
from .parts import ContinualData
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
    buffer_scores: tuple[dict[str, Any], ...]
    """After each task: stored items and draws by group, and how scores and their parts are distributed."""
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

    @property
    def chance(self) -> float:
        """The accuracy of guessing."""
        return 1 / len(self.groups)

    def to_dict(self) -> dict[str, Any]:
        """Return everything in a form that JSON can hold."""
        return {**asdict(self), "final_accuracy": self.final_accuracy, "forgetting": self.forgetting}


def run(options: RunOptions, *, on_report: Callable[[int, BufferReport], None] | None = None) -> RunRecord:
    """Learn task by task; the same options give the same record, but for its seconds.

    Parameters
    ----------
    options : RunOptions
    on_report : callable, optional
        Is given the number of each task that ended, and the buffer's report.

    Raises
    ------
    ValueError
        If loss or features do not stay finite.
    """
    notes = _Notes()
    logger = logging.getLogger("tombola")
    logger.addHandler(notes)
    try:
        return _run(options, notes, on_report)
    finally:
        logger.removeHandler(notes)


_KEPT = ("levels", "group_table", "score_quantiles", "score_histogram", "score_parts")
"""Of the buffer's reports, in the record."""


def _without_nan(value: Any) -> Any:
    """Return dictionaries and lists with None for what is not a number, as JSON knows no NaN."""
    if isinstance(value, dict):
        return {str(name): _without_nan(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_without_nan(part) for part in value]
    return None if isinstance(value, float) and math.isnan(value) else value


class _Notes(logging.Handler):
    """Keeps warnings."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def _run(
    options: RunOptions, notes: _Notes, on_report: Callable[[int, BufferReport], None] | None
) -> RunRecord:
    seed = options.learner.seed
    data = load_data(options.dataset, seed, quick=options.quick, folder=options.data)
    watch = DrawWatch(data.groups)
    learner = ContinualLearner(data.shape, data.n_classes, options.learner, on_replay=watch.see)
    device = learner.buffer.device
    order = torch.Generator().manual_seed(seed)
    accuracies: list[tuple[float, ...]] = []
    losses: list[float] = []
    reports: list[BufferReport] = []
    started = time.perf_counter()
    for number, classes in enumerate(data.tasks):
        earlier = [known for task in data.tasks[:number] for known in task]
        watch.begin_task(earlier)
        learner.task = number
        part = data.train.of(classes)
        for _ in range(options.epochs):
            epoch = []
            for rows in torch.split(torch.randperm(len(part), generator=order), options.batch_size):
                inputs, labels = part.inputs[rows].to(device), part.labels[rows].to(device)
                epoch.append(learner.observe(learner.augment(inputs), labels, inputs))
            losses.append(sum(epoch) / len(epoch))
        accuracies.append(_measure(learner, data, number))
        reports.append(learner.buffer.report())
        if on_report is not None:
            on_report(number, reports[-1])
        mean = sum(accuracies[-1]) / len(accuracies[-1])
        text = "task %d, classes %s: loss %.3f, accuracy on all tasks so far %.1f%%, buffer groups %d"
        _logger.debug(text, number, classes, losses[-1], 100 * mean, reports[-1]["groups"])
        _logger.debug("buffer after task %d:\n%s", number, reports[-1])
    stored = learner.buffer.get_all_data(device="cpu")[1]
    nearest = learner.prototypes.nearest(learner.features(data.test.inputs.to(device))).cpu()
    return RunRecord(
        options=options,
        tasks=data.tasks,
        groups=tuple(data.groups.tolist()),
        accuracies=tuple(accuracies),
        drawn=tuple(tuple(counts.tolist()) for counts in watch.drawn),
        stored=tuple(torch.bincount(stored, minlength=data.n_classes).tolist()),
        buffer_groups=tuple(report["groups"] for report in reports),
        buffer_scores=tuple(_without_nan({name: report[name] for name in _KEPT}) for report in reports),
        group_unevenness=watch.group_unevenness(),
        semantic_consistency=semantic_consistency(nearest, data.test.labels, data.groups),
        losses=tuple(losses),
        notes=tuple(notes.texts),
        seconds=time.perf_counter() - started,
    )


def _measure(learner: ContinualLearner, data: ContinualData, last: int) -> tuple[float, ...]:
    """Return the accuracy on each task up to the last one."""
    device = learner.buffer.device
    with torch.no_grad():
        logits = learner.head(learner.features(data.test.inputs.to(device)))
    right = logits.argmax(dim=1).cpu() == data.test.labels
    of_tasks = (torch.isin(data.test.labels, torch.tensor(classes)) for classes in data.tasks[: last + 1])
    return tuple(float(right[chosen].double().mean()) for chosen in of_tasks)
