"""Reports of series and buckets: each figure against a slow count over the plan's own batches."""

import json
from collections import Counter
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
import pytest

import tombola
from tombola import Bucketed, Plan, SeriesRoundRobin, padding_report
from tombola.reports import group_report
from tombola.reports.plan_report import read_sample

N = 400
ROWS = np.arange(N)
SERIES = ROWS * ROWS * 31 % 149
INDICES = np.flatnonzero(ROWS % 3)
LENGTHS = ROWS * 7919 % 59
LONG = np.where(ROWS % 5, 7, SERIES)

SERIES_PLANS = {
    "balanced": SeriesRoundRobin(SERIES).plan(batch_size=16),
    "pairs": SeriesRoundRobin(SERIES, per_series=2).plan(batch_size=16, epoch=3),
    "full": SeriesRoundRobin(SERIES).plan(batch_size=16, drop_last=True),
    "one series is long": SeriesRoundRobin(LONG).plan(batch_size=16),
    "rounds": SeriesRoundRobin(SERIES, schedule="round_robin").plan(batch_size=16),
    "full rounds": SeriesRoundRobin(SERIES, schedule="round_robin").plan(batch_size=48, drop_last=True),
    "rounds of a long series": SeriesRoundRobin(LONG, schedule="round_robin").plan(batch_size=16),
    "rounds in order": SeriesRoundRobin(SERIES, schedule="round_robin", shuffle=False).plan(batch_size=16),
    "subset": SeriesRoundRobin(SERIES, indices=INDICES).plan(batch_size=16, fetch_factor=4),
    "ids of a subset": SeriesRoundRobin(SERIES[INDICES], indices=INDICES).plan(batch_size=16),
    "names": SeriesRoundRobin([f"s{key}" for key in SERIES]).plan(batch_size=16),
    "all over the range": SeriesRoundRobin(SERIES * 2**55 - 2**62).plan(batch_size=16),
    "one in all": SeriesRoundRobin([5] * N).plan(batch_size=16),
    "all different": SeriesRoundRobin(range(N)).plan(batch_size=16),
}


def series_of(plan: Plan) -> Any:
    """Return the series of each row of the whole."""
    strategy = plan.strategy
    assert isinstance(strategy, SeriesRoundRobin)
    keys = np.array(strategy.series_ids)
    if len(keys) == N:
        return keys
    whole = np.full(N, -1)
    whole[INDICES] = keys
    return whole


@pytest.mark.parametrize("plan", SERIES_PLANS.values(), ids=SERIES_PLANS.keys())
def test_series(plan: Plan) -> None:
    report = plan.report()
    strategy: Any = plan.strategy
    series = series_of(plan)
    chosen = ROWS if strategy.indices is None else np.asarray(strategy.indices)
    batches = [series[batch].tolist() for batch in plan]
    distinct = [len(set(batch)) for batch in batches]
    most = [max(Counter(batch).values()) for batch in batches]
    assert report["series"] == len(set(series[chosen].tolist()))
    assert report["series_per_batch_min"] == min(distinct)
    assert report["series_per_batch_mean"] == sum(distinct) / len(batches)
    assert report["batches_over_per_series"] == sum(count > strategy.per_series for count in most)
    following = series[plan.at_epoch(plan.epoch + 1)[0]].tolist()
    assert report["series_shared_with_next_epoch"] == len(set(batches[0]) & set(following))
    met = Counter(pair for batch in batches for pair in combinations(sorted(set(batch)), 2))
    if met:
        assert report["series_pairs_counted"] == len(met)
        assert report["series_pairs_sampled"] is False
        again = sum(n > 1 for n in met.values())
        assert report["series_pairs_meeting_again"] == again / len(met)
        assert report["series_pairs_meeting_again_of_all"] == again / comb(len(set().union(*batches)), 2)
    else:
        assert "series_pairs_counted" not in report
    if strategy.schedule == "balanced":
        assert report["batches_over_per_series"] == 0
        assert "rounds_per_batch_max" not in report
        return
    rounds: list[set[int]] = []
    seen: Counter[Any] = Counter()
    for batch in batches:
        rounds.append(set())
        for key in batch:
            rounds[-1].add(seen[key])
            seen[key] += 1
    assert report["rounds_per_batch_max"] == max(map(len, rounds))
    assert report["batches_over_rounds"] == sum(len(of_batch) > 1 for of_batch in rounds)


class Batches:
    """What the rounds of a plan are counted from."""

    def __init__(self, n_rows: int, batch_size: int) -> None:
        self.n_rows, self.batch_size = n_rows, batch_size

    def __len__(self) -> int:
        return -(-self.n_rows // self.batch_size)


def test_rounds_of_series_too_long_to_be_counted_up_to() -> None:
    plan: Any = Batches(3 * 10**12 + 5, 10**12)
    counts = np.array([2 * 10**12, 5, 10**12])
    # Rounds of three rows up to round 5, of two up to round 10**12, at position 2 * 10**12 + 5, then of one.
    # The third batch stretches over most: from round 10**12 - 3 to round 2 * 10**12 - 6.
    rounds = group_report._rounds(plan, counts)
    assert rounds == {"rounds_per_batch_max": 10**12 - 2, "batches_over_rounds": 4}


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5, 16, 400])
@pytest.mark.parametrize("keys", [SERIES, LONG, ROWS % 7, ROWS], ids=["series", "long", "equal", "single"])
def test_rounds(keys: Any, batch_size: int) -> None:
    counts = np.unique(keys, return_counts=True)[1]
    of_row = np.repeat(np.arange(counts.max()), [(counts > r).sum() for r in range(counts.max())])
    spans = [len(set(of_row[at : at + batch_size].tolist())) for at in range(0, N, batch_size)]
    plan: Any = Batches(N, batch_size)
    expected = {"rounds_per_batch_max": max(spans), "batches_over_rounds": sum(span > 1 for span in spans)}
    assert group_report._rounds(plan, counts) == expected


def test_the_layered_rule_keeps_neighbours_apart() -> None:
    """300 series of 3 rows, batches of 16: the case of the design."""
    ids = np.arange(900) % 300
    layered = SeriesRoundRobin(ids).plan(batch_size=16).report()
    rounds = SeriesRoundRobin(ids, schedule="round_robin").plan(batch_size=16).report()
    assert layered["batches"] == rounds["batches"] == 57
    for name in ("series_pairs_meeting_again", "series_pairs_meeting_again_of_all"):
        assert 4 * layered[name] < rounds[name]


def test_too_many_pairs_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = SeriesRoundRobin(np.arange(3000) % 400).plan(batch_size=50)
    whole = plan.report()
    batches = [(batch % 400).tolist() for batch in plan]
    meetings = sum(len(batch) * (len(batch) - 1) // 2 for batch in batches)
    monkeypatch.setattr(group_report, "PAIRS", meetings // 4)
    report = plan.report()
    assert report["series_pairs_sampled"] is True
    kept = set(np.asarray(tombola.permutation(400))[:200].tolist())
    met = Counter(pair for batch in batches for pair in combinations(sorted(set(batch) & kept), 2))
    assert report["series_pairs_counted"] == len(met) < whole["series_pairs_counted"] / 3
    again = sum(n > 1 for n in met.values())
    assert report["series_pairs_meeting_again"] == again / len(met)
    assert report["series_pairs_meeting_again_of_all"] == again / comb(200, 2)
    differing = {name for name in whole if whole[name] != report[name]}
    assert differing == {name for name in report if name.startswith("series_pairs")}


def test_a_sample_of_batches_says_nothing_about_pairs() -> None:
    plan = SeriesRoundRobin(np.arange(200_000) % 50_000, schedule="round_robin").plan(batch_size=32)
    report = plan.report(max_rows=40_000)
    assert report["sampled"] is True
    assert report["series_per_batch_min"] == 32
    assert report["batches_over_rounds"] == 2, "counted from the sizes of the series"
    assert not any(name.startswith("series_pairs") for name in report)


BUCKET_PLANS = {
    "keys": Bucketed(SERIES % 7).plan(batch_size=16),
    "scattered keys": Bucketed(SERIES % 7 * 2**58).plan(batch_size=16),
    "boundaries": Bucketed(LENGTHS, boundaries=[10, 20, 40]).plan(batch_size=16, drop_last=True),
    "quantiles": Bucketed(LENGTHS, n_buckets=9).plan(batch_size=16),
    "tokens": Bucketed(LENGTHS, n_buckets=4, max_tokens=200).plan(batch_size=16, fetch_factor=3),
    "subset": Bucketed(LENGTHS, n_buckets=4, indices=INDICES).plan(batch_size=16),
    "keys of a subset": Bucketed(LENGTHS[INDICES], n_buckets=4, indices=INDICES).plan(batch_size=16),
    "below 0": Bucketed(LENGTHS - 30, boundaries=[0]).plan(batch_size=16),
    "times": Bucketed(2**62 + LENGTHS, boundaries=[2**62 + 20]).plan(batch_size=16),
    "names": Bucketed([f"bucket {key % 3}" for key in SERIES]).plan(batch_size=16),
}


@pytest.mark.parametrize("name", BUCKET_PLANS)
def test_buckets(name: str) -> None:
    plan = BUCKET_PLANS[name]
    report = plan.report()
    strategy: Any = plan.strategy
    assert report["bucket_purity"] == 1.0
    assert report["buckets"] == {
        "keys": 7,
        "scattered keys": 7,
        "quantiles": 9,
        "below 0": 2,
        "names": 3,
        "times": 2,
    }.get(name, 4)
    if name in ("keys", "scattered keys", "names", "below 0", "times"):
        assert "padding_share" not in report
        return
    lengths = np.asarray(strategy.keys)
    if len(lengths) < N:
        lengths = LENGTHS
    padding = padding_report(lengths, plan)
    assert report["padding_share"] == padding["padding_share_after"]
    assert report["padding_share_of_random_batches"] == padding["padding_share_before"]
    assert report["padding_share"] < report["padding_share_of_random_batches"]


def test_purity_is_counted() -> None:
    """Batches of another plan are judged by the buckets of this strategy."""
    strategy = Bucketed(ROWS // 4)
    pure = strategy.plan(batch_size=4)
    mixed = Bucketed(ROWS // 4 % 50).plan(batch_size=8)
    entries = strategy._report_entries(pure, read_sample(mixed, 10**7))
    batches = [set((batch // 4).tolist()) for batch in mixed]
    assert entries["bucket_purity"] == sum(len(batch) == 1 for batch in batches) / len(batches) < 1


@pytest.mark.parametrize("plan", [SERIES_PLANS["rounds"], BUCKET_PLANS["tokens"]], ids=["series", "buckets"])
def test_a_dict_in_code_and_a_table_in_the_terminal(plan: Plan) -> None:
    report = plan.report()
    plain = {**report.to_dict(), "batch_sizes": {str(k): v for k, v in report["batch_sizes"].items()}}
    assert json.loads(json.dumps(report.to_dict())) == plain
    lines = str(report).splitlines()
    own = [name for name in report if name.startswith(("series", "bucket", "rounds", "padding"))]
    assert len(own) >= 4
    for name in own:
        assert any(line.startswith(f"{name.replace('_', ' ')}  ") for line in lines)


def test_no_batches() -> None:
    report = SeriesRoundRobin([1, 1, 1]).plan(batch_size=3, drop_last=True).report()
    assert report["rows"] == report["batches"] == 0
    assert "series" not in report
    report = Bucketed([1, 1, 2]).plan(batch_size=3, drop_last=True).report()
    assert report["batches"] == 0
    assert "buckets" not in report
