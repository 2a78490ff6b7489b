"""Validation: the loss and the metrics over a separate set, the best value so far, and when to stop.

Rule: the model is in evaluation mode without gradients and outside of DistributedDataParallel; random numbers
come from a stream of their own, the same at each validation, and training goes on with its own. Each rank
validates on what it is given; losses and counts are added up, torchmetrics adds up its own.
"""

import logging
import math
from collections.abc import Callable, Mapping, Sized
from typing import Any, Protocol, runtime_checkable

import torch
from torch.utils.data import DistributedSampler

from . import random_state
from .chunks import derived_seed
from .course import Course, Sums
from .errors import TrainingError
from .options import TrainerOptions, Validation
from .ranks import Ranks
from .steps import Stepper
from .stream import Seekable
from .wrapping import evaluated

__all__ = ["Evaluator", "is_better", "say_not_finite"]

PREFIX = "validation_"

_logger = logging.getLogger("tombola.training")
_PURPOSE = 0x76616C  # "val": sets the seed of validation apart from those of chunks


def is_better(value: float, best: float | None, mode: str) -> bool:
    """Tell whether a value improves on the best; NaN never does."""
    if math.isnan(value):
        return False
    return best is None or (value < best if mode == "min" else value > best)


def say_not_finite(record: Mapping[str, Any]) -> None:
    """Log which losses of a record are not finite."""
    for name in ("train_loss", f"{PREFIX}loss"):
        value = record.get(name)
        if value is not None and not math.isfinite(value):
            _logger.warning("%s is %s after %d batches", name, value, record["batches"])


@runtime_checkable
class Planned(Protocol):
    """What gives this rank's batches and knows those of all, such as `tombola.Loader`."""

    def plan(self) -> Sized:
        """Give the batches of all ranks."""

    def __len__(self) -> int:
        """Give the number of this rank's."""


class Evaluator:
    """Validates and keeps account of the best value.

    Parameters
    ----------
    model : torch.nn.Module
    stepper : Stepper
        Gives the loss of a batch.
    options : TrainerOptions
    ranks : Ranks
    interrupted : callable
        Whether a signal has come; a validation is then broken off.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        stepper: Stepper,
        options: TrainerOptions,
        ranks: Ranks,
        interrupted: Callable[[], bool],
    ) -> None:
        self._model, self._stepper, self._options = evaluated(model), stepper, options
        self._ranks, self._interrupted = ranks, interrupted
        self._is_checked = ranks.is_alone

    def check(self) -> None:
        """Say at once, before hours of training, what ranks will leave out of validation.

        Raises
        ------
        ValueError
            If its loader has fewer batches than there are ranks.
        """
        if self._options.validation is not None and not callable(self._options.validation):
            self._say_left_out(self._ranks.gather(_share(self._options.validation)))

    def _say_left_out(self, shares: list[tuple[int, int, str] | None]) -> None:
        """Say once what ranks leave out: it is no silent part of any figure."""
        known = [share for share in shares if share is not None]
        if self._is_checked or not self._ranks.is_first or len(known) < len(shares):
            return
        self._is_checked = True
        taken, (_, total, unit) = sum(own for own, _, _ in known), known[0]
        if taken < total:
            _logger.warning(
                "validation leaves out %d of its %d %s, which %d ranks cannot share evenly: give it "
                'even="none" or even="pad" (a DistributedSampler drop_last=False), or another batch_size',
                total - taken,
                total,
                unit,
                self._ranks.world_size,
            )

    @property
    def monitor(self) -> str:
        """The value that decides; without validation, of training where nothing else was asked for."""
        options = self._options
        is_default = options.monitor == f"{PREFIX}loss"
        return "train_loss" if options.validation is None and is_default else options.monitor

    def validate(self) -> dict[str, Any] | None:
        """Return loss and metrics over the validation set, None if a signal broke it off."""
        validation = self._options.validation
        if validation is None:
            return {}
        metrics, update = self._options.metrics, self._options.update_metrics
        states = random_state.capture()
        random_state.seed_all(derived_seed(self._options.seed, _PURPOSE))
        was_training = self._model.training
        self._model.eval()
        try:
            for metric in metrics.values():
                metric.reset()
            found = self._run_together(validation, metrics, update)
            if found is None:
                return None
            total = Sums()
            for part in found:
                total.include(part)
            if not total.counts:
                msg = "validation must give at least one batch, but gave none"
                raise TrainingError(msg)
            values: dict[str, Any] = total.means(PREFIX)
            for name, metric in metrics.items():
                values[PREFIX + name] = _plain(metric.compute())
            return values
        finally:
            self._model.train(was_training)
            random_state.restore(states)

    @staticmethod
    def again(course: Course) -> dict[str, Any] | None:
        """Return what the last validation gave, where no batch came since; that is not judged again."""
        if not course.history or course.history[-1]["batches"] != course.batches:
            return None
        return {name: value for name, value in course.history[-1].items() if name.startswith(PREFIX)}

    def _run_together(
        self, validation: Validation, metrics: Mapping[str, Any], update: Any
    ) -> list[Sums] | None:
        """Return the sums of all ranks; what one of them raises is everybody's, so that none waits for it."""
        sums, is_over, share, error = Sums(), True, None, None
        try:
            batches = validation() if callable(validation) else validation
            share = None if self._is_checked else _share(batches)
            sums, is_over = self._run(batches, metrics, update)
        except Exception as raised:
            error = raised
        if not is_over:
            return None
        text = None if error is None else f"{type(error).__name__}: {error}"
        of_ranks = self._ranks.gather((sums, share, text))
        if error is not None:
            raise error
        for rank, (_, _, told) in enumerate(of_ranks):
            if told is not None:
                msg = f"validation failed on rank {rank}: {told}"
                raise TrainingError(msg)
        self._say_left_out([share for _, share, _ in of_ranks])
        return [sums for sums, _, _ in of_ranks]

    def _run(self, batches: Any, metrics: Mapping[str, Any], update: Any) -> tuple[Sums, bool]:
        outputs: list[Any] = []
        sums = Sums()
        with torch.no_grad():
            for batch in batches:
                if self._ranks.is_alone and self._interrupted():
                    return sums, False
                moved, output = self._stepper.evaluate(self._model, batch)
                self._stepper.note(output, outputs.append)
                if update is not None:
                    update(metrics, moved, output)
                if len(outputs) == self._options.log_every:
                    self._stepper.add(outputs, sums)
        self._stepper.add(outputs, sums)
        return sums, True

    def judge(self, record: Mapping[str, Any], course: Course, name: str | None) -> None:
        """Compare the monitored value of a record with the best; `name` is that of its checkpoint.

        Without one, on a full disk, a better value is an improvement, but not the best: that has a file.
        """
        if self.monitor not in record:
            numbers = [key for key, value in record.items() if isinstance(value, float)]
            msg = f"monitor must be one of {', '.join(numbers)}, but is {self.monitor!r}"
            raise TrainingError(msg)
        value = record[self.monitor]
        value = math.nan if value is None else float(value)
        if name is not None and is_better(value, course.best_value, self._options.mode):
            course.best_value, course.best_name = value, name
        if is_better(value, course.best_seen, self._options.mode):
            course.best_seen, course.since_best = value, 0
        else:
            course.since_best += 1

    def is_patience_over(self, course: Course) -> bool:
        """Tell whether as many validations as `patience` have passed without an improvement."""
        return self._options.patience is not None and course.since_best >= self._options.patience


def _share(batches: Any) -> tuple[int, int, str] | None:
    """Return what this rank takes, what there is in all, and of what; None where it is not known."""
    for place in (batches, getattr(batches, "batch_sampler", None), getattr(batches, "dataset", None)):
        if isinstance(place, Seekable) and isinstance(place, Planned):
            return len(place), len(place.plan()), "batches"
    sampler = getattr(batches, "sampler", None)
    if isinstance(sampler, DistributedSampler):
        return len(sampler), len(sampler.dataset), "rows"  # type: ignore[arg-type]
    return None


def _plain(value: Any) -> Any:
    """Return what a metric gives as numbers, lists and dicts of them."""
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if not isinstance(value, torch.Tensor):
        return float(value)
    listed: Any = value.double().tolist()
    return listed
