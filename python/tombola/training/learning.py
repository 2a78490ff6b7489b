"""From a loss to new weights: backward, accumulation over batches, clipping, the step of the optimizer.

Rule. A step is taken after every `accumulate` batches of a chunk, by the mean of their losses; where the
chunk ends between, by the mean of those that there are, so that a mini epoch has learned all of its batches
when it ends. Before a step, in this order: gradients are unscaled, `before_step` is called, gradients are
clipped.

Files can be saved at any batch, for a signal does not wait: one saved within an accumulation holds gradients.
Ranks average theirs at each batch, so that all have the same ones and a file holds them once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from .._base.checks import check_integer, check_number
from .parts import Parts

__all__ = ["BeforeStep", "Learner", "Learning"]

AUTOCAST = {"bfloat16": torch.bfloat16, "float16": torch.float16}

BeforeStep: TypeAlias = Callable[[nn.Module, torch.optim.Optimizer], object]


@dataclass(frozen=True, kw_only=True)
class Learning:
    """How steps are taken; see `MiniEpochTrainer`."""

    accumulate: int = 1
    clip_grad_norm: float | None = None
    autocast: torch.dtype | str | None = None
    before_step: BeforeStep | None = None

    def check(self) -> None:
        """Raise TypeError or ValueError if an option is of a wrong type or out of range."""
        check_integer("accumulate", self.accumulate, minimum=1)
        if self.clip_grad_norm is not None:
            check_number("clip_grad_norm", self.clip_grad_norm, above=True)
        if self.autocast is not None and self.dtype is None:
            names = ", ".join(map(repr, AUTOCAST))
            msg = f"autocast must be one of {names}, their dtypes or None, but is {self.autocast!r}"
            raise ValueError(msg)
        hook: object = self.before_step
        if hook is not None and not callable(hook):
            msg = f"before_step must be callable, but is {hook!r}"
            raise TypeError(msg)

    @property
    def dtype(self) -> torch.dtype | None:
        """In which the model computes where it may; None for its own."""
        return AUTOCAST.get(str(self.autocast).removeprefix("torch."))

    @property
    def is_plain(self) -> bool:
        """Whether each batch is a backward pass and a step, and nothing else."""
        return self.accumulate == 1 and self.clip_grad_norm is None and self.before_step is None


class Learner:
    """Takes steps of the optimizer.

    Parameters
    ----------
    parts : Parts
    learning : Learning
    scheduler : optional
        Steps after each step of the optimizer.
    """

    def __init__(self, parts: Parts, learning: Learning, scheduler: Any) -> None:
        self._parts, self._learning, self._scheduler = parts, learning, scheduler

    def learn(self, loss: Tensor, batch: int) -> None:
        """Take in the loss of a batch, which is that one of the chunk, from 0."""
        optimizer, scaler, every = self._parts.optimizer, self._parts.scaler, self._learning.accumulate
        if batch % every == 0:
            optimizer.zero_grad()
        if every > 1:
            loss = loss / every
        if scaler is not None:
            loss = scaler.scale(loss)
        loss.backward()  # type: ignore[no-untyped-call]
        if (batch + 1) % every == 0:
            self._step()

    def finish(self, batches: int) -> None:
        """Take the step that is open after all batches of a chunk, if one is."""
        every = self._learning.accumulate
        learned = batches % every
        if learned:
            for gradient in self._parts.gradients():
                if gradient is not None:
                    gradient.mul_(every / learned)  # each was divided by `every`
            if self._parts.scaler is not None and self._parts.weights():
                # Where training goes on here it has scaled nothing yet, and its scale is not in place.
                self._parts.scaler.scale(torch.zeros((), device=self._parts.weights()[0].device))
            self._step()

    def _step(self) -> None:
        parts, learning = self._parts, self._learning
        optimizer, scaler = parts.optimizer, parts.scaler
        if scaler is not None and (learning.before_step or learning.clip_grad_norm is not None):
            scaler.unscale_(optimizer)
        if learning.before_step is not None:
            learning.before_step(parts.model, optimizer)
        if learning.clip_grad_norm is not None:
            nn.utils.clip_grad_norm_(parts.weights(), learning.clip_grad_norm)
        if scaler is None:
            optimizer.step()
        else:
            scaler.step(optimizer)
            scaler.update()
        if self._scheduler is not None:
            self._scheduler.step()
