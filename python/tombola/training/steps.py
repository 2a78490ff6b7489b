"""Training on batches: the inner loop, with as little Python in it as can be.

Rule: losses on a device stay tensors, which are looked at every `log_every` batches and wherever a file is
saved; those on the CPU become numbers at once, as keeping the tensors costs more. They are summed in order,
in float64, so that where one looks changes nothing.

Overhead beyond a bare loop: 3 µs a batch, the most of it for taking the number.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from .course import Sums
from .options import Loss, Step
from .parts import Parts

__all__ = ["FailedElsewhere", "Interrupted", "Segment", "Stepper", "to_device"]

End = Literal["full", "exhausted", "interrupted", "failed"]


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
        Whether the scheduler steps after each batch.
    """

    def __init__(
        self,
        parts: Parts,
        loss: Loss | None,
        step: Step | None,
        *,
        device: torch.device | None,
        schedule_batches: bool,
    ) -> None:
        self._parts, self._loss, self._step = parts, loss, step
        self._device = device
        self.seconds = 0.0
        self._scheduler = parts.scheduler if schedule_batches else None

    def evaluate(self, model: torch.nn.Module, batch: Any) -> tuple[Any, Any]:
        """Return the moved batch, and what loss or step give for it."""
        if self._device is not None:
            batch = to_device(batch, self._device)
        return batch, (self._loss or self._step)(model, batch)  # type: ignore[misc]

    def train(self, fetch: Callable[[], Any], count: int, sums: Sums) -> Segment:
        """Train on up to `count` batches and add what they give to `sums`."""
        start = time.perf_counter()
        outputs: list[Any] = []
        segment = self.run(fetch, count, outputs.append)
        self.add(outputs, sums)
        self.seconds = time.perf_counter() - start
        return segment

    def note(self, output: Any, keep: Callable[[Any], None]) -> None:
        """Keep the loss of one batch, or the numbers of a mapping, for `add`."""
        loss = _loss_of(output)
        if isinstance(output, Tensor):
            keep(_kept(loss))
        else:
            keep({name: _kept(value) for name, value in output.items() if _is_number(value)})

    def add(self, outputs: list[Any], sums: Sums) -> None:
        """Move what was kept into sums."""
        _add(outputs, sums)
        outputs.clear()

    def run(self, fetch: Callable[[], Any], count: int, keep: Callable[[Any], None]) -> Segment:
        """Train on up to `count` batches; `keep` takes what `note` makes of each, before its step."""
        parts, device, scheduler = self._parts, self._device, self._scheduler
        model, optimizer, scaler = parts.model, parts.optimizer, parts.scaler
        function: Any = self._loss or self._step
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
                loss = output
                keep(_kept(loss))
            else:
                loss = _loss_of(output)
                self.note(output, keep)
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


def to_device(batch: Any, device: torch.device) -> Any:
    """Return a batch whose tensors, in dicts, lists and tuples too, are on a device."""
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, Mapping):
        return {name: to_device(part, device) for name, part in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(to_device(part, device) for part in batch))
    if isinstance(batch, list | tuple):
        return type(batch)(to_device(part, device) for part in batch)
    return batch


def _loss_of(output: Any) -> Tensor:
    loss = output.get("loss") if isinstance(output, Mapping) else output
    if not isinstance(loss, Tensor):
        came = (
            f"a mapping with {', '.join(map(repr, output))}" if isinstance(output, Mapping) else repr(output)
        )
        msg = f'a step must give the loss as a tensor, or a mapping with the loss as "loss", but gave {came}'
        raise TypeError(msg)
    return loss


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


def _add(outputs: list[Any], sums: Sums) -> None:
    if outputs and not isinstance(outputs[0], Mapping):
        sums.add("loss", _numbers(outputs))
        return
    for name in dict.fromkeys(name for output in outputs for name in output):
        sums.add(name, _numbers([output[name] for output in outputs if name in output]))


def _numbers(values: list[Any]) -> list[float]:
    if all(isinstance(value, Tensor) for value in values):
        moved: list[float] = torch.stack(values).tolist()  # at once
        return moved
    return [float(value) for value in values]
