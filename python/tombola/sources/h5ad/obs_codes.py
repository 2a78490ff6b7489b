"""One obs column of several files on its way into memory: codes at their place, categories decoded once.

Rule: codes of all files go into one array, as wide as those of the first file, and are read straight to their
place there; those of another width are an array of their own. Categories that are those of the file before are
the same array: whoever unites files compares them by identity. O(rows) memory at the stored width.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Reading", "map_codes"]

_CHUNK = 1 << 18


class Reading:
    """What one column of a file takes from the files before it.

    Parameters
    ----------
    total
        Rows of all files, where their codes shall become one array; else 0.

    Attributes
    ----------
    whole : ndarray, optional
        The codes of all files; places of files whose codes are not in it are not written.
    start : int
        The row at which the file that is read begins.
    """

    def __init__(self, total: int = 0) -> None:
        self.total = total
        self.whole: npt.NDArray[Any] | None = None
        self.start = 0
        self._stored: list[Any] | None = None
        self._categories: npt.NDArray[Any] | None = None

    def place(self, dtype: np.dtype[Any], size: int) -> npt.NDArray[Any] | None:
        """Give the place of this file's codes, None if they do not go into the one array."""
        native = dtype.newbyteorder("=")
        if not self.total or native.kind != "i":
            return None
        if self.whole is None:
            self.whole = np.empty(self.total, dtype=native)
        return self.whole[self.start : self.start + size] if self.whole.dtype == native else None

    def known(self, stored: list[Any]) -> npt.NDArray[Any] | None:
        """Give the categories if the file before stored them so, too."""
        return self._categories if self._stored == stored else None

    def keep(self, stored: list[Any], categories: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Remember categories for the next file; the same array if they are those of the file before."""
        before = self._categories
        if before is not None and before.dtype.kind == categories.dtype.kind and len(before) == len(categories):
            if np.array_equal(before, categories):
                categories = before
        self._stored, self._categories = stored, categories
        return categories


def map_codes(codes: npt.NDArray[Any], table: npt.NDArray[Any], out: npt.NDArray[Any]) -> None:
    """Write ``table[codes]``, in pieces; the last entry of the table is that of code -1. `out` may be `codes`."""
    if np.array_equal(table[:-1], np.arange(len(table) - 1)) and table[-1] == -1:
        if codes.dtype != out.dtype or not np.may_share_memory(codes, out):
            out[...] = codes
        return
    for start in range(0, len(codes), _CHUNK):
        out[start : start + _CHUNK] = table[codes[start : start + _CHUNK]]
