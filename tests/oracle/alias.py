"""The alias tables, plainly: shares and the sweep over rows in order; over groups Vose's method.

Sources: Hübschle-Schneider and Sanders, "Parallel weighted random sampling", ESA 2019; Vose, "A linear
algorithm for generating random numbers with a given distribution", IEEE Transactions on Software Engineering
17(9), 1991.
"""

import itertools

import numpy as np
from numpy.typing import ArrayLike

from tests.oracle.permutations import I64
from tests.oracle.philox import Purpose, derive, word64
from tests.oracle.weights import quantise_values

FULL = 2**32


def shares(masses: list[int]) -> list[int]:
    """Return what each row gets of n columns of 2**32: rounded differences of the scaled cumulative mass."""
    n, total = len(masses), sum(masses)
    shift = 0
    while (n * FULL << shift) // total < 2**62:
        shift += 1
    multiplier = -(-(n * FULL << shift) // total)
    below, out, cumulative = 0, [], 0
    for mass in masses:
        cumulative += mass
        above = min(cumulative * multiplier >> shift, n * FULL)
        out.append(above - below)
        below = above
    return out


class AliasTable:
    """Unsorted weighted draws with replacement, O(1) each: a column, then its row or the row's alias."""

    def __init__(self, weights: ArrayLike) -> None:
        share = shares(quantise_values(weights).q.tolist())
        self.n = len(share)
        self.cut = [FULL - 1] * self.n
        self.alias = list(range(self.n))
        light = [row for row in range(self.n) if share[row] < FULL]
        heavy = [row for row in range(self.n) if share[row] > FULL]
        for giver, following in itertools.zip_longest(heavy, heavy[1:]):
            while light and share[giver] >= FULL:
                row = light.pop(0)
                self.cut[row], self.alias[row] = share[row], giver
                share[giver] -= FULL - share[row]
            if following is not None:
                self.cut[giver], self.alias[giver] = share[giver], following
                share[following] -= FULL - share[giver]

    def draw(self, size: int, seed: int, epoch: int = 0) -> I64:
        """Return ``size`` drawn rows."""
        values: list[int] = word64(derive(seed, epoch, Purpose.ALIAS), 0, np.arange(size)).tolist()
        rows = []
        for u in values:
            column, fraction = divmod(u * self.n, 2**64)
            rows.append(column if fraction >> 32 < self.cut[column] else self.alias[column])
        return np.array(rows, dtype=np.int64)


class GroupedAlias:
    """Draws from groups of rows of equal weight: a group by its column, then a position in it."""

    def __init__(self, offsets: ArrayLike, weights: ArrayLike) -> None:
        self.offsets = np.asarray(offsets).tolist()
        sizes = np.diff(self.offsets)
        quantised = quantise_values(np.asarray(weights, dtype=np.float64) * sizes)
        self.n, self.capacity = len(sizes), quantised.total
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
        """Return ``size`` drawn positions."""
        values: list[int] = word64(
            derive(seed, epoch, Purpose.GROUPED_ALIAS), 0, np.arange(2 * size)
        ).tolist()
        positions = []
        for u, v in zip(values[::2], values[1::2], strict=True):
            column, fraction = divmod(u * self.n, 2**64)
            group = column if (fraction * self.capacity) >> 64 < self.cut[column] else self.alias[column]
            first, stop = self.offsets[group : group + 2]
            positions.append(first + (v * (stop - first) >> 64))
        return np.array(positions, dtype=np.int64)
