"""The optimizer's options where training goes on: those of the checkpoint, or those that are given now.

Rule: what was given when training began is saved beside what has become of it, so that a changed learning
rate is told from one that a scheduler has changed. Where one differs, it is said which of them counts. By
"given" a learning rate is taken over in proportion: where a scheduler is in its course stays as it is.
"""

import logging
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch.optim import lr_scheduler

from .errors import CheckpointError
from .parts import Parts, plain_numbers

__all__ = ["Options", "given_options", "settle"]

Options = list[dict[str, Any]]

_OWN_RATES = (lr_scheduler.OneCycleLR, lr_scheduler.CyclicLR)
"""Schedulers that hold rates of their own, whatever the optimizer has."""

_logger = logging.getLogger("tombola.training")


class Change(NamedTuple):
    """An option of one group of weights that is given another value than before."""

    group: int
    name: str
    then: Any
    now: Any


def given_options(optimizer: torch.optim.Optimizer) -> Options:
    """Return the options of each group of weights; the learning rate is that before any scheduler."""
    return [_plain(group) for group in optimizer.param_groups]


def _plain(group: Mapping[str, Any]) -> dict[str, Any]:
    options = {
        name: value.item() if isinstance(value, torch.Tensor) and value.numel() == 1 else plain_numbers(value)
        for name, value in group.items()
        if name != "params"
    }
    first = options.pop("initial_lr", None)
    return options if first is None else {**options, "lr": first}


def settle(parts: Parts, state: Mapping[str, Any], given: Options, which: str, *, speaks: bool) -> Options:
    """Settle, after the states of a checkpoint are loaded, which options count, and return what was given.

    Parameters
    ----------
    parts : Parts
    state : mapping
        What the checkpoint holds.
    given : list of dict
        The options before the states were loaded.
    which : {"saved", "given"}
    speaks : bool
        Whether this process says it.

    Raises
    ------
    CheckpointError
        If the scheduler has rates of its own, which options cannot change.
    """
    current = state["optimizer"]["param_groups"]
    first: Options = state["given"] if "given" in state else [_plain(group) for group in current]
    changes = [
        change for change in _changes(first, given) if change.now != current[change.group].get(change.name)
    ]
    if not changes:
        return first
    told = "; ".join(
        f"{name} of group {place} was {then!r}, now is {now!r}" for place, name, then, now in changes
    )
    if which == "saved":
        if speaks:
            cure = 'optimizer_options="given" takes what is given now'
            _logger.warning("the optimizer's options stay those of the checkpoint: %s; %s", told, cure)
        return first
    _take_given(parts, changes)
    if speaks:
        _logger.warning("the optimizer's options are those that are given now: %s", told)
    return given


def _changes(first: Options, given: Options) -> Iterator[Change]:
    for place, (then, now) in enumerate(zip(first, given, strict=True)):
        for name in then:
            if name in now and then[name] != now[name] and _is_numeric(now[name]):
                yield Change(place, name, then[name], now[name])


def _is_numeric(value: Any) -> bool:
    """Tell numbers from switches, on which the layout of an optimizer's state hangs."""
    if isinstance(value, list | tuple):
        return all(map(_is_numeric, value))
    return isinstance(value, int | float) and not isinstance(value, bool)


def _take_given(parts: Parts, changes: list[Change]) -> None:
    """Put options in place, the learning rate in proportion, in the scheduler, too."""
    if isinstance(parts.scheduler, _OWN_RATES):
        kind = type(parts.scheduler).__name__
        msg = (
            f'optimizer_options="given" cannot change {changes[0].name}, for {kind} has rates of its own: '
            'give "saved", or begin anew'
        )
        raise CheckpointError(msg)
    groups = parts.optimizer.param_groups
    for change in changes:
        group = groups[change.group]
        if change.name == "lr":
            rate = float(group["lr"]) * change.now / change.then if change.then else change.now
            _put(group, "lr", rate)
            if "initial_lr" in group:
                _put(group, "initial_lr", change.now)
            _put_base_rate(parts.scheduler, change.group, change.now)
        else:
            _put(group, change.name, change.now)


def _put(group: dict[str, Any], name: str, value: Any) -> None:
    before = group.get(name)
    group[name] = torch.full_like(before, value) if isinstance(before, torch.Tensor) else value


def _put_base_rate(scheduler: Any, group: int, rate: float) -> None:
    bases = getattr(scheduler, "base_lrs", None)
    if isinstance(bases, list):
        bases[group] = rate
    for inner in getattr(scheduler, "_schedulers", ()):
        _put_base_rate(inner, group, rate)
