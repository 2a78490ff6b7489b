"""Unsorted weighted draws, O(1) each: the alias method.

Walker 1977, built by Vose's algorithm (1991) over integer weights, so that equal weights give equal draws on
every platform. Building is O(n); the table takes 16 bytes a row.
"""

import numpy as np
import numpy.typing as npt

from . import _core
from ._validation import IndexArray, check_integer
from .weights import weight_array

__all__ = ["AliasTable"]


class AliasTable:
    """Rows drawn with replacement in proportion to weights, in random order.

    Parameters
    ----------
    weights : array-like, shape (n,)
        Finite and >= 0, at least one > 0. They are read once: changing them
        later changes this table no more.

    Raises
    ------
    TypeError
        If the weights are no real numbers, or integers that float64 does not hold exactly.
    ValueError
        If a weight is negative, NaN or infinite, or all are 0; the first one is named.

    Notes
    -----
    The same version gives the same draws on every platform and for every thread count. For a whole epoch
    `BlockWeightedSampling` is the better tool: its draws come sorted, so that rows can be read in runs.

    Examples
    --------
    >>> import tombola
    >>> table = tombola.AliasTable([0.0, 1.0, 3.0])
    >>> rows = table.draw(1000, seed=3)
    >>> sorted(set(rows.tolist()))
    [1, 2]
    """

    def __init__(self, weights: npt.ArrayLike) -> None:
        self._weights = np.asarray(weight_array("weights", weights), dtype=np.float64)
        self._table = _core.AliasTable(self._weights)

    def __reduce__(self) -> tuple[type["AliasTable"], tuple[npt.NDArray[np.float64]]]:
        return AliasTable, (self._weights,)

    def __len__(self) -> int:
        return self._table.n

    def __repr__(self) -> str:
        return f"AliasTable(n={self.n})"

    @property
    def n(self) -> int:
        """Number of rows."""
        return self._table.n

    def draw(self, size: int, seed: int = 0, epoch: int = 0) -> IndexArray:
        """Return ``size`` rows as an int64 array; O(size).

        Parameters
        ----------
        size : int
            Number of draws, >= 0. A longer draw begins with the shorter one.
        seed, epoch : int
            In ``[0, 2**63)``; together they pick the draws.
        """
        return self._table.draw(
            check_integer("size", size), check_integer("seed", seed), check_integer("epoch", epoch)
        )
