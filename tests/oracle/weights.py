"""Weights as integers, plainly: scaled by a power of two and rounded, so that every later sum is exact.

The scale makes the largest weight at most 2**51 and the sum at most about 2**61; a positive weight never
becomes 0. The float64 sum that fixes the scale is taken in one stated order, since the order of additions can
matter.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tests.oracle.permutations import I64

CHUNK = 4096
LANES = 8


@dataclass(frozen=True, eq=False)
class Quantised:
    """Integer weights ``q`` of each row; ``q`` is about ``w * 2**exponent``."""

    q: I64
    exponent: int

    @cached_property
    def cumulative(self) -> I64:
        """Inclusive cumulative sum of ``q``."""
        return np.cumsum(self.q)

    @property
    def total(self) -> int:
        """The sum of ``q``, below 2**62."""
        return int(self.cumulative[-1])

    @property
    def n_positive(self) -> int:
        """How many rows can be drawn."""
        return int(np.count_nonzero(self.q))

    def row(self, targets: ArrayLike) -> I64:
        """Return the row that each target in ``[0, total)`` falls on."""
        return np.searchsorted(self.cumulative, np.asarray(targets, dtype=np.int64), side="right")


def ceil_log2(x: float) -> int:
    """Return the smallest integer ``c`` with ``x <= 2**c``, for ``x > 0``."""
    fraction, exponent = math.frexp(x)
    return exponent - 1 if fraction == 0.5 else exponent


def ordered_sum(weights: NDArray[np.float64]) -> float:
    """Return the float64 sum in the order that defines the scale: chunks of 4,096 rows in 8 lanes."""
    total = 0.0
    for start in range(0, len(weights), CHUNK):
        lane = [0.0] * LANES
        for i, w in enumerate(weights[start : start + CHUNK].tolist()):
            lane[i % LANES] += w
        even = (lane[0] + lane[4]) + (lane[2] + lane[6])
        odd = (lane[1] + lane[5]) + (lane[3] + lane[7])
        total += even + odd
    return total


def scale_exponent(total: float, largest: float) -> int:
    """Return ``e`` of the scale ``2**e``; a sum beyond float64 or weights all too small are errors."""
    if not math.isfinite(total):
        msg = "the weights must have a finite sum"
        raise ValueError(msg)
    exponent = min(61 - ceil_log2(total), 51 - ceil_log2(largest))
    if exponent > 1000:
        msg = "the weights are too small"
        raise ValueError(msg)
    return exponent


def _check(weights: NDArray[np.float64]) -> None:
    for i, w in enumerate(weights.tolist()):
        if not 0 <= w < math.inf:
            msg = f"weights must be finite and >= 0, but weights[{i}] = {w}"
            raise ValueError(msg)


def _round(weights: NDArray[np.float64], exponent: int) -> I64:
    scaled = np.maximum(weights * 2.0**exponent, np.where(weights > 0, 1.0, 0.0))
    return np.rint(scaled).astype(np.int64)


def quantise_values(weights: ArrayLike, indices: ArrayLike | None = None) -> Quantised:
    """Return the integer weights of ``WeightTable.from_values``: one weight a row, float32 or float64."""
    w = np.asarray(weights, dtype=np.float64)
    if indices is not None:
        w = w[np.asarray(indices)]
    _check(w)
    if not (w > 0).any():
        msg = "at least one weight must be positive"
        raise ValueError(msg)
    exponent = scale_exponent(ordered_sum(w), float(w.max()))
    return Quantised(_round(w, exponent), exponent)


def quantise_codes(codes: ArrayLike, class_weights: ArrayLike, indices: ArrayLike | None = None) -> Quantised:
    """Return the integer weights of ``WeightTable.from_codes``: a class a row and a weight a class."""
    code, w = np.asarray(codes, dtype=np.int64), np.asarray(class_weights, dtype=np.float64)
    if indices is not None:
        code = code[np.asarray(indices)]
    _check(w)
    if ((code < 0) | (code >= len(w))).any():
        msg = f"codes must be in [0, {len(w)})"
        raise ValueError(msg)
    counts = np.bincount(code, minlength=len(w)).tolist()
    total = 0.0
    for count, weight in zip(counts, w.tolist(), strict=True):
        total += count * weight
    present = [weight for count, weight in zip(counts, w.tolist(), strict=True) if count > 0]
    if not any(weight > 0 for weight in present):
        msg = "at least one weight must be positive"
        raise ValueError(msg)
    exponent = scale_exponent(total, max(present))
    return Quantised(_round(w[code], exponent), exponent)
