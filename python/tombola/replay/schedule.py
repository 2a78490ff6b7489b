"""How strongly groups are balanced as training goes on."""

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from .._base.checks import check_choice, check_integer, check_number

__all__ = ["BalanceSchedule", "make_plain"]

_KINDS = ("constant", "linear", "cosine")


def make_plain(options: Any) -> None:
    """Turn NumPy's scalars among the fields of a frozen dataclass into Python's, which states can hold."""
    for each in fields(options):
        value = getattr(options, each.name, None)
        if isinstance(value, np.generic):
            object.__setattr__(options, each.name, value.item())


@dataclass(frozen=True)
class BalanceSchedule:
    """A ``balance_weight`` for every training step: call it with the step.

    With progress ``p = min(step / steps, 1)`` the weight is ``start`` (constant),
    ``start + (end - start) * p`` (linear), or ``start + (end - start) * (1 - cos(pi * p)) / 2`` (cosine: half
    a wave, flat at both ends, after Loshchilov and Hutter, "SGDR", 2017). From step ``steps`` on it is
    ``end`` exactly.

    Parameters
    ----------
    start : float
        The weight at step 0, >= 0.
    end : float, optional
        The weight from step ``steps`` on, >= 0; `start` by default, and for "constant" always.
    steps : int
        Steps from `start` to `end`, >= 1.
    kind : {"constant", "linear", "cosine"}

    Raises
    ------
    TypeError, ValueError
        If an argument is no such number or text, or a constant schedule has another end than its start.

    Examples
    --------
    >>> schedule = BalanceSchedule(0.0, 1.0, steps=100, kind="linear")
    >>> schedule(0), schedule(25), schedule(1000)
    (0.0, 0.25, 1.0)
    >>> BalanceSchedule(0.5)(7)
    0.5
    """

    start: float
    end: float | None = None
    steps: int = 1
    kind: str = "constant"

    def __post_init__(self) -> None:
        make_plain(self)
        check_number("start", self.start)
        if self.end is not None:
            check_number("end", self.end)
        check_integer("steps", self.steps, minimum=1)
        check_choice("kind", self.kind, _KINDS)
        if self.kind == "constant" and self.end not in (None, self.start):
            msg = f'end must be start where kind is "constant", but start is {self.start} and end {self.end}'
            raise ValueError(msg)

    def __call__(self, step: int) -> float:
        """Return the weight at a step, counted from 0."""
        done = check_integer("step", step)
        start = float(self.start)
        end = start if self.end is None else float(self.end)
        if done >= self.steps:
            return end
        progress = done / self.steps
        if self.kind == "cosine":
            progress = (1 - math.cos(math.pi * progress)) / 2
        return start + (end - start) * progress
