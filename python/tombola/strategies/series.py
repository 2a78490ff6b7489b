"""Batches of rows of different series, recomposed each epoch.

``schedule="balanced"`` is the layered rule: the series, in the epoch's order, form a line that is cut into
layers of as many positions as there are batches; each batch takes one position of each layer by a chain of
keyed bijections that keep a series which crosses from one layer into the next apart. It needs the fewest
batches there can be. ``schedule="round_robin"`` takes one row of every series that still has one, round after
round, and cuts the sequence into batches.

O(n) once to group rows, O(series) a new epoch. A balanced batch costs O(batch_size): a bitmap with ranks
finds the series of a position in O(1). Where an epoch has at most 64 batches, each layer costs O(batches)
more. A batch of the round robin costs O(series) from nothing, and O(batch_size) where batches are read in
order.
"""

import logging
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from .. import _core
from .._base.checks import check_bool, check_choice, check_integer
from .._base.types import CodeArray
from ..plans.plan import Plan
from ..reports.group_report import series_entries
from ..reports.plan_report import Sample
from .base import Batching
from .keyed import KeyedStrategy

__all__ = ["SeriesRoundRobin", "SeriesSchedule"]

_logger = logging.getLogger("tombola.strategies")

SeriesSchedule = Literal["balanced", "round_robin"]


@dataclass(frozen=True, eq=False, repr=False)
class SeriesRoundRobin(KeyedStrategy):
    """Each batch holds rows of different series, every row comes once, and each epoch mixes them anew.

    Parameters
    ----------
    series_ids : array-like, shape (n,)
        The series of each row of the whole or of ``indices``: integers of any range, strings, objects that
        hash, pandas columns. C-contiguous signed integer arrays are borrowed.
    schedule : {"balanced", "round_robin"}, keyword-only
        ``"balanced"``: no batch holds more than ``per_series`` rows of one series. The number of batches is
        the least that allows this, ``max(ceil(n / batch_size), ceil(rows of the longest series /
        per_series))``, and their sizes differ by at most one. ``"round_robin"``: ``ceil(n / batch_size)``
        batches; once fewer series than ``batch_size`` are left, a batch may hold several rows of one.
    per_series : int, keyword-only
        Rows of a series that a batch may hold; 1 with ``schedule="round_robin"``.
    shuffle : bool, keyword-only
        False: series in order of first appearance and their rows in order, every epoch alike.
    missing : {"error", "drop"}, keyword-only
        Whether a missing id (None, NaN, -1 of a categorical) is refused, or its row left out; the latter
        takes floats for integers with gaps.
    indices : array-like of int, optional, keyword-only
        The rows to choose among, strictly increasing. Borrowed if a C-contiguous int64 array, else copied
        once.

    Raises
    ------
    TypeError
        If an argument is of a wrong type; series_ids must not be booleans, floats or unhashable objects.
    ValueError
        If an argument is out of range, or an id is missing (the first row is named).

    Notes
    -----
    Making the strategy reads the ids, its first plan groups the rows: O(n); integers and categoricals are
    much the fastest. After that an epoch costs O(series). Where one series is so long that the balanced
    schedule needs more batches than ``ceil(n / batch_size)``, a warning says so once, with figures. With
    ``drop_last=True`` all batches are full, and what rows are left out differs from epoch to epoch. In epochs
    of 65,536 batches and more the rows of a short series fall into one block of 16,384 batches, or two, at
    random places in it (series of up to 64 rows that hold 16 rows or fewer on average, over rows): what is
    read one after the other then lies near each other in memory. The same version gives the same batches on
    every platform; equal ids of any integer type give equal batches. No other thread must write to the ids or
    ``indices`` while the strategy or a plan of it is being made; later changes are harmless.

    Examples
    --------
    >>> import numpy as np, tombola
    >>> series = np.array([7, 7, 7, 8, 8, 9, 9, 10])
    >>> plan = tombola.SeriesRoundRobin(series).plan(batch_size=3)
    >>> [len(set(series[batch].tolist())) for batch in plan]
    [3, 3, 2]
    >>> sorted(plan.indices().tolist())
    [0, 1, 2, 3, 4, 5, 6, 7]
    """

    series_ids: Any
    schedule: SeriesSchedule = field(default="balanced", kw_only=True)
    per_series: int = field(default=1, kw_only=True)
    shuffle: bool = field(default=True, kw_only=True)

    _key_name = "series_ids"
    _group_name = "series"

    def __post_init__(self) -> None:
        self._set(schedule=check_choice("schedule", self.schedule, ("balanced", "round_robin")))
        self._set(per_series=check_integer("per_series", self.per_series, minimum=1))
        self._set(shuffle=check_bool("shuffle", self.shuffle))
        if self.schedule == "round_robin" and self.per_series > 1:
            msg = f'per_series must be 1 with schedule="round_robin", but is {self.per_series}'
            raise ValueError(msg)
        super().__post_init__()

    def sizes_vary(self, *, drop_last: bool) -> bool:
        """Tell whether batches other than the last may hold fewer rows than ``batch_size``."""
        return self.schedule == "balanced" and not drop_last

    def _group_codes(self) -> CodeArray:
        return self._chosen_codes()

    def _make(self, rows: int, options: Batching) -> _core.Plan:
        plan = _core.plan_series(
            self._groups(),
            schedule=self.schedule,
            per_series=self.per_series,
            shuffle=self.shuffle,
            **options,
        )
        if self.schedule == "balanced":
            self._say_once(rows, plan, options)
        return plan

    def _say_once(self, rows: int, plan: _core.Plan, options: Batching) -> None:
        """Warn where the longest series makes batches small, or drops rows, once a strategy."""
        size, drop_last = options["batch_size"], options["drop_last"]
        full, fewest = rows // size, -(-rows // size)
        if len(plan) <= fewest if not drop_last else len(plan) >= full:
            return

        def warn() -> Literal[True]:
            groups = self._groups()
            longest = int(np.argmax(np.diff(groups.offsets())))
            first = self._positions(groups.firsts()[longest : longest + 1])
            name = self._keys().name_of(int(first[0]))
            cost = (
                f"drop_last=True leaves {len(plan):,} full batches of {full:,} "
                f"and drops {rows - plan.n_rows:,} rows"
                if drop_last
                else f"the epoch takes {len(plan):,} batches, not ceil({rows:,} / {size:,}) = {fewest:,}, "
                f"of {rows / len(plan):.4g} rows on average"
            )
            _logger.warning(
                "series %s has %s of %s rows, and a batch takes at most %d of a series, so %s; "
                'schedule="round_robin" keeps batches full, a larger per_series comes nearer to it',
                name,
                f"{groups.largest:,}",
                f"{rows:,}",
                self.per_series,
                cost,
            )
            return True

        self._once("warned", warn)

    def _report_entries(self, plan: Plan, sample: Sample) -> dict[str, Any]:
        keys = self._keys().codes
        return series_entries(
            plan,
            sample,
            series=keys[self._positions(sample.rows)],
            next_series=keys[self._positions(sample.next_batch)],
            counts=np.diff(self._groups().offsets()),
            per_series=self.per_series,
            in_rounds=self.schedule == "round_robin",
        )
