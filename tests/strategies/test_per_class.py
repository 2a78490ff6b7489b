"""PerClass: P classes with K different rows each, in as many batches as can be; what it says if it cannot."""

import itertools
import logging
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from tests import oracle
from tests.cases import deal
from tests.property.profiles import Profile, profiles
from tests.property.test_series_minimum import PROFILES, most_full_batches
from tombola import ArraySource, Categorical, Loader, PerClass, Plan, PlanBatchSampler
from tombola.strategies.per_class import FewRows

COUNTS = np.array([5, 1, 2, 12, 3, 7, 4])
LABELS = np.repeat([11, 4, 0, 7, 3, 12, 9], COUNTS)[np.arange(34) * 13 % 34]
INDICES = np.arange(0, 34, 2)
OPTIONS: dict[str, Any] = {"batch_size": 4, "fetch_factor": 3, "seed": 5, "epoch": 2}


def by_oracle(labels: Any, indices: Any = None, *, repeat: bool = False) -> list[list[int]]:
    groups = oracle.group(labels, indices)
    plan = oracle.per_class(groups, oracle.Batching(**OPTIONS), rows_per_class=2, repeat=repeat)
    return [plan.batch(k).tolist() for k in range(len(plan))]


def batches(strategy: PerClass, n: int | None = None, **options: Any) -> list[list[int]]:
    return [batch.tolist() for batch in strategy.plan(n, **{**OPTIONS, **options})]


@pytest.mark.parametrize("few", ["drop", "repeat"])
@pytest.mark.parametrize("drop_last", [False, True])
def test_every_option_reaches_the_core(few: FewRows, drop_last: bool) -> None:
    repeat = few == "repeat"
    for classes in (None, 2):
        options: Any = {"rows_per_class": 2, "classes_per_batch": classes, "few": few}
        for n in (None, 34):
            made = batches(PerClass(LABELS, **options), n, drop_last=drop_last)
            assert made == by_oracle(LABELS, repeat=repeat)
        expected = by_oracle(LABELS[INDICES], INDICES, repeat=repeat)
        assert batches(PerClass(LABELS, indices=INDICES, **options), 34) == expected
        assert batches(PerClass(LABELS[INDICES], indices=INDICES, **options), 1000) == expected


def test_defaults() -> None:
    same = PerClass(
        LABELS, rows_per_class=3, classes_per_batch=None, few="error", missing="error", indices=None
    )
    assert PerClass(LABELS, rows_per_class=3) == same


FORMS = {
    "list": LABELS.tolist(),
    "int8": LABELS.astype(np.int8),
    "uint64": LABELS.astype(np.uint64),
    "big-endian": LABELS.astype(">i4"),
    "objects": LABELS.astype(object),
    "series": pd.Series(LABELS),
    "pandas' categories": pd.Categorical(LABELS),
    "categories": Categorical(LABELS.astype(np.int8), np.arange(20), "class"),
    "text": [f"{label:02}" for label in LABELS.tolist()],
    "columns": [LABELS // 4, LABELS % 4],
    "a frame": pd.DataFrame({"tens": LABELS // 10, "ones": LABELS % 10}),
}


@pytest.mark.parametrize("labels", FORMS.values(), ids=FORMS.keys())
def test_equal_labels_of_any_kind_give_equal_batches(labels: Any) -> None:
    strategy = PerClass(labels, rows_per_class=2, few="drop")
    assert batches(strategy) == by_oracle(LABELS)
    assert strategy == PerClass(LABELS, rows_per_class=2, few="drop")
    assert strategy.fingerprint() == PerClass(LABELS, rows_per_class=2, few="drop").fingerprint()


# ----------------------------------------------------------------------------------- as many as there can be


def check(plan: Plan, labels: Any, classes: int, rows: int) -> None:
    """Check that each batch holds so many different rows of so many classes, side by side, and none again."""
    labels = np.asarray(labels)
    for batch in plan:
        tuples = labels[batch].reshape(classes, rows)
        assert (tuples == tuples[:, :1]).all()
        assert len(set(tuples[:, 0].tolist())) == classes
    came = plan.indices().tolist()
    assert len(came) == len(set(came)) == len(plan) * classes * rows


@pytest.mark.parametrize("tuples", range(1, 11))
def test_no_schedule_has_more_batches(tuples: int) -> None:
    """By a search over all ways to deal tuples to batches, for all profiles of so many tuples."""
    for profile in (p for p in PROFILES if sum(p) == tuples):
        counts = [
            2 * count + i % 2 for i, count in enumerate(profile)
        ]  # every other class has a row too many
        labels = np.repeat(np.arange(len(counts)), counts)[deal(sum(counts))]
        for classes in range(1, len(profile) + 1):
            plan = PerClass(labels, rows_per_class=2).plan(batch_size=2 * classes, epoch=classes)
            assert len(plan) == most_full_batches(profile, classes, 1), (profile, classes)
            check(plan, labels, classes, 2)


@given(counts=profiles(), rows=st.integers(1, 9), classes=st.integers(1, 12), epoch=st.integers(0, 2**63 - 1))
@settings(deadline=None, derandomize=True, max_examples=150, database=None)
def test_any_profile(counts: Profile, rows: int, classes: int, epoch: int) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)[deal(sum(counts))]
    strategy = PerClass(labels, rows_per_class=rows, few="drop")
    tuples = np.array(counts) // rows
    usable = int(np.count_nonzero(tuples))
    if usable < classes:
        with pytest.raises(ValueError, match=r"^(some class must have|classes_per_batch must be at most)"):
            strategy.plan(batch_size=rows * classes)
        return
    plan = strategy.plan(batch_size=rows * classes, epoch=epoch)
    check(plan, labels, classes, rows)
    most = next(t for t in itertools.count(1) if np.minimum(tuples, t + 1).sum() < classes * (t + 1))
    assert len(plan) == most


def test_rows_left_out_differ_from_epoch_to_epoch() -> None:
    """Classes of 7, 5 and 9 rows in threes, and 40 rows of which others can fill up but a few batches."""
    labels = np.repeat([0, 1, 2, 3], [7, 5, 9, 40])
    strategy = PerClass(labels, rows_per_class=3)
    left_out = []
    for epoch in range(60):
        plan = strategy.plan(batch_size=6, epoch=epoch)
        assert len(plan) == 6
        left_out.append(frozenset(range(61)) - frozenset(plan.indices().tolist()))
    assert len(set(left_out)) == 60
    assert frozenset.union(*left_out) == frozenset([*range(12), *range(21, 61)]), "nines are all used"
    assert {Counter(labels[list(rows)].tolist())[3] for rows in left_out} == {22}


def test_tuples_are_cut_anew_each_epoch() -> None:
    strategy = PerClass(np.repeat(np.arange(4), 6), rows_per_class=3)
    tuples = set()
    for epoch in range(100):
        tuples |= {
            frozenset(half)
            for batch in strategy.plan(batch_size=6, epoch=epoch)
            for half in (batch[:3].tolist(), batch[3:].tolist())
        }
    assert len(tuples) == 4 * 20, "each of the 20 choices of 3 among 6 rows, of each class"


# ------------------------------------------------------------------------------------------ what does not fit


def test_classes_of_few_rows_are_refused() -> None:
    strategy = PerClass(np.repeat(["a", "b", "c", "d"], [9, 2, 1, 4]), rows_per_class=3)
    with pytest.raises(ValueError, match=r"^every class must have") as caught:
        strategy.plan(batch_size=6)
    assert str(caught.value) == (
        "every class must have rows_per_class = 3 rows, but 2 of 4 have fewer, such as 'c' with 1: leave "
        'them out by few="drop", or let their rows come again by few="repeat"'
    )


def test_classes_of_few_rows_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    labels = np.repeat([0, 1, 2, 3], [9, 2, 1, 4])
    strategy = PerClass(labels, rows_per_class=3, few="drop")
    with caplog.at_level(logging.INFO):
        plans = [strategy.plan(batch_size=6, epoch=epoch) for epoch in range(2)]
    assert [record.getMessage() for record in caplog.records] == [
        'few="drop" leaves out 2 of 4 classes, with 3 of 16 rows, as they have fewer than rows_per_class = 3'
    ]
    for plan in plans:
        assert set(labels[plan.indices()].tolist()) == {0, 3}
    report = plans[0].report()
    assert (report["classes_per_batch"], report["rows_per_class"]) == (2, 3)
    assert (report["classes_left_out"], report["tuples_left_out"], report["rows_left_out"]) == (2, 2, 10)


def test_rows_of_few_come_again() -> None:
    labels = np.repeat([0, 1, 2], [3, 5, 8])
    strategy = PerClass(labels, rows_per_class=5, few="repeat")
    twice = set()
    for epoch in range(30):
        plan = strategy.plan(batch_size=15, epoch=epoch)
        assert len(plan) == 1
        times = np.bincount(plan[0], minlength=16)
        assert sorted(times[:3].tolist()) == [1, 2, 2]
        assert times[3:8].tolist() == [1] * 5
        assert (times[8:].max(), times[8:].sum()) == (1, 5)
        twice.add(tuple(np.flatnonzero(times == 2).tolist()))
        assert plan.report()["rows_left_out"] == 3
    assert twice == {(0, 1), (0, 2), (1, 2)}


def test_reports_count_what_is_left_out() -> None:
    labels = np.repeat(np.arange(5), [2, 7, 7, 7, 40])
    plan = PerClass(labels, rows_per_class=3, few="repeat").plan(batch_size=6)
    report = plan.report()
    distinct = set(plan.indices().tolist())
    assert report["rows_left_out"] == 63 - len(distinct)
    assert report["tuples_left_out"] == 1 + 2 * 3 + 13 - 2 * len(plan)
    assert report["classes"]["per_batch_min"] == 2
    sampled = plan.report(max_rows=10)
    assert sampled["sampled"] is True
    assert "rows_left_out" not in sampled, "which classes come whole is not known from some batches"
    assert "rows left out" in str(report)


@pytest.mark.parametrize(
    "labels",
    [
        Categorical(np.array([0, -1, 1, 0, 1, 1, -1], dtype=np.int8), np.array(["x", "y"]), "class"),
        [0.0, float("nan"), 1.0, 0.0, 1.0, 1.0, float("nan")],
        ["x", None, "y", "x", "y", "y", None],
        [np.array([0, 9, 1, 0, 1, 1, 9]), ["a", None, "a", "a", "a", "a", None]],
    ],
    ids=["categories", "floats", "text", "columns"],
)
def test_rows_without_a_label(labels: Any) -> None:
    plan = PerClass(labels, rows_per_class=2, missing="drop").plan(batch_size=4)
    assert set(plan.indices().tolist()) <= {0, 2, 3, 4, 5}
    assert plan.report()["rows_left_out"] == 1
    with pytest.raises(ValueError, match=r"^labels must not be missing, but labels\[1\] is"):
        PerClass(labels, rows_per_class=2).plan(batch_size=4)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: PerClass([], rows_per_class=1), ValueError, "labels must not be empty"),
        (
            lambda: PerClass([0.5, 1.0], rows_per_class=1),
            TypeError,
            "labels must be integers, strings or categories, but the dtype is float64",
        ),
        (
            lambda: PerClass([0, 1], rows_per_class=0),
            ValueError,
            "rows_per_class must be an integer >= 1, but is 0",
        ),
        (
            lambda: PerClass([0, 1], rows_per_class=1, classes_per_batch=0),
            ValueError,
            "classes_per_batch must be an integer >= 1, but is 0",
        ),
        (
            lambda: PerClass([0, 1], rows_per_class=True),
            TypeError,
            "rows_per_class must be an integer >= 1, but is True",
        ),
        (
            lambda: PerClass([0, 1], rows_per_class=1, few="skip"),  # type: ignore[arg-type]
            ValueError,
            'few must be "error" or "drop" or "repeat", but is "skip"',
        ),
        (
            lambda: PerClass([0, 1], rows_per_class=1, indices=[]),
            ValueError,
            "indices must not be empty, for there is no class without rows",
        ),
        (
            lambda: PerClass([0, 1], rows_per_class=1, indices=[0, 5, 6]),
            ValueError,
            "labels must be as long as the whole or as indices, 3, but the length is 2 and indices reach 6",
        ),
        (
            lambda: PerClass([0, 1], rows_per_class=1).plan(3, batch_size=1),
            ValueError,
            "labels must be as long as the whole, n = 3, but the length is 2",
        ),
        (
            lambda: PerClass([0, 0, 1, 1], rows_per_class=2).plan(batch_size=3),
            ValueError,
            "batch_size must be a multiple of rows_per_class = 2, but is 3",
        ),
        (
            lambda: PerClass([0, 0, 1, 1], rows_per_class=2, classes_per_batch=2).plan(batch_size=8),
            ValueError,
            "batch_size must be classes_per_batch * rows_per_class = 2 * 2 = 4, but is 8",
        ),
        (
            lambda: PerClass([0, 0, 1, 1, 2], rows_per_class=2, few="drop").plan(batch_size=6),
            ValueError,
            "classes_per_batch must be at most the number of classes that have 2 rows, 2, but is 3",
        ),
        (
            lambda: PerClass([0, 0, 1, 1, 2], rows_per_class=2, few="repeat").plan(batch_size=8),
            ValueError,
            "classes_per_batch must be at most the number of classes, 3, but is 4",
        ),
        (
            lambda: PerClass([0, 0, 1], rows_per_class=5, few="drop").plan(batch_size=5),
            ValueError,
            "some class must have rows_per_class = 5 rows, but the largest has 2",
        ),
    ],
)
def test_wrong_arguments(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == message


def test_labels_that_change_later_change_nothing() -> None:
    labels = LABELS.copy()
    strategy = PerClass(labels, rows_per_class=2, few="drop")
    expected = batches(strategy)
    for change in (0, -1, 10**9):
        labels[::3] = change
        assert batches(strategy) == expected


# --------------------------------------------------------------------------------------- samplers and loaders


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_under_worker_processes_and_a_loader_of_rows() -> None:
    strategy = PerClass(LABELS, rows_per_class=2, few="drop")
    expected = [[batch.tolist() for batch in strategy.plan(batch_size=6, epoch=epoch)] for epoch in range(2)]
    sampler = PlanBatchSampler(strategy, batch_size=6)
    rows: Any = list(range(34))
    torchs: Any = DataLoader(rows, batch_sampler=sampler, num_workers=2, multiprocessing_context="fork")
    loader = Loader(ArraySource(np.arange(34.0)[:, None], label=LABELS), strategy, batch_size=6)
    for epoch in range(2):
        assert [batch.tolist() for batch in torchs] == expected[epoch]
        read = list(loader)
        assert [batch["row"].tolist() for batch in read] == expected[epoch]
        assert all(sorted(Counter(batch["label"].tolist()).values()) == [2, 2, 2] for batch in read)
