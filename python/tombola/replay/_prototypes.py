"""Class prototypes as the importance kernel takes them."""

import numpy as np
import numpy.typing as npt

from .scores.arrays import ArrayInput, read_only, reals

__all__ = ["Prototypes"]

_LANES = 16


class Prototypes:
    """Prototypes and their lengths as the kernel takes them.

    The largest value of each is first brought near 1 by a power of two: that is exact, changes no cosine, and
    no square leaves float64. Squares are summed in the order of the kernel. Missing ones have length 0. The
    table is float32 where that holds every value: half the bytes to move, and products that are exact.
    """

    def __init__(self, prototypes: ArrayInput) -> None:
        values = reals("prototypes", prototypes, axes=2)
        self.classes, self.width = values.shape
        finite = np.all(np.isfinite(values), axis=1)
        if not finite.all():
            odd = ~(finite | np.all(np.isnan(values), axis=1))
            if odd.any():
                row = int(np.argmax(odd))
                msg = f"prototypes must be finite, or all NaN where missing, but prototypes[{row}] is neither"
                raise ValueError(msg)
            values = np.where(finite[:, np.newaxis], values, 0.0)
        largest = np.maximum(values.max(axis=1, initial=0.0), -values.min(axis=1, initial=0.0))
        powers = np.ldexp(1.0, np.clip(-np.frexp(largest)[1], -1022, 1022))
        scaled = _whole_lanes(values * powers[:, np.newaxis])
        self.lengths = read_only(np.sqrt(_square_sums(scaled)))
        with np.errstate(under="ignore"):
            narrow = scaled.astype(np.float32)
        self.table = read_only(narrow if np.array_equal(narrow, scaled) else scaled)


def _whole_lanes(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return values with columns of zeros behind, so that the columns fill all lanes."""
    missing = -values.shape[1] % _LANES
    return np.pad(values, ((0, 0), (0, missing))) if missing else values


def _square_sums(table: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the sum of the squares of each row, lane by lane, then of the lanes."""
    squares = np.multiply(table, table).reshape(len(table), table.shape[1] // _LANES, _LANES)
    # Not along the last axis, so one after the other.
    sums: npt.NDArray[np.float64] = np.add.reduce(squares, axis=1)
    while sums.shape[1] > 1:
        half = sums.shape[1] // 2
        sums = sums[:, :half] + sums[:, half:]
    return sums[:, 0]
