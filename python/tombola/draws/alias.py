"""Unsorted weighted draws, O(1) each: the alias method over rows, and over groups of rows of equal weight.

Walker 1977, in integers, so that equal weights give equal draws on every platform. Columns by the parallel
sweep of Hübschle-Schneider and Sanders, "Parallel weighted random sampling" (2019); over groups by Vose's
algorithm (1991).
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _core
from .._base.checks import check_integer, check_one_dimensional, index_array, refuse_masked
from .._base.types import IndexArray
from ..labels.weights import weight_array

__all__ = ["AliasTable", "GroupedAliasTable"]


class AliasTable:
    """Rows drawn with replacement in proportion to weights, in random order.

    Parameters
    ----------
    weights : array-like, shape (n,)
        Finite and >= 0, at least one > 0. They are read once: changing them
        later changes this table no more. float32 and float64 are read in place.
    indices : array-like of int, optional, keyword-only
        The rows to draw from, strictly increasing; borrowed. Weights are then as long as the whole or as
        ``indices``.

    Raises
    ------
    TypeError
        If the weights are no real numbers, or integers that float64 does not hold exactly.
    ValueError
        If a weight is negative, NaN or infinite, or all are 0 (the first one is named); if there are 2**32
        rows or more, or ``indices`` do not increase or reach beyond the weights.

    Notes
    -----
    The table takes 8 bytes a row. Building is O(n), by all threads; a draw is O(1), at 10**8 rows
    a cache miss.

    A row's probability is less than ``2**-32 / n`` off ``weight / sum``: its share in the n columns of the
    table is rounded to a multiple of ``2**-32``. Equal weights get exactly equal shares (n <= 2**30), weights
    of 0 none; rows of less than ``2**-32`` of the mean weight may never come. Between shares and draws lies a
    random number of 64 bits, which adds at most ``2**-64`` for each column that gives a row.

    The same version gives the same draws on every platform and for every thread count. For a whole epoch
    `BlockWeightedSampling` is the better tool: its draws come sorted, so that rows can be read in runs. For
    weights that change there is `SumTree`, for few distinct ones `GroupedAliasTable`.

    Examples
    --------
    >>> import tombola
    >>> table = tombola.AliasTable([0.0, 1.0, 3.0])
    >>> rows = table.draw(1000, seed=3)
    >>> sorted(set(rows.tolist()))
    [1, 2]
    """

    def __init__(self, weights: npt.ArrayLike, *, indices: npt.ArrayLike | None = None) -> None:
        array = weight_array("weights", weights)
        self._indices: IndexArray | None = None
        looked_up: IndexArray | None = None
        if indices is not None:
            self._indices = index_array("indices", indices)
            _core.check_increasing(self._indices)
            if len(array) != len(self._indices):
                looked_up = self._indices
        self._table = _core.AliasTable(_core.WeightTable.from_values(array, looked_up))

    @classmethod
    def _restored(cls, columns: npt.NDArray[np.uint32], indices: IndexArray | None) -> "AliasTable":
        table = cls.__new__(cls)
        table._indices = indices
        table._table = _core.AliasTable.from_columns(columns)
        return table

    def __reduce__(self) -> tuple[Any, ...]:
        return AliasTable._restored, (self._table.columns(), self._indices)

    def __len__(self) -> int:
        return self._table.n

    def __repr__(self) -> str:
        return f"AliasTable(n={self.n})"

    @property
    def n(self) -> int:
        """Number of rows to draw from."""
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
        rows = self._table.draw(
            check_integer("size", size), check_integer("seed", seed), check_integer("epoch", epoch)
        )
        return rows if self._indices is None else self._indices[rows]


class GroupedAliasTable:
    """Rows drawn with replacement, where all rows of a group weigh the same: a group, then one of its rows.

    Parameters
    ----------
    offsets : array-like of int, shape (n_groups + 1,)
        Group g holds the positions ``offsets[g]`` to ``offsets[g + 1] - 1``; begins with 0, does not descend.
    weights : array-like, shape (n_groups,)
        Weight of each row of a group, finite and >= 0. ``1 / size`` makes groups equally likely.
    members : array-like of int, shape (offsets[-1],), optional
        The row at each position, by default the position itself. int32 and int64 arrays are borrowed.

    Raises
    ------
    TypeError
        If offsets or members are no integers, or weights no real numbers.
    ValueError
        If offsets descend or do not begin with 0, lengths do not agree, a weight is wrong (the first one is
        named), or no group with rows has a weight > 0.

    Notes
    -----
    O(groups) to build and to keep. A draw is O(1): arithmetic only, and with ``members`` one look
    into them. Exact in integers: the masses of the groups are off by at most one unit in 2**51 of the
    largest.

    Examples
    --------
    >>> import tombola
    >>> table = tombola.GroupedAliasTable([0, 1, 4], [3.0, 1.0], members=[7, 2, 5, 9])
    >>> rows = table.draw(6000, seed=1)
    >>> sorted(set(rows.tolist()))
    [2, 5, 7, 9]
    """

    def __init__(
        self, offsets: npt.ArrayLike, weights: npt.ArrayLike, members: npt.ArrayLike | None = None
    ) -> None:
        self._offsets = index_array("offsets", offsets)
        self._weights = np.array(weight_array("weights", weights), dtype=np.float64)
        self._table = _core.GroupedAlias(self._offsets, self._weights)
        self._members = None if members is None else _member_array(members)
        if self._members is not None and len(self._members) != self.n:
            msg = f"members must have {self.n} entries, as offsets say, but have {len(self._members)}"
            raise ValueError(msg)

    def __reduce__(self) -> tuple[Any, ...]:
        return GroupedAliasTable, (self._offsets, self._weights, self._members)

    def __len__(self) -> int:
        return self._table.n

    def __repr__(self) -> str:
        return f"GroupedAliasTable(n={self.n}, n_groups={self.n_groups})"

    @property
    def n(self) -> int:
        """Number of rows."""
        return self._table.n

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return self._table.n_groups

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
            check_integer("size", size),
            check_integer("seed", seed),
            check_integer("epoch", epoch),
            self._members,
        )


def _member_array(members: npt.ArrayLike) -> npt.NDArray[np.int32] | IndexArray:
    if isinstance(members, np.ndarray) and members.dtype == np.int32:
        refuse_masked("members", members)
        check_one_dimensional("members", members)
        return np.ascontiguousarray(members)
    return index_array("members", members)
