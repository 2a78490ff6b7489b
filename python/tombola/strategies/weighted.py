"""Weighted draws: sorted, cut into blocks, blocks shuffled, rows permuted inside each fetch window.

Weights become integers once (one O(n) pass, at most 9 bytes for 8 rows kept), so that every draw is exact and
the same on every platform. Stratified draws take one uniform a stratum (Kitagawa 1996); independent ones
split their number by Binomial(k, 1/2) down a tree; draws without replacement come in rounds by exponential
keys (Efraimidis and Spirakis 2006) or draw-and-reject. O(window) for any batch, one round for those without
replacement.
"""

from dataclasses import dataclass, field
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from .. import _core
from .._base.checks import check_bool, check_choice, check_integer
from .._base.types import WeightArray
from ..labels.numbering import MISSING, Missing
from ..labels.weights import weight_array
from ..plans.plan import Plan
from ..reports.plan_report import Sample, count_deviation
from .base import Batching, Strategy

__all__ = ["BlockWeightedSampling", "Draw", "WeightedStrategy"]

Draw = Literal["stratified", "iid"]


@dataclass(frozen=True, eq=False, repr=False)
class WeightedStrategy(Strategy):
    """The options of weighted draws, and their rules."""

    total_size: int | None = field(default=None, kw_only=True)
    replace: bool = field(default=True, kw_only=True)
    sampling_size: int | None = field(default=None, kw_only=True)
    draw: Draw = field(default="stratified", kw_only=True)
    missing: Missing = field(default="error", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("total_size", "sampling_size"):
            value = getattr(self, name)
            self._set(**{name: None if value is None else check_integer(name, value, minimum=1)})
        self._set(replace=check_bool("replace", self.replace))
        self._set(draw=check_choice("draw", self.draw, ("stratified", "iid")))
        self._set(missing=check_choice("missing", self.missing, MISSING))
        if self._indices is not None and not self._indices.size:
            msg = "indices must not be empty for weighted draws"
            raise ValueError(msg)
        if self.replace and self.sampling_size is not None:
            msg = f"sampling_size is for replace=False, but is {self.sampling_size} with replace=True"
            raise ValueError(msg)
        if not self.replace and self.sampling_size is None:
            msg = "sampling_size is needed with replace=False: the rows within which none comes twice"
            raise ValueError(msg)
        if not self.replace and self.draw == "iid":
            msg = 'draw="iid" means independent draws, but replace=False makes them dependent: leave draw out'
            raise ValueError(msg)

    def _plan_draws(self, table: _core.WeightTable, block_size: int, options: Batching) -> _core.Plan:
        self._check_sampling_size(table)
        return _core.plan_weighted(
            table,
            block_size=block_size,
            draws=table.n if self.total_size is None else self.total_size,
            draw=self.draw,
            sampling_size=self.sampling_size or 0,
            indices=self._indices,
            **options,
        )

    def _report_entries(self, plan: Plan, sample: Sample) -> dict[str, Any]:
        return count_deviation(sample, self._choice(plan.n))

    def _check_sampling_size(self, table: _core.WeightTable) -> None:
        size = self.sampling_size or 0
        if size > table.n_positive:
            most = f"the number of rows of positive weight, {table.n_positive}"
            msg = f"sampling_size must be at most {most}, but is {size}"
            raise ValueError(msg)


@dataclass(frozen=True, eq=False, repr=False)
class BlockWeightedSampling(WeightedStrategy):
    """Rows drawn in proportion to weights, in blocks of nearby rows.

    Parameters
    ----------
    weights : array-like of real numbers, optional
        One a row of the whole or of ``indices``; finite, >= 0, at least one > 0. None means equal weights and
        takes no memory. C-contiguous float32 or float64 arrays are borrowed; others are copied once, without
        loss.
    block_size : int
        Consecutive draws that stay together until the window mixes them.
    total_size : int, optional, keyword-only
        Draws an epoch; as many as there are rows if left out.
    replace : bool, keyword-only
        False: rounds of ``sampling_size`` rows; within a round no row comes twice. A round is consecutive
        before windows are permuted: a fetch window across a boundary mixes the two rounds that meet there, so
        a row can come twice in it. ``batch_size * fetch_factor`` a divisor of ``sampling_size`` avoids that.
    sampling_size : int, optional, keyword-only
        Rows a round, at most the number of positive weights. Needed with ``replace=False`` and only there.
    draw : {"stratified", "iid"}, keyword-only
        ``"stratified"``: every count is less than 2 off its expectation ``draws * weight / sum``. ``"iid"``:
        independent draws, whose counts are multinomial. Not for ``replace=False``.
    missing : {"error", "drop"}, keyword-only
        Whether a weight of NaN is refused, or is 0, so that its row never comes.
    indices : array-like of int, optional, keyword-only
        The rows to choose among, strictly increasing. Borrowed if a C-contiguous int64 array, else copied
        once.

    Raises
    ------
    TypeError
        If an argument is of a wrong type; if weights are no real numbers, or integers above 2**53.
    ValueError
        If an argument is out of range; the first wrong weight is named.

    Notes
    -----
    Making the strategy reads the weights once, O(n); after that an epoch costs O(1) to plan. The same version
    gives the same batches on every platform.

    Examples
    --------
    >>> import numpy as np, tombola
    >>> strategy = tombola.BlockWeightedSampling([0, 1, 3], block_size=2, total_size=8)
    >>> np.bincount(strategy.plan(batch_size=4, seed=5).indices()).tolist()
    [0, 2, 6]
    """

    weights: npt.ArrayLike | None = None
    block_size: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set(block_size=check_integer("block_size", self.block_size, minimum=1))
        if self.weights is not None:
            self._set(weights=weight_array("weights", self.weights, missing=self.missing))
            self._check_sampling_size(self._table(self._count(None)))

    _key_name = "weights"

    @property
    def _weights(self) -> WeightArray | None:
        return cast("WeightArray | None", self.weights)

    def _key_length(self) -> int | None:
        return None if self._weights is None else len(self._weights)

    def _make(self, rows: int, options: Batching) -> _core.Plan:
        return self._plan_draws(self._table(rows), self.block_size, options)

    def _table(self, rows: int) -> _core.WeightTable:
        weights = self._weights
        if weights is None:
            return _core.WeightTable.uniform(rows)
        indices = None if self._is_subset_key else self._indices
        return self._once("table", lambda: _core.WeightTable.from_values(weights, indices))

    def _hashes(self) -> dict[str, str | None]:
        fingerprint = None if self._weights is None else f"{self._table(self._count(None)).fingerprint:016x}"
        return {**super()._hashes(), "weights": fingerprint}

    def _element_weights(self, start: int, stop: int) -> npt.NDArray[np.floating] | None:
        if not self.replace:
            return None
        weights = self._weights
        if weights is None:
            return super()._element_weights(start, stop)
        if self._indices is None or self._is_subset_key:
            return weights[start:stop]
        return weights[self._indices[start:stop]]
