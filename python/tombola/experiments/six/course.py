"""The course of a run: loss, accuracy and macro-F1 of each task while it trains, a record at a time.

Rule: every `log_interval` batches and at the end of each epoch a record of kind ``interval`` holds the
figures of the batches since the last one. The end of an epoch adds one of kind ``epoch``, with the figures of
all its batches and those of the test rows; `test_interval` adds some of kind ``test`` on the way. Figures of
batches are those of the model that had not yet learnt from them, and of rows as the strategy feeds them. They
are counted, and the test rows scored, while the clock of training stands still; only what each task predicts
for a batch, which the loss's logits give, is taken while it runs. Epochs count from 0, steps are those done.

Complexity: O(rows) an interval, and memory of its predictions.
"""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from tombola._base.types import IndexArray

from .config import ExperimentConfig
from .data import ExperimentData
from .evaluation import Tested
from .metrics import LabelScores, Scores

__all__ = ["Course"]

OnRecord = Callable[[dict[str, Any]], None]


class Course:
    """Takes what batches give, and tells records.

    Parameters
    ----------
    data : ExperimentData
    config : ExperimentConfig
        With a `log_interval`, or nothing is told.
    steps_an_epoch : int
    on_record : callable
        Called with each record, a mapping that JSON can hold.
    """

    def __init__(
        self, data: ExperimentData, config: ExperimentConfig, steps_an_epoch: int, on_record: OnRecord
    ) -> None:
        self._data, self._config, self._tell = data, config, on_record
        self._epoch_steps = steps_an_epoch
        self._interval, self._epoch = _Tally(data), _Tally(data)
        self._pending: list[tuple[dict[str, float], dict[str, IndexArray], Mapping[str, IndexArray]]] = []
        self.tested: Tested | None = None
        """The last scores of the test rows, if they are those of the end of an epoch."""

    def next_stop(self, done: int) -> int:
        """Return the step after which something is to be noted, when so many are done."""
        ends = [done + self._epoch_steps - done % self._epoch_steps]
        for interval in (self._config.log_interval, self._config.test_interval):
            if interval is not None:
                ends.append(done + interval - done % interval)
        return min(ends)

    def add(
        self, losses: Mapping[str, Tensor], logits: Mapping[str, Tensor], codes: Mapping[str, IndexArray]
    ) -> None:
        """Take a batch: loss and logits of each task before its step, and the true classes."""
        predicted = {name: values.detach().argmax(dim=1).numpy() for name, values in logits.items()}
        self._pending.append(
            ({name: float(loss.detach()) for name, loss in losses.items()}, predicted, codes)
        )

    def note(self, step: int, cells: int, seconds: float, test: Callable[[], Tested]) -> None:
        """Tell the records that are due after a step; `test` scores the test rows."""
        for batch in self._pending:
            self._interval.add(*batch)
            self._epoch.add(*batch)
        self._pending.clear()
        at_end = step % self._epoch_steps == 0
        place = {
            "epoch": (step - 1) // self._epoch_steps,
            "step": step,
            "cells": cells,
            "seconds": seconds,
        }
        if at_end or _is_due(step, self._config.log_interval):
            self._tell({"kind": "interval", **place, "train": self._interval.result()})
            self._interval = _Tally(self._data)
        if at_end:
            self.tested = test()
            figures = {
                "train": self._epoch.result(),
                "test": _figures(self.tested.scores, self.tested.losses),
            }
            self._tell({"kind": "epoch", **place, **figures})
            self._epoch = _Tally(self._data)
        elif _is_due(step, self._config.test_interval):
            tested = test()
            self._tell({"kind": "test", **place, "test": _figures(tested.scores, tested.losses)})


class _Tally:
    """Counts of some batches."""

    def __init__(self, data: ExperimentData) -> None:
        self._scores = {label.name: LabelScores(data.train_counts(label)) for label in data.labels}
        self._sums = {label.name: 0.0 for label in data.labels}
        self._rows = 0

    def add(
        self,
        losses: Mapping[str, float],
        predicted: Mapping[str, IndexArray],
        codes: Mapping[str, IndexArray],
    ) -> None:
        n_rows = len(next(iter(codes.values())))
        self._rows += n_rows
        for name, scores in self._scores.items():
            scores.add(codes[name], predicted[name])
            self._sums[name] += losses[name] * n_rows

    def result(self) -> dict[str, dict[str, float]]:
        losses = {name: total / self._rows for name, total in self._sums.items()}
        return _figures({name: scores.result() for name, scores in self._scores.items()}, losses)


def _figures(scores: Mapping[str, Scores], losses: Mapping[str, float]) -> dict[str, dict[str, float]]:
    return {
        name: {"loss": losses[name], "accuracy": score.accuracy, "macro_f1": score.macro_f1}
        for name, score in scores.items()
    }


def _is_due(step: int, interval: int | None) -> bool:
    return interval is not None and step % interval == 0
