"""Temporal, difficulty and uncertainty scores in a buffer: as for arrays, kept up to date, resumed."""

import io
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy.stats import chisquare

from tests.replay.scored import CLASSES, batch, scores_from_scratch, weights_of
from tests.replay.streams import equal, filled
from tombola import BalancedBuffer
from tombola.replay import combine_scores, difficulty_scores, temporal_scores, uncertainty_scores
from tombola.replay.buffer import item_scores

F64 = npt.NDArray[np.float64]
ALL: dict[str, Any] = {
    "temporal_weight": 1.5,
    "half_life": 40.0,
    "difficulty_weight": 0.5,
    "uncertainty_weight": -0.5,
}


def scored(seed: int, count: int) -> dict[str, torch.Tensor]:
    logits = torch.randn(count, CLASSES, generator=torch.Generator().manual_seed(seed))
    return {**batch(seed, count), "logits": logits}


def over_mean(values: F64) -> F64:
    return np.asarray(values / values.mean())


def from_scratch(buffer: BalancedBuffer, temporal: float, half_life: float, hard: float, sure: float) -> F64:
    """The scores of what is stored, by the functions for arrays."""
    _, labels, logits, _ = buffer.get_all_data()
    features = buffer.sample_features
    assert features is not None
    means = np.stack(
        [
            features[labels == k].double().mean(0) if (labels == k).any() else np.full(5, np.nan)
            for k in range(CLASSES)
        ]
    )
    age = buffer.num_seen_examples - buffer.stamps(range(len(buffer)))
    losses = torch.nn.functional.cross_entropy(logits.double(), labels, reduction="none")
    scores = (
        scores_from_scratch(buffer, means, 1.0),
        temporal_scores(age, half_life=half_life),
        difficulty_scores(losses),
        uncertainty_scores(logits) + 1e-6,
    )
    return combine_scores(*scores, weights=[1, temporal, hard, sure])


@pytest.mark.parametrize("temporal", [1.5, -0.75, 0.0])
def test_scores_are_those_of_arrays(temporal: float) -> None:
    """Over so long a stream that temporal scores are made anew several times."""
    weights = {**ALL, "temporal_weight": temporal}
    buffer = BalancedBuffer(60, refit_every=1, **weights)
    renewals = set()
    for step in range(40):
        buffer.add_data(**scored(step, 30))
        buffer.get_balanced_data(5)
        expected = from_scratch(buffer, temporal, 40.0, 0.5, -0.5)
        np.testing.assert_allclose(over_mean(weights_of(buffer)), over_mean(expected), rtol=1e-9)
        renewals.add(buffer._balance.item_scores.renewed)
    assert (len(renewals) > 1) == (temporal != 0)


def test_what_no_option_asks_for_takes_no_memory() -> None:
    buffer = filled()
    assert buffer._balance.item_scores.arrays == {}
    before = weights_of(buffer)
    buffer.update_scores([0, 1], losses=[5.0, 6.0], logits=torch.ones(2, 4))
    np.testing.assert_array_equal(weights_of(buffer), before)
    only_hard = BalancedBuffer(5, difficulty_weight=1.0)
    assert sorted(only_hard._balance.item_scores.arrays) == ["difficulty", "predicted"]


def test_losses_that_are_given_stand_for_logits() -> None:
    buffer = BalancedBuffer(30, difficulty_weight=2.0)
    losses = np.linspace(0.5, 3.0, 30)
    buffer.add_data(**scored(0, 30), losses=losses)
    assert len(buffer.get_all_data()) == 4  # losses are not stored
    plain = BalancedBuffer(30)
    plain.add_data(**scored(0, 30))
    ratio = weights_of(buffer) / weights_of(plain)
    np.testing.assert_allclose(over_mean(ratio), over_mean((losses + 1e-6) ** 2))


def test_scores_follow_the_network() -> None:
    buffer = BalancedBuffer(20, difficulty_weight=1.0, uncertainty_weight=1.0)
    buffer.add_data(**scored(0, 20))
    labels, before = buffer.get_all_data()[1], weights_of(buffer)
    found = torch.randn(2, CLASSES, generator=torch.Generator().manual_seed(5))
    buffer.update_scores([3, 7], logits=found)  # losses are those of these logits
    own = buffer._balance.item_scores.arrays
    expected = torch.nn.functional.cross_entropy(found.double(), labels[[3, 7]], reduction="none")
    np.testing.assert_allclose(own["difficulty"][[3, 7]], expected + 1e-6)
    np.testing.assert_allclose(own["uncertainty"][[3, 7]], uncertainty_scores(found) + 1e-6)
    buffer.update_scores([4, 4], losses=[1.0, 9.0])
    assert own["difficulty"][4] == 9.0 + 1e-6
    after = weights_of(buffer)
    changed = np.flatnonzero(~np.isclose(after, before, rtol=1e-12))
    assert changed.tolist() == [3, 4, 7]
    product = own["difficulty"] * own["uncertainty"]
    np.testing.assert_allclose(after / after[0], product / product[0] * _prototype(buffer), rtol=1e-9)
    assert torch.equal(buffer.get_all_data()[2], scored(0, 20)["logits"])  # what is stored stays


def _prototype(buffer: BalancedBuffer) -> F64:
    balance = buffer._balance
    weights = balance.scores[: len(buffer)] * balance.factors()[balance.weights.codes[: len(buffer)]]
    return np.asarray(weights / weights[0])


def test_scores_of_items_that_are_gone_are_ignored() -> None:
    buffer = BalancedBuffer(20, difficulty_weight=1.0)
    buffer.add_data(**scored(0, 20))
    *_, slots = buffer.get_balanced_data(20, return_index=True)
    stamps = buffer.stamps(slots)
    buffer.add_data(**scored(1, 200))
    there = buffer.stamps(slots) == stamps
    assert 0 < there.sum() < 20
    before = buffer._balance.item_scores.arrays["difficulty"].copy()
    buffer.update_scores(slots, losses=torch.full((20,), 50.0))
    after = buffer._balance.item_scores.arrays["difficulty"]
    assert sorted(slots[there].tolist()) == np.flatnonzero(after != before).tolist()
    assert buffer.report()["ignored_priorities"] == 20 - there.sum()


@pytest.mark.parametrize("temporal", [1.5, -0.75])
def test_a_buffer_is_resumed_at_every_step(temporal: float) -> None:
    options = {
        **ALL,
        "temporal_weight": temporal,
        "threshold_quantile": (0.3, 0.8),
        "balance_weight": (1.0, 0.5),
    }
    buffer = BalancedBuffer(40, **options)
    for step in range(25):
        buffer.add_data(**scored(step, 30))
        *_, slots = buffer.get_balanced_data(8, return_index=True)
        buffer.update_scores(slots, logits=torch.randn(8, CLASSES))
        file = io.BytesIO()
        torch.save(buffer.state_dict(), file)
        file.seek(0)
        resumed = BalancedBuffer(40, **options)
        resumed.load_state_dict(torch.load(file, weights_only=True))
        assert str(resumed.report()) == str(buffer.report())
        for other in (buffer, resumed):
            other.add_data(**scored(100 + step, 15))
        assert equal(buffer.get_balanced_data(9), resumed.get_balanced_data(9))
        np.testing.assert_array_equal(weights_of(buffer), weights_of(resumed))
        assert buffer.group_levels == resumed.group_levels


def test_the_report_shows_what_scores_are_made_of() -> None:
    buffer = BalancedBuffer(20, task_weights={1: 3.0}, **ALL)
    buffer.add_data(**scored(0, 50))
    buffer.update_priorities([0], [2.0])
    parts = buffer.report()["score_parts"]
    assert list(parts) == ["prototype", "temporal", "difficulty", "uncertainty", "task", "priority"]
    ages = 50 - buffer.stamps(range(20)).numpy()
    assert parts["temporal"][1.0] == pytest.approx(2 ** (-ages.min() / 40))
    assert parts["task"] == {level: pytest.approx(value) for level, value in parts["task"].items()}
    assert (parts["task"][1.0], parts["priority"][1.0]) == (3.0, 2.0)
    shown = ", ".join(f"{parts['uncertainty'][level]:.4g}" for level in (0.05, 0.5, 0.95))
    assert f"uncertainty score        {shown} (5%, 50%, 95%)" in str(buffer.report())
    assert list(filled().report()["score_parts"]) == ["prototype"]


@pytest.mark.parametrize(
    ("options", "missing", "message"),
    [
        (
            {"difficulty_weight": 1},
            "logits",
            r"difficulty_weight = 1 needs losses, or logits and labels of one",
        ),
        (
            {"difficulty_weight": 1},
            "labels",
            r"difficulty_weight = 1 needs losses, or logits and labels of one",
        ),
        ({"uncertainty_weight": 2}, "logits", r"uncertainty_weight = 2 needs logits with all items"),
    ],
)
def test_what_a_weight_needs_is_missing(options: dict[str, Any], missing: str, message: str) -> None:
    buffer = BalancedBuffer(20, **options)
    given: dict[str, Any] = {**scored(0, 20), missing: None}
    with pytest.raises(ValueError, match=f"^{message}"):
        buffer.add_data(**given)
    assert len(buffer) == 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"losses": np.ones(3)}, r"losses must have the shape \(20,\), one an item, but it is \(3,\)"),
        ({"losses": np.full(20, -1.0)}, r"loss must be finite and >= 0, but loss\[0\] = -1.0"),
        (
            {"logits": torch.full((20, 8), torch.nan)},
            r"logits must give finite losses, but that of row 0 is nan",
        ),
        (
            {"logits": torch.zeros(20, 3)},
            r"labels must lie in \[0, 3\), the columns of logits, where losses are",
        ),
    ],
)
def test_losses_and_logits_that_cannot_be_scored(given: dict[str, Any], message: str) -> None:
    buffer = BalancedBuffer(20, difficulty_weight=1.0)
    with pytest.raises(ValueError, match=f"^{message}"):
        buffer.add_data(**{**scored(0, 20), **given})
    assert len(buffer) == 0
    buffer.add_data(**scored(0, 20))
    with pytest.raises(
        ValueError, match=r"^logits must have the shape \(2,\), one an index, but it is \(3,\)$"
    ):
        buffer.update_scores([0, 1], logits=torch.zeros(3, CLASSES))


def test_very_old_items_stay_drawable() -> None:
    """Where 10^4 half-lives lie between two items the older one is hardly drawn, and weights stay finite."""
    buffer = BalancedBuffer(4, temporal_weight=1.0, half_life=0.01)
    for step in range(30):
        buffer.add_data(**batch(step, 20))
    doublings = np.log2(buffer._balance.item_scores.arrays["temporal"])
    assert doublings.min() >= -item_scores.CLAMPED
    assert len(buffer.get_balanced_data(4)[0]) == 4
    assert buffer.report()["balanced_draws"] == 1


@pytest.mark.parametrize("given", ["neither", "labels", "one class"])
def test_scores_of_items_need_no_groups(given: str, caplog: pytest.LogCaptureFixture) -> None:
    """Age and loss say enough without labels, without features, and where all is of one group."""
    buffer = BalancedBuffer(100, difficulty_weight=1.0, temporal_weight=1.0, half_life=25.0, replace=True)
    labels = {"neither": None, "labels": torch.arange(100) % 5, "one class": torch.zeros(100).long()}[given]
    features = torch.ones(100, 3) if given == "one class" else None
    losses = 0.5 + torch.rand(100, generator=torch.Generator().manual_seed(1))
    buffer.add_data(torch.arange(100), labels, features=features, losses=losses)
    expected = 2 ** (np.arange(-99, 1) / 25.0) * (losses.double().numpy() + 1e-6)
    drawn = buffer.get_balanced_data(20_000)[0].numpy()
    statistic = chisquare(np.bincount(drawn, minlength=100), 20_000 * expected / expected.sum())
    assert statistic.pvalue > 1e-3
    assert not caplog.records
