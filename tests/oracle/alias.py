"""The alias table, plainly: Vose's method in integers.

Source: Vose, "A linear algorithm for generating random numbers with a given distribution", IEEE Transactions
on Software Engineering 17(9), 1991.
"""

import numpy as np
from numpy.typing import ArrayLike

from tests.oracle.permutations import I64
from tests.oracle.philox import Purpose, derive, word64
from tests.oracle.weights import quantise_values


class AliasTable:
    """Unsorted weighted draws with replacement, O(1) each: a column, then its row or the row's alias."""

    def __init__(self, weights: ArrayLike) -> None:
        quantised = quantise_values(weights)
        self.n = len(quantised.q)
        self.capacity = quantised.total
        mass = [q * self.n for q in quantised.q.tolist()]
        self.cut = [self.capacity] * self.n
        self.alias = list(range(self.n))
        small = [i for i in range(self.n) if mass[i] < self.capacity]
        large = [i for i in range(self.n) if mass[i] >= self.capacity]
        while small and large:
            lacking, giving = small.pop(), large.pop()
            self.cut[lacking], self.alias[lacking] = mass[lacking], giving
            mass[giving] -= self.capacity - mass[lacking]
            (small if mass[giving] < self.capacity else large).append(giving)

    def draw(self, size: int, seed: int, epoch: int = 0) -> I64:
        """Return ``size`` drawn rows."""
        values: list[int] = word64(derive(seed, epoch, Purpose.ALIAS), 0, np.arange(2 * size)).tolist()
        rows = []
        for u, v in zip(values[::2], values[1::2], strict=True):
            column, height = (u * self.n) >> 64, (v * self.capacity) >> 64
            rows.append(column if height < self.cut[column] else self.alias[column])
        return np.array(rows, dtype=np.int64)
