"""What a checkpoint holds of torch: model, optimizer, scheduler, scaler, and whether they fit what is there.

Rule: everything that differs is found before anything is loaded, and listed in one error.
"""

import io
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from .errors import CheckpointError
from .wrapping import plain, renamed

__all__ = ["Parts", "differences", "plain_numbers"]


@dataclass(frozen=True)
class Parts:
    """The objects of torch that are trained with."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    scheduler: Any = None
    scaler: Any = None

    def state(self) -> dict[str, Any]:
        """Return the states of all; tensors are not copied."""
        return {
            "model": plain(self.model).state_dict(),
            **{
                name: None if part is None else plain_numbers(part.state_dict())
                for name, part in (
                    ("optimizer", self.optimizer),
                    ("scheduler", self.scheduler),
                    ("scaler", self.scaler),
                )
            },
        }

    def weights(self) -> list[nn.Parameter]:
        """Return what the optimizer changes, in its order."""
        return [weight for group in self.optimizer.param_groups for weight in group["params"]]

    def gradients(self) -> list[torch.Tensor | None]:
        """Return the gradient of each weight."""
        return [weight.grad for weight in self.weights()]

    def load_gradients(self, gradients: Sequence[torch.Tensor | None]) -> None:
        """Take gradients over."""
        for weight, gradient in zip(self.weights(), gradients, strict=True):
            weight.grad = None if gradient is None else gradient.to(weight.device)

    def load(self, state: Mapping[str, Any]) -> None:
        """Take the states over; they fit, see `differing`."""
        model = plain(self.model)
        model.load_state_dict(renamed(state["model"], model.state_dict()))
        self.optimizer.load_state_dict(state["optimizer"])
        for name in ("scheduler", "scaler"):
            part = getattr(self, name)
            if part is not None:
                part.load_state_dict(state[name])

    def differing(self, state: Mapping[str, Any]) -> Iterator[str]:
        """Yield a text for each thing in which a checkpoint's states do not fit these objects."""
        own = self.state()
        model = renamed(state["model"], own["model"])
        yield from differences("model", _described(model), _described(own["model"]))
        saved, now = state["optimizer"]["param_groups"], own["optimizer"]["param_groups"]
        sizes = [[len(group["params"]) for group in groups] for groups in (saved, now)]
        yield from differences("optimizer: parameters in each group", *sizes)
        if sizes[0] == sizes[1]:
            names = [sorted(set().union(*groups) - {"params"}) for groups in (saved, now)]
            yield from differences("optimizer: its options", *names)
        for name in ("scheduler", "scaler"):
            yield from differences(name, *(_presence(which[name]) for which in (state, own)))

    def check_loadable(self) -> None:
        """Raise CheckpointError if a state holds what ``weights_only=True`` will not load."""
        for name, state in self.state().items():
            buffer = io.BytesIO()
            small = {
                key: value
                for key, value in (state or {}).items()
                if key != "state" and not isinstance(value, torch.Tensor)
            }
            torch.save(small, buffer)
            buffer.seek(0)
            try:
                torch.load(buffer, weights_only=True)
            except Exception as error:
                msg = (
                    f"the state of the {name} must be loadable by torch.load(weights_only=True), but: {error}"
                )
                raise CheckpointError(msg) from error


def plain_numbers(value: Any) -> Any:
    """Return a state with Python's numbers in place of NumPy's, which ``weights_only=True`` will not load."""
    if isinstance(value, np.generic):
        return value.item()
    kind = type(value)
    if kind is dict or kind is Counter or kind is OrderedDict:
        return kind({plain_numbers(key): plain_numbers(part) for key, part in value.items()})
    if kind is list or kind is tuple:
        return kind([plain_numbers(part) for part in value])
    return value


def differences(name: str, saved: Any, now: Any) -> Iterator[str]:
    """Yield a text for each place in which two JSON-like values differ."""
    if isinstance(saved, Mapping) and isinstance(now, Mapping):
        for key in {**saved, **now}:
            part = f"{name}.{key}"
            if key not in saved:
                yield f"{part} was not there, now is {now[key]!r}"
            elif key not in now:
                yield f"{part} was {saved[key]!r}, now is not there"
            else:
                yield from differences(part, saved[key], now[key])
    elif saved != now:
        yield f"{name} was {saved!r}, now is {now!r}"


def _described(state: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
        if isinstance(value, torch.Tensor)
        else type(value).__name__
        for name, value in state.items()
    }


def _presence(state: Mapping[str, Any] | None) -> str:
    return "none" if state is None else f"one with {', '.join(sorted(state))}"
