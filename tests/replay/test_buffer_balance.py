"""What balanced draws go by: weights equal those made from scratch, factors, fallbacks, the report."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.replay.scored import CENTRES, CLASSES, WIDTH, batch, scores_from_scratch, weights_of
from tombola import BalancedBuffer
from tombola.replay import BalanceSchedule
from tombola.replay.buffer.weights import SPREAD


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0, 3.0])
def test_weights_equal_scores_from_scratch(weight: float) -> None:
    """Through filling, replacing, new classes and changing prototypes."""
    buffer = BalancedBuffer(120, balance_weight=weight)
    prototypes = CENTRES.copy()
    for step in range(30):
        buffer.add_data(**batch(step, 3 + 5 * step, min(CLASSES, 2 + step // 3)))
        if step % 7 == 3:
            prototypes[step % CLASSES] += 0.5
        buffer.get_balanced_data(10, op_prototypes=prototypes)
        expected = scores_from_scratch(buffer, prototypes, weight)
        np.testing.assert_allclose(weights_of(buffer), expected, rtol=1e-12)
        codes = buffer._balance.weights.codes[: len(buffer)]
        mass = np.bincount(codes, weights=buffer._balance.weights.own[: len(buffer)])
        np.testing.assert_allclose(buffer._balance.weights.mass, mass, rtol=1e-9)
        assert sum(buffer.group_counts.values()) == len(buffer)


def test_group_counts_are_those_of_the_labels() -> None:
    buffer = BalancedBuffer(60)
    for step in range(20):
        buffer.add_data(**batch(step, 17))
        labels = buffer.get_all_data()[1].tolist()
        counts: dict[int, int] = {}
        for label in labels:
            counts[buffer.groups[label]] = counts.get(buffer.groups[label], 0) + 1
        assert buffer.group_counts == dict(sorted(counts.items()))
        buffer.get_balanced_data(5)


def test_means_of_stored_features_are_the_default_prototypes() -> None:
    buffer = BalancedBuffer(60, refit_every=1)
    for step in range(12):
        buffer.add_data(**batch(step, 23))
        buffer.get_balanced_data(5)
        labels = buffer.get_all_data()[1].numpy()
        features = buffer._storage.first("features", len(buffer)).double().numpy()
        means = np.full((CLASSES, WIDTH), np.nan)
        for label in set(labels.tolist()):
            means[label] = features[labels == label].mean(axis=0)
        np.testing.assert_allclose(weights_of(buffer), scores_from_scratch(buffer, means, 1.0), rtol=1e-9)


def test_own_prototypes_are_due_after_an_eighth_and_for_new_classes() -> None:
    buffer = BalancedBuffer(80)
    buffer.add_data(**batch(0, 80, [0, 1]))
    buffer.get_balanced_data(5)
    before = buffer._balance.groups.table.copy()
    buffer.add_data(**batch(1, 3, [0, 1]))
    buffer.get_balanced_data(5)
    np.testing.assert_array_equal(buffer._balance.groups.table, before)
    buffer.add_data(**batch(2, 1000, [0, 1]))
    buffer.get_balanced_data(5)
    assert (buffer._balance.groups.table != before).all()
    buffer.add_data(**batch(3, 300, [0, 1, 2]))
    buffer.get_balanced_data(5)
    assert not np.isnan(buffer._balance.groups.table).any()


def test_unchanged_prototypes_are_not_scored_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from tombola.replay.buffer import balance
    from tombola.replay.buffer.prototypes import item_similarity

    scored: list[int] = []

    def counted(features: Any, codes: Any, *rest: Any) -> Any:
        scored.append(len(codes))
        return item_similarity(features, codes, *rest)

    monkeypatch.setattr(balance, "item_similarity", counted)
    buffer = BalancedBuffer(100)
    buffer.add_data(**batch(0, 100, [0, 1, 2, 3]))
    prototypes = CENTRES.copy()
    for _ in range(5):
        buffer.get_balanced_data(10, op_prototypes=prototypes.copy())
    assert scored == [100]
    prototypes[2] += 1
    buffer.get_balanced_data(10, op_prototypes=prototypes)
    assert scored == [100, 25]  # the items of that class
    buffer.add_data(**batch(1, 10, [0]))
    assert sum(scored[2:]) <= 10


def test_refit_every_bounds_how_often_prototypes_are_read() -> None:
    buffer = BalancedBuffer(100, refit_every=3)
    buffer.add_data(**batch(0, 100))
    calls = []

    def prototypes() -> Any:
        calls.append(1)
        return CENTRES

    for _ in range(7):
        buffer.get_balanced_data(10, op_prototypes=prototypes)
    assert len(calls) == 3


# ---------------------------------------------------------------------------------------- factors and weights


def test_correction_weights_make_up_for_the_odds() -> None:
    buffer = BalancedBuffer(100, balance_weight=0.5)
    buffer.add_data(**batch(0, 100))
    for beta in (0.0, 0.4, 1.0):
        drawn = buffer.get_balanced_data(
            30, op_prototypes=CENTRES, return_index=True, return_weights=True, beta=beta
        )
        scores = scores_from_scratch(buffer, CENTRES, 0.5)[drawn[-2].numpy()]
        np.testing.assert_allclose(drawn[-1].numpy(), (scores / scores.min()) ** -beta, rtol=1e-6)


def test_tasks_have_factors() -> None:
    buffer = BalancedBuffer(100, task_weights={0: 3.0, 1: 0.0})
    buffer.add_data(**batch(0, 100))
    slots = buffer.get_balanced_data(100, op_prototypes=CENTRES, return_index=True)[-1]
    tasks = buffer.get_all_data()[2].numpy()
    assert len(slots) == (tasks != 1).sum()
    factors = np.array([3.0, 0.0, 1.0])[tasks]
    np.testing.assert_allclose(weights_of(buffer), scores_from_scratch(buffer, CENTRES, 1.0) * factors)
    with pytest.raises(ValueError, match="task_labels must be one integer an example where there are task_w"):
        BalancedBuffer(5, task_weights={0: 2.0}).add_data(torch.zeros(3))


@pytest.mark.parametrize(
    ("left_out", "options"), [("features", {}), ("labels", {}), (None, {"adaptive_threshold": 0.0})]
)
def test_tasks_keep_their_factors_where_scores_cannot_be_had(
    left_out: str | None, options: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Without scores a task is drawn by its factor, and uniformly inside."""
    buffer = BalancedBuffer(60, task_weights={0: 3.0, 1: 0.0}, **options)
    buffer.add_data(**{name: values for name, values in batch(0, 100).items() if name != left_out})
    everything = buffer.get_all_data()
    tasks = everything[-1].numpy()
    drawn = buffer.get_balanced_data(60, op_prototypes=CENTRES, return_index=True, return_weights=True)
    slots = drawn[-2].numpy()
    assert sorted(slots.tolist()) == np.flatnonzero(tasks != 1).tolist()
    np.testing.assert_allclose(drawn[-1].numpy(), np.where(tasks[slots] == 0, 1 / 3, 1.0), rtol=1e-6)
    assert caplog.messages[0].startswith("BalancedBuffer draws uniformly inside each task as long as ")
    assert (buffer.report()["uniform_draws"], buffer.report()["balanced_draws"]) == (1, 0)
    buffer.use_balanced_sampling = False
    assert len(buffer.get_balanced_data(60)[0]) == 60
    zero = BalancedBuffer(5, task_weights={0: 0.0})
    zero.add_data(torch.zeros(5), task_labels=torch.zeros(5, dtype=torch.int64))
    assert len(zero.get_balanced_data(5)[0]) == 5  # no task has a factor: all alike
    assert len(caplog.records) == 2


def test_priorities_multiply_scores() -> None:
    buffer = BalancedBuffer(50)
    buffer.add_data(**batch(0, 50))
    buffer.get_balanced_data(5, op_prototypes=CENTRES)
    before = weights_of(buffer)
    buffer.update_priorities([3, 4, 3], [9.0, 0.0, 5.0])
    expected = before.copy()
    expected[3] *= 5.0
    expected[4] = 0.0
    np.testing.assert_allclose(weights_of(buffer), expected)
    buffer.update_priorities(torch.arange(50), torch.arange(50).float())
    np.testing.assert_allclose(weights_of(buffer), before * np.arange(50))
    buffer.add_data(**batch(1, 30))
    assert buffer._balance.priorities.max() == 49.0  # what is new comes with the largest so far


def test_priorities_alone_are_prioritised_replay(caplog: pytest.LogCaptureFixture) -> None:
    buffer = BalancedBuffer(10, replace=True)
    buffer.add_data(torch.arange(10))
    buffer.update_priorities(np.arange(10), np.where(np.arange(10) == 4, 1.0, 0.0))
    assert buffer.get_balanced_data(6)[0].tolist() == [4] * 6
    assert not caplog.records
    buffer.update_priorities([4], [0.0])
    assert len(buffer.get_balanced_data(6)[0]) == 6  # nothing has a score: uniform, and said so
    assert "all of them 0" in caplog.text


def test_balance_weight_follows_its_schedule() -> None:
    schedule = BalanceSchedule(0.0, 2.0, steps=4, kind="linear")
    buffer = BalancedBuffer(100, balance_weight=schedule)
    buffer.add_data(**batch(0, 100, [0] * 9 + [1]))
    for step in range(6):
        np.testing.assert_allclose(buffer._balance.options.powers(buffer._balance.draws)[0], schedule(step))
        buffer.get_balanced_data(5, op_prototypes=CENTRES)
    np.testing.assert_allclose(weights_of(buffer), scores_from_scratch(buffer, CENTRES, 2.0))
    buffer.balance_weight = 0.0
    np.testing.assert_allclose(weights_of(buffer), scores_from_scratch(buffer, CENTRES, 0.0))
    with pytest.raises(ValueError, match="balance_weight must be a finite number >= 0"):
        buffer.balance_weight = -1.0


def test_factors_far_apart_are_applied_anew() -> None:
    buffer = BalancedBuffer(1000)
    buffer.add_data(**batch(0, 20, [0, 1]))
    buffer.get_balanced_data(5, op_prototypes=CENTRES)
    buffer.add_data(**batch(1, 900, [1]))
    balance = buffer._balance
    ratios = balance.factors() / balance.weights.applied
    assert ratios.max() > SPREAD * ratios.min()
    buffer.get_balanced_data(5, op_prototypes=CENTRES)
    np.testing.assert_array_equal(balance.weights.applied, balance.factors())
    np.testing.assert_allclose(weights_of(buffer), scores_from_scratch(buffer, CENTRES, 1.0))


def test_drawn_slots_keep_their_weights() -> None:
    """Without replacement slots are set to 0 for a while."""
    buffer = BalancedBuffer(200)
    buffer.add_data(**batch(0, 200))
    buffer.get_balanced_data(1, op_prototypes=CENTRES)
    before = weights_of(buffer)
    for size in (1, 100, 199, 200):
        slots = buffer.get_balanced_data(size, op_prototypes=CENTRES, return_index=True)[-1]
        assert len(set(slots.tolist())) == size
        np.testing.assert_array_equal(weights_of(buffer), before)


# ------------------------------------------------------------------------------------------------ fallbacks


@pytest.mark.parametrize(
    ("left_out", "prototypes", "options", "reason"),
    [
        ("labels", CENTRES, {}, "items have no labels"),
        ("features", CENTRES, {}, "no features are stored"),
        (None, {}, {}, "no class has a prototype yet"),
        (None, CENTRES, {"adaptive_threshold": 0.0}, "one semantic group only"),
        (None, CENTRES, {"balance_weight": 1e4}, "scores are not finite"),
        (
            None,
            CENTRES,
            {"semantic_similarity": lambda a, b: a[:, 0] * b[:, 0] * float("nan")},
            "scores are not finite",
        ),
    ],
)
def test_uniform_where_scores_cannot_be_had(
    left_out: str | None, prototypes: Any, options: Any, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    buffer = BalancedBuffer(40, **options)
    data = batch(0, 60, [0, 0, 0, 0, 1])
    buffer.add_data(**{name: values for name, values in data.items() if name != left_out})
    with caplog.at_level(logging.WARNING, logger="tombola"):
        for _ in range(3):
            drawn = buffer.get_balanced_data(
                40, op_prototypes=prototypes, return_index=True, return_weights=True
            )
            assert sorted(drawn[-2].tolist()) == list(range(40))
            assert drawn[-1].tolist() == [1.0] * 40
    assert [reason in record.getMessage() for record in caplog.records] == [True]
    assert buffer.report()["uniform_draws"] == 3


def test_it_can_be_switched_off(caplog: pytest.LogCaptureFixture) -> None:
    buffer = BalancedBuffer(40, use_balanced_sampling=False)
    buffer.add_data(**batch(0, 60))
    buffer.get_balanced_data(5, op_prototypes=CENTRES)
    assert (buffer.report()["uniform_draws"], buffer.report()["balanced_draws"]) == (1, 0)
    buffer.use_balanced_sampling = True
    buffer.get_balanced_data(5, op_prototypes=CENTRES)
    assert (buffer.report()["uniform_draws"], buffer.report()["balanced_draws"]) == (1, 1)
    assert not caplog.records


# --------------------------------------------------------------------------------------------------- report


def test_report(tmp_path: Path) -> None:
    buffer = BalancedBuffer(100, replace=True, adaptive_threshold=1.0)
    buffer.add_data(**batch(0, 300, [0, 0, 0, 1]))
    assert np.isnan(buffer.report()["group_table"][0]["drawn"])
    for _ in range(50):
        buffer.get_balanced_data(100, op_prototypes=CENTRES)
    report = buffer.report()
    assert (report["stored"], report["seen"], report["classes"], report["groups"]) == (100, 300, 2, 2)
    table = report["group_table"]
    labels = buffer.get_all_data()[1]
    assert [table[k]["items"] for k in (0, 1)] == [int((labels == k).sum()) for k in (0, 1)]
    scores = scores_from_scratch(buffer, CENTRES, 1.0)
    for name in ("next", "expected"):
        assert table[1][name] == pytest.approx(scores[labels.numpy() == 1].sum() / scores.sum())
    assert table[1]["labels"] == [1]
    assert report["score_quantiles"][0.5] == pytest.approx(np.median(scores) / scores.mean())
    assert sum(report["score_histogram"]["counts"]) == 100
    text = str(report)
    assert "semantic groups" in text
    assert text.endswith("next, expected: shares of independent draws")
    assert str(BalancedBuffer(5).report()).count("without replacement") == 0  # nothing to say it of
    assert f"{table[1]['drawn']:.2%}" in text
    report.plot(tmp_path / "report.png")
    assert (tmp_path / "report.png").stat().st_size > 10_000


def test_report_of_little(tmp_path: Path) -> None:
    for buffer in (BalancedBuffer(5), BalancedBuffer(5)):
        assert buffer.report()["groups"] == 0
        assert "0 of 0 seen" in str(buffer.report())
        buffer.add_data(torch.zeros(3))
        buffer.report().plot(str(tmp_path / "little.png"))
        assert "3 of 3 seen" in str(buffer.report())
