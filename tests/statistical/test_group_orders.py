"""The order of rows inside a series or bucket: all orders equally likely, of few rows and of many.

Up to 64 rows it is a shuffle, above a Feistel network whose random words the groups of an epoch share in
part: so groups of one epoch are looked at, and one group over epochs, and neighbours of either kind together.
"""

import math

import numpy as np
import pytest

from tests.statistical.structure import Tables
from tests.statistical.test_all_permutations import rank
from tests.statistical.tools import I64, Source, check_counts, options, uniform
from tombola import _core

SIZE = 30000


def equal_groups(count: int, rows: int) -> _core.Groups:
    """Return groups of equally many rows; row i is in group i // rows."""
    return _core.Groups.from_keys(np.arange(count * rows) // rows)


def groups_of_an_epoch(rows: int, numbers: range) -> I64:
    """Return the order inside each group of one epoch of `Bucketed`; each is one batch."""
    chosen = options(batch_size=rows, epoch=numbers.start)
    plan = _core.plan_buckets(equal_groups(len(numbers), rows), batch_sizes=None, shuffle=True, **chosen)
    batches = plan.batches(0, len(plan))[0].reshape(-1, rows)
    return np.asarray(batches[np.argsort(batches[:, 0])] % rows)


def bucket_over_epochs(rows: int, epochs: range) -> I64:
    """Return the order inside the second bucket in each epoch."""
    groups = equal_groups(3, rows)
    out = np.empty((len(epochs), rows), dtype=np.int64)
    for order, epoch in zip(out, epochs, strict=True):
        chosen = options(batch_size=rows, epoch=epoch)
        drawn = _core.plan_buckets(groups, batch_sizes=None, shuffle=True, **chosen).batches(0, 3)[0]
        order[:] = drawn[drawn // rows == 1] % rows
    return out


def series_over_epochs(rows: int, epochs: range, schedule: str) -> I64:
    """Return in which order the rows of the third of seven series come in the batches of each epoch."""
    groups = equal_groups(7, rows)
    out = np.empty((len(epochs), rows), dtype=np.int64)
    for order, epoch in zip(out, epochs, strict=True):
        chosen = options(batch_size=4, epoch=epoch, schedule=schedule, per_series=1, shuffle=True)
        plan = _core.plan_series(groups, **chosen)
        drawn = plan.batches(0, len(plan))[0]
        order[:] = drawn[drawn // rows == 2] % rows
    return out


def balanced_over_epochs(rows: int, epochs: range) -> I64:
    """Return the order over the batches of `SeriesRoundRobin`."""
    return series_over_epochs(rows, epochs, "balanced")


def rounds_over_epochs(rows: int, epochs: range) -> I64:
    """Return the order over the rounds of `SeriesRoundRobin(schedule="round_robin")`."""
    return series_over_epochs(rows, epochs, "round_robin")


SOURCES = {
    "groups-of-an-epoch": groups_of_an_epoch,
    "bucket-over-epochs": bucket_over_epochs,
    "balanced-over-epochs": balanced_over_epochs,
    "rounds-over-epochs": rounds_over_epochs,
}
every_source = pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)


def numbers_of(size: int, effort: int) -> range:
    """Return epochs or groups of a test; those of the long version are of other epochs."""
    return range(size) if effort == 1 else range(size, size + size * effort)


@every_source
@pytest.mark.parametrize("rows", [2, 3, 4, 5, 6])
def test_all_orders_are_equally_likely(source: Source, rows: int, effort: int) -> None:
    cells = math.factorial(rows)
    counts = np.bincount(rank(source(rows, numbers_of(SIZE, effort))), minlength=cells)
    check_counts("orders", counts, uniform(cells))


@every_source
@pytest.mark.parametrize("rows", [3, 4])
def test_orders_of_neighbours_are_independent(source: Source, rows: int, effort: int) -> None:
    """Of groups next to each other, or of one in epochs next to each other."""
    cells = math.factorial(rows)
    ranks = rank(source(rows, numbers_of(SIZE, effort)))
    table = np.bincount(ranks[0::2] * cells + ranks[1::2], minlength=cells**2)
    check_counts("orders", table, uniform(cells**2))


@pytest.mark.parametrize("rows", [3, 4])
def test_two_groups_of_an_epoch_are_independent(rows: int, effort: int) -> None:
    """Two that stand next to each other in memory, over epochs."""
    groups, cells = equal_groups(2, rows), math.factorial(rows)
    table = np.zeros(cells**2)
    for epoch in numbers_of(SIZE // 2, effort):
        chosen = options(batch_size=rows, epoch=epoch)
        drawn = _core.plan_buckets(groups, batch_sizes=None, shuffle=True, **chosen).batches(0, 2)[0]
        first, second = rank(np.array([drawn[drawn < rows], drawn[drawn >= rows]])).tolist()
        table[first * cells + second] += 1
    check_counts("orders", table, uniform(cells**2))


@pytest.mark.parametrize(
    ("rows", "size"),
    [(17, 20000), (64, 20000), (65, 40000), (66, 20000), (100, 20000), (128, 20000), (129, 20000)],
)
def test_orders_of_many_rows_show_no_structure(rows: int, size: int, effort: int) -> None:
    tables = Tables(rows)
    for part in range(effort):
        tables.add(groups_of_an_epoch(rows, range(part + effort, part + effort + size)))
    tables.check(f"groups of {rows} rows")


@pytest.mark.parametrize("rows", [64, 65, 100])
def test_orders_of_many_rows_over_epochs_show_no_structure(rows: int, effort: int) -> None:
    tables = Tables(rows)
    for part in range(effort):
        tables.add(bucket_over_epochs(rows, range((part + effort) * 10000, (part + effort + 1) * 10000)))
    tables.check(f"a bucket of {rows} rows")


@pytest.mark.parametrize("rows", [65, 100])
def test_neighbouring_groups_of_many_rows_are_independent(rows: int, effort: int) -> None:
    """The order of one group seen from the next one in memory is again any permutation."""
    tables = Tables(rows)
    for part in range(effort):
        orders = groups_of_an_epoch(rows, range(part + effort + 100, part + effort + 40100))
        tables.add(np.take_along_axis(np.argsort(orders[0::2], axis=1), orders[1::2], axis=1))
    tables.check(f"neighbours of {rows} rows")
