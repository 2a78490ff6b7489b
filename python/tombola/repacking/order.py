"""Which row of the input is which of the output, both ways: 8 bytes a row where rows are shuffled, else none.

Rows of several inputs are counted through.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.types import IndexArray
from ..draws.permutations import permutation

__all__ = ["RowOrder"]


class RowOrder:
    """The order of the output.

    Parameters
    ----------
    n
        Number of rows.
    seed
        Of the permutation; None leaves rows as they are.
    """

    def __init__(self, n: int, seed: int | None) -> None:
        self.n = n
        self.is_shuffled = seed is not None
        if seed is not None:
            kind: type[np.unsignedinteger[Any]] = np.uint32 if n <= 2**32 else np.uint64
            self._rows: npt.NDArray[np.unsignedinteger[Any]] = permutation(n, seed).astype(kind)
            self._places = np.empty(n, dtype=kind)
            self._places[self._rows] = np.arange(n, dtype=kind)

    def rows(self, lo: int, hi: int) -> IndexArray:
        """Return the rows of the input that the rows from `lo` to `hi` of the output are, in their order."""
        return self._rows[lo:hi].astype(np.int64) if self.is_shuffled else np.arange(lo, hi, dtype=np.int64)

    def places(self, lo: int, hi: int) -> IndexArray:
        """Return the rows of the output that the rows from `lo` to `hi` of the input become."""
        return self._places[lo:hi].astype(np.int64) if self.is_shuffled else np.arange(lo, hi, dtype=np.int64)
