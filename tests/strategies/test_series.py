"""SeriesRoundRobin: equal to the oracle, whatever ids come in, and what it says where series are too long."""

import logging
import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests import oracle
from tombola import PlanBatchSampler, SeriesRoundRobin

COUNTS = np.array([1, 1, 2, 3, 5, 8, 2, 1, 7, 4])
SERIES = np.repeat([11, 4, 0, 7, 3, 12, 9, 1, 2, 5], COUNTS)[np.arange(34) * 13 % 34]
INDICES = np.arange(0, 34, 2)
OPTIONS: dict[str, Any] = {"batch_size": 4, "fetch_factor": 3, "seed": 5, "epoch": 2}


def by_oracle(keys: Any, indices: Any = None, *, drop_last: bool = False, **options: Any) -> list[list[int]]:
    how = oracle.Batching(**OPTIONS, drop_last=drop_last)
    groups = oracle.group(keys, indices)
    if options.pop("schedule", "balanced") == "balanced":
        plan = oracle.balanced(groups, how, **options)
    else:
        plan = oracle.round_robin(groups, how, **options)
    return [plan.batch(k).tolist() for k in range(len(plan))]


def batches(strategy: SeriesRoundRobin, n: int | None = None, **options: Any) -> list[list[int]]:
    return [batch.tolist() for batch in strategy.plan(n, **{**OPTIONS, **options})]


SCHEDULES: dict[str, dict[str, Any]] = {
    "balanced": {},
    "pairs": {"per_series": 2},
    "in order": {"shuffle": False},
    "round robin": {"schedule": "round_robin"},
    "round robin in order": {"schedule": "round_robin", "shuffle": False},
}
every_schedule = pytest.mark.parametrize("options", SCHEDULES.values(), ids=SCHEDULES.keys())


@every_schedule
@pytest.mark.parametrize("drop_last", [False, True])
def test_every_option_reaches_the_core(options: dict[str, Any], drop_last: bool) -> None:
    for n in (None, 34):
        made = batches(SeriesRoundRobin(SERIES, **options), n, drop_last=drop_last)
        assert made == by_oracle(SERIES, drop_last=drop_last, **options)
    expected = by_oracle(SERIES[INDICES], INDICES, drop_last=drop_last, **options)
    whole = SeriesRoundRobin(SERIES, indices=INDICES, **options)
    subset = SeriesRoundRobin(SERIES[INDICES], indices=INDICES, **options)
    assert batches(whole, drop_last=drop_last) == batches(whole, 34, drop_last=drop_last) == expected
    for n in (None, 34, 1000):
        assert batches(subset, n, drop_last=drop_last) == expected


def test_defaults() -> None:
    assert SeriesRoundRobin(SERIES) == SeriesRoundRobin(
        SERIES, schedule="balanced", per_series=1, shuffle=True, indices=None
    )


SAME = {
    "list": SERIES.tolist(),
    "int8": SERIES.astype(np.int8),
    "uint8": SERIES.astype(np.uint8),
    "uint16": SERIES.astype(np.uint16),
    "uint32": SERIES.astype(np.uint32),
    "uint64": SERIES.astype(np.uint64),
    "big-endian": SERIES.astype(">i4"),
    "objects": SERIES.astype(object),
    "series": pd.Series(SERIES),
    "nullable": pd.Series(SERIES, dtype="Int32"),
    "categories": pd.Categorical(SERIES, categories=range(20)),
    "scattered as a hash": SERIES.astype(np.int64) + 10**15,
}


@every_schedule
@pytest.mark.parametrize("ids", SAME.values(), ids=SAME.keys())
def test_equal_ids_of_any_kind_give_equal_batches(ids: Any, options: dict[str, Any]) -> None:
    strategy = SeriesRoundRobin(ids, **options)
    assert batches(strategy) == by_oracle(SERIES, **options)
    assert strategy == SeriesRoundRobin(SERIES, **options)
    assert strategy.fingerprint() == SeriesRoundRobin(SERIES, **options).fingerprint()
    subset = SeriesRoundRobin(ids, indices=INDICES, **options)
    assert batches(subset) == by_oracle(SERIES[INDICES], INDICES, **options)


@pytest.mark.parametrize(
    "names",
    [[f"series {key}" for key in SERIES.tolist()], [(key, "x") for key in SERIES.tolist()]],
    ids=["text", "tuples"],
)
def test_names_count_as_they_appear(names: Any) -> None:
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    codes = [numbers[name] for name in names]
    for keys in (names, np.fromiter(names, dtype=object), pd.Series(names)):
        assert batches(SeriesRoundRobin(keys)) == by_oracle(codes)
    subset = SeriesRoundRobin(names, indices=INDICES)
    assert batches(subset) == by_oracle(np.array(codes)[INDICES], INDICES)


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_ids_from_all_over_the_range(dtype: Any) -> None:
    ids = (SERIES.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)).astype(dtype)
    assert (ids.astype(object) >= 2**63).any() == (dtype is np.uint64)
    made = batches(SeriesRoundRobin(ids))
    assert sorted(row for batch in made for row in batch) == list(range(34))
    assert all(len({int(SERIES[row]) for row in batch}) == len(batch) for batch in made)
    assert made == by_oracle(ids.view(np.int64))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: SeriesRoundRobin([]), ValueError, "series_ids must not be empty"),
        (
            lambda: SeriesRoundRobin([1.0, 2.0]),
            TypeError,
            "series_ids must be integers, strings or objects that hash, but series_ids[0] = 1.0",
        ),
        (
            lambda: SeriesRoundRobin([1, 2], per_series=0),
            ValueError,
            "per_series must be an integer >= 1, but is 0",
        ),
        (
            lambda: SeriesRoundRobin([1, 2], per_series=2.0),  # type: ignore[arg-type]
            TypeError,
            "per_series must be an integer >= 1, but is 2.0",
        ),
        (
            lambda: SeriesRoundRobin([1, 2], schedule="round_robin", per_series=2),
            ValueError,
            'per_series must be 1 with schedule="round_robin", but is 2',
        ),
        (
            lambda: SeriesRoundRobin([1, 2], schedule="random"),  # type: ignore[arg-type]
            ValueError,
            'schedule must be "balanced" or "round_robin", but is "random"',
        ),
        (
            lambda: SeriesRoundRobin([1, 2], shuffle=1),  # type: ignore[arg-type]
            TypeError,
            "shuffle must be True or False, but is 1",
        ),
        (
            lambda: SeriesRoundRobin([1, 2], indices=[]),
            ValueError,
            "indices must not be empty, for there is no series without rows",
        ),
        (
            lambda: SeriesRoundRobin([1, 2], indices=[0, 2, 5]),
            ValueError,
            "series_ids must be as long as the whole or as indices, 3, but the length is 2 and indices "
            "reach 5",
        ),
        (
            lambda: SeriesRoundRobin([1, 2]).plan(3, batch_size=1),
            ValueError,
            "series_ids must be as long as the whole, n = 3, but the length is 2",
        ),
        (
            lambda: SeriesRoundRobin([1, 2], indices=[0, 5]).plan(5, batch_size=1),
            ValueError,
            "indices must lie in [0, 5), but indices[1] = 5",
        ),
    ],
)
def test_wrong_arguments(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == message


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    assert {(record.name, record.levelno) for record in caplog.records} <= {
        ("tombola.strategies", logging.WARNING)
    }
    return [record.getMessage() for record in caplog.records]


def test_a_long_series_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    strategy = SeriesRoundRobin(["sea"] * 60 + ["wood", "hill"] * 10)
    sampler = PlanBatchSampler(strategy, batch_size=8)
    assert len(list(sampler)) == len(list(sampler)) == 60
    strategy.plan(batch_size=16)
    assert warnings(caplog) == [
        "series 'sea' has 60 of 80 rows, and a batch takes at most 1 of a series, so the epoch takes 60 "
        'batches, not ceil(80 / 8) = 10, of 1.333 rows on average; schedule="round_robin" keeps batches '
        "full, a larger per_series comes nearer to it"
    ]
    pickle.loads(pickle.dumps(strategy)).plan(batch_size=16)
    assert len(warnings(caplog)) == 2, "another strategy, perhaps of another process"


def test_rows_that_a_long_series_drops_are_said(caplog: pytest.LogCaptureFixture) -> None:
    ids = np.repeat([5, 7, 9, 6, 8], [30, 5, 5, 4, 4])
    indices = np.arange(40, 88)
    strategy = SeriesRoundRobin(ids, per_series=2, indices=indices)
    plan = strategy.plan(batch_size=10, drop_last=True)
    assert (len(plan), plan.n_rows) == (2, 20)
    assert warnings(caplog) == [
        "series 5 has 30 of 48 rows, and a batch takes at most 2 of a series, so drop_last=True leaves 2 "
        'full batches of 4 and drops 28 rows; schedule="round_robin" keeps batches full, a larger per_series '
        "comes nearer to it"
    ]


@pytest.mark.parametrize(
    ("options", "drop_last"),
    [
        ({}, False),
        ({}, True),
        ({"per_series": 2}, False),
        ({"schedule": "round_robin"}, False),
        ({"schedule": "round_robin"}, True),
    ],
)
def test_nothing_is_said_where_batches_are_full(
    options: dict[str, Any], drop_last: bool, caplog: pytest.LogCaptureFixture
) -> None:
    ids = SERIES if not options else np.repeat([0, 1, 2, 3], [14, 10, 10, 0])
    plan = SeriesRoundRobin(ids, **options).plan(batch_size=4, drop_last=drop_last)
    assert len(plan) == (8 if drop_last else 9)
    assert warnings(caplog) == []


def test_ids_that_change_later_change_nothing() -> None:
    ids = SERIES.copy()
    strategy = SeriesRoundRobin(ids)
    expected = batches(strategy)
    for change in (0, -1, 10**9):
        ids[::3] = change
        assert batches(strategy) == expected
        strategy.plan(**OPTIONS).report()


def test_descriptions() -> None:
    strategy = SeriesRoundRobin(SERIES, per_series=2)
    assert strategy.describe() == {
        "strategy": "SeriesRoundRobin",
        "series_ids": "int64 of 34",
        "schedule": "balanced",
        "per_series": 2,
        "shuffle": True,
        "indices": None,
        "n_groups": 10,
    }
