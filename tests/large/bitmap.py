"""Which of n rows have come: a bit a row, and an error as soon as one comes twice.

Complexity: O(1) a row, n / 8 bytes. Numba compiles the loop, as NumPy would need a sort for each array.
"""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

__all__ = ["Bitmap"]

_LOOKED_AT = 1 << 20
"""Bytes at once."""


def _mark_rows(bits: Any, rows: Any, n: Any) -> Any:
    """Set the bits of rows; return the first place that is out of range or set already, or -1."""
    for place in range(len(rows)):
        row = rows[place]
        if not 0 <= row < n:
            return place
        byte, bit = row >> 3, np.uint8(1 << (row & 7))
        if bits[byte] & bit:
            return place
        bits[byte] |= bit
    return -1


_mark = numba.njit(nogil=True)(_mark_rows)


class Bitmap:
    """Which of n rows have come.

    Parameters
    ----------
    n : int
        Number of rows.
    """

    def __init__(self, n: int) -> None:
        self.n, self.count = n, 0
        self._bits = np.empty(n // 8 + 1, dtype=np.uint8)
        self._bits.fill(0)  # touches all pages at once, in order

    def add(self, rows: npt.NDArray[np.int64]) -> None:
        """Note rows; AssertionError where one is none of the n, or has come before."""
        place = int(_mark(self._bits, rows, self.n))
        if place >= 0:
            row = int(rows[place])
            what = "came twice" if 0 <= row < self.n else f"is none of the {self.n:,} rows"
            raise AssertionError(f"row {row:,} {what}")
        self.count += len(rows)

    def check_all_came(self) -> None:
        """AssertionError with the first row that has not come; looks at the bits, not at the count."""
        for start in range(0, len(self._bits), _LOOKED_AT):
            first = 8 * start
            came = np.unpackbits(self._bits[start : start + _LOOKED_AT], bitorder="little")[: self.n - first]
            if not came.all():
                row = first + int(np.argmin(came))
                raise AssertionError(f"row {row:,} never came; {self.count:,} rows did")
        assert self.count == self.n
