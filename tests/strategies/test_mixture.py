"""Mixture: what a batch takes of each stratum, passes over their rows, contexts and conditions, schedules."""

import itertools
import logging
import math
from collections import Counter
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from tests.oracle.permutations import I64
from tests.oracle.portions import worst_error
from tombola import ArraySource, Categorical, Loader, Mixture, PlanBatchSampler

LABELS = np.array(["control", "dose 1", "dose 2"])[np.arange(90) * 7 % 15 // 3 % 3]
COUNTS = Counter(LABELS.tolist())
SHARES = {"control": 2, "dose 2": 5, "dose 1": 3}
search = settings(deadline=None, derandomize=True, max_examples=100, database=None)


def taken(strategy: Mixture, labels: Any, batch_size: int, epochs: range) -> list[Counter[Any]]:
    """Return the rows of each stratum in each batch of some epochs."""
    labels = np.asarray(labels)
    plans = (strategy.plan(batch_size=batch_size, epoch=epoch) for epoch in epochs)
    return [Counter(labels[batch].tolist()) for plan in plans for batch in plan]


def sequence(strategy: Mixture, rows: I64, batch_size: int, epochs: range) -> list[int]:
    """Return those of some rows that come in some epochs, in order."""
    plans = (strategy.plan(batch_size=batch_size, epoch=epoch).indices() for epoch in epochs)
    return [row for came in plans for row in came[np.isin(came, rows)].tolist()]


def check_passes(came: list[int], rows: I64) -> None:
    """Check that one pass over all rows comes after the other, each in an order of its own."""
    passes = [came[start : start + len(rows)] for start in range(0, len(came), len(rows))]
    *whole, last = passes
    assert all(sorted(one) == rows.tolist() for one in whole)
    assert len(set(last)) == len(last)
    assert len({tuple(one) for one in whole}) == len(whole)


# ----------------------------------------------------------------------------------------------- rows a batch


def test_batches_hold_so_many_rows_stratum_by_stratum() -> None:
    plan = Mixture(LABELS, SHARES).plan(batch_size=10)
    assert len(plan) == max(math.ceil(COUNTS[name] / count) for name, count in SHARES.items())
    for batch in plan:
        assert LABELS[batch].tolist() == ["control"] * 2 + ["dose 2"] * 5 + ["dose 1"] * 3


@pytest.mark.parametrize("shares", [SHARES, {"control": 0.21, "dose 1": 0.3, "dose 2": 0.49}])
def test_epochs_go_on_where_those_before_ended(shares: Any) -> None:
    strategy = Mixture(LABELS, shares)
    for name in shares:
        rows = np.flatnonzero(name == LABELS)
        check_passes(sequence(strategy, rows, 10, range(25)), rows)
        assert (
            sequence(strategy, rows, 10, range(9, 12))
            == sequence(strategy, rows, 10, range(12))[-len(sequence(strategy, rows, 10, range(9, 12))) :]
        )


def test_a_stratum_shorter_than_its_part_of_a_batch() -> None:
    plan = Mixture([0, 1, 1, 1, 0, 1], {0: 5, 1: 2}).plan(batch_size=7)
    assert len(plan) == 2
    for batch in plan:
        assert set(np.bincount(batch[:5], minlength=6)[[0, 4]].tolist()) == {2, 3}


FORMS = {
    "list": LABELS.tolist(),
    "objects": LABELS.astype(object),
    "series": pd.Series(LABELS),
    "pandas' categories": pd.Categorical(LABELS, categories=["dose 2", "none", "dose 1", "control"]),
    "categories": Categorical(
        np.unique(LABELS, return_inverse=True)[1].astype(np.int8), np.unique(LABELS), "arm"
    ),
}


@pytest.mark.parametrize("labels", FORMS.values(), ids=FORMS.keys())
def test_labels_of_any_kind(labels: Any) -> None:
    expected = Mixture(LABELS, SHARES)
    assert Mixture(labels, SHARES) == expected
    made = Mixture(labels, SHARES).plan(batch_size=10).indices()
    assert made.tolist() == expected.plan(batch_size=10).indices().tolist()


def test_strata_that_are_combinations_of_columns() -> None:
    drug, dose = np.array(["a", "b"])[np.arange(40) % 2], np.arange(40) // 2 % 2
    shares = {("a", 0): 1, ("a", 1): 2, ("b", 0): 3, ("b", 1): 4}
    for labels in ([drug, dose], pd.DataFrame({"drug": drug, "dose": dose})):
        plan = Mixture(labels, shares).plan(batch_size=10)
        assert drug[plan[0]].tolist() == ["a"] * 3 + ["b"] * 7
        assert dose[plan[0]].tolist() == [0, 1, 1, 0, 0, 0, 1, 1, 1, 1]
        named = Mixture(labels, {"a / 0": 1, "a / 1": 2, "b / 0": 3, "b / 1": 4}).plan(batch_size=10)
        assert named.indices().tolist() == plan.indices().tolist()


def test_booleans_and_numbers_name_strata() -> None:
    is_control = np.arange(30) % 3 == 0
    assert taken(Mixture(is_control, {True: 1, False: 3}), is_control, 4, range(1))[0] == {True: 1, False: 3}
    number = np.where(is_control, -7, 10**12)
    assert taken(Mixture(number, {-7: 1, 10**12: 3}), number, 4, range(1))[0] == {-7: 1, 10**12: 3}


# ----------------------------------------------------------------------------------------------------- shares


@given(
    parts=st.lists(st.integers(1, 60) | st.sampled_from([1, 1000]), min_size=1, max_size=6),
    batch_size=st.integers(1, 70),
    first=st.integers(0, 5) | st.integers(0, 2**63 - 30),
)
@search
def test_fractions_are_spread_evenly(parts: list[int], batch_size: int, first: int) -> None:
    """From the first epoch on: no stratum is further off than the tree allows, which is less than 2 rows."""
    shares = [part / sum(parts) for part in parts]
    labels = np.arange(97) % len(parts)
    strategy = Mixture(labels, dict(enumerate(shares)), total_size=20 * batch_size)
    counts = np.array(
        [
            [one[s] for s in range(len(parts))]
            for one in taken(strategy, labels, batch_size, range(first, first + 2))
        ]
    )
    assert (counts.sum(axis=1) == batch_size).all()
    worst = worst_error([Fraction(share) for share in shares])
    assert max(worst) < (1 if len(parts) <= 3 else 2)
    if first == 0:
        batches = np.arange(1, 41)[:, None]
        error = np.abs(counts.cumsum(axis=0) - batches * batch_size * np.array(shares)).max(axis=0)
        assert (error <= np.array(worst, dtype=float) + 1e-9).all()


def test_a_rare_stratum_comes_now_and_then() -> None:
    """Less than a row a batch between two that have many: rounding sums of shares would take -1 of it."""
    labels = np.arange(1000) % 3
    counts = taken(Mixture(labels, {0: 0.505, 1: 0.005, 2: 0.49}, total_size=64 * 400), labels, 64, range(3))
    assert {one[1] for one in counts} == {0, 1}
    assert {sum(one.values()) for one in counts} == {64}
    assert sum(one[1] for one in counts) == round(0.005 * 64 * 1200)


# ----------------------------------------------------------------------------------------------- when it ends


@pytest.mark.parametrize(
    ("ends_with", "batches"),
    [("longest", 12), ("shortest", 6), ("control", 10), ("dose 2", 12), ("dose 1", 7)],
)
def test_an_epoch_ends(ends_with: str, batches: int) -> None:
    labels = np.repeat(["control", "dose 1", "dose 2"], [19, 20, 60])
    plan = Mixture(labels, SHARES, ends_with=ends_with).plan(batch_size=10)
    assert len(plan) == batches
    times = np.bincount(plan.indices(), minlength=99)
    if ends_with == "shortest":
        assert times.max() == 1
    named = {"longest": labels == labels, "shortest": labels == ""}.get(ends_with, labels == ends_with)
    assert (times[named] >= 1).all()
    assert len(Mixture(labels, SHARES, ends_with=ends_with, total_size=41).plan(batch_size=10)) == 5


def test_drop_last_changes_nothing() -> None:
    strategy = Mixture(LABELS, SHARES)
    plans = [strategy.plan(batch_size=10, drop_last=drop_last).indices() for drop_last in (False, True)]
    assert plans[0].tolist() == plans[1].tolist()


# --------------------------------------------------------------------------------------- contexts, conditions

CELL_LINE = np.array(["x", "y", "z"])[np.repeat([0, 1, 2], [120, 30, 60])]
IS_CONTROL = np.arange(210) % 5 == 0
ARM = np.where(IS_CONTROL, "control", "treated")
DRUG = np.where(IS_CONTROL, "none", np.array(["p", "q"])[np.arange(210) % 7 % 2])


@pytest.mark.parametrize("contexts", ["proportional", "even"])
@pytest.mark.parametrize("shares", [{"control": 2, "treated": 4}, {"control": 0.3, "treated": 0.7}])
def test_each_batch_is_of_one_context(contexts: Any, shares: Any) -> None:
    strategy = Mixture(ARM, shares, within=CELL_LINE, contexts=contexts)
    plan = strategy.plan(batch_size=6)
    batches = Counter(str(CELL_LINE[batch[0]]) for batch in plan)
    assert all(len(set(CELL_LINE[batch].tolist())) == 1 for batch in plan)
    most = len(Mixture(ARM[:120], shares).plan(batch_size=6))
    assert batches == ({"x": most, "y": most, "z": most} if contexts == "even" else batches)
    assert batches["x"] == most
    if contexts == "proportional":
        assert batches["z"] in (most // 2, most // 2 + 1)
        assert batches["y"] in (most // 4, most // 4 + 1)
    order = [str(CELL_LINE[batch[0]]) for batch in plan]
    assert order != sorted(order)
    for line, arm in itertools.product("xyz", ("control", "treated")):
        rows = np.flatnonzero((line == CELL_LINE) & (arm == ARM))
        times = np.bincount(sequence(strategy, rows, 6, range(5)), minlength=210)[rows]
        assert times.max() - times.min() <= 1


@pytest.mark.parametrize("shares", [{"control": 2, "treated": 4}, {"control": 0.31, "treated": 0.69}])
@pytest.mark.parametrize(
    "conditions",
    [DRUG, [None if drug == "none" else drug for drug in DRUG.tolist()]],
    ids=["named", "missing"],
)
def test_each_batch_is_of_one_condition_and_its_controls(shares: Any, conditions: Any) -> None:
    strategy = Mixture(ARM, shares, within=CELL_LINE, per_condition=conditions, controls="control")
    assert strategy.plan(batch_size=6).report()["contexts"] == 6
    for epoch in range(3):
        for batch in strategy.plan(batch_size=6, epoch=epoch):
            assert len(set(CELL_LINE[batch].tolist())) == 1
            assert len(set(DRUG[batch][~IS_CONTROL[batch]].tolist())) == 1
            assert 1 <= IS_CONTROL[batch].sum() <= 2
    for line in "xyz":
        rows = np.flatnonzero((line == CELL_LINE) & IS_CONTROL)
        times = np.bincount(sequence(strategy, rows, 6, range(9)), minlength=210)[rows]
        assert times.max() - times.min() <= 1, "conditions share controls, each the next ones"


def test_total_size_is_dealt_out_to_contexts() -> None:
    shares = {"control": 1, "treated": 3}
    cases: Any = {
        "proportional": {"x": 57, "y": 14, "z": 29},
        "even": {"x": 34, "y": 33, "z": 33},
    }
    for contexts, expected in cases.items():
        plan = Mixture(ARM, shares, within=CELL_LINE, contexts=contexts, total_size=400).plan(batch_size=4)
        assert Counter(str(CELL_LINE[batch[0]]) for batch in plan) == expected
    few = Mixture(ARM, shares, within=CELL_LINE, total_size=12).plan(batch_size=4)
    assert Counter(str(CELL_LINE[batch[0]]) for batch in few) == {"x": 1, "y": 1, "z": 1}


def test_rows_without_label_context_or_condition(caplog: pytest.LogCaptureFixture) -> None:
    line = CELL_LINE.astype(object)
    line[[3, 50]] = None
    arm = ARM.astype(object)
    arm[[4, 50, 99]] = None
    drug = DRUG.astype(object)
    drug[[5, 6, 7]] = None
    options: Any = {"within": line, "per_condition": drug, "controls": "control", "missing": "drop"}
    strategy = Mixture(arm, {"control": 2, "treated": 4}, **options)
    with caplog.at_level(logging.INFO):
        plans = [strategy.plan(batch_size=6, epoch=epoch) for epoch in range(9)]
    assert [record.getMessage() for record in caplog.records] == [
        "6 of 210 rows are left out, as their label has no share or is missing, or as they are controls of "
        "nothing"
    ]
    came = {row for plan in plans for row in plan.indices().tolist()}
    assert came == set(range(210)) - {3, 50, 4, 99, 6, 7}, "row 5 is a control"
    assert plans[0].report()["rows_left_out"] == 6


# -------------------------------------------------------------------------------------------------- schedules


def curriculum(batch: int) -> dict[str, float]:
    return {"easy": max(0.0, 1 - batch / 50), "hard": min(1.0, batch / 50)}


def test_a_curriculum() -> None:
    labels = np.repeat(["easy", "hard"], [70, 30])
    strategy = Mixture(labels, curriculum, total_size=599)
    counts = taken(strategy, labels, 6, range(3))
    assert len(counts) == 300
    due = np.cumsum([6 * curriculum(batch % 100)["hard"] for batch in range(300)])
    error = np.cumsum([one["hard"] for one in counts]) - due
    assert np.abs(error).max() <= 0.5 + 1e-9
    assert counts[0] == {"easy": 6}
    assert counts[99] == {"hard": 6}
    check_passes(sequence(strategy, np.arange(70, 100), 6, range(3)), np.arange(70, 100))


@given(part=st.integers(1, 63), batch_size=st.integers(1, 20), size=st.integers(1, 900))
@search
def test_a_schedule_that_stays_is_a_share(part: int, batch_size: int, size: int) -> None:
    shares = {"b": part / 64, "a": 1 - part / 64}
    labels = np.resize(["a", "b", "b"], 50)
    fixed = Mixture(labels, shares, total_size=size).plan(batch_size=batch_size)
    scheduled = Mixture(labels, lambda _: shares, total_size=size).plan(batch_size=batch_size)
    assert scheduled.indices().tolist() == fixed.indices().tolist()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("shares", [{"control": 0.3, "treated": 0.7}, {"control": 2, "treated": 4}])
def test_under_worker_processes_and_a_loader_of_rows(shares: Any) -> None:
    strategy = Mixture(ARM, shares, within=CELL_LINE)
    expected = [[batch.tolist() for batch in strategy.plan(batch_size=6, epoch=epoch)] for epoch in range(2)]
    sampler = PlanBatchSampler(strategy, batch_size=6)
    rows: Any = list(range(210))
    torchs: Any = DataLoader(rows, batch_sampler=sampler, num_workers=2, multiprocessing_context="fork")
    loader = Loader(ArraySource(np.arange(210.0)[:, None], line=CELL_LINE), strategy, batch_size=6)
    for epoch in range(2):
        assert [batch.tolist() for batch in torchs] == expected[epoch]
        read = list(loader)
        assert [batch["row"].tolist() for batch in read] == expected[epoch]
        assert all(len(set(batch["line"].tolist())) == 1 for batch in read)
