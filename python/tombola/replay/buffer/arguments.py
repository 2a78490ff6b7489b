"""What a buffer is given, checked: options, items, slots and priorities, each named where it is wrong."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..._base.checks import check_bool, check_integer, check_number, index_array, make_plain
from ..._base.types import IndexArray
from ..scores.arrays import check_shape, reals
from ..scores.groups import BalanceSchedule
from .items import as_tensor

__all__ = [
    "BufferOptions",
    "Items",
    "check_device",
    "check_state",
    "priority_array",
    "read_items",
    "slot_array",
]

STATE_VERSION = 3
"""Of what `BalancedBuffer.state_dict` returns."""

MOST_PRIORITY = 1e100
"""Scores stay far from the end of float64 up to here."""

LEAST_FEATURE, MOST_FEATURE = 1e-140, 1e140
"""Between these the largest value of a row may lie: its square must not leave float64."""


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
            share = _check_share("adaptive_threshold", self.adaptive_threshold)
            object.__setattr__(self, "adaptive_threshold", share)
        if self.threshold_quantile is not None:
            _check_share("threshold_quantile", self.threshold_quantile)
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

    def most(self, size: int, stored: int) -> int:
        """Return how many items a draw of so many has: without replacement at most as many as are stored."""
        return size if self.replace else min(size, stored)

    def described(self, buffer_size: int) -> dict[str, Any]:
        """Return what a state begins with, for comparing: version and what is fixed once a buffer is made.

        Values are plain, and modules known by their class.
        """
        measure, rule = self.semantic_similarity, self.adaptive_threshold
        options = {
            "buffer_size": buffer_size,
            "semantic_similarity": None if measure is None else _name(measure),
            "adaptive_threshold": _name(rule) if callable(rule) else rule,
            "num_feats": self.num_feats,
            "threshold_quantile": self.threshold_quantile,
            "task_weights": str(sorted(self.factor_of_task.items())),
            "refit_every": self.refit_every,
            "eps": self.eps,
            "replace": self.replace,
        }
        return {"version": STATE_VERSION, "options": options}


def _name(value: Any) -> str:
    return str(getattr(value, "__qualname__", type(value).__qualname__))


def _check_share(name: str, value: Any) -> float:
    """Return a number of [0, 1]."""
    share = float(check_number(name, value))
    if share > 1:
        msg = f"{name} must be at most 1, but is {share:g}"
        raise ValueError(msg)
    return share


def check_state(state: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Raise ValueError if a state does not begin with a buffer's own version and options."""
    version = own["version"]
    if state.get("version") != version:
        msg = f"expected the state of a BalancedBuffer, version {version}, but got {state.get('version')}"
        raise ValueError(msg)
    for name, value in own["options"].items():
        came = state["options"].get(name)
        if came != value:
            msg = f"expected the state of a buffer with {name} = {value}, but it has {came}"
            raise ValueError(msg)


def check_device(device: str | torch.device) -> torch.device:
    """Return a device that is there.

    Raises
    ------
    ValueError
        If there is no such device.
    """
    try:
        found = torch.device(device)
        torch.empty(1, device=found)
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
        there = ["cpu"] + [f"cuda:{k}" for k in range(torch.cuda.device_count())]
        reason = str(error).splitlines()[0].split(". ")[0]  # torch goes on at length
        msg = f"device must be there, such as {', '.join(there)}, but is {str(device)!r}: {reason}"
        raise ValueError(msg) from error
    return found


@dataclass(frozen=True, eq=False)
class Items:
    """Parts of a batch of items by name, and labels and tasks where these are one integer an item."""

    parts: dict[str, torch.Tensor]
    classes: IndexArray | None
    tasks: IndexArray | None

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.parts["examples"])

    def features(self, rows: IndexArray) -> torch.Tensor | None:
        """Return the features of some rows, borrowed where these are all."""
        features = self.parts.get("features")
        if features is None or len(rows) == self.count:
            return features
        return features.index_select(0, torch.from_numpy(rows).to(features.device))

    def class_labels(self, rows: IndexArray) -> IndexArray:
        """Return the labels of some rows; without labels all are of one class."""
        return np.zeros(len(rows), dtype=np.int64) if self.classes is None else self.classes[rows]

    def factors(self, of_task: Mapping[int, float]) -> npt.NDArray[np.float64]:
        """Return the factor of each item by its task label, 1 for tasks that have none.

        Raises
        ------
        ValueError
            If there are factors, but no task labels.
        """
        if not of_task:
            return np.ones(self.count)
        if self.tasks is None:
            msg = "task_labels must be one integer an example where there are task_weights, but are none"
            raise ValueError(msg)
        tasks, at = np.unique(self.tasks, return_inverse=True)
        return np.array([of_task.get(task, 1.0) for task in tasks.tolist()], dtype=np.float64)[at]


def read_items(
    options: BufferOptions, examples: Any, labels: Any, logits: Any, features: Any, task_labels: Any
) -> Items:
    """Return what was given to `add_data` as tensors.

    Raises
    ------
    TypeError
        If something is no array of numbers, or features are no real numbers.
    ValueError
        If features have not two axes, another width than ``num_feats``, or are not finite.
    """
    given = {
        "examples": examples,
        "labels": labels,
        "logits": logits,
        "features": features,
        "task_labels": task_labels,
    }
    parts = {name: as_tensor(name, values) for name, values in given.items() if values is not None}
    if "examples" not in parts:
        msg = "examples must be given, but are None"
        raise TypeError(msg)
    if "features" in parts:
        _check_features(parts["features"], options.num_feats)
    return Items(parts, _integers(parts.get("labels")), _integers(parts.get("task_labels")))


def _integers(values: torch.Tensor | None) -> IndexArray | None:
    """Return what says the class of each item as int64; None where these are no integers of one axis."""
    if values is None or values.ndim != 1 or values.is_floating_point() or values.is_complex():
        return None
    return None if values.dtype == torch.bool else index_array("labels", values.cpu().numpy())


def _check_features(features: torch.Tensor, num_feats: int | None) -> None:
    if features.ndim != 2:
        msg = f"features must have the shape (items, width), but have {tuple(features.shape)}"
        raise ValueError(msg)
    if num_feats is not None and features.shape[1] != num_feats:
        msg = f"features must be num_feats = {num_feats} wide, but are {features.shape[1]}"
        raise ValueError(msg)
    if not features.is_floating_point():
        msg = f"features must be floats, but the dtype is {features.dtype}"
        raise TypeError(msg)
    if not math.isfinite(float(features.sum())):  # the one pass without a temporary; a sum may overflow
        finite = torch.isfinite(features)
        if not bool(finite.all()):
            row, column = (int(k) for k in (~finite).nonzero()[0])
            msg = f"features must be finite, but features[{row}, {column}] = {float(features[row, column])}"
            raise ValueError(msg)
    if features.dtype == torch.float64 and features.numel():
        largest = features.abs().amax(dim=1)
        odd = (largest != 0) & ~((largest > LEAST_FEATURE) & (largest < MOST_FEATURE))
        if bool(odd.any()):
            row = int(odd.nonzero()[0])
            expected = f"the largest value of each row between {LEAST_FEATURE:g} and {MOST_FEATURE:g}, or 0"
            msg = f"features must have {expected}, but that of features[{row}] is {float(largest[row])}"
            raise ValueError(msg)


def slot_array(indices: Any, stored: int) -> IndexArray:
    """Return slots as int64.

    Raises
    ------
    TypeError
        If they are no integers.
    IndexError
        If one holds nothing.
    """
    values = indices.detach().cpu().numpy() if isinstance(indices, torch.Tensor) else indices
    slots = index_array("indices", values)
    outside = (slots < 0) | (slots >= stored)
    if outside.any():
        at = int(np.argmax(outside))
        msg = f"indices must lie in [0, {stored}), the stored items, but indices[{at}] = {int(slots[at])}"
        raise IndexError(msg)
    return slots


def priority_array(priorities: Any, count: int) -> npt.NDArray[np.float64]:
    """Return priorities as float64, one a slot.

    Raises
    ------
    TypeError, ValueError
        If they are no real numbers, or one is negative, not finite or above `MOST_PRIORITY`.
    """
    values = reals("priorities", priorities)
    check_shape("priorities", values.shape, (count,), "one an index")
    wrong = ~((values >= 0) & (values <= MOST_PRIORITY))
    if wrong.any():
        at = int(np.argmax(wrong))
        msg = f"priorities must be >= 0 and at most {MOST_PRIORITY:g}, but priorities[{at}] = {values[at]}"
        raise ValueError(msg)
    return values
