"""A sum tree after 10^9 updates: its sums are those of its leaves, to the last unit, and so are its draws.

Beside the tree stands an array of the weights. From it alone masses, sums and the slot of each draw are found
again by plain cumulative sums, through no node of the tree. Weights move by 2^30 in the course, so that the
scale is chosen anew; some are 0; updates are of one slot or of up to a million, with slots that come twice.
"""

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy import stats

from tests.oracle.philox import Purpose, derive, word64
from tests.statistical.tools import ALPHA, F64, I64, check_counts, pearson, pool
from tombola import SumTree

__all__ = ["Followed", "prove_tree"]

LEVELS = (0, -2, 3, -30, -29, -5, 0, 1, 2, 0)
"""Of the weights of each stage: they lie between 2^level and 2^(level + 20)."""
ZEROS = 0.01
SMALL = 100
"""Updates of a few slots in each stage."""


class Followed:
    """A tree, and the weights that it should have.

    Parameters
    ----------
    n : int
        Slots; all weights are 1 at first.
    """

    def __init__(self, n: int) -> None:
        self.n, self.updates, self.scales = n, 0, set[int]()
        self.tree, self.weights = SumTree(n, 1.0), np.ones(n)

    def update(self, slots: I64, weights: F64) -> None:
        """Update some slots of both; where a slot comes twice the last weight holds."""
        self.tree.update(slots, weights)
        self.weights[slots] = weights
        self.updates += len(slots)

    def masses(self) -> tuple[I64, int]:
        """Return the mass of each weight by the rule of the tree, and the scale's exponent."""
        total, exponent = self.tree._tree.scaled_total
        self.scales.add(exponent)
        masses = np.rint(np.maximum(self.weights * 2.0**exponent, self.weights > 0)).astype(np.int64)
        assert total == int(masses.sum()), f"the tree's sum is {total}, that of its leaves {masses.sum()}"
        return masses, total

    def check(self, draws: int, step: int) -> None:
        """AssertionError where weights, sums, probabilities or draws are not those of the leaves."""
        assert np.array_equal(self.tree.get(), self.weights)
        masses, total = self.masses()
        positive = int(np.count_nonzero(self.weights))
        assert self.tree.n_positive == positive
        p = self.tree.probabilities(np.arange(self.n))
        off = np.abs(p - self.weights / math.fsum(self.weights))
        assert (off <= (1 + positive * p) / total + p * 2.0**-50).all()
        words = word64(derive(16, step, Purpose.SUM_TREE), 0, np.arange(draws))
        expected = np.searchsorted(np.cumsum(masses), high_product(words, total), side="right")
        wrong = np.flatnonzero(self.tree.draw(draws, seed=16, step=step) != expected)
        assert not len(wrong), f"{len(wrong)} of {draws} draws fall elsewhere, the first of them {wrong[0]}"


def high_product(words: npt.NDArray[np.uint64], factor: int) -> I64:
    """Return ``word * factor >> 64``, factor below 2^62, in halves of 32 bits, of which no sum overflows."""
    low, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    high_word, low_word = words >> shift, words & low
    high_factor, low_factor = np.uint64(factor >> 32), np.uint64(factor & 0xFFFFFFFF)
    middle = high_word * low_factor + (low_word * low_factor >> shift)
    other = low_word * high_factor + (middle & low)
    product = high_word * high_factor + (middle >> shift) + (other >> shift)
    return np.asarray(product, dtype=np.int64)


def prove_tree(
    updates: int = 10**9, n: int = 1_000_003, draws: int = 10**8, batch: int = 10**6
) -> Iterator[tuple[str, str]]:
    """Yield what was found; AssertionError where the tree is not that of its leaves."""
    generator = np.random.default_rng(16)
    followed = Followed(n)
    checked = min(draws, 10**6)
    for stage, level in enumerate(LEVELS):
        _update(followed, updates * (stage + 1) // len(LEVELS), batch, level, generator)
        followed.check(checked, stage)
    yield (
        f"{followed.updates:,} updates of {n:,} slots",
        f"at each tenth the weights, the sum and {checked:,} draws are those of the leaves, exactly; "
        f"{len(followed.scales)} scales",
    )
    counts = np.zeros(n, dtype=np.int64)
    for step in range(10):
        counts += np.bincount(followed.tree.draw(draws // 10, seed=17, step=step), minlength=n)
    p = followed.weights / math.fsum(followed.weights)
    check_counts("draws", counts, p)
    observed, expected = pool(counts.astype(np.float64), p * counts.sum(), 10.0)
    tail = float(stats.chi2.sf(pearson(observed, expected), len(expected) - 1))
    yield (
        f"{counts.sum():,} draws after that",
        f"chi-square over {len(expected):,} counts, tail {tail:.3f}, tested at {ALPHA:g}; "
        f"none of {int((p == 0).sum()):,} slots of weight 0",
    )


def _update(followed: Followed, until: int, batch: int, level: int, generator: np.random.Generator) -> None:
    """Update until there were so many; slots and weights are cut at random places out of two pools."""
    slots = generator.integers(followed.n, size=4 * batch)
    weights = np.exp2(generator.uniform(level, level + 20, size=4 * batch))
    weights[generator.random(4 * batch) < ZEROS] = 0.0
    few = generator.integers(1, SMALL, size=SMALL).tolist()
    while followed.updates < until:
        size = min(few.pop() if few else batch, until - followed.updates)
        first, second = generator.integers(3 * batch, size=2).tolist()
        followed.update(slots[first : first + size], weights[second : second + size])
