"""A missing label is no class and no key: refused by name and number, or its row is left out."""

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.strategies.test_base import rows
from tombola import (
    BlockShuffling,
    BlockWeightedSampling,
    Bucketed,
    ClassBalancedSampling,
    PlanBatchSampler,
    SeriesRoundRobin,
    compute_balanced_weights,
)
from tombola.labels.categorical import Categorical

N = 60
IS_GAP = np.arange(N) % 7 == 3
CODES = np.where(IS_GAP, -1, np.arange(N) % 5 % 3).astype(np.int8)
NAMES = np.array(["b", "a", "c"])
COLUMN = Categorical(CODES, NAMES, "drug")
TEXT = [None if code < 0 else str(NAMES[code]) for code in CODES.tolist()]
NUMBERS = np.where(IS_GAP, np.nan, CODES)
FORMS: dict[str, Any] = {
    "categorical": COLUMN,
    "pandas": pd.Categorical(TEXT, categories=NAMES),
    "series": pd.Series(pd.Categorical(TEXT, categories=NAMES), name="drug"),
    "text": TEXT,
    "objects": np.array(TEXT, dtype=object),
    "strings": pd.Series(TEXT, dtype="string"),
    "nan among text": [float("nan") if name is None else name for name in TEXT],
    "numbers": NUMBERS,
    "float32": NUMBERS.astype(np.float32),
    "nullable": pd.array([None if code < 0 else int(code) for code in CODES], dtype="Int64"),
    "integers and None": [None if code < 0 else int(code) for code in CODES.tolist()],
}
forms = pytest.mark.parametrize("labels", FORMS.values(), ids=FORMS.keys())
THERE = np.flatnonzero(~IS_GAP)


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (ClassBalancedSampling, "labels"),
        (SeriesRoundRobin, "series_ids"),
        (Bucketed, "keys"),
        (compute_balanced_weights, "labels"),
    ],
)
@forms
def test_it_is_refused(make: Any, argument: str, labels: Any) -> None:
    rows = "9 of 60 rows of 'drug'" if getattr(labels, "name", None) == "drug" else "9 of 60 rows"
    message = f'{argument} must not be missing, but {argument}[3] is ({rows}): missing="drop" leaves them out'
    with pytest.raises(ValueError, match=f"^{re.escape(message)}, or give them a [a-z]+ of their own$"):
        make(labels)


def test_a_column_with_a_name_is_named() -> None:
    for labels in (COLUMN, FORMS["series"]):
        for make in (ClassBalancedSampling, SeriesRoundRobin, Bucketed):
            with pytest.raises(
                ValueError, match=r"\[3\] is \(9 of 60 rows of 'drug'\): missing=\"drop\" leaves them out"
            ):
                make(labels)


@forms
def test_classes_without_missing_rows(labels: Any) -> None:
    strategy = ClassBalancedSampling(labels, block_size=1, total_size=6_000, missing="drop")
    drawn = strategy.plan(batch_size=64).indices()
    assert not IS_GAP[drawn].any()
    expected = 2_000 / np.bincount(CODES[THERE])[CODES[THERE]]
    assert np.abs(np.bincount(drawn, minlength=N)[THERE] - expected).max() < 2
    assert strategy.describe()["n_classes"] == 3
    assert strategy.plan(batch_size=64, epoch=3).report()["classes"]["missing"] == 0


@forms
def test_draws_are_those_of_the_weights(labels: Any) -> None:
    weights = compute_balanced_weights(labels, min_count_baseline=2, missing="drop")
    assert (weights[IS_GAP] == 0).all()
    there = np.bincount(CODES[THERE])
    alone = compute_balanced_weights(CODES[THERE], min_count_baseline=2)
    np.testing.assert_array_equal(weights[THERE], alone)
    assert weights.sum() == pytest.approx(len(THERE))
    balanced = ClassBalancedSampling(CODES[THERE], indices=THERE, min_count_baseline=2)
    expected = balanced._class_weights()[CODES[THERE]] / balanced._class_weights().max()
    np.testing.assert_allclose(weights[THERE] / weights.max(), expected)
    assert there.sum() == len(THERE)
    classes = ClassBalancedSampling(labels, min_count_baseline=2, missing="drop")
    assert len(rows(classes)) == N  # as many draws as there are rows, as with any weight of 0
    plain = compute_balanced_weights(labels, min_count_baseline=2, normalize=False, missing="drop")
    assert rows(classes) == rows(BlockWeightedSampling(plain))


def test_weights_of_nan() -> None:
    weights = np.arange(1.0, N + 1)
    holed = np.where(IS_GAP, np.nan, weights)
    with pytest.raises(ValueError, match=r"weights must be finite and >= 0, but weights\[3\]"):
        BlockWeightedSampling(holed)
    dropped = BlockWeightedSampling(holed, missing="drop")
    zeroed = BlockWeightedSampling(np.where(IS_GAP, 0, weights))
    assert rows(dropped) == rows(zeroed)
    assert np.isnan(holed[3])  # the caller's array is left alone


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("kind", [SeriesRoundRobin, Bucketed])
@forms
def test_groups_without_missing_rows(kind: Any, labels: Any, shuffle: bool) -> None:
    strategy = kind(labels, missing="drop", shuffle=shuffle)
    assert sorted(rows(strategy)) == THERE.tolist()
    chosen = kind(CODES, indices=THERE, shuffle=shuffle)
    if not isinstance(labels, Categorical) and kind is Bucketed and not shuffle:
        return  # text goes by first appearance
    assert rows(strategy) == rows(chosen)
    assert strategy.plan(batch_size=7).report()["rows"] == len(THERE)


@pytest.mark.parametrize("kind", [SeriesRoundRobin, Bucketed, ClassBalancedSampling])
def test_indices_and_missing_rows_go_together(kind: Any) -> None:
    indices = np.arange(0, N, 2)
    there = indices[~IS_GAP[indices]]
    whole, own = (kind(labels, missing="drop", indices=indices) for labels in (COLUMN, COLUMN[indices]))
    for strategy in (whole, own):
        drawn = np.unique(strategy.plan(N, batch_size=7).indices())
        assert np.isin(drawn, there).all()
        strategy.plan(N, batch_size=7).report()
    if kind is not ClassBalancedSampling:
        assert rows(whole) == rows(own) == rows(kind(CODES, indices=there))
        assert whole.fingerprint()["rows"] == len(there)
        np.testing.assert_array_equal(whole.indices, indices)  # the option says what the user said


def test_combinations_miss_what_any_column_misses() -> None:
    other = np.array(["x", "y", None], dtype=object)[np.arange(N) % 11 % 3]
    is_gap = IS_GAP | (np.arange(N) % 11 % 3 == 2)
    strategy = ClassBalancedSampling([COLUMN, other], missing="drop", total_size=600)
    drawn = strategy.plan(batch_size=8).indices()
    assert not is_gap[drawn].any()
    pairs = {(CODES[row], other[row]) for row in np.flatnonzero(~is_gap)}
    assert strategy.describe()["n_classes"] == len(pairs)
    report = strategy.plan(batch_size=8).report()["classes"]
    assert set(report["shares"]) == {f"{NAMES[code]} / {name}" for code, name in pairs}
    frame = pd.DataFrame({"drug": FORMS["series"], "other": other})
    assert ClassBalancedSampling(frame, missing="drop").describe()["n_classes"] == len(pairs)


def test_many_combinations_with_missing_ones() -> None:
    n = 3_000
    columns = [
        np.where(np.arange(n) % prime == 1, np.nan, np.arange(n) * prime % 997) for prime in (7, 11, 13)
    ]
    is_gap = np.isnan(columns).any(axis=0)
    weights = compute_balanced_weights(*columns, min_count_baseline=0, missing="drop")
    np.testing.assert_array_equal(weights == 0, is_gap)
    assert weights.sum() == pytest.approx((~is_gap).sum())


def test_a_report_says_how_much_is_missing() -> None:
    plan = BlockShuffling(4).plan(N, batch_size=10)
    classes = plan.report(COLUMN)["classes"]
    assert classes["missing"] == pytest.approx(IS_GAP.mean())
    assert (classes["n_classes"], set(classes["shares"])) == (3, {"a", "b", "c"})
    assert classes["per_batch_mean"] <= 3
    assert "classes: missing" in str(plan.report(COLUMN))
    assert "missing" not in plan.report(COLUMN[THERE[:1]].codes.repeat(N))["classes"]


@pytest.mark.parametrize("kind", [SeriesRoundRobin, Bucketed, ClassBalancedSampling])
def test_nothing_but_missing_rows(kind: Any) -> None:
    for labels in (np.full(5, np.nan), [None] * 5, Categorical(np.full(5, -1), NAMES, "drug")):
        with pytest.raises(ValueError, match=r"must not all be missing, but all 5 rows( of 'drug')? are"):
            kind(labels, missing="drop")
    if kind is not ClassBalancedSampling:
        with pytest.raises(ValueError, match="must not all be missing, but all 2 rows are"):
            kind(COLUMN, indices=[3, 10], missing="drop")


@pytest.mark.parametrize("kind", [SeriesRoundRobin, Bucketed, ClassBalancedSampling])
def test_floats_are_integers_with_gaps_or_nothing(kind: Any) -> None:
    with pytest.raises(TypeError, match=r"\[1\] = 1\.5$"):
        kind(np.array([1.0, 1.5, np.nan]), missing="drop")
    with pytest.raises(TypeError, match=r"\[0\] = 1e\+300$"):
        kind(np.array([1e300, np.nan]), missing="drop")
    with pytest.raises(TypeError, match="but the dtype is float64"):
        kind(np.array([1.0, 2.0]))
    with pytest.raises(ValueError, match='missing must be "error" or "drop", but is "keep"'):
        kind(COLUMN, missing="keep")


def test_lengths_with_gaps() -> None:
    lengths = np.where(IS_GAP, np.nan, np.arange(N) % 13)
    strategy = Bucketed(lengths, n_buckets=3, max_tokens=40, missing="drop")
    assert sorted(rows(strategy)) == THERE.tolist()
    indices = np.arange(2, N)
    own = Bucketed(lengths[indices], max_tokens=40, indices=indices, missing="drop")
    assert sorted(rows(own)) == [row for row in THERE.tolist() if row >= 2]
    lengths[8] = 50
    with pytest.raises(ValueError, match=r"is 40, and keys\[6\] = 50"):
        Bucketed(lengths[indices], max_tokens=40, indices=indices, missing="drop")
    lengths[8] = -1
    with pytest.raises(ValueError, match=r"but keys\[6\] = -1"):
        Bucketed(lengths[indices], max_tokens=40, indices=indices, missing="drop")


def test_the_option_is_part_of_the_fingerprint() -> None:
    for kind in (ClassBalancedSampling, SeriesRoundRobin, Bucketed):
        assert "missing" not in kind(CODES[THERE]).fingerprint()
        assert kind(COLUMN, missing="drop").fingerprint()["missing"] == "drop"
        assert kind(COLUMN, missing="drop") == kind(COLUMN, missing="drop")
        assert "missing='drop'" in repr(kind(COLUMN, missing="drop"))
    first, second = COLUMN, Categorical(np.where(CODES == 2, -1, CODES), NAMES)
    for kind in (ClassBalancedSampling, SeriesRoundRobin, Bucketed):
        assert kind(first, missing="drop").fingerprint() != kind(second, missing="drop").fingerprint()


OLD_STATES = {
    ClassBalancedSampling: {
        "block_size": 4,
        "total_size": None,
        "replace": True,
        "sampling_size": None,
        "draw": "stratified",
        "min_count_baseline": 0,
        "labels": "f709df27f7566222",
    },
    SeriesRoundRobin: {
        "schedule": "balanced",
        "per_series": 1,
        "shuffle": True,
        "series_ids": "7187dc12fec27380",
    },
    Bucketed: {
        "boundaries": None,
        "n_buckets": None,
        "max_tokens": None,
        "shuffle": True,
        "keys": "7187dc12fec27380",
        "longest_rows": None,
    },
}
"""What fingerprints of states held before there was an option for missing labels."""


@pytest.mark.parametrize(
    ("kind", "options"), OLD_STATES.items(), ids=lambda value: getattr(value, "__name__", "")
)
def test_old_states_load(kind: Any, options: dict[str, Any]) -> None:
    batching = {"batch_size": 4, "fetch_factor": 1, "drop_last": False, "window_batches": 1}
    state = {
        "version": 1,
        "fingerprint": {
            "strategy": kind.__name__,
            "plan_version": 1,
            "rows": 30,
            "indices": None,
            **options,
            **batching,
        },
        "seed": 0,
        "position": {"epoch": 0, "spans": [[1, 2]]},
    }
    made = {"block_size": 4} if kind is ClassBalancedSampling else {}
    sampler = PlanBatchSampler(kind(np.arange(30) % 3, **made), batch_size=4)
    sampler.load_state_dict(state)
    assert sampler.state_dict() == state
    dropping = PlanBatchSampler(kind(np.arange(30) % 3, missing="drop", **made), batch_size=4)
    with pytest.raises(ValueError, match="missing was 'not there', now is 'drop'"):
        dropping.load_state_dict(state)
