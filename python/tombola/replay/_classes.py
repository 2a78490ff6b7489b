"""The classes of stored items: each label gets a code, in order of first appearance, and codes are counted.

O(items log classes) to look labels up, O(classes) for all else.
"""

import numpy as np
import numpy.typing as npt

from .._validation import IndexArray

__all__ = ["Classes"]


class Classes:
    """Labels, their codes, and how many items of each are stored."""

    def __init__(self) -> None:
        self.labels: IndexArray = np.empty(0, dtype=np.int64)  # by code
        self.counts: IndexArray = np.empty(0, dtype=np.int64)
        self._sort()

    def __len__(self) -> int:
        return len(self.labels)

    def codes(self, labels: IndexArray) -> npt.NDArray[np.int32]:
        """Return codes of labels; new labels get the next ones, and are counted as 0 so far."""
        distinct = np.unique(labels)
        new = distinct[~np.isin(distinct, self._sorted)]
        if len(new):
            self.labels = np.concatenate([self.labels, new])
            self.counts = np.concatenate([self.counts, np.zeros(len(new), dtype=np.int64)])
            self._sort()
        return self._order[np.searchsorted(self._sorted, labels)].astype(np.int32)

    def count(self, codes: npt.NDArray[np.int32], change: int) -> None:
        """Count items in (``change = 1``) or out (``-1``)."""
        self.counts += change * np.bincount(codes, minlength=len(self))

    def load(self, labels: IndexArray, counts: IndexArray) -> None:
        """Take over labels and counts."""
        self.labels, self.counts = labels, counts
        self._sort()

    def _sort(self) -> None:
        self._order = np.argsort(self.labels)
        self._sorted = self.labels[self._order]
