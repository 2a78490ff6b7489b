"""What a buffer is given, checked: items, slots and priorities, each named where it is wrong."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from ..._base.checks import index_array
from ..._base.types import FloatArray, IndexArray
from ..scores.arrays import check_shape, reals
from .item_scores import read_losses
from .items import as_tensor
from .options import BufferOptions

__all__ = [
    "Items",
    "check_device",
    "priority_array",
    "read_items",
    "slot_array",
    "target_device",
]

MOST_PRIORITY = 1e100
"""Scores stay far from the end of float64 up to here."""

LEAST_FEATURE, MOST_FEATURE = 1e-140, 1e140
"""Between these the largest value of a row may lie: its square must not leave float64."""


class Giver(Protocol):
    """What gives batches: a buffer."""

    device: torch.device

    def is_empty(self) -> bool:
        """Return whether there is nothing to give."""
        ...


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


def target_device(buffer: "Giver", device: str | torch.device | None) -> torch.device:
    """Return where a batch goes, if there is something to give; ValueError where a buffer is empty."""
    if buffer.is_empty():
        msg = "the buffer must hold an item or more, but is empty: add_data comes first"
        raise ValueError(msg)
    return buffer.device if device is None else check_device(device)


@dataclass(frozen=True, eq=False)
class Items:
    """Parts of a batch by name, losses if given, labels and tasks where these are one integer an item."""

    parts: dict[str, torch.Tensor]
    classes: IndexArray | None
    tasks: IndexArray | None
    losses: FloatArray | None

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


PARTS = ("examples", "labels", "logits", "features", "task_labels")


def read_items(options: BufferOptions, values: Sequence[Any], losses: Any) -> Items:
    """Return what was given to `add_data` as tensors: values of `PARTS`, None where one is missing.

    Raises
    ------
    TypeError
        If something is no array of numbers, or features or losses are no real numbers.
    ValueError
        If features have not two axes, another width than ``num_feats``, or are not finite, or there is not
        one loss an item.
    """
    given = zip(PARTS, values, strict=True)
    parts = {name: as_tensor(name, part) for name, part in given if part is not None}
    if "examples" not in parts:
        msg = "examples must be given, but are None"
        raise TypeError(msg)
    if "features" in parts:
        _check_features(parts["features"], options.num_feats)
    of_items = read_losses(losses, len(parts["examples"]))
    return Items(parts, _integers(parts.get("labels")), _integers(parts.get("task_labels")), of_items)


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
