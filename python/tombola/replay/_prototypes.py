"""Class prototypes as the importance kernel takes them."""

import numpy as np
import numpy.typing as npt

from ._arrays import ArrayInput, read_only, reals

__all__ = ["Prototypes"]


class Prototypes:
    """Prototypes and their lengths as the kernel takes them.

    The largest value of each is first brought near 1 by a power of two: that is exact, changes no cosine, and
    no square leaves float64. Squares are summed in the order of the kernel. Missing ones have length 0.
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
        table = _aligned_zeros(self.classes, self.width + 1)
        scaled = np.multiply(values, powers[:, np.newaxis], out=table[:, : self.width])
        table[:, -1] = np.sqrt(_square_sums(scaled))
        self.table = read_only(table)


def _aligned_zeros(rows: int, columns: int, line: int = 64) -> npt.NDArray[np.float64]:
    """Return an array of at least so many columns whose rows begin where cache lines begin."""
    values = line // 8
    columns = -(-columns // values) * values
    memory = np.zeros(rows * columns + values)
    start = -memory.ctypes.data % line // 8
    return memory[start : start + rows * columns].reshape(rows, columns)


def _square_sums(values: npt.NDArray[np.float64], lanes: int = 16) -> npt.NDArray[np.float64]:
    """Return the sum of the squares of each row, in lanes."""
    sums = np.zeros((len(values), lanes))
    for start in range(0, values.shape[1], lanes):
        part = values[:, start : start + lanes]
        sums[:, : part.shape[1]] += part * part
    while sums.shape[1] > 1:
        half = sums.shape[1] // 2
        sums = sums[:, :half] + sums[:, half:]
    return sums[:, 0]
