"""Which series meet in batches: by the core, by valid schedules drawn at random, and in a small table.

An epoch is given as its incidence, ``incidence[batch, series]`` = rows of the series in the batch; several
epochs are stacked. Two series meet as often as they have a row each in one batch. All series have equally
many rows here, so that every two of them should meet equally often in the long run.

Two independent ways to draw valid schedules (each row once, batches as few and as even as can be, none with
two rows of one series), both with NumPy's generator and without any code of the core's:

- `uniform_schedules`: every valid schedule is equally likely. All rows are dealt to the places in batches at
  random, until no series is twice in a batch. About exp(-(rows - 1)(size - 1) / 2) of the deals are valid,
  so this is for small batches.
- `layered_schedules`: what the layered rule stands for, with true random permutations: series in random order
  in a line, the line cut into layers, each layer's positions put to batches at random, except that the
  positions of a series that began in the layer before go to none of its batches there.

`python -m tests.statistical.series_meetings` prints the table.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tests.statistical.tools import F64, I64, options
from tombola import _core

Incidence = NDArray[np.float32]
Schedule = Literal["balanced", "round_robin"]
SCHEDULES: tuple[Schedule, ...] = ("balanced", "round_robin")
EPOCHS_AT_ONCE = 50


@dataclass(frozen=True)
class Series:
    """Some series of equally many rows; row ``i`` is of series ``i // rows``."""

    count: int
    rows: int
    batch_size: int

    @property
    def n(self) -> int:
        """All rows."""
        return self.count * self.rows

    @property
    def batches(self) -> int:
        """The fewest batches."""
        return max(-(-self.n // self.batch_size), self.rows)

    @property
    def sizes(self) -> I64:
        """Rows of each batch, the longer ones first."""
        return self.n // self.batches + (np.arange(self.batches) < self.n % self.batches).astype(np.int64)

    @property
    def pairs(self) -> tuple[I64, I64]:
        """All pairs of different series."""
        first, second = np.triu_indices(self.count, 1)
        return first, second

    def incidence(self, batch: I64) -> Incidence:
        """Return the incidence of epochs in which row i (column) is in ``batch[epoch, i]``."""
        epochs = len(batch)
        series = np.arange(self.n) // self.rows
        cell = (np.arange(epochs)[:, None] * self.batches + batch) * self.count + series
        counts = np.bincount(cell.ravel(), minlength=epochs * self.batches * self.count)
        return counts.astype(np.float32).reshape(epochs, self.batches, self.count)


def core_batches(series: Series, schedule: Schedule, epochs: range) -> I64:
    """Return the batch of each row (column) in each epoch by the core."""
    groups = _core.Groups.from_keys(np.arange(series.n) // series.rows)
    out = np.empty((len(epochs), series.n), dtype=np.int64)
    for batch, epoch in zip(out, epochs, strict=True):
        chosen = options(batch_size=series.batch_size, epoch=epoch)
        plan = _core.plan_series(groups, schedule=schedule, per_series=1, shuffle=True, **chosen)
        rows, offsets = plan.batches(0, len(plan))
        batch[rows] = np.repeat(np.arange(len(plan)), np.diff(offsets))
    return out


def uniform_schedules(series: Series, epochs: int, generator: np.random.Generator) -> Incidence:
    """Return schedules of which all valid ones are equally likely, by rejection."""
    places = np.repeat(np.arange(series.batches), series.sizes)
    found: list[I64] = []
    missing = epochs
    while missing:
        deals = generator.permuted(np.broadcast_to(places, (200_000 // series.n, series.n)), axis=1)
        own = np.sort(deals.reshape(len(deals), series.count, series.rows), axis=2)
        valid = deals[(own[:, :, 1:] != own[:, :, :-1]).all(axis=(1, 2))][:missing]
        found.append(valid)
        missing -= len(valid)
    return series.incidence(np.concatenate(found))


def layered_batches(series: Series, epochs: int, generator: np.random.Generator) -> I64:
    """Return the batch of each row (column) in each epoch; no series may be longer than a layer."""
    batches, n, rows = series.batches, series.n, series.rows
    batch = np.empty((epochs, n), dtype=np.int64)  # of each position of the line
    last = (series.sizes.max() - 1) * batches
    batch[:, last:] = generator.permuted(np.tile(np.arange(n - last), (epochs, 1)), axis=1)
    for start in range(last - batches, -1, -batches):
        stop = start + batches
        before = stop % rows
        after = -stop % rows
        at_random = generator.random((epochs, batches))
        np.put_along_axis(at_random, batch[:, stop : stop + after], 2.0, axis=1)
        order = np.argsort(at_random, axis=1)  # last those that have the crossing series in the next layer
        batch[:, stop - before : stop] = order[:, :before]
        batch[:, start : stop - before] = generator.permuted(order[:, before:], axis=1)
    line = generator.permuted(np.tile(np.arange(series.count), (epochs, 1)), axis=1)
    by_series = batch.reshape(epochs, series.count, rows)[np.arange(epochs)[:, None], line]
    return np.asarray(by_series.reshape(epochs, n))


def layered_schedules(series: Series, epochs: int, generator: np.random.Generator) -> Incidence:
    """Return schedules by layers, with true random permutations."""
    return series.incidence(layered_batches(series, epochs, generator))


Sampler = Callable[[Series, int, np.random.Generator], Incidence]
SAMPLERS: dict[str, Sampler] = {"uniform": uniform_schedules, "layered": layered_schedules}


def meetings(series: Series, incidence: Incidence) -> F64:
    """Return how often each pair of series met in each epoch, shape (epochs, pairs)."""
    met = incidence.transpose(0, 2, 1) @ incidence
    first, second = series.pairs
    return met[:, first, second].astype(np.float64)


@dataclass(frozen=True)
class MeetingShares:
    """What share of the pairs of series met never, once, or twice and more; a row of three an epoch."""

    batches: int
    by_epoch: F64

    @property
    def never(self) -> float:
        """On average over the epochs."""
        return float(self.by_epoch[:, 0].mean())

    @property
    def once(self) -> float:
        """On average over the epochs."""
        return float(self.by_epoch[:, 1].mean())

    @property
    def twice_or_more(self) -> float:
        """On average over the epochs."""
        return float(self.by_epoch[:, 2].mean())


def meeting_shares(series: Series, draw: Callable[[range], Incidence], epochs: range) -> MeetingShares:
    """Return the shares of pairs by how often they meet in the epochs drawn, a few of them at a time."""
    by_epoch = []
    for start in range(epochs.start, epochs.stop, EPOCHS_AT_ONCE):
        met = meetings(series, draw(range(start, min(start + EPOCHS_AT_ONCE, epochs.stop))))
        by_epoch += [[(one == 0).mean(), (one == 1).mean(), (one >= 2).mean()] for one in met]
    return MeetingShares(series.batches, np.array(by_epoch))


def meetings_table(
    n_series: int = 300, rows_each: int = 3, batch_size: int = 16, *, epochs: range = range(100)
) -> dict[Schedule, MeetingShares]:
    """Return how often pairs of series meet within an epoch, under both schedules of the core."""
    series = Series(n_series, rows_each, batch_size)

    def shares(schedule: Schedule) -> MeetingShares:
        draw = partial(core_batches, series, schedule)
        return meeting_shares(series, lambda some: series.incidence(draw(some)), epochs)

    return {schedule: shares(schedule) for schedule in SCHEDULES}


def format_table(table: dict[Schedule, MeetingShares]) -> str:
    """Return the table as text, one schedule a line."""
    head = f"{'schedule':<12}{'batches':>8}{'never meet':>12}{'meet once':>11}{'twice or more':>15}"
    lines = [
        f"{name:<12}{shares.batches:>8}{shares.never:>12.2%}{shares.once:>11.2%}{shares.twice_or_more:>15.2%}"
        for name, shares in table.items()
    ]
    return "\n".join([head, *lines])


if __name__ == "__main__":
    print(format_table(meetings_table()))
