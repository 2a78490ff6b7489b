"""Blocks of consecutive rows in random order, then rows permuted inside each fetch window.

Reads stay in runs of ``block_size`` rows while a window mixes ``batch_size * fetch_factor / block_size``
places of the data. O(1) to build, O(window) for any batch, no memory that grows with n. The order of the
blocks is a keyed bijection (exact below 2**16 blocks); the short tail block sits at a random block boundary.

Blocks may have bounds of their own instead, such as the rows at which chunks of a file begin. Then 16 bytes a
block are kept, a new epoch takes one pass over the blocks and an eighth of a byte of each, and any batch
O(window) and a search of O(log blocks).
"""

from dataclasses import dataclass, field
from typing import cast

import numpy.typing as npt

from .. import _core
from .._base.checks import check_integer, index_array
from .._base.types import IndexArray
from .base import Batching, Strategy

__all__ = ["BlockShuffling"]

DEFAULT_BLOCK = 16


@dataclass(frozen=True, eq=False, repr=False)
class BlockShuffling(Strategy):
    """Every row once, shuffled in blocks.

    Parameters
    ----------
    block_size : int
        Consecutive rows (of ``indices``, where given) that stay together until the window mixes them. 1 is a
        full shuffle.
    bounds : array-like of int, optional, keyword-only
        Where blocks begin, if they are not all of one size: strictly increasing, from 0 to the number of rows
        of the whole; block j holds the rows from ``bounds[j]`` on that are below ``bounds[j + 1]``, and of
        ``indices`` those that lie there. `H5adSource.chunk_bounds` gives those that follow the chunks of
        files. ``block_size`` is then left at its default. Borrowed if a C-contiguous int64 array, else copied
        once; blocks are those at the time the strategy was made.
    indices : array-like of int, optional, keyword-only
        The rows to choose among, strictly increasing. Borrowed if a C-contiguous int64 array, else copied
        once.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong type or out of range.

    Notes
    -----
    The same version gives the same batches on every platform. Bounds of blocks of one size give the batches
    of that ``block_size``, unless there are ``indices``, which bounds do not cut into blocks of one size.

    Examples
    --------
    >>> import tombola
    >>> plan = tombola.BlockShuffling(block_size=4).plan(10, batch_size=5, fetch_factor=2, seed=1)
    >>> sorted(plan.indices().tolist())
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    >>> tombola.BlockShuffling(bounds=[0, 3, 4, 9]).plan(batch_size=1, seed=2).indices()
    array([0, 1, 2, 4, 5, 6, 7, 8, 3])
    """

    block_size: int = DEFAULT_BLOCK
    bounds: npt.ArrayLike | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set(block_size=check_integer("block_size", self.block_size, minimum=1))
        if self.bounds is not None:
            if self.block_size != DEFAULT_BLOCK:
                msg = f"block_size must be left out where bounds are given, but is {self.block_size}"
                raise ValueError(msg)
            self._set(bounds=index_array("bounds", self.bounds))
            self._blocks()

    def _make(self, rows: int, options: Batching) -> _core.Plan:
        if self.bounds is None:
            return _core.plan_blocks(rows, block_size=self.block_size, indices=self._indices, **options)
        return _core.plan_bounded_blocks(self._blocks(), indices=self._indices, **options)

    def _count(self, n: int | None) -> int:
        if self._bounds is None:
            return super()._count(n)
        end = int(self._bounds[-1])
        if n is not None and n != end:
            msg = f"bounds must end with the number of rows, n = {n}, but end with {end}"
            raise ValueError(msg)
        return super()._count(end)

    def _is_idle(self, name: str) -> bool:
        return name == "block_size" and self.bounds is not None

    def _hashes(self) -> dict[str, str | None]:
        bounds = self._bounds
        if bounds is None:
            return super()._hashes()
        hashed = self._once("bounds", lambda: f"{_core.hash_array(bounds):016x}")
        return {**super()._hashes(), "bounds": hashed}

    @property
    def _bounds(self) -> IndexArray | None:
        return cast("IndexArray | None", self.bounds)

    def _blocks(self) -> _core.BlockBounds:
        """Return the blocks of the rows to choose among."""
        bounds = self._bounds
        assert bounds is not None
        return self._once("blocks", lambda: _core.BlockBounds(bounds, self._indices))
