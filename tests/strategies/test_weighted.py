"""Weighted strategies: equal to the oracle, and their rules on lengths and options."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

import tombola
from tests import oracle
from tombola import BlockWeightedSampling, ClassBalancedSampling

N = 90
WEIGHTS = (np.arange(N) * 37 % 11) / 3.0
LABELS = np.repeat([0, 1, 2], [60, 25, 5])
INDICES = np.arange(0, N, 2)
OPTIONS: dict[str, Any] = {"batch_size": 7, "fetch_factor": 2, "drop_last": True, "seed": 3, "epoch": 4}
DRAWS: dict[str, dict[str, Any]] = {
    "stratified": {},
    "more": {"total_size": 200},
    "iid": {"draw": "iid", "total_size": 130},
    "rounds": {"replace": False, "sampling_size": 9, "total_size": 40},
}


def expected_rows(weights: oracle.Quantised, draw: dict[str, Any], indices: Any = None) -> list[int]:
    plan = oracle.weighted(
        weights,
        oracle.Batching(**OPTIONS),
        block_size=4,
        draws=draw.get("total_size", len(weights.q)),
        draw=draw.get("draw", "stratified"),
        sampling_size=draw.get("sampling_size", 0),
        indices=indices,
    )
    rows: list[int] = plan.rows.tolist()
    return rows


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS.keys())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_reach_the_core(draw: dict[str, Any], dtype: Any) -> None:
    weights = WEIGHTS.astype(dtype)
    for n in (None, N):
        plan = BlockWeightedSampling(weights, 4, **draw).plan(n, **OPTIONS)
        assert plan.indices().tolist() == expected_rows(oracle.quantise_values(weights), draw)
    plan = BlockWeightedSampling(weights, 4, indices=INDICES, **draw).plan(**OPTIONS)
    assert plan.indices().tolist() == expected_rows(oracle.quantise_values(weights, INDICES), draw, INDICES)
    own = weights[INDICES]
    for n in (None, N, 1000):
        plan = BlockWeightedSampling(own, 4, indices=INDICES, **draw).plan(n, **OPTIONS)
        assert plan.indices().tolist() == expected_rows(oracle.quantise_values(own), draw, INDICES)


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS.keys())
def test_equal_weights(draw: dict[str, Any]) -> None:
    plan = BlockWeightedSampling(None, 4, **draw).plan(N, **OPTIONS)
    assert plan.indices().tolist() == expected_rows(oracle.quantise_values(np.ones(N)), draw)
    plan = BlockWeightedSampling(block_size=4, indices=INDICES, **draw).plan(**OPTIONS)
    assert plan.indices().tolist() == expected_rows(oracle.quantise_values(np.ones(45)), draw, INDICES)


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS.keys())
@pytest.mark.parametrize("baseline", [0, 10, 2.5])
def test_classes_reach_the_core(draw: dict[str, Any], baseline: float) -> None:
    options = {"min_count_baseline": baseline, **draw}
    per_class = 90 / (3 * (np.array([60, 25, 5]) + baseline))
    quantised = oracle.quantise_codes(LABELS, per_class)
    for labels in (LABELS, LABELS.astype(np.uint8), list("abc"[code] for code in LABELS)):
        plan = ClassBalancedSampling(labels, 4, **options).plan(**OPTIONS)
        assert plan.indices().tolist() == expected_rows(quantised, draw)
    plan = ClassBalancedSampling(LABELS, 4, indices=INDICES, **options).plan(**OPTIONS)
    quantised = oracle.quantise_codes(LABELS, per_class, INDICES)
    assert plan.indices().tolist() == expected_rows(quantised, draw, INDICES), "balance over the whole"
    own = LABELS[INDICES]
    per_class = 45 / (3 * (np.bincount(own) + baseline))
    plan = ClassBalancedSampling(own, 4, indices=INDICES, **options).plan(N, **OPTIONS)
    quantised = oracle.quantise_codes(own, per_class)
    assert plan.indices().tolist() == expected_rows(quantised, draw, INDICES), "balance within the subset"


def test_class_balance_is_that_of_balanced_weights() -> None:
    frame = pd.DataFrame({"x": LABELS, "y": np.arange(N) % 2})
    weights = tombola.compute_balanced_weights(frame, min_count_baseline=7, normalize=False)
    by_class = ClassBalancedSampling(frame, min_count_baseline=7).plan(batch_size=9)
    counts = np.bincount(by_class.indices(), minlength=N)
    assert np.abs(counts - N * weights / weights.sum()).max() < 2


def test_gaps_between_labels_are_no_classes() -> None:
    spread = ClassBalancedSampling(LABELS * 20).plan(batch_size=9).indices()
    unused = pd.Categorical(["abc"[code] for code in LABELS], categories=["a", "b", "c", "unused"])
    assert spread.tolist() == ClassBalancedSampling(LABELS).plan(batch_size=9).indices().tolist()
    assert spread.tolist() == ClassBalancedSampling(unused).plan(batch_size=9).indices().tolist()
    assert ClassBalancedSampling(unused).describe()["n_classes"] == 3


@pytest.mark.parametrize("make", [BlockWeightedSampling, ClassBalancedSampling])
@pytest.mark.parametrize(
    ("size", "indices", "n", "message"),
    [
        (80, None, 90, "{} must be as long as the whole, n = 90, but the length is 80"),
        (
            80,
            [0, 1, 5],
            90,
            "{} must be as long as the whole, n = 90, or as indices, 3, but the length is 80",
        ),
        (
            5,
            [0, 1, 5],
            None,
            "{} must be as long as the whole or as indices, 3, but the length is 5 and indices reach 5",
        ),
        (3, [0, 1, 5], 5, "indices must lie in [0, 5), but indices[2] = 5"),
    ],
)
def test_lengths_that_disagree(make: Any, size: int, indices: Any, n: int | None, message: str) -> None:
    def ask() -> None:
        make(np.ones(size, dtype=np.int64), indices=indices).plan(n, batch_size=4)

    with pytest.raises(ValueError) as caught:  # noqa: PT011
        ask()
    assert str(caught.value) == message.format("weights" if make is BlockWeightedSampling else "labels")


@pytest.mark.parametrize(
    "make", [BlockWeightedSampling, lambda *a, **k: ClassBalancedSampling(LABELS, *a, **k)]
)
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"block_size": 0}, ValueError, "block_size must be an integer >= 1, but is 0"),
        ({"total_size": 0}, ValueError, "total_size must be an integer >= 1, but is 0"),
        ({"total_size": 1.5}, TypeError, "total_size must be an integer >= 1, but is 1.5"),
        ({"replace": None}, TypeError, "replace must be True or False, but is None"),
        ({"draw": "best"}, ValueError, 'draw must be "stratified" or "iid", but is "best"'),
        ({"sampling_size": 5}, ValueError, "sampling_size is for replace=False, but is 5 with replace=True"),
        (
            {"replace": False},
            ValueError,
            "sampling_size is needed with replace=False: the rows within which none comes twice",
        ),
        (
            {"replace": False, "sampling_size": 0},
            ValueError,
            "sampling_size must be an integer >= 1, but is 0",
        ),
        (
            {"replace": False, "sampling_size": 5, "draw": "iid"},
            ValueError,
            'draw="iid" means independent draws, but replace=False makes them dependent: leave draw out',
        ),
        ({"indices": []}, ValueError, "indices must not be empty for weighted draws"),
    ],
)
def test_wrong_options(make: Any, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        make(**options)
    assert str(caught.value) == message


def test_more_rows_a_round_than_there_are() -> None:
    rounds: dict[str, Any] = {"replace": False, "sampling_size": 4}
    message = "^sampling_size must be at most the number of rows of positive weight, 3, but is 4$"
    with pytest.raises(ValueError, match=message):
        BlockWeightedSampling([1, 0, 1, 1], **rounds)
    with pytest.raises(ValueError, match=message):
        ClassBalancedSampling([0, 0, 1], **rounds)
    with pytest.raises(ValueError, match=message):
        BlockWeightedSampling(**rounds).plan(3, batch_size=2)
    assert BlockWeightedSampling(**rounds).plan(4, batch_size=4)[0].tolist() != []


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ([1, -0.5], ValueError, "weights must be finite and >= 0, but weights[1] = -0.5"),
        ([1, 1, float("nan")], ValueError, "weights must be finite and >= 0, but weights[2] = nan"),
        (np.array([np.inf], np.float32), ValueError, "weights must be finite and >= 0, but weights[0] = inf"),
        ([0.0, 0], ValueError, "at least one weight must be > 0, but all 2 are 0"),
        ([], ValueError, "weights must not be empty"),
        (["1"], TypeError, "weights must be real numbers that float64 holds, but the dtype is <U1"),
        ([[1.0]], ValueError, "weights must be one-dimensional, but the shape is (1, 1)"),
    ],
)
def test_wrong_weights(weights: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        BlockWeightedSampling(weights)
    assert str(caught.value) == message


def test_weights_outside_the_subset_are_not_looked_at() -> None:
    weights = np.array([1.0, np.nan, 1.0, -3.0])
    plan = BlockWeightedSampling(weights, indices=[0, 2]).plan(batch_size=2)
    assert sorted(plan.indices().tolist()) == [0, 2]
    with pytest.raises(ValueError, match=r"^weights must be finite and >= 0, but weights\[3\] = -3$"):
        BlockWeightedSampling(weights, indices=[0, 3])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"labels": [1.0, 2.0]},
            TypeError,
            "labels must be integers, strings or categories, but the dtype is float64",
        ),
        ({"labels": []}, ValueError, "labels must not be empty"),
        (
            {"labels": LABELS, "min_count_baseline": -1},
            ValueError,
            "min_count_baseline must be a finite number >= 0, but is -1",
        ),
    ],
)
def test_wrong_labels(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        ClassBalancedSampling(**options)
    assert str(caught.value) == message


def test_classes_that_the_subset_lacks() -> None:
    plan = ClassBalancedSampling(LABELS, indices=np.arange(85), total_size=90).plan(batch_size=10)
    counts = np.bincount(plan.indices(), minlength=N)
    assert np.abs(counts - 90 * np.repeat([1 / 120, 1 / 50, 0], [60, 25, 5])).max() < 2
    assert np.bincount(LABELS[plan.indices()]).tolist() == [45, 45]
