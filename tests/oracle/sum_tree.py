"""Weights that change, plainly: a list of weights, their masses and sums made anew for every draw."""

import bisect
import itertools
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tests.oracle.permutations import I64
from tests.oracle.philox import Purpose, derive, word64
from tests.oracle.weights import ceil_log2, ordered_sum


@dataclass
class SumTree:
    """Slots with weights, and the scale of their masses, ``2**exponent``; None before the first fit."""

    n: int
    weights: NDArray[np.float64] = field(init=False)
    exponent: int | None = None
    low: int = 0

    def __post_init__(self) -> None:
        self.weights = np.zeros(self.n)

    @property
    def masses(self) -> list[int]:
        """Integer weights: scaled and rounded, at least 1 where positive."""
        scale = 2.0 ** (self.exponent or 0)
        scaled = np.maximum(self.weights * scale, np.where(self.weights > 0, 1.0, 0.0))
        return [int(x) for x in np.rint(scaled).tolist()]

    @property
    def positive(self) -> int:
        """How many slots can be drawn."""
        return int(np.count_nonzero(self.weights))

    def _mean_times_n(self) -> int:
        return sum(self.masses) * self.n // self.positive

    def _fit(self) -> None:
        if self.positive:
            full = ordered_sum(self.weights) / self.positive * self.n
            exponent = min(57 - ceil_log2(full), 46 - ceil_log2(float(self.weights.max())))
            self.exponent = max(-1000, min(1000, exponent))
            self.low = self._mean_times_n() >> 7

    def fill(self, weights: ArrayLike) -> None:
        """Set all weights."""
        self.weights[:] = weights
        self.exponent, self.low = None, 0
        self._fit()

    def update(self, slots: ArrayLike, weights: ArrayLike) -> None:
        """Set some weights, one after the other."""
        given = np.asarray(weights, dtype=np.float64).tolist()
        for slot, weight in zip(np.asarray(slots).tolist(), given, strict=True):
            self.weights[slot] = weight
        if not self.positive:
            return
        refit = self.exponent is None
        if self.exponent is not None:
            refit = max(given, default=0.0) * 2.0**self.exponent > 2.0**51
            refit = refit or sum(self.masses) >= 2**62 or self._mean_times_n() < self.low
        if refit:
            self._fit()

    def draw(self, size: int, seed: int, step: int = 0, *, stratified: bool = False) -> I64:
        """Return ``size`` drawn slots, with replacement."""
        cumulative = list(itertools.accumulate(self.masses))
        total, slots = cumulative[-1], []
        for t, u in enumerate(word64(derive(seed, step, Purpose.SUM_TREE), 0, np.arange(size)).tolist()):
            low, high = (total * t // size, total * (t + 1) // size) if stratified else (0, total)
            slots.append(bisect.bisect_right(cumulative, low + (u * (high - low) >> 64)))
        return np.array(slots, dtype=np.int64)

    def draw_distinct(self, size: int, seed: int, step: int = 0) -> I64:
        """Return ``size`` distinct slots: a line of the masses still there, in which drawn ones are skipped.

        Slots drawn since the line was last made are still on it, and rejected; once they are more than half
        of it, it is made anew without them.
        """
        key, masses = derive(seed, step, Purpose.SUM_TREE_DISTINCT), self.masses
        line, fresh, slots = list(itertools.accumulate(masses)), 0, list[int]()
        for attempt in itertools.count():
            if len(slots) == size:
                break
            u = int(word64(key, 0, attempt))
            slot = bisect.bisect_right(line, u * line[-1] >> 64)
            if slot in slots:
                continue
            slots.append(slot)
            fresh += masses[slot]
            if fresh > line[-1] // 2:
                left = [0 if s in slots else mass for s, mass in enumerate(masses)]
                line, fresh = list(itertools.accumulate(left)), 0
        return np.array(slots, dtype=np.int64)
