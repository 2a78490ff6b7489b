"""Options of a buffer, checked, and what of them a state holds. O(options)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import pairwise
from typing import Any, Self, TypeAlias

import torch

from ..._base.checks import check_bool, check_integer, check_number, make_plain
from ..scores.groups import BalanceSchedule

__all__ = ["BufferOptions", "Threshold", "Weights", "check_state"]

STATE_VERSION = 4
"""Of what `BalancedBuffer.state_dict` returns."""

READ_VERSIONS = (3, STATE_VERSION)
"""Version 3 knew neither scores beside the similarity nor levels of groups: all of these are off there."""

BalanceWeight: TypeAlias = float | BalanceSchedule
Weights: TypeAlias = BalanceWeight | Sequence[BalanceWeight]
Threshold: TypeAlias = float | Callable[[torch.Tensor], Any]


@dataclass(frozen=True)
class BufferOptions:
    """Options of `BalancedBuffer`, which says what they mean.

    Raises
    ------
    TypeError, ValueError
        If one is no such value, or there are more balance weights than levels of groups, or fewer.
    """

    semantic_similarity: Any = None
    adaptive_threshold: Any = None
    num_feats: int | None = None
    balance_weight: Weights = 1.0
    threshold_quantile: float | Sequence[float] | None = None
    task_weights: Mapping[int, float] | None = None
    temporal_weight: float = 0.0
    half_life: float | None = None
    difficulty_weight: float = 0.0
    uncertainty_weight: float = 0.0
    refit_every: int | None = None
    eps: float = 1e-6
    replace: bool = False
    factor_of_task: Mapping[int, float] = field(init=False, default_factory=dict)

    @classmethod
    def among(cls, given: Mapping[str, Any]) -> Self:
        """Return the options among the arguments of a call, by their names."""
        return cls(**{each.name: given[each.name] for each in fields(cls) if each.init})

    def __post_init__(self) -> None:
        make_plain(self)
        if self.semantic_similarity is not None and not callable(self.semantic_similarity):
            msg = f"semantic_similarity must be None or callable, but is {self.semantic_similarity!r}"
            raise TypeError(msg)
        if self.threshold_quantile is not None and self.adaptive_threshold is not None:
            msg = "threshold_quantile must be None where adaptive_threshold is given, but both are there"
            raise ValueError(msg)
        self._set("adaptive_threshold", _levels("adaptive_threshold", self.adaptive_threshold))
        self._set("threshold_quantile", _levels("threshold_quantile", self.threshold_quantile))
        if self.num_feats is not None:
            check_integer("num_feats", self.num_feats, minimum=1)
        self._set("balance_weight", _weights(self.balance_weight, self.levels))
        for name in ("temporal_weight", "difficulty_weight", "uncertainty_weight"):
            self._set(name, float(check_number(name, getattr(self, name), minimum=-float("inf"))))
        if self.half_life is not None:
            self._set("half_life", float(check_number("half_life", self.half_life, above=True)))
        if self.refit_every is not None:
            check_integer("refit_every", self.refit_every, minimum=1)
        check_number("eps", self.eps, above=True)
        check_bool("replace", self.replace)
        factors = {
            check_integer("a label of task_weights", task, minimum=-(2**63)): float(
                check_number(f"task_weights[{task}]", weight)
            )
            for task, weight in (self.task_weights or {}).items()
        }
        self._set("factor_of_task", factors)

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    @property
    def levels(self) -> int:
        """How many levels of groups there are."""
        given = self.threshold_quantile if self.adaptive_threshold is None else self.adaptive_threshold
        return len(given) if isinstance(given, tuple) else 1

    def with_weight(self, weight: Weights) -> "BufferOptions":
        """Return the same options with another `balance_weight`."""
        return replace(self, balance_weight=weight)

    def weight_state(self) -> Any:
        """Return `balance_weight` as plain values."""
        weight = self.balance_weight
        return [_plain(one) for one in weight] if isinstance(weight, Sequence) else _plain(weight)

    def with_weight_state(self, state: Any) -> "BufferOptions":
        """Return the same options with the `balance_weight` that `weight_state` returned."""
        found = [_from_plain(one) for one in state] if isinstance(state, list) else _from_plain(state)
        return self.with_weight(found)

    def powers(self, step: int) -> tuple[float, ...]:
        """Return the balance weight of each level at a balanced draw, counted from 0."""
        weight = self.balance_weight
        weights = weight if isinstance(weight, Sequence) else (weight,) * self.levels
        return tuple(w(step) if isinstance(w, BalanceSchedule) else float(w) for w in weights)

    def most(self, size: int, stored: int) -> int:
        """Return how many items a draw of so many has: without replacement at most as many as are stored."""
        return size if self.replace else min(size, stored)

    def described(self, buffer_size: int) -> dict[str, Any]:
        """Return what a state begins with, for comparing: version and what is fixed once a buffer is made.

        Values are plain, and modules known by their class.
        """
        measure, rule = self.semantic_similarity, self.adaptive_threshold
        rules = [_name(one) if callable(one) else one for one in rule] if isinstance(rule, tuple) else None
        quantile = self.threshold_quantile
        options = {
            "buffer_size": buffer_size,
            "semantic_similarity": None if measure is None else _name(measure),
            "adaptive_threshold": rules or (_name(rule) if callable(rule) else rule),
            "num_feats": self.num_feats,
            "threshold_quantile": list(quantile) if isinstance(quantile, tuple) else quantile,
            "task_weights": str(sorted(self.factor_of_task.items())),
            "refit_every": self.refit_every,
            "eps": self.eps,
            "replace": self.replace,
            **{name: getattr(self, name) for name in _SINCE_4},
        }
        return {"version": STATE_VERSION, "options": options}


_SINCE_4 = {"temporal_weight": 0.0, "half_life": None, "difficulty_weight": 0.0, "uncertainty_weight": 0.0}
"""What states of version 3 stand for."""


def _plain(weight: BalanceWeight) -> float | dict[str, Any]:
    return asdict(weight) if isinstance(weight, BalanceSchedule) else weight


def _from_plain(state: float | Mapping[str, Any]) -> BalanceWeight:
    return BalanceSchedule(**state) if isinstance(state, Mapping) else state


def _name(value: Any) -> str:
    return str(getattr(value, "__qualname__", type(value).__qualname__))


def _levels(name: str, given: Any) -> Any:
    """Return a threshold or quantile, or a tuple of them, coarse to fine, whose numbers are shares.

    Raises
    ------
    TypeError, ValueError
        If a number is none of [0, 1], a quantile is no number, or one is below that of the level before it.
    """
    if not isinstance(given, Sequence) or isinstance(given, str):
        return _share(name, given)
    shares = tuple(_share(f"{name}[{k}]", one) for k, one in enumerate(given))
    if not shares or None in shares:
        msg = f"{name} must be one number or one a level, but is {given!r}"
        raise ValueError(msg)
    numbers = [(k, one) for k, one in enumerate(shares) if isinstance(one, float)]
    for (before, coarse), (k, fine) in pairwise(numbers):
        if not coarse < fine:
            rising = f"{name} must rise from level to level"
            msg = f"{rising}, but {name}[{before}] = {coarse:g} and {name}[{k}] = {fine:g}"
            raise ValueError(msg)
    return shares


def _share(name: str, value: Any) -> Any:
    """Return a number of [0, 1], or None or a callable as it is; a callable is a threshold, no quantile."""
    if value is None or (callable(value) and not name.startswith("threshold_quantile")):
        return value
    share = float(check_number(name, value))
    if share > 1:
        msg = f"{name} must be at most 1, but is {share:g}"
        raise ValueError(msg)
    return share


def _weights(given: Any, levels: int) -> Any:
    """Return a balance weight, or a tuple of one a level."""
    if isinstance(given, BalanceSchedule):
        return given
    if not isinstance(given, Sequence) or isinstance(given, str):
        return check_number("balance_weight", given)
    if len(given) != levels:
        msg = f"balance_weight must be one number or one a level, {levels}, but there are {len(given)}"
        raise ValueError(msg)
    return tuple(
        one if isinstance(one, BalanceSchedule) else check_number(f"balance_weight[{k}]", one)
        for k, one in enumerate(given)
    )


def check_state(state: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Raise ValueError if a state does not begin with a version that is read and a buffer's own options."""
    version = state.get("version")
    if version not in READ_VERSIONS:
        read = " or ".join(map(str, READ_VERSIONS))
        msg = f"expected the state of a BalancedBuffer, version {read}, but got {version}"
        raise ValueError(msg)
    options = {**_SINCE_4, **state["options"]}
    for name, value in own["options"].items():
        came = options.get(name)
        if came != value:
            msg = f"expected the state of a buffer with {name} = {value}, but it has {came}"
            raise ValueError(msg)
