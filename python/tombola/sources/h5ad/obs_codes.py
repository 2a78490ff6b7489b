"""One obs column of several files on its way into memory: codes at their place, categories decoded once.

Rule: codes of all files go into one array, as wide as those of the first file, and are read straight to
their place there; those of another width are an array of their own. Categories that are those of the file
before are the same array: whoever unites files compares them by identity. O(rows) memory at the stored width.
"""

import operator
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

__all__ = ["Before", "Reading", "map_codes"]

_CHUNK = 1 << 18


T = TypeVar("T")


class Before(Generic[T]):
    """What was decoded of the file before, by the bytes that it was stored as."""

    def __init__(self, equal: Callable[[T, T], bool] = operator.eq) -> None:
        self._equal = equal
        self._stored: bytes | None = None
        self._value: T | None = None

    def get(self, stored: bytes | None, decode: Callable[[], T]) -> T:
        """Give what `stored` is decoded to; the same object as that of the file before, if it is equal."""
        if self._value is not None and stored is not None and stored == self._stored:
            return self._value
        value = decode()
        if self._value is not None and self._equal(self._value, value):
            value = self._value
        self._stored, self._value = stored, value
        return value


def _are_equal(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> bool:
    return one.dtype.kind == other.dtype.kind and np.array_equal(one, other)


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
    categories : Before
        The categories of the file before.
    """

    def __init__(self, total: int = 0) -> None:
        self.total = total
        self.whole: npt.NDArray[Any] | None = None
        self.start = 0
        self.categories: Before[npt.NDArray[Any]] = Before(_are_equal)

    def place(self, dtype: np.dtype[Any], size: int) -> npt.NDArray[Any] | None:
        """Give the place of this file's codes, None if they do not go into the one array."""
        native = dtype.newbyteorder("=")
        if not self.total or native.kind != "i":
            return None
        if self.whole is None:
            self.whole = np.empty(self.total, dtype=native)
        return self.whole[self.start : self.start + size] if self.whole.dtype == native else None


def map_codes(codes: npt.NDArray[Any], table: npt.NDArray[Any], out: npt.NDArray[Any]) -> None:
    """Write ``table[codes]``, in pieces; the table's last entry is that of code -1. `out` may be `codes`."""
    if np.array_equal(table[:-1], np.arange(len(table) - 1)) and table[-1] == -1:
        if codes.dtype != out.dtype or not np.may_share_memory(codes, out):
            out[...] = codes
        return
    for start in range(0, len(codes), _CHUNK):
        out[start : start + _CHUNK] = table[codes[start : start + _CHUNK]]
