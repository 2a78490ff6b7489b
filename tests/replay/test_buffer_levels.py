"""Groups within groups: nested, balanced as `group_balance` says; states of before there were such."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.replay.scored import CLASSES, batch, weights_of
from tests.replay.streams import equal, filled, items
from tombola import BalancedBuffer
from tombola.replay import AdaptiveThreshold, BalanceSchedule, group_balance

OLD_STATE = Path(__file__).resolve().parents[1] / "golden" / "replay_state_3.pt"
OLD: dict[str, Any] = {"balance_weight": 0.5, "task_weights": {1: 2.0}, "threshold_quantile": 0.6}


@pytest.mark.parametrize("weight", [1.0, (1.0, 0.5, 0.25), (0.0, 1.0, 0.0)])
def test_levels_are_balanced_as_arrays_are(weight: Any) -> None:
    buffer = BalancedBuffer(80, threshold_quantile=(0.2, 0.7, 1.0), balance_weight=weight)
    for step in range(6):
        buffer.add_data(**batch(step, 50, range(step, CLASSES)))
        buffer.get_balanced_data(5)
        labels = buffer.get_all_data()[1].tolist()
        paths = np.array([buffer.group_levels[label] for label in labels])
        shares = group_balance(paths, balance_weight=list(weight) if isinstance(weight, tuple) else weight)
        expected = shares * buffer._balance.scores[: len(buffer)]
        np.testing.assert_allclose(weights_of(buffer), expected, rtol=1e-9)
    assert [level["groups"] for level in buffer.report()["levels"]] == [len(set(k)) for k in paths.T.tolist()]
    assert len(set(paths[:, 2].tolist())) == len(set(labels))  # quantile 1: classes


def test_groups_lie_within_groups() -> None:
    levels = (0.1, 0.4, 0.8)
    buffer = BalancedBuffer(60, threshold_quantile=levels)
    buffer.add_data(**batch(3, 60))
    buffer.get_balanced_data(5)
    for finer, coarser in ((1, 0), (2, 1)):
        parent: dict[int, int] = {}
        for path in buffer.group_levels.values():
            assert parent.setdefault(path[finer], path[coarser]) == path[coarser]
    thresholds = [level["threshold"] for level in buffer.report()["levels"]]
    assert thresholds == sorted(thresholds)
    for level, quantile in enumerate(levels):
        alone = BalancedBuffer(60, threshold_quantile=quantile)
        alone.add_data(**batch(3, 60))
        alone.get_balanced_data(5)
        assert alone.groups == {label: path[level] for label, path in buffer.group_levels.items()}


def test_a_new_class_is_a_group_of_its_own_at_each_level() -> None:
    buffer = BalancedBuffer(60, threshold_quantile=(0.1, 0.5))
    buffer.add_data(**batch(0, 30, range(5)))
    buffer.get_balanced_data(5)
    known = set(buffer.group_levels.values())
    buffer.add_data(**batch(1, 6, range(5, 6)))
    path = buffer.group_levels[5]
    assert all(path[level] not in {other[level] for other in known} for level in (0, 1))


def test_thresholds_may_be_learned_at_some_levels() -> None:
    rules = (0.1, AdaptiveThreshold(initial=-5.0), AdaptiveThreshold(initial=1.0))
    buffer = BalancedBuffer(60, adaptive_threshold=rules)
    buffer.add_data(**batch(0, 60))
    buffer.get_balanced_data(5)
    thresholds = [level["threshold"] for level in buffer.report()["levels"]]
    assert thresholds[0] == thresholds[1] == 0.1  # one below that of the level before counts as that
    assert thresholds[2] > 0.1
    with torch.no_grad():
        rules[2].deviations.fill_(-5.0)
    buffer.get_balanced_data(5)
    assert buffer.report()["levels"][2]["threshold"] == 0.1


def test_a_schedule_for_one_level() -> None:
    schedule = BalanceSchedule(0.0, 1.0, steps=4, kind="linear")
    buffer = BalancedBuffer(60, threshold_quantile=(0.2, 1.0), balance_weight=(schedule, 0.5))
    buffer.add_data(**batch(0, 60))
    seen = []
    for _ in range(6):
        seen.append([level["balance_weight"] for level in buffer.report()["levels"]])
        buffer.get_balanced_data(5)
    assert seen == [[min(1.0, step / 4), 0.5] for step in range(6)]
    other = BalancedBuffer(60, threshold_quantile=(0.2, 1.0), balance_weight=(0.1, 0.1))
    other.load_state_dict(buffer.state_dict())
    assert other.balance_weight == (schedule, 0.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"threshold_quantile": (0.5, 0.5)},
            r"threshold_quantile must rise from level to level, but threshold_q",
        ),
        ({"threshold_quantile": (0.5, 1.5)}, r"threshold_quantile\[1\] must be at most 1, but is 1\.5"),
        ({"threshold_quantile": ()}, r"threshold_quantile must be one number or one a level, but is \(\)"),
        (
            {"adaptive_threshold": (0.9, 0.1)},
            r"adaptive_threshold must rise from level to level, but adaptive_th",
        ),
        ({"balance_weight": (1, 1)}, "balance_weight must be one number or one a level, 1, but there are 2"),
        ({"temporal_weight": float("nan")}, "temporal_weight must be a finite number"),
        ({"half_life": 0}, "half_life must be a finite number > 0, but is 0"),
    ],
)
def test_bad_levels_and_weights(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        BalancedBuffer(10, **options)


def test_names_that_users_know() -> None:
    buffer = filled()
    buffer.get_balanced_data(5)
    labels = buffer.get_all_data()[1]
    assert {k: len(slots) for k, slots in buffer.semantic_groups.items()} == buffer.group_counts
    for group, slots in buffer.semantic_groups.items():
        assert {buffer.groups[label] for label in labels[slots].tolist()} == {group}
    features = buffer.sample_features
    assert features is not None
    assert features.shape == (50, 6)
    features.zero_()  # a copy
    assert buffer.sample_features is not None
    assert buffer.sample_features.abs().sum() > 0
    empty = BalancedBuffer(5)
    assert empty.sample_features is None
    assert empty.semantic_groups == {} == empty.group_levels


def test_a_state_of_version_3_goes_on_as_it_would_have() -> None:
    """It was written by the version before, with the stream of `streams.items`."""
    state = torch.load(OLD_STATE, weights_only=True)
    assert state["version"] == 3
    buffer = BalancedBuffer(20, seed=4, **OLD)
    buffer.load_state_dict(state)
    drawn = [buffer.get_balanced_data(6, return_index=True)[-1].tolist() for _ in range(3)]
    assert drawn == [[7, 10, 1, 5, 8, 18], [10, 7, 8, 1, 17, 0], [7, 5, 17, 19, 3, 8]]
    fresh = BalancedBuffer(20, seed=4, **OLD)
    fresh.add_data(**items(0, 60))
    assert equal(fresh.get_all_data(), buffer.get_all_data())
    asking = BalancedBuffer(20, seed=4, temporal_weight=1.0, **OLD)
    with pytest.raises(ValueError, match=r"a buffer with temporal_weight = 1\.0, but it has 0\.0$"):
        asking.load_state_dict(state)
