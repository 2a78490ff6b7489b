"""Series: no schedule has fewer batches, none with `drop_last` more full ones, and no batch repeats a series.

For every profile of up to 12 rows the least number of batches is searched by brute force, which knows nothing
of the formula: all loads that batches can have after the rows of one series after the other were dealt out.
Larger plans are checked for what they promise, up to 10**7 rows.
"""

import itertools
from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cases import deal
from tests.oracle.permutations import I64
from tests.oracle.philox import Purpose, derive
from tests.oracle.series import sigma
from tests.property.profiles import Profile, profiles
from tests.property.searches import searching
from tombola import _core

MOST_ROWS = 12
Loads = tuple[int, ...]

search = searching(200)


def partitions(n: int, largest: int) -> Iterator[Profile]:
    """Yield all ways to write n as a sum of numbers up to ``largest``, in descending order."""
    if n == 0:
        yield ()
    for first in range(min(n, largest), 0, -1):
        for rest in partitions(n - first, first):
            yield (first, *rest)


PROFILES = [profile for n in range(1, MOST_ROWS + 1) for profile in partitions(n, n)]


# -------------------------------------------------------------------------------------- search by brute force


@cache
def dealt(loads: Loads, rows: int, per_series: int, size: int) -> frozenset[Loads]:
    """Return all loads (sorted) after ``rows`` of one series, at most ``per_series`` a batch of ``size``."""
    if not loads:
        return frozenset([()] if rows == 0 else [])
    found = set()
    for here in range(min(per_series, rows, size - loads[0]) + 1):
        for rest in dealt(loads[1:], rows - here, per_series, size):
            found.add(tuple(sorted((loads[0] + here, *rest))))
    return frozenset(found)


@cache
def reachable(profile: Profile, batches: int, per_series: int, size: int) -> frozenset[Loads]:
    """Return all loads that so many batches can have with every row in one of them."""
    if not profile:
        return frozenset([(0,) * batches])
    before = reachable(profile[1:], batches, per_series, size)
    return frozenset().union(*(dealt(loads, profile[0], per_series, size) for loads in before))


@cache
def reachable_by_some(profile: Profile, batches: int, per_series: int, size: int) -> frozenset[Loads]:
    """Return all loads that so many batches can have with any of the rows in them."""
    if not profile:
        return frozenset([(0,) * batches])
    before = reachable_by_some(profile[1:], batches, per_series, size)
    parts = itertools.product(before, range(profile[0] + 1))
    return frozenset().union(*(dealt(loads, rows, per_series, size) for loads, rows in parts))


def fewest_batches(profile: Profile, size: int, per_series: int) -> int:
    """Return the fewest batches that hold all rows."""
    return next(t for t in itertools.count(1) if reachable(profile, t, per_series, size))


def most_full_batches(profile: Profile, size: int, per_series: int) -> int:
    """Return the most batches that can be full at once; of full ones any fewer are possible too."""
    count = 0
    while size * (count + 1) <= sum(profile):
        if (size,) * (count + 1) not in reachable_by_some(profile, count + 1, per_series, size):
            break
        count += 1
    return count


def test_the_search_finds_what_is_known() -> None:
    assert fewest_batches((3, 1), 4, 1) == 3
    assert fewest_batches((3, 1), 4, 2) == 2
    assert fewest_batches((1,) * 7, 3, 1) == 3
    assert fewest_batches((2, 2, 2), 2, 1) == 3
    assert most_full_batches((5, 1, 1), 2, 1) == 2
    assert most_full_batches((5, 1, 1), 2, 2) == 3
    assert most_full_batches((5, 1), 3, 1) == 0


# ------------------------------------------------------------------------------------------------ small plans


def keys_of(profile: Profile) -> I64:
    """Return the series of each row, far from each other."""
    return np.repeat(np.arange(len(profile)), profile)[deal(sum(profile))]


def check_schedule(plan: _core.Plan, keys: I64, size: int, per_series: int) -> int:
    """Check that batches are within the limits and rows come once; return the rows that came."""
    rows, offsets = plan.batches(0, len(plan))
    lengths = np.diff(offsets)
    assert len(rows) == plan.n_rows == offsets[-1]
    assert len(set(rows.tolist())) == len(rows)
    assert ((0 <= rows) & (rows < len(keys))).all()
    if len(plan):
        assert 1 <= lengths.min() <= lengths.max() <= size
        assert lengths.max() - lengths.min() <= 1
        batch = np.repeat(np.arange(len(plan)), lengths)
        assert np.unique(batch * len(keys) + keys[rows], return_counts=True)[1].max() <= per_series
    return len(rows)


def core_plan(
    keys: I64, size: int, per_series: int, *, drop_last: bool, epoch: int = 0, shuffle: bool = True
) -> _core.Plan:
    """Return the balanced plan of the core."""
    return _core.plan_series(
        _core.Groups.from_keys(keys),
        schedule="balanced",
        per_series=per_series,
        shuffle=shuffle,
        batch_size=size,
        fetch_factor=1,
        drop_last=drop_last,
        seed=6,
        epoch=epoch,
    )


@pytest.mark.parametrize("per_series", [1, 2, 3])
@pytest.mark.parametrize("n", range(1, MOST_ROWS + 1))
def test_no_schedule_has_fewer_batches(n: int, per_series: int) -> None:
    for profile in (p for p in PROFILES if sum(p) == n):
        keys = keys_of(profile)
        for size in range(1, n + 1):
            plan = core_plan(keys, size, per_series, drop_last=False, epoch=size, shuffle=size % 4 > 0)
            assert len(plan) == fewest_batches(profile, size, per_series), (profile, size)
            assert check_schedule(plan, keys, size, per_series) == n


@pytest.mark.parametrize("per_series", [1, 2, 3])
@pytest.mark.parametrize("n", range(1, MOST_ROWS + 1))
def test_no_schedule_has_more_full_batches(n: int, per_series: int) -> None:
    for profile in (p for p in PROFILES if sum(p) == n):
        keys = keys_of(profile)
        for size in range(1, n + 1):
            plan = core_plan(keys, size, per_series, drop_last=True, epoch=size, shuffle=size % 4 > 0)
            assert len(plan) == most_full_batches(profile, size, per_series), (profile, size)
            assert check_schedule(plan, keys, size, per_series) == size * len(plan)


@given(
    profile=profiles(),
    size=st.integers(1, 70),
    per_series=st.integers(1, 4),
    epoch=st.integers(0, 9),
    drop_last=st.booleans(),
    shuffle=st.booleans(),
)
@search
def test_any_profile(
    profile: Profile, size: int, per_series: int, epoch: int, drop_last: bool, shuffle: bool
) -> None:
    keys = keys_of(profile)
    plan = core_plan(keys, size, per_series, drop_last=drop_last, epoch=epoch, shuffle=shuffle)
    came = check_schedule(plan, keys, size, per_series)
    assert came == (size * len(plan) if drop_last else len(keys))


@given(profile=profiles(), size=st.integers(1, 70), per_series=st.integers(1, 4))
@search
def test_one_batch_less_breaks_a_limit(profile: Profile, size: int, per_series: int) -> None:
    """By counting alone: too many rows for the batches or too many of one series; with full ones, too few."""
    keys, counts = keys_of(profile), np.array(profile)
    fewer = len(core_plan(keys, size, per_series, drop_last=False)) - 1
    assert len(keys) > size * fewer or counts.max() > per_series * fewer
    more = len(core_plan(keys, size, per_series, drop_last=True)) + 1
    assert np.minimum(counts, per_series * more).sum() < size * more


def test_a_crossing_series_never_meets_itself() -> None:
    """The oracle's rule between two layers, for all sizes: a permutation, and the two parts apart."""
    key = derive(1, 2, Purpose.LAYERS)
    for batches in (*range(2, 20), 64, 65, 66, 90):
        for before in range(1, batches) if batches < 20 else (1, 8, 9, 24, 25, 26, batches - 1):
            for after in {1, 2, batches // 3, batches - before}:
                if 0 < after <= batches - before:
                    positions = sigma(batches, before, after, key, layer=before)
                    assert sorted(positions.tolist()) == list(range(batches))
                    assert (positions[:after] < batches - before).all()
        assert sorted(sigma(batches, 0, 0, key, layer=0).tolist()) == list(range(batches))


# ------------------------------------------------------------------------------------------------ large plans


def large_keys(kind: str, n: int) -> I64:
    """Return the series of each of n rows."""
    generator = np.random.default_rng(1)
    match kind:
        case "random":
            return np.asarray(generator.random(n) ** 2 * n, dtype=np.int64)
        case "dominant":
            return np.where(generator.random(n) < 0.4, 7, generator.integers(n, size=n))
        case "all-alone":
            return generator.permutation(n)
        case _:
            return np.full(n, 3)


LARGE_KINDS = ("random", "dominant", "all-alone", "one-series")


@pytest.mark.parametrize("kind", LARGE_KINDS)
@pytest.mark.parametrize(("n", "drop_last"), [(10**6, True), (10**7, False)], ids=["10**6", "10**7"])
def test_every_batch_of_a_large_plan_holds_different_series(kind: str, n: int, drop_last: bool) -> None:
    keys, size = large_keys(kind, n), 64
    plan = core_plan(keys, size, 1, drop_last=drop_last, epoch=4)
    counts = np.bincount(keys)
    rows, offsets = plan.batches(0, len(plan))
    lengths = np.diff(offsets)
    came = np.zeros(n, dtype=bool)
    came[rows] = True
    assert np.count_nonzero(came) == len(rows) == plan.n_rows
    if drop_last:
        kept = len(plan)
        assert (lengths == size).all()
        assert np.minimum(counts, kept).sum() >= size * kept
        assert np.minimum(counts, kept + 1).sum() < size * (kept + 1)
    else:
        assert len(rows) == n
        assert len(plan) == max(-(-n // size), counts.max())
        assert lengths.max() - lengths.min() <= 1
    member = np.repeat(np.arange(len(plan)) * len(counts), lengths) + keys[rows]
    member.sort()
    assert (member[1:] != member[:-1]).all()


@pytest.mark.parametrize("per_series", [2, 5])
def test_large_plans_hold_few_of_a_series(per_series: int) -> None:
    keys = large_keys("dominant", 10**6)
    plan = core_plan(keys, 16, per_series, drop_last=False)
    assert check_schedule(plan, keys, 16, per_series) == len(keys)
    assert len(plan) == -(-np.bincount(keys).max() // per_series)


def test_the_rows_left_out_differ_from_epoch_to_epoch() -> None:
    """One series of 40 rows among 20 of 2: 5 full batches of 8, since 6 would lack 2 rows."""
    keys = keys_of((40, *(2,) * 20))
    left_out = set()
    for epoch in range(50):
        plan = core_plan(keys, 8, 1, drop_last=True, epoch=epoch)
        rows, _ = plan.batches(0, len(plan))
        left_out.add(frozenset(range(len(keys))) - frozenset(rows.tolist()))
    assert len(left_out) == 50
    assert {len(rows) for rows in left_out} == {40}
    assert frozenset.union(*left_out) == frozenset(range(len(keys)))
