"""A replay buffer's choices, plainly: one item after the other, one draw after the other."""

import numpy as np
from numpy.typing import NDArray

from tests.oracle.permutations import I64
from tests.oracle.philox import Purpose, derive, word64


def reservoir_slots(seed: int, first: int, count: int, slots: int) -> I64:
    """Return the slot of each item, -1 where it is left out (algorithm R)."""
    found = []
    words = word64(derive(seed, 0, Purpose.RESERVOIR), 0, first + np.arange(count)).tolist()
    for item, word in enumerate(words, first):
        slot = item if item < slots else word * (item + 1) >> 64
        found.append(slot if slot < slots else -1)
    return np.array(found, dtype=np.int64)


def uniform_draws(seed: int, step: int, stored: int, size: int, *, replace: bool) -> I64:
    """Return uniform draws: independent ones, or the beginning of a Fisher-Yates shuffle."""
    words = word64(derive(seed, step, Purpose.UNIFORM_DRAWS), 0, np.arange(size)).tolist()
    if replace:
        return np.array([word * stored >> 64 for word in words], dtype=np.int64)
    order = list(range(stored))
    for i, word in enumerate(words):
        j = i + (word * (stored - i) >> 64)
        order[i], order[j] = order[j], order[i]
    return np.array(order[:size], dtype=np.int64)


def unit_draws(seed: int, step: int, size: int) -> NDArray[np.float64]:
    """Return numbers of [0, 1) in steps of 2**-53."""
    words = word64(derive(seed, step, Purpose.THINNING), 0, np.arange(size)).tolist()
    return np.array([(word >> 11) / 2**53 for word in words], dtype=np.float64)
