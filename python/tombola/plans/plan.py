"""One epoch's batches, with random access: a thin layer over the core's plan.

Batch k is computed, not remembered: any batch costs O(window), resuming and sharding are arithmetic, and
threads may share a plan. Readers that go in order ask for whole fetch windows by `Plan.batches`; iteration
does so itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol, SupportsIndex, overload

import numpy.typing as npt

from .._base.checks import check_integer
from .._base.report import Report
from .._base.types import IndexArray
from .._core import Plan as CorePlan

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Plan", "PlanMaker"]

_CHUNK_ROWS = 2**16


class PlanMaker(Protocol):
    """What a plan knows of the strategy that made it: it can make others, be described, and report."""

    @property
    def indices(self) -> npt.ArrayLike | None:
        """The rows to choose among, if not all."""

    def plan(
        self,
        n: int | None = None,
        *,
        batch_size: int,
        fetch_factor: int = 1,
        drop_last: bool = False,
        seed: int = 0,
        epoch: int = 0,
    ) -> "Plan":
        """Return the batches of one epoch."""

    def describe(self) -> dict[str, Any]:
        """Return the class and its options, in a form that JSON can hold."""

    def fingerprint(self, n: int | None = None) -> dict[str, Any]:
        """Return what decides the rows besides batching, seed and epoch, in a form that JSON can hold."""

    def _report(self, plan: "Plan", labels: Any, *, max_rows: int) -> Report:
        """Return the report of a plan; see `Plan.report`."""

    def _plot(self, plan: "Plan", labels: Any, *, max_batches: int, max_rows: int) -> tuple["Figure", "Axes"]:
        """Return the picture of a plan; see `Plan.plot`."""


@dataclass(frozen=True, eq=False, repr=False)
class Plan:
    """The immutable sequence of one epoch's batches, made by `Strategy.plan`.

    Attributes
    ----------
    strategy : Strategy
    n : int or None
        Number of rows of the whole, as given.
    batch_size, fetch_factor, drop_last, seed, epoch
        As given to `Strategy.plan`.

    Notes
    -----
    Batches are int64 arrays. Those of ``plan[k]`` own their memory; those of slices and of iteration are
    views of many batches' rows. Pickling keeps the strategy and the options, not the rows. The same version
    gives the same batches on every platform and for every thread count.

    Examples
    --------
    >>> import tombola
    >>> plan = tombola.Streaming().plan(10, batch_size=4)
    >>> len(plan), plan.n_rows
    (3, 10)
    >>> plan[-1]
    array([8, 9])
    >>> rows, offsets = plan.batches(1, 3)
    >>> rows.tolist(), offsets.tolist()
    ([4, 5, 6, 7, 8, 9], [0, 4, 6])
    """

    _core: CorePlan
    strategy: PlanMaker = field(kw_only=True)
    n: int | None = field(kw_only=True)
    batch_size: int = field(kw_only=True)
    fetch_factor: int = field(kw_only=True)
    drop_last: bool = field(kw_only=True)
    seed: int = field(kw_only=True)
    epoch: int = field(kw_only=True)

    @property
    def n_rows(self) -> int:
        """Rows that the epoch yields."""
        return self._core.n_rows

    def __len__(self) -> int:
        return len(self._core)

    @overload
    def __getitem__(self, k: SupportsIndex) -> IndexArray: ...
    @overload
    def __getitem__(self, k: slice) -> list[IndexArray]: ...
    def __getitem__(self, k: SupportsIndex | slice) -> IndexArray | list[IndexArray]:
        count = len(self)
        if isinstance(k, slice):
            chosen = range(count)[k]
            if chosen.step == 1:
                return list(self._views(chosen.start, max(chosen.start, chosen.stop)))
            return [self[i] for i in chosen]
        number = check_integer("k", k, minimum=-(2**63))
        if not -count <= number < count:
            msg = f"k must lie in [{-count}, {count}) for a plan of {count} batches, but is {number}"
            raise IndexError(msg)
        return self._core.batches(number % count, number % count + 1)[0]

    def __iter__(self) -> Iterator[IndexArray]:
        count, window = len(self), self.batch_size * self.fetch_factor
        step = self.fetch_factor * max(1, _CHUNK_ROWS // window)
        for start in range(0, count, step):
            yield from self._views(start, min(start + step, count))

    def _views(self, start: int, stop: int) -> Iterator[IndexArray]:
        rows, offsets = self._core.batches(start, stop)
        return (rows[a:b] for a, b in pairwise(offsets.tolist()))

    def batches(self, start: int = 0, stop: int | None = None) -> tuple[IndexArray, IndexArray]:
        """Return many batches by one call of the core, which releases the GIL and uses threads.

        Parameters
        ----------
        start, stop : int
            The batches ``start, ..., stop - 1``; to the end if ``stop`` is left out.

        Returns
        -------
        rows : ndarray of int64
            Their rows, one batch after the other.
        offsets : ndarray of int64, shape (stop - start + 1,)
            Batch ``start + i`` is ``rows[offsets[i]:offsets[i + 1]]``; begins with 0.

        Raises
        ------
        IndexError
            If the batches do not lie in the plan.
        """
        count = len(self)
        first = check_integer("start", start, minimum=-(2**63))
        last = count if stop is None else check_integer("stop", stop, minimum=-(2**63))
        if not 0 <= first <= last <= count:
            msg = f"the batches must lie in [0, {count}], but are [{first}, {last})"
            raise IndexError(msg)
        return self._core.batches(first, last)

    def indices(self) -> IndexArray:
        """Return the rows of the whole epoch as one int64 array; 8 bytes a row."""
        return self._core.batches(0, len(self))[0]

    def offset(self, k: int) -> int:
        """Return the number of rows in front of batch ``k``; ``0 <= k <= len(plan)``."""
        number = check_integer("k", k, minimum=-(2**63))
        if not 0 <= number <= len(self):
            msg = f"k must lie in [0, {len(self)}], but is {number}"
            raise IndexError(msg)
        return self._core.offset(number)

    def report(self, labels: Any = None, *, max_rows: int = 10**7) -> Report:
        """Return what one checks first: sizes, runs, repeats, class shares, expected against drawn.

        Parameters
        ----------
        labels : optional
            A label for each row of the whole or of ``indices``, as `ClassBalancedSampling` takes them; it
            brings its own.
        max_rows : int
            Of longer epochs about so many rows, in evenly spread fetch windows, are looked at; the report
            says so.

        Returns
        -------
        Report
            A dict that prints as a table.
        """
        return self.strategy._report(self, labels, max_rows=check_integer("max_rows", max_rows, minimum=1))

    def plot(
        self, labels: Any = None, *, max_batches: int = 32, max_rows: int = 10_000
    ) -> tuple["Figure", "Axes"]:
        """Draw which rows land in which batch: a line a batch, a mark for each of its rows.

        Parameters
        ----------
        labels : optional
            A label for each row of the whole or of ``indices`` to colour by; strategies that hold classes
            bring their own. The most frequent ones have colours, the others share one.
        max_batches, max_rows : int
            Of longer plans the first batches, and of more rows about so many, evenly spread, are drawn; the
            title says so. Of very large batches fewer are drawn, together of 2^20 rows or one.

        Returns
        -------
        figure : matplotlib.figure.Figure
            Without a display: ``figure.savefig(path)``, or the last line of a notebook's cell.
        axes : matplotlib.axes.Axes

        Raises
        ------
        ValueError
            If labels do not fit the rows, or a limit is below 1.

        Notes
        -----
        A row that comes several times in a batch is a longer mark. O(rows of the batches drawn). matplotlib
        is imported by the first call.
        """
        return self.strategy._plot(
            self,
            labels,
            max_batches=check_integer("max_batches", max_batches, minimum=1),
            max_rows=check_integer("max_rows", max_rows, minimum=1),
        )

    def at_epoch(self, epoch: int) -> "Plan":
        """Return the plan of another epoch, with all else as it is; O(1)."""
        return self.strategy.plan(self.n, **{**self._options(), "epoch": epoch})

    def _options(self) -> dict[str, Any]:
        names = ("batch_size", "fetch_factor", "drop_last", "seed", "epoch")
        return {name: getattr(self, name) for name in names}

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self.strategy, self.n, self._options())

    def __repr__(self) -> str:
        return (
            f"<Plan of {self.strategy!r}: {self.n_rows} rows in {len(self)} batches of {self.batch_size}, "
            f"seed={self.seed}, epoch={self.epoch}>"
        )


def _rebuild(strategy: PlanMaker, n: int | None, options: dict[str, Any]) -> Plan:
    return strategy.plan(n, **options)
