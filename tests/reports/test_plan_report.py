"""Reports: each figure against a slow count over the plan's own batches."""

import json
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tombola
from tombola import Plan
from tombola.reports.plan_report import PlanReport

N = 400
LABELS = np.repeat([0, 1, 2], [300, 80, 20])
INDICES = np.arange(0, N, 2)
WEIGHTS = np.linspace(0, 3, N)

PLANS = {
    "streaming": tombola.Streaming().plan(N, batch_size=12, fetch_factor=4),
    "blocks": tombola.BlockShuffling(8).plan(N, batch_size=12, fetch_factor=4, drop_last=True),
    "subset": tombola.BlockShuffling(8, indices=INDICES).plan(N, batch_size=12, fetch_factor=4),
    "weights": tombola.BlockWeightedSampling(WEIGHTS, 4, total_size=1000).plan(batch_size=7, fetch_factor=9),
    "iid": tombola.BlockWeightedSampling(WEIGHTS, 4, draw="iid", indices=INDICES).plan(batch_size=7),
    "classes": tombola.ClassBalancedSampling(LABELS, 4).plan(batch_size=16, fetch_factor=2),
    "classes of a subset": tombola.ClassBalancedSampling(LABELS[INDICES], 4, indices=INDICES).plan(
        batch_size=16
    ),
    "rounds": tombola.BlockWeightedSampling(WEIGHTS, replace=False, sampling_size=50).plan(batch_size=16),
}
every_plan = pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS.keys())


def runs(rows: list[int]) -> int:
    distinct = sorted(set(rows))
    return sum(1 for i, row in enumerate(distinct) if i == 0 or row != distinct[i - 1] + 1)


def row_weights(plan: Plan) -> Any:
    """Return the weight of each row of the whole."""
    weights = np.zeros(N)
    strategy = plan.strategy
    chosen = np.arange(N) if strategy.indices is None else np.asarray(strategy.indices)
    if isinstance(strategy, tombola.ClassBalancedSampling):
        own = LABELS[chosen]
        weights[chosen] = 1 / np.bincount(own)[own]
    elif isinstance(strategy, tombola.BlockWeightedSampling):
        weights[chosen] = WEIGHTS[chosen]
    else:
        weights[chosen] = 1.0
    return weights / weights.sum()


@every_plan
def test_counts(plan: Plan) -> None:
    report = plan.report()
    batches = [batch.tolist() for batch in plan]
    rows = [row for batch in batches for row in batch]
    assert report["rows"] == report["rows_examined"] == len(rows)
    assert report["batches"] == len(batches)
    assert report["sampled"] is False
    assert report["batch_sizes"] == Counter(map(len, batches))
    assert report["distinct_rows"] == len(set(rows))
    assert report["most_repeats"] == max(Counter(rows).values())
    windows = [
        [row for batch in batches[start : start + plan.fetch_factor] for row in batch]
        for start in range(0, len(batches), plan.fetch_factor)
    ]
    total = sum(map(runs, windows))
    assert report["runs_per_window"] == total / len(windows)
    assert report["rows_per_run"] == sum(len(set(window)) for window in windows) / total
    following = plan.at_epoch(1)
    assert report["rows_shared_with_next_epoch"] == len(set(batches[0]) & set(following[0].tolist()))


@every_plan
def test_expected_against_drawn(plan: Plan) -> None:
    report = plan.report()
    strategy = plan.strategy
    if (
        not isinstance(strategy, tombola.BlockWeightedSampling | tombola.ClassBalancedSampling)
        or not strategy.replace
    ):
        assert "largest_count_deviation" not in report
        return
    drawn = np.bincount(plan.indices(), minlength=N)
    expected = plan.n_rows * row_weights(plan)
    assert report["largest_count_deviation"] == pytest.approx(np.abs(drawn - expected).max(), rel=1e-9)
    if strategy.draw == "stratified":
        assert report["largest_count_deviation"] < 2


@every_plan
@pytest.mark.parametrize("kind", ["codes", "subset", "text", "category", "columns"])
def test_classes(plan: Plan, kind: str) -> None:
    labels: Any = LABELS
    if kind == "subset":
        labels = LABELS if plan.strategy.indices is None else LABELS[INDICES]
    elif kind == "text":
        labels = [str(label) for label in LABELS]
    elif kind == "category":
        labels = pd.Series(LABELS.astype(str), dtype="category")
    elif kind == "columns":
        labels = [LABELS]
    classes = plan.report(labels)["classes"]
    batches = [LABELS[batch] for batch in plan]
    drawn = np.bincount(np.concatenate(batches), minlength=3) / plan.n_rows
    expected = np.bincount(LABELS, weights=row_weights(plan), minlength=3)
    assert classes["n_classes"] == 3
    assert list(classes["shares"]) == ["0", "1", "2"]
    assert [share["drawn"] for share in classes["shares"].values()] == drawn.tolist()
    if getattr(plan.strategy, "replace", True):
        assert [share["expected"] for share in classes["shares"].values()] == pytest.approx(expected.tolist())
        deviation = np.abs(drawn - expected).max()
        assert classes["largest_share_deviation"] == pytest.approx(deviation, abs=1e-12)
    else:
        assert "largest_share_deviation" not in classes
        assert all(set(share) == {"drawn"} for share in classes["shares"].values())
    assert classes["per_batch_min"] == min(len(set(batch)) for batch in batches)
    assert classes["per_batch_mean"] == pytest.approx(np.mean([len(set(batch)) for batch in batches]))
    bits = []
    for batch in batches:
        shares = np.bincount(batch)[np.unique(batch)] / len(batch)
        bits.append(-(shares * np.log2(shares)).sum())
    assert classes["bits_per_batch"] == pytest.approx(np.mean(bits))


def test_classes_come_with_the_strategy() -> None:
    plan = PLANS["classes"]
    assert plan.report()["classes"] == plan.report(labels=LABELS)["classes"]
    assert "classes" not in PLANS["weights"].report()


@every_plan
def test_a_dict_in_code_and_a_table_in_the_terminal(plan: Plan) -> None:
    report = plan.report(LABELS)
    assert isinstance(report, PlanReport)
    assert type(report.to_dict()) is dict
    plain = {**report.to_dict(), "batch_sizes": {str(k): v for k, v in report["batch_sizes"].items()}}
    assert json.loads(json.dumps(report.to_dict())) == plain
    lines = str(report).splitlines()
    assert lines == repr(report).splitlines()
    assert lines[0].startswith("strategy")
    assert lines[0].endswith(repr(plan.strategy))
    assert any(line.split() == ["rows", f"{plan.n_rows:,}"] for line in lines)
    assert lines[-4].split() == ["class", "drawn", "expected"]


def test_the_table_of_a_known_plan() -> None:
    plan = tombola.Streaming().plan(10, batch_size=4, fetch_factor=2)
    assert str(plan.report(["a"] * 5 + ["b"] * 5)).splitlines() == [
        "strategy                          Streaming(shuffle=False)",
        "seed                              0",
        "epoch                             0",
        "rows                              10",
        "batches                           3",
        "batches of size                   2 of 4, 1 of 2",
        "fetch window                      8",
        "rows examined                     10",
        "sampled                           no",
        "distinct rows                     10",
        "most repeats                      1",
        "runs per window                   1",
        "rows per run                      5",
        "rows shared with next epoch       4",
        "classes                           2",
        "classes: per batch mean           1.333",
        "classes: per batch min            1",
        "classes: bits per batch           0.2704",
        "classes: largest share deviation  0",
        "class     drawn  expected",
        "a        50.00%    50.00%",
        "b        50.00%    50.00%",
    ]


def test_many_classes_are_cut_short() -> None:
    labels = np.arange(3000)
    report = tombola.Streaming().plan(3000, batch_size=100).report(labels[:3000] % 30)
    assert str(report).splitlines()[-1] == "... and 20 more"
    assert len(report["classes"]["shares"]) == 30
    report = tombola.Streaming().plan(3000, batch_size=100).report(labels)
    assert report["classes"]["n_classes"] == 3000
    assert "shares" not in report["classes"]


@pytest.mark.parametrize(("batch_size", "fetch_factor"), [(10, 5), (64, 256), (100, 1), (3, 7)])
def test_long_epochs_are_sampled(batch_size: int, fetch_factor: int) -> None:
    plan = tombola.BlockShuffling(10).plan(200_005, batch_size=batch_size, fetch_factor=fetch_factor)
    report = plan.report(np.arange(200_005) // 100_003, max_rows=50_000)
    assert report["sampled"] is True
    assert report["rows"] == 200_005
    assert 10_000 <= report["rows_examined"] <= 70_000
    assert report["distinct_rows"] == report["rows_examined"]
    assert 200_005 % batch_size in report["batch_sizes"], "the end of the epoch is in the sample"
    assert report["fetch_window"] == batch_size * fetch_factor
    assert 1 <= report["runs_per_window"] <= batch_size * fetch_factor
    text = f"(a sample: {report['rows_examined']:,} of 200,005 rows were looked at)"
    assert text in str(report).splitlines()


def test_a_window_larger_than_the_sample() -> None:
    plan = tombola.Streaming(shuffle=True).plan(200_000, batch_size=100, fetch_factor=1500)
    report = plan.report(max_rows=10_000)
    assert report["rows_examined"] == 10_000
    assert "runs_per_window" not in report


def test_one_window_larger_than_the_sample() -> None:
    report = (
        tombola.Streaming(shuffle=True)
        .plan(200_000, batch_size=100, fetch_factor=2000)
        .report(max_rows=10_000)
    )
    assert report["sampled"]
    assert report["rows_examined"] == 5_000


def test_samples_say_nothing_about_counts() -> None:
    plan = tombola.BlockWeightedSampling(WEIGHTS, total_size=5000).plan(batch_size=10)
    assert "largest_count_deviation" in plan.report()
    assert "largest_count_deviation" not in plan.report(max_rows=1000)


def test_huge_plans() -> None:
    report = tombola.BlockShuffling(16).plan(10**12, batch_size=64, fetch_factor=256).report(max_rows=10**5)
    assert report["rows"] == 10**12
    assert report["rows_per_run"] == 16
    report = tombola.Streaming().plan(2**61 - 1, batch_size=64).report(max_rows=10**5)
    assert report["rows_per_run"] == pytest.approx(64, rel=0.01)


def test_no_batches() -> None:
    report = tombola.Streaming().plan(0, batch_size=4).report()
    assert report["rows"] == report["batches"] == report["rows_examined"] == 0
    assert "distinct_rows" not in report
    assert "batches of size" in str(report)
    with_labels = tombola.Streaming().plan(3, batch_size=4, drop_last=True).report(["a", "b", "c"])
    assert with_labels["classes"]["shares"]["a"] == {"drawn": 0.0, "expected": pytest.approx(1 / 3)}


def test_the_last_epoch_has_a_next_one() -> None:
    assert (
        tombola.Streaming().plan(9, batch_size=4, epoch=2**63 - 1).report()["rows_shared_with_next_epoch"]
        == 4
    )


@pytest.mark.parametrize(
    ("plan", "size", "message"),
    [
        ("blocks", 399, "labels must be as long as the whole, n = 400, or as indices, but the length is 399"),
        ("subset", 399, "labels must be as long as the whole, n = 400, or as indices, but the length is 399"),
        ("iid", 300, "labels must be as long as the whole or as indices, but the length is 300"),
    ],
)
def test_labels_of_a_wrong_length(plan: str, size: int, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        PLANS[plan].report(np.zeros(size, dtype=int))
    assert str(caught.value) == message
