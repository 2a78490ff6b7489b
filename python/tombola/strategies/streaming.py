"""Rows in order, or permuted inside each fetch window.

O(1) to build, O(window) for any batch, no memory that grows with n. The window permutation is an exact
Fisher-Yates shuffle below 2**16 rows, a keyed bijection above.
"""

from dataclasses import dataclass

from .. import _core
from .._base.checks import check_bool
from .base import Batching, Strategy

__all__ = ["Streaming"]


@dataclass(frozen=True, eq=False, repr=False)
class Streaming(Strategy):
    """Every row once, in order.

    Parameters
    ----------
    shuffle : bool
        Permute the rows inside each fetch window of ``batch_size * fetch_factor`` rows (a shuffle buffer).
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
    >>> plan = tombola.Streaming().plan(10, batch_size=4)
    >>> plan[2]
    array([8, 9])
    """

    shuffle: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set(shuffle=check_bool("shuffle", self.shuffle))

    def _make(self, rows: int, options: Batching) -> _core.Plan:
        return _core.plan_streaming(rows, shuffle=self.shuffle, indices=self._indices, **options)
