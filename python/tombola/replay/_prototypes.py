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
        given = reals("prototypes", prototypes, axes=2)
        finite = np.all(np.isfinite(given), axis=1)
        odd = ~(finite | np.all(np.isnan(given), axis=1))
        if odd.any():
            row = int(np.argmax(odd))
            msg = f"prototypes must be finite, or all NaN where missing, but prototypes[{row}] is neither"
            raise ValueError(msg)
        self.classes, self.width = given.shape
        values = np.where(finite[:, np.newaxis], given, 0.0)
        _, exponents = np.frexp(np.abs(values).max(axis=1, initial=0.0))
        table = _aligned_zeros(self.classes, self.width + 1)
        scaled = np.ldexp(values, -exponents[:, np.newaxis], out=table[:, : self.width])
        table[:, -1] = np.sqrt(_row_sums(scaled * scaled))
        self.table = read_only(table)


def _aligned_zeros(rows: int, columns: int, line: int = 64) -> npt.NDArray[np.float64]:
    """Return an array of at least so many columns whose rows begin where cache lines begin."""
    values = line // 8
    columns = -(-columns // values) * values
    memory = np.zeros(rows * columns + values)
    start = -memory.ctypes.data % line // 8
    return memory[start : start + rows * columns].reshape(rows, columns)


def _row_sums(values: npt.NDArray[np.float64], lanes: int = 16) -> npt.NDArray[np.float64]:
    """Return the sum of each row, in lanes."""
    rows, columns = values.shape
    padded = np.zeros((rows, -(-columns // lanes), lanes))
    padded.reshape(rows, padded.shape[1] * lanes)[:, :columns] = values
    sums = np.zeros((rows, lanes))
    for part in range(padded.shape[1]):
        sums += padded[:, part]
    while sums.shape[1] > 1:
        half = sums.shape[1] // 2
        sums = sums[:, :half] + sums[:, half:]
    return sums[:, 0]
