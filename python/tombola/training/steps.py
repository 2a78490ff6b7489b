"""Training on batches: the inner loop, with as little Python in it as can be.

Rule: losses on a device stay tensors, which are looked at every `log_every` batches and wherever a file is
saved; those on the CPU become numbers at once, as keeping the tensors costs more. They are summed in order,
in float64, so that where one looks changes nothing.

Overhead beyond a bare loop: 3 µs a batch, the most of it for taking the number.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal

import torch
from torch import Tensor

from .course import Sums
from .finite import LossWatch
from .learning import Learner, Learning
from .moving import to_device
from .options import Loss, Step
from .parts import Parts

__all__ = ["FailedElsewhere", "Interrupted", "Segment", "Stepper", "to_device"]

End = Literal["full", "exhausted", "interrupted", "failed", "not finite"]


class Interrupted(Exception):
    """All ranks agreed to stop before the batch that would come now."""


class FailedElsewhere(Exception):
    """The loader of another rank failed; that one says how."""


@dataclass
class Segment:
    """What came of some batches: how many, how they ended, and with which error of the loader."""

    done: int
    end: End
    error: Exception | None = None


class Stepper:
    """Takes steps of training: those of `MiniEpochTrainer`, and of whoever has batches and no files.

    Parameters
    ----------
    parts : Parts
    loss : callable or None
        ``loss(model, batch)`` gives a tensor without axes.
    step : callable or None
        Instead of `loss`: gives the loss, or a mapping with it and other numbers under their names.
    device : torch.device or None
        Where batches are moved to.
    schedule_batches : bool
        Whether the scheduler steps after each step of the optimizer.
    learning : Learning
        Accumulation, clipping and the like.
    """

    def __init__(
        self,
        parts: Parts,
        loss: Loss | None,
        step: Step | None,
        *,
        device: torch.device | None,
        schedule_batches: bool,
        learning: Learning = Learning(),  # noqa: B008 - frozen
    ) -> None:
        self._parts, self._device = parts, device
        self._function: Any = loss or step
        if learning.dtype is not None:
            self._function = _under_autocast(self._function, parts, learning.dtype)
        self.seconds = 0.0
        self._scheduler = parts.scheduler if schedule_batches else None
        self._is_plain = learning.is_plain
        self._learner = Learner(parts, learning, self._scheduler)

    def evaluate(self, model: torch.nn.Module, batch: Any) -> tuple[Any, Any]:
        """Return the moved batch, and what loss or step give for it."""
        if self._device is not None:
            batch = to_device(batch, self._device)
        return batch, self._function(model, batch)

    def train(
        self,
        fetch: Callable[[], Any],
        count: int,
        sums: Sums,
        *,
        first: int = 0,
        watch: LossWatch | None = None,
    ) -> Segment:
        """Train on up to `count` batches and add what they give to `sums`.

        Parameters
        ----------
        fetch : callable
            Gives a batch, or raises StopIteration.
        count : int
        sums : Sums
        first : int
            Batches of the chunk that came before.
        watch : LossWatch, optional
            Looks for losses that are not finite.
        """
        start = time.perf_counter()
        outputs: list[Any] = []
        segment = self.run(fetch, count, outputs.append, first=first, watch=watch)
        losses = self.add(outputs, sums)
        if watch is not None:
            watch.look(losses)
        self.seconds = time.perf_counter() - start
        return segment

    def finish(self, batches: int) -> None:
        """Take the step that is open at the end of a chunk of so many batches, if one is."""
        self._learner.finish(batches)

    def note(self, output: Any, keep: Callable[[Any], None]) -> None:
        """Keep the loss of one batch, or the numbers of a mapping, for `add`."""
        keep(_noted(output)[1])

    def add(self, outputs: list[Any], sums: Sums) -> list[float]:
        """Move what was kept into sums, and return the losses."""
        losses = _add(outputs, sums)
        outputs.clear()
        return losses

    def run(
        self,
        fetch: Callable[[], Any],
        count: int,
        keep: Callable[[Any], None],
        *,
        first: int = 0,
        watch: LossWatch | None = None,
    ) -> Segment:
        """Train on up to `count` batches; `keep` takes what `note` makes of each, before its step."""
        parts, device, scheduler, is_plain = self._parts, self._device, self._scheduler, self._is_plain
        model, optimizer, scaler = parts.model, parts.optimizer, parts.scaler
        function, learn = self._function, self._learner.learn
        step_optimizer, zero_grad = optimizer.step, optimizer.zero_grad
        for done in range(count):
            try:
                batch = fetch()
            except StopIteration:
                return Segment(done, "exhausted")
            except Interrupted:
                return Segment(done, "interrupted")
            except Exception as error:
                return Segment(done, "failed", error)
            if device is not None:
                batch = to_device(batch, device)
            output = function(model, batch)
            if isinstance(output, Tensor):
                loss, value = output, _kept(output)
                keep(value)
            else:
                loss, kept = _noted(output)
                value = kept["loss"]
                keep(kept)
            if watch is not None:
                if isinstance(value, Tensor):
                    watch.later(batch)
                elif not isfinite(value) and watch.note(done, value, batch):
                    return Segment(done, "not finite")
            if not is_plain:
                learn(loss, first + done)
                continue
            zero_grad()
            if scaler is None:
                loss.backward()  # type: ignore[no-untyped-call]
                step_optimizer()
            else:
                scaler.scale(loss).backward()
                scaler.step(optimizer)
                scaler.update()
            if scheduler is not None:
                scheduler.step()
        return Segment(count, "full")


def _under_autocast(function: Any, parts: Parts, dtype: torch.dtype) -> Any:
    device = next((weight.device for weight in parts.weights()), torch.device("cpu"))
    autocast = torch.autocast(device.type, dtype=dtype)

    def compute(model: torch.nn.Module, batch: Any) -> Any:
        with autocast:
            return function(model, batch)

    return compute


def _loss_of(output: Any) -> Tensor:
    loss = output.get("loss") if isinstance(output, Mapping) else output
    if not isinstance(loss, Tensor):
        came = (
            f"a mapping with {', '.join(map(repr, output))}" if isinstance(output, Mapping) else repr(output)
        )
        msg = f'a step must give the loss as a tensor, or a mapping with the loss as "loss", but gave {came}'
        raise TypeError(msg)
    return loss


def _noted(output: Any) -> tuple[Tensor, Any]:
    """Return the loss, and what is kept of it: a number or a tensor, of a mapping all its numbers."""
    loss = _loss_of(output)
    kept = _kept(loss)
    if isinstance(output, Tensor):
        return loss, kept
    numbers = {name: _kept(value) for name, value in output.items() if _is_number(value) and name != "loss"}
    return loss, {"loss": kept, **numbers}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) or (isinstance(value, Tensor) and value.ndim == 0)


def _kept(value: Any) -> Any:
    """Return a number; of a tensor on a device, which would have to be waited for, the tensor."""
    if not isinstance(value, Tensor):
        return value
    if value.ndim:
        msg = f"loss must give a tensor without axes, but the shape is {tuple(value.shape)}"
        raise TypeError(msg)
    return value.item() if value.is_cpu else value.detach()


def _add(outputs: list[Any], sums: Sums) -> list[float]:
    if outputs and not isinstance(outputs[0], Mapping):
        losses = _numbers(outputs)
        sums.add("loss", losses)
        return losses
    losses = []
    for name in dict.fromkeys(name for output in outputs for name in output):
        numbers = _numbers([output[name] for output in outputs if name in output])
        sums.add(name, numbers)
        losses = numbers if name == "loss" else losses
    return losses


def _numbers(values: list[Any]) -> list[float]:
    if all(isinstance(value, Tensor) for value in values):
        moved: list[float] = torch.stack(values).tolist()  # at once
        return moved
    return [float(value) for value in values]
