"""The classes of stored items: each label gets a code, and codes are counted and used again.

A class of which nothing is stored any more is forgotten, and the next new label gets its code. So there are
never more codes than twice the items that a buffer holds, however many labels a stream has. O(items log
classes) to look labels up, O(classes) for all else.
"""

import numpy as np
import numpy.typing as npt

from .._base.types import IndexArray

__all__ = ["Classes"]


class Classes:
    """Labels, their codes, and how many items of each are stored; a count of 0 says that a code is free."""

    def __init__(self) -> None:
        self.labels: IndexArray = np.empty(0, dtype=np.int64)  # by code
        self.counts: IndexArray = np.empty(0, dtype=np.int64)
        self._index(np.empty(0, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.labels)

    def known(self, labels: IndexArray) -> npt.NDArray[np.bool_]:
        """Return which labels are those of stored items."""
        self._forget()
        return np.isin(labels, self._sorted)

    def codes(self, labels: IndexArray) -> tuple[npt.NDArray[np.int32], IndexArray]:
        """Return codes of labels, and those codes that are given out anew, counted as 0 so far."""
        self._forget()
        distinct = np.unique(labels)
        new = distinct[~np.isin(distinct, self._sorted)]
        free = np.flatnonzero(self.counts == 0)
        missing = len(new) - len(free)
        if missing > 0:
            free = np.concatenate([free, np.arange(len(self), len(self) + missing)])
            self.labels = np.concatenate([self.labels, np.zeros(missing, dtype=np.int64)])
            self.counts = np.concatenate([self.counts, np.zeros(missing, dtype=np.int64)])
        begun = free[: len(new)]
        self.labels[begun] = new
        if len(new):
            self._index(np.concatenate([self._order, begun]))
        return self._order[np.searchsorted(self._sorted, labels)].astype(np.int32), begun

    def count(self, codes: npt.NDArray[np.int32], change: int) -> None:
        """Count items in (``change = 1``) or out (``-1``)."""
        self.counts += change * np.bincount(codes, minlength=len(self))

    def load(self, labels: IndexArray, counts: IndexArray) -> None:
        """Take over labels and counts."""
        self.labels, self.counts = labels, counts
        self._index(np.flatnonzero(counts))

    def _forget(self) -> None:
        """Leave classes out of which nothing is stored; none comes in but by `codes`, so numbers tell."""
        if len(self._order) != np.count_nonzero(self.counts):
            self._index(np.flatnonzero(self.counts))

    def _index(self, codes: IndexArray) -> None:
        self._order = codes[np.argsort(self.labels[codes])]
        self._sorted = self.labels[self._order]
