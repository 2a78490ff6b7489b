"""Weights that change between draws: a sum tree in integers, and prioritised replay's correction weights.

Every node is one cache line, eight children wide; sums are integers and never drift. Draws are independent,
stratified or without replacement. Source of stratified draws and correction weights: Schaul, Quan, Antonoglou
and Silver, "Prioritized experience replay", ICLR 2016.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _core
from .._base.checks import check_bool, check_integer, check_number, index_array
from .._base.types import FloatArray, IndexArray, WeightArray
from ..labels.weights import weight_array

__all__ = ["SumTree", "correction_weights"]


_VERSION = 1


class SumTree:
    """Slots with weights that can change, drawn in proportion to them.

    Parameters
    ----------
    n : int
        Number of slots, 1 to 2**40; 9.2 bytes each.
    weights : number or array-like, shape (n,), optional
        Finite, >= 0 and at most 2**900; 0 by default. A slot of weight 0 is never drawn.

    Raises
    ------
    TypeError
        If the weights are no real numbers, or integers that float64 does not hold exactly.
    ValueError
        If a weight is negative, NaN, infinite or above 2**900; the first one is named, and nothing has
        changed.

    Notes
    -----
    O(log n) an update and a draw. Sums are integers: a slot's mass is its weight times a power of
    two, rounded (1 at least, if it is positive), so at all times the sums are exactly those of a tree built
    anew. The power is chosen from the first weights, such that slots of about equal weight have a mass of
    2**57 / n. Once weights have grown or fallen by some factor (32 or more at least), it is chosen anew from
    all weights, in O(n). A probability p is at most ``(1 + n_positive * p) / total`` off, ``total`` the sum
    of masses.

    Threads may draw side by side; an update waits for draws and draws wait for it. A signal handler may use
    the tree: it runs before or after a change, and where it changes a tree that is being drawn from, the draw
    is made anew. A process that is forked while another thread changes the tree gets a RuntimeError from it,
    until it fills it or loads a state. The same weights, history of scales, seed and step give the same draws
    on every platform and for every thread count.

    Examples
    --------
    >>> import tombola
    >>> tree = tombola.SumTree(5)
    >>> tree.update([0, 1, 4], [1.0, 2.0, 0.5])
    >>> tree.total
    3.5
    >>> sorted(tree.draw(3, seed=1, replace=False).tolist())
    [0, 1, 4]
    >>> tree.update([1, 1], [7.0, 0.0])  # the last one holds
    >>> tree.get([0, 1, 2]).tolist()
    [1.0, 0.0, 0.0]
    """

    def __init__(self, n: int, weights: npt.ArrayLike | None = None) -> None:
        self._tree = _core.SumTree(check_integer("n", n, minimum=1))
        if weights is not None:
            self.fill(weights)

    @classmethod
    def _restored(cls, state: Mapping[str, Any]) -> "SumTree":
        tree = cls(state["n"])
        tree.load_state_dict(state)
        return tree

    def __reduce__(self) -> tuple[Any, ...]:
        return SumTree._restored, (self.state_dict(),)

    def __len__(self) -> int:
        return self._tree.n

    def __repr__(self) -> str:
        return f"SumTree(n={self.n}, n_positive={self.n_positive}, total={self.total:g})"

    @property
    def n(self) -> int:
        """Number of slots."""
        return self._tree.n

    @property
    def n_positive(self) -> int:
        """Number of slots that can be drawn."""
        return self._tree.n_positive

    @property
    def total(self) -> float:
        """The sum of all weights, by their masses."""
        total, exponent = self._tree.scaled_total
        return total * 2.0**-exponent

    def fill(self, weights: npt.ArrayLike) -> None:
        """Set the weights of all slots, to one number or one each, and choose the scale anew; O(n)."""
        self._tree.fill(_weights(weights, self.n))

    def update(self, slots: npt.ArrayLike, weights: npt.ArrayLike) -> None:
        """Set the weights of some slots, to one number or one each; where a slot comes twice the last holds.

        Raises
        ------
        IndexError
            If a slot is out of range; the first one is named, and nothing has changed.
        TypeError, ValueError
            As for the class, or if there is not one weight for each slot.
        """
        if self._tree.try_update(slots, weights):
            return
        at = index_array("slots", slots)
        self._tree.update(at, _weights(weights, len(at)).astype(np.float64, copy=False))

    def get(self, slots: npt.ArrayLike | None = None) -> FloatArray:
        """Return the weights of slots, or of all, as they were given."""
        return self._tree.weights() if slots is None else self._tree.get(index_array("slots", slots))

    def probabilities(self, slots: npt.ArrayLike) -> FloatArray:
        """Return the probability with which a draw gives each of these slots; NaN where all weights are 0."""
        return self._tree.probabilities(index_array("slots", slots))

    def draw(
        self, size: int, seed: int = 0, step: int = 0, *, replace: bool = True, stratified: bool = False
    ) -> IndexArray:
        """Return ``size`` slots as an int64 array; O(size log n).

        Parameters
        ----------
        size : int
            Number of draws, >= 0. A longer draw begins with the shorter one, unless it is stratified.
        seed, step : int
            In ``[0, 2**63)``; together they pick the draws.
        replace : bool, keyword-only
            False: no slot twice; each is drawn in proportion to weight among those that have not come yet.
        stratified : bool, keyword-only
            One draw in each of ``size`` parts of equal weight, in the order of slots.

        Raises
        ------
        ValueError
            If all weights are 0; without replacement, if ``size`` is above `n_positive`.
        """
        return self._draw(size, seed, step, replace, stratified)[0]

    def draw_with_correction(
        self,
        size: int,
        seed: int = 0,
        step: int = 0,
        *,
        beta: float,
        replace: bool = True,
        stratified: bool = False,
    ) -> tuple[IndexArray, FloatArray]:
        """Return slots as `draw` does, and for each the weight that makes up for how often it is drawn.

        That is `correction_weights` with ``n_positive`` for n, normalised by the largest of these draws.
        Without replacement p is that of the first draw, an approximation that is good where no slot
        dominates.
        """
        slots, probabilities, positive = self._draw(size, seed, step, replace, stratified)
        return slots, correction_weights(probabilities, positive, beta)

    def state_dict(self) -> dict[str, Any]:
        """Return weights and scale, a copy: draws of a tree that loads it are those of this one."""
        weights, chosen, exponent, low = self._tree.state()
        scale = {"chosen": chosen, "exponent": exponent, "low": low}
        return {"version": _VERSION, "n": self.n, "weights": weights, "scale": scale}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over weights and scale of another tree of as many slots; ValueError for anything else."""
        if state.get("version") != _VERSION or state.get("n") != self.n:
            came = f"version {state.get('version')} with n = {state.get('n')}"
            msg = f"expected the state of a SumTree, version {_VERSION} with n = {self.n}, but got {came}"
            raise ValueError(msg)
        weights = np.asarray(_weights(state["weights"], self.n), dtype=np.float64)
        self._tree.restore(weights, **state["scale"])

    def _draw(
        self, size: int, seed: int, step: int, replace: bool, stratified: bool
    ) -> tuple[IndexArray, FloatArray, int]:
        if check_bool("stratified", stratified) and not check_bool("replace", replace):
            msg = "stratified draws are with replacement: leave out stratified=True or replace=False"
            raise ValueError(msg)
        return self._tree.draw(
            check_integer("size", size),
            check_integer("seed", seed),
            check_integer("step", step),
            replace=check_bool("replace", replace),
            stratified=stratified,
        )


def correction_weights(
    probabilities: npt.ArrayLike, n: int, beta: float, *, normalise: bool = True
) -> FloatArray:
    """Return ``(n * p) ** -beta`` for each draw: importance-sampling weights of prioritised replay.

    Parameters
    ----------
    probabilities : array-like
        With which each draw came, > 0.
    n : int
        Number of items that can be drawn.
    beta : number
        1 corrects wholly, 0 not at all; usually raised to 1 over training.
    normalise : bool, keyword-only
        Divide by the largest, so that weights only scale updates down.

    Raises
    ------
    ValueError
        If a probability is not in (0, 1], or beta is negative.

    Examples
    --------
    >>> import tombola
    >>> tombola.correction_weights([0.5, 0.25, 0.125], n=4, beta=1.0).tolist()
    [0.25, 0.5, 1.0]
    """
    p = np.asarray(weight_array("probabilities", probabilities), dtype=np.float64)
    if p.size and not (0.0 < float(p.min()) and float(p.max()) <= 1.0):
        at = int(np.argmin((p > 0.0) & (p <= 1.0)))
        msg = f"probabilities must be > 0 and <= 1, but probabilities[{at}] = {p[at]}"
        raise ValueError(msg)
    weights = (check_integer("n", n) * p) ** -float(check_number("beta", beta))
    if normalise and weights.size:
        weights /= weights.max()
    return np.asarray(weights)


def _weights(weights: npt.ArrayLike, size: int) -> WeightArray:
    if np.ndim(weights) == 0:
        return np.full(size, weight_array("weights", np.reshape(weights, 1))[0], dtype=np.float64)
    return weight_array("weights", weights)
