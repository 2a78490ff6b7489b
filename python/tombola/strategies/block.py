"""Blocks of consecutive rows in random order, then rows permuted inside each fetch window.

Reads stay in runs of ``block_size`` rows while a window mixes ``batch_size * fetch_factor / block_size``
places of the data. O(1) to build, O(window) for any batch, no memory that grows with n. The order of the
blocks is a keyed bijection (exact below 2**16 blocks); the short tail block sits at a random block boundary.
"""

from dataclasses import dataclass

from .. import _core
from .._base.checks import check_integer
from .base import Batching, Strategy

__all__ = ["BlockShuffling"]


@dataclass(frozen=True, eq=False, repr=False)
class BlockShuffling(Strategy):
    """Every row once, shuffled in blocks.

    Parameters
    ----------
    block_size : int
        Consecutive rows (of ``indices``, where given) that stay together until the window mixes them. 1 is a
        full shuffle.
    indices : array-like of int, optional, keyword-only
        The rows to choose among, strictly increasing. Borrowed if a C-contiguous int64 array, else copied
        once.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong type or out of range.

    Notes
    -----
    The same version gives the same batches on every platform.

    Examples
    --------
    >>> import tombola
    >>> plan = tombola.BlockShuffling(block_size=4).plan(10, batch_size=5, fetch_factor=2, seed=1)
    >>> sorted(plan.indices().tolist())
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """

    block_size: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set(block_size=check_integer("block_size", self.block_size, minimum=1))

    def _make(self, rows: int, options: Batching) -> _core.Plan:
        return _core.plan_blocks(rows, block_size=self.block_size, indices=self._indices, **options)
