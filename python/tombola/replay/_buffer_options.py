"""What a `BalancedBuffer` is told about its draws: checked, and never changed."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from .._base.checks import check_bool, check_integer, check_number
from .schedule import BalanceSchedule, make_plain

__all__ = ["BufferOptions", "check_share", "check_state"]


def check_share(name: str, value: Any) -> float:
    """Return a number of [0, 1]."""
    share = float(check_number(name, value))
    if share > 1:
        msg = f"{name} must be at most 1, but is {share:g}"
        raise ValueError(msg)
    return share


def check_state(state: Mapping[str, Any], version: int, options: Mapping[str, Any]) -> None:
    """Raise ValueError if a state is of another version, or of a buffer with other options."""
    if state.get("version") != version:
        msg = f"expected the state of a BalancedBuffer, version {version}, but got {state.get('version')}"
        raise ValueError(msg)
    for name, own in options.items():
        came = state["options"].get(name)
        if came != own:
            msg = f"expected the state of a buffer with {name} = {own}, but it has {came}"
            raise ValueError(msg)


@dataclass(frozen=True)
class BufferOptions:
    """Options of `BalancedBuffer`, which says what they mean.

    Raises
    ------
    TypeError, ValueError
        If one is no such value.
    """

    semantic_similarity: Any = None
    adaptive_threshold: Any = None
    num_feats: int | None = None
    balance_weight: float | BalanceSchedule = 1.0
    threshold_quantile: float | None = None
    task_weights: Mapping[int, float] | None = None
    refit_every: int | None = None
    eps: float = 1e-6
    replace: bool = False
    factor_of_task: Mapping[int, float] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        make_plain(self)
        if self.semantic_similarity is not None and not callable(self.semantic_similarity):
            msg = f"semantic_similarity must be None or callable, but is {self.semantic_similarity!r}"
            raise TypeError(msg)
        if self.adaptive_threshold is not None and not callable(self.adaptive_threshold):
            share = check_share("adaptive_threshold", self.adaptive_threshold)
            object.__setattr__(self, "adaptive_threshold", share)
        if self.threshold_quantile is not None:
            check_share("threshold_quantile", self.threshold_quantile)
            if self.adaptive_threshold is not None:
                msg = "threshold_quantile must be None where adaptive_threshold is given, but both are there"
                raise ValueError(msg)
        if self.num_feats is not None:
            check_integer("num_feats", self.num_feats, minimum=1)
        if not isinstance(self.balance_weight, BalanceSchedule):
            weight = check_number("balance_weight", self.balance_weight)
            object.__setattr__(self, "balance_weight", weight)
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
        object.__setattr__(self, "factor_of_task", factors)

    def with_weight(self, weight: float | BalanceSchedule) -> "BufferOptions":
        """Return the same options with another `balance_weight`."""
        return replace(self, balance_weight=weight)

    def weight_state(self) -> float | dict[str, Any]:
        """Return `balance_weight` as plain values."""
        weight = self.balance_weight
        return asdict(weight) if isinstance(weight, BalanceSchedule) else weight

    def with_weight_state(self, state: float | Mapping[str, Any]) -> "BufferOptions":
        """Return the same options with the `balance_weight` that `weight_state` returned."""
        return self.with_weight(BalanceSchedule(**state) if isinstance(state, Mapping) else state)

    def power(self, step: int) -> float:
        """Return the balance weight of a balanced draw, counted from 0."""
        weight = self.balance_weight
        return weight(step) if isinstance(weight, BalanceSchedule) else float(weight)

    def described(self) -> dict[str, Any]:
        """Return what is fixed once a buffer is made, for comparing: plain values, modules by their class."""
        rule = self.adaptive_threshold
        return {
            "semantic_similarity": None
            if self.semantic_similarity is None
            else _name(self.semantic_similarity),
            "adaptive_threshold": _name(rule) if callable(rule) else rule,
            "num_feats": self.num_feats,
            "threshold_quantile": self.threshold_quantile,
            "task_weights": str(sorted(self.factor_of_task.items())),
            "refit_every": self.refit_every,
            "eps": self.eps,
            "replace": self.replace,
        }


def _name(value: Any) -> str:
    return str(getattr(value, "__qualname__", type(value).__qualname__))
