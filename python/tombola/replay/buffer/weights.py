"""The weight of every slot in two parts: what is its own, and a factor that all items of a class share.

A draw takes a slot in proportion to ``own * factor[class]``. Factors change with every item that comes in, so
the tree holds ``own * applied[class]`` with the factors of some earlier time, and draws from it are thinned:
a slot is kept with probability ``ratio[class] / max(ratio)``, ``ratio = factor / applied``. By rejection that
is exact. Once ratios are more than `SPREAD` apart the present factors are applied to all slots. So a draw
costs O(size log n), an item that comes in O(log n), and O(n) is due only when the sizes of two groups have
moved that far apart.

Without replacement, slots that came are set to 0 until the draw is done: successive sampling, as the tree's.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ... import _core
from ..._base.types import FloatArray, IndexArray
from ...draws.sum_tree import SumTree
from .guard import Guard

__all__ = ["SPREAD", "Drawn", "ItemWeights"]

SPREAD = 4.0
_MOST_WEIGHT = 2.0**900

Codes = npt.NDArray[np.int32]


class Drawn(NamedTuple):
    """Slots, their weights, how many steps of the generator were used, and whether scores were."""

    slots: IndexArray
    weights: FloatArray
    steps: int
    by_scores: bool = True

    def corrections(self, beta: float) -> FloatArray:
        """Return ``(n p) ** -beta`` of each slot, over the largest of them."""
        return np.asarray((self.weights.min(initial=np.inf) / self.weights) ** beta)


class ItemWeights:
    """Weights of slots under a sum tree, 0 for those that hold nothing; changes are marked in a guard."""

    def __init__(self, size: int, guard: Guard | None = None) -> None:
        self.guard = guard
        self.codes: Codes = np.zeros(size, dtype=np.int32)
        self.own: FloatArray = np.zeros(size)
        self.tree = SumTree(size)
        self.applied: FloatArray = np.zeros(0)
        self.mass: FloatArray = np.zeros(0)  # of each class, by own weights

    def extend(self, classes: int) -> None:
        """Take in new classes."""
        missing = classes - len(self.applied)
        if missing > 0:
            self.applied = np.concatenate([self.applied, np.zeros(missing)])
            self.mass = np.concatenate([self.mass, np.zeros(missing)])

    def write(
        self, slots: IndexArray, codes: Codes, own: FloatArray, factors: FloatArray, counts: IndexArray
    ) -> None:
        """Set class and weight of slots; `counts` are those of the classes, these slots included."""
        classes = len(self.mass)
        self.mass -= np.bincount(self.codes[slots], weights=self.own[slots], minlength=classes)
        self.mass += np.bincount(codes, weights=own, minlength=classes)
        self.mass[counts == 0] = 0.0
        self.codes[slots] = codes
        self.own[slots] = own
        if not np.isfinite(self.mass).all():  # what was not finite may be gone
            self.mass = np.bincount(self.codes, weights=self.own, minlength=classes).astype(np.float64)
        fresh = counts == np.bincount(codes, minlength=classes)  # nothing else is stored of these
        usable = np.isfinite(factors[fresh]) & (factors[fresh] > 0)
        self.applied[fresh] = np.where(usable, factors[fresh], 1.0)
        self.tree.update(slots, _drawable(own * self.applied[codes]))

    def rescore(self, slots: IndexArray, own: FloatArray, stored: int) -> None:
        """Set the own weights of slots among the first `stored`; equal ones where a slot comes twice."""
        classes = len(self.mass)
        if len(slots) * 8 < stored:
            distinct, first = np.unique(slots, return_index=True)
            change = own[first] - self.own[distinct]
            self.mass += np.bincount(self.codes[distinct], weights=change, minlength=classes)
            self.own[slots] = own
        if (
            len(slots) * 8 >= stored or not np.isfinite(self.mass).all()
        ):  # sums made anew: what was rounded or not finite is gone
            self.own[slots] = own
            sums = np.bincount(self.codes[:stored], weights=self.own[:stored], minlength=classes)
            self.mass = np.asarray(sums, dtype=np.float64)
        self.tree.update(slots, _drawable(own * self.applied[self.codes[slots]]))

    def draw(
        self, size: int, seed: int, step: int, factors: FloatArray, counts: IndexArray, *, replace: bool
    ) -> Drawn:
        """Return slots in proportion to own weight times factor.

        Parameters
        ----------
        size : int
            Without replacement as many come as have a weight, where that is less.
        seed, step : int
            Steps from `step` on are used.
        factors, counts
            Of each class, finite where items are stored.
        """
        there = counts > 0
        ratios = self._settle(factors, there)
        largest = float(ratios[there].max())
        keep = np.where(there, ratios / largest, 0.0)
        accepted = float((counts * keep).sum() / counts.sum())  # about; what is exact does not hang on it
        found: list[IndexArray] = []
        need = size if replace else min(size, self.tree.n_positive)
        first, zeroed = step, False
        with ExitStack() as marks:
            while need:
                many = int(need / accepted * 1.1) + 8
                slots = self.tree.draw(many, seed, step)
                kept = slots[_core.unit_draws(seed, step, many) < keep[self.codes[slots]]]
                step += 1
                if not replace:
                    _, at = np.unique(kept, return_index=True)
                    kept = kept[np.sort(at)]
                kept = kept[:need]
                need -= len(kept)
                found.append(kept)
                if need and not replace and len(kept):
                    if not zeroed:
                        zeroed = True
                        marks.enter_context(self._change(undone=True))
                        marks.callback(self._put_back, found)
                    self.tree.update(kept, np.zeros(len(kept)))
        slots = np.concatenate([np.empty(0, dtype=np.int64), *found])
        return Drawn(slots, self.own[slots] * factors[self.codes[slots]], step - first)

    def _change(self, *, undone: bool = False) -> AbstractContextManager[None]:
        return nullcontext() if self.guard is None else self.guard.change(undone=undone)

    def _put_back(self, found: list[IndexArray]) -> None:
        slots = np.concatenate(found)
        self.tree.update(slots, self.own[slots] * self.applied[self.codes[slots]])

    def _settle(self, factors: FloatArray, there: npt.NDArray[np.bool_]) -> FloatArray:
        """Return factor over applied factor of each class; apply factors anew where these are far apart."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = np.where(there, factors / self.applied, 1.0)
        if not ratios[there].max() <= SPREAD * ratios[there].min():
            with self._change():
                self.applied = np.where(there, factors, 1.0)
                self.tree.fill(_drawable(self.own * self.applied[self.codes]))
            ratios = np.ones(len(factors))
        return ratios

    def fits(self, factors: FloatArray, counts: IndexArray) -> bool:
        """Return whether factors and weights are such that a tree can hold them, and some can be drawn."""
        used = factors[counts > 0]
        if not (np.isfinite(self.mass).all() and np.isfinite(used).all() and (used > 0).all()):
            return False
        if not self.tree.n_positive:
            return False
        heaviest = float(np.abs(self.mass).max()) * float(used.max())
        return heaviest < _MOST_WEIGHT

    def load(
        self,
        codes: Codes,
        own: FloatArray,
        applied: FloatArray,
        mass: FloatArray,
        weights: FloatArray,
        scale: Mapping[str, Any],
    ) -> None:
        """Take over the first slots, and the tree as it was: `weights` are those in it, `scale` its own."""
        stored = len(codes)
        self.codes[:stored], self.own[:stored] = codes, own
        self.applied, self.mass = applied, mass
        of_slots = np.zeros(len(self.codes))
        of_slots[:stored] = weights
        state = {**self.tree.state_dict(), "weights": of_slots, "scale": scale}
        self.tree.load_state_dict(state)


def _drawable(weights: FloatArray) -> FloatArray:
    """Return weights as a tree takes them: 0 where they are not finite, for then none is drawn by them."""
    return np.where(weights < _MOST_WEIGHT, weights, 0.0)
