"""Scores of stored items beside their similarity: how old they are, how badly and how surely predicted.

**Temporal**: ``2 ** (-age / half_life)``, age in items that were offered since. All such scores fade alike,
so none is touched as time goes by: an item keeps ``2 ** ((stamp - landmark) / half_life)`` (forward decay,
Cormode et al. 2009), and draws see ratios only. Once items came for `RENEWED` doublings, all are made anew
from a later landmark, in O(size). Items that are `CLAMPED` doublings apart from it count as that far.

**Difficulty** and **uncertainty** are those of `tombola.replay.scores`, of the losses and logits that came
with an item, or last by `BalancedBuffer.update_scores`. Without losses the cross-entropy of logits and labels
is taken. O(items * classes). A score is joined to the others by a power of its own; what no option asks for
takes neither time nor memory.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from ..._base.types import FloatArray, IndexArray
from ..scores import combine_scores, difficulty_scores, uncertainty_scores
from ..scores.arrays import check_shape, reals
from .options import BufferOptions

__all__ = ["ItemScores", "Scores", "read_losses"]

RENEWED = 16.0
CLAMPED = 512.0

Scores = dict[str, FloatArray]


class ItemScores:
    """What the weights of slots are multiplied by, as options ask for it.

    Parameters
    ----------
    size : int
        Number of slots.
    options : BufferOptions
    """

    def __init__(self, size: int, options: BufferOptions) -> None:
        self.eps = options.eps
        self.powers = {
            name: power
            for name, power in (
                ("difficulty", options.difficulty_weight),
                ("uncertainty", options.uncertainty_weight),
            )
            if power
        }
        self.rate = options.temporal_weight / (options.half_life or float(size))
        self.half_life = options.half_life or float(size)
        self.landmark = 0
        self.renewed = 0  # the newest stamp at the last renewal
        names = [*self.powers, *(["predicted"] if self.powers else []), *(["temporal"] if self.rate else [])]
        self.arrays: Scores = {name: np.ones(size) for name in names}

    def predicted(self, losses: Any, logits: torch.Tensor | None, labels: IndexArray | None) -> Scores:
        """Return difficulty and uncertainty of each item, as far as they are asked for and can be had.

        Raises
        ------
        TypeError, ValueError
            If losses are not finite numbers >= 0, one an item, or logits cannot be scored (the first row is
            named), or labels are none of theirs.
        """
        found: Scores = {}
        if "difficulty" in self.powers:
            if losses is None and logits is not None and labels is not None:
                losses = _cross_entropy(logits, labels)
            if losses is not None:
                found["difficulty"] = difficulty_scores(losses, eps=self.eps)
        if "uncertainty" in self.powers and logits is not None:
            found["uncertainty"] = uncertainty_scores(logits) + self.eps
        return found

    def require(self, found: Scores) -> None:
        """Raise ValueError if something that is asked for is not known of new items."""
        for name in self.powers:
            if name not in found:
                needed = (
                    "losses, or logits and labels of one integer each," if name == "difficulty" else "logits"
                )
                msg = (
                    f"{name}_weight = {self.powers[name]:g} needs {needed} with all items, but there are none"
                )
                raise ValueError(msg)

    def joined(self, found: Scores, slots: IndexArray | None = None) -> Scores:
        """Return scores and, as "predicted", their product; what is missing is that of the slots.

        Raises
        ------
        ValueError
            If a product is not finite.
        """
        if not found:
            return {}
        parts = [found[name] if name in found else self.arrays[name][slots] for name in self.powers]
        return {**found, "predicted": combine_scores(*parts, weights=list(self.powers.values()))}

    def write(self, slots: IndexArray, found: Scores) -> None:
        """Set what `joined` returned; where a slot comes twice the last holds."""
        for name, scores in found.items():
            self.arrays[name][slots] = scores

    def date(self, slots: IndexArray, stamps: IndexArray, stored: int) -> bool:
        """Score new items by their stamps; return whether those of all that are stored were made anew."""
        if "temporal" not in self.arrays or not len(slots):
            return False
        newest = int(stamps[slots].max())
        due = abs(self.rate) * (newest - self.renewed) > RENEWED
        if due:
            slots = np.arange(stored)
            self.renewed = newest
            self.landmark = newest if self.rate > 0 else int(stamps[:stored].min())
        doublings = self.rate * (stamps[slots] - self.landmark)
        self.arrays["temporal"][slots] = np.exp2(np.clip(doublings, -CLAMPED, CLAMPED))
        return due

    def times(self, weights: FloatArray, slots: IndexArray) -> FloatArray:
        """Return the weights of slots, times their scores."""
        for name in ("temporal", "predicted"):
            if name in self.arrays:
                weights = weights * self.arrays[name][slots]
        return weights

    def state(self, stored: int) -> dict[str, Any]:
        """Return copies of the first slots' scores, and the numbers."""
        arrays = {name: torch.from_numpy(array[:stored].copy()) for name, array in self.arrays.items()}
        return {"arrays": arrays, "landmark": self.landmark, "renewed": self.renewed}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` returned."""
        for name, values in state["arrays"].items():
            self.arrays[name][: len(values)] = values.cpu().numpy()
        self.landmark, self.renewed = state["landmark"], state["renewed"]


def read_losses(losses: Any, count: int) -> FloatArray | None:
    """Return losses as float64, one an item, if there are any; their values are looked at where they count.

    Raises
    ------
    TypeError, ValueError
        If they are no real numbers, or not one an item.
    """
    if losses is None:
        return None
    values = reals("losses", losses)
    check_shape("losses", values.shape, (count,), "one an item")
    return values


def _cross_entropy(logits: torch.Tensor, labels: IndexArray) -> FloatArray:
    """Return ``-log(softmax(logits)[label])`` of each row, in float64."""
    values = logits.detach().cpu().double()
    classes = values.shape[1] if values.ndim == 2 else 0
    outside = (labels < 0) | (labels >= classes)
    if outside.any():
        row = int(np.argmax(outside))
        bound = f"[0, {classes}), the columns of logits, where losses are not given"
        msg = f"labels must lie in {bound}, but labels[{row}] = {int(labels[row])}"
        raise ValueError(msg)
    own = values[torch.arange(len(labels)), torch.from_numpy(labels)]
    losses: FloatArray = (values.logsumexp(dim=1) - own).clamp(min=0.0).numpy()
    if not np.isfinite(losses).all():
        row = int(np.argmin(np.isfinite(losses)))
        msg = f"logits must give finite losses, but that of row {row} is {losses[row]}"
        raise ValueError(msg)
    return losses
