"""What a buffer refuses: items that do not fit, options and arguments that cannot be."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from tests.replay.streams import WIDTH, equal, filled, items
from tombola import BalancedBuffer


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"labels": None}, ValueError, "labels must be given with all items, as with the first ones"),
        (
            {"logits": torch.zeros(10, 3)},
            ValueError,
            r"logits must have the shape .*\(4,\) each, but have \(3,\)",
        ),
        (
            {"examples": torch.zeros(10, 2, 3)},
            TypeError,
            "examples must have the dtype .*uint8, but .*float32",
        ),
        ({"labels": torch.arange(9)}, ValueError, "labels must be one an example, 10, but there are 9"),
        (
            {"labels": torch.tensor(3)},
            ValueError,
            "labels must hold one entry an item, but is a single number",
        ),
        ({"examples": None}, TypeError, "examples must be given, but are None"),
        ({"examples": ["a"]}, TypeError, "examples must be a tensor or an array of numbers, but is list"),
        ({"features": torch.zeros(10, 7)}, ValueError, "features must be num_feats = 6 wide, but are 7"),
        ({"features": torch.zeros(10)}, ValueError, r"features must have the shape \(items, width\)"),
        ({"features": torch.zeros(10, 6).long()}, TypeError, "features must be floats, .*int64"),
        (
            {"features": torch.tensor([0.0] * 8 + [np.nan] + [0.0] * 51).reshape(10, 6)},
            ValueError,
            r"features must be finite, but features\[1, 2\] = nan",
        ),
        (
            {"features": torch.tensor([np.inf, -np.inf] * 30).reshape(10, 6)},
            ValueError,
            r"features\[0, 0\] = inf",
        ),
    ],
)
def test_items_that_do_not_fit(change: dict[str, Any], error: type[Exception], message: str) -> None:
    buffer = filled(num_feats=WIDTH)
    before, counts = buffer.get_all_data(), buffer.group_counts
    with pytest.raises(error, match=message):
        buffer.add_data(**{**items(200, 210), **change})
    assert equal(buffer.get_all_data(), before)
    assert (buffer.num_seen_examples, buffer.group_counts) == (200, counts)


def test_parts_that_the_first_items_lacked() -> None:
    buffer = BalancedBuffer(5)
    buffer.add_data(torch.zeros(3, 2))
    with pytest.raises(ValueError, match="labels must not be given, as the first items had none"):
        buffer.add_data(torch.zeros(3, 2), torch.zeros(3))


def test_large_features_whose_sum_overflows_are_finite() -> None:
    buffer = BalancedBuffer(5)
    buffer.add_data(torch.zeros(2), features=torch.full((2, 4), 3e38))
    assert len(buffer) == 2


@pytest.mark.parametrize("size", [1e-139, 1e139])
def test_float64_features_up_to_their_bounds_are_scored(size: float) -> None:
    features = torch.tensor([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5]], dtype=torch.float64).repeat(5, 1)
    features[4] = 0.0
    kept = []
    for each in (features, features * size):
        buffer = BalancedBuffer(10)
        buffer.add_data(torch.arange(10), torch.arange(10) % 2, features=each)
        buffer.get_balanced_data(5)
        kept.append(buffer._balance.scores.copy())
    assert buffer.report()["balanced_draws"] == 1
    np.testing.assert_allclose(kept[1], kept[0], rtol=1e-14)


@pytest.mark.parametrize("size", [1e-320, 1e-170, 1e-141, 1e141, 1e170, 1e308])
def test_float64_features_that_cannot_be_scored(size: float) -> None:
    features = torch.ones((4, 3), dtype=torch.float64)
    buffer = BalancedBuffer(10)
    buffer.add_data(torch.zeros(4), features=features)
    features[2] = torch.tensor([size, -size, 0.0], dtype=torch.float64)
    with pytest.raises(ValueError, match="each row between 1e-140") as caught:
        buffer.add_data(torch.zeros(4), features=features)
    assert str(caught.value).endswith(f"or 0, but that of features[2] is {size!r}")
    assert len(buffer) == 4


def test_prototypes_near_the_ends_of_float64_are_taken() -> None:
    """Groups and scores are those of the same directions in common sizes."""
    directions = np.array([[1.0, 0.1], [1.0, -0.1], [0.1, 1.0]])
    found = []
    for sizes in ([1.0, 1.0, 1.0], [1e308, 1e-300, 1e200]):
        buffer = BalancedBuffer(12, adaptive_threshold=0.9)
        buffer.add_data(torch.arange(12), torch.arange(12) % 3, features=torch.ones(12, 2))
        buffer.get_balanced_data(3, op_prototypes=directions * np.array(sizes)[:, np.newaxis])
        found.append((buffer.groups, buffer._balance.scores.copy()))
    assert found[0][0] == found[1][0] == {0: 0, 1: 0, 2: 1}
    np.testing.assert_allclose(found[1][1], found[0][1], rtol=1e-14)


def test_an_empty_buffer_says_so() -> None:
    buffer = BalancedBuffer(5)
    assert buffer.is_empty()
    calls: list[Callable[[], object]] = [
        lambda: buffer.get_data(3),
        lambda: buffer.get_balanced_data(3),
        buffer.get_all_data,
    ]
    for call in calls:
        with pytest.raises(ValueError, match="must hold an item or more, but is empty: add_data comes first"):
            call()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"buffer_size": 0}, ValueError, "buffer_size must be an integer >= 1, but is 0"),
        ({"balance_weight": -1}, ValueError, "balance_weight must be a finite number >= 0, but is -1"),
        ({"use_balanced_sampling": 1}, TypeError, "use_balanced_sampling must be True or False, but is 1"),
        (
            {"semantic_similarity": 0.5},
            TypeError,
            r"semantic_similarity must be None or callable, but is 0\.5",
        ),
        ({"adaptive_threshold": 1.5}, ValueError, r"adaptive_threshold must be at most 1, but is 1\.5"),
        ({"threshold_quantile": 2}, ValueError, "threshold_quantile must be at most 1, but is 2"),
        (
            {"threshold_quantile": 0.5, "adaptive_threshold": 0.5},
            ValueError,
            "threshold_quantile must be None where adaptive_threshold is given",
        ),
        ({"num_feats": 0}, ValueError, "num_feats must be an integer >= 1"),
        (
            {"task_weights": {0: -1.0}},
            ValueError,
            r"task_weights\[0\] must be a finite number >= 0, but is -1",
        ),
        ({"task_weights": {"a": 1.0}}, TypeError, "a label of task_weights must be an integer"),
        ({"refit_every": 0}, ValueError, "refit_every must be an integer >= 1"),
        ({"eps": 0}, ValueError, "eps must be a finite number > 0, but is 0"),
        ({"seed": -1}, ValueError, "seed must be an integer >= 0"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        BalancedBuffer(**{"buffer_size": 5, **options})


def test_arguments_that_cannot_be() -> None:
    buffer = filled()
    with pytest.raises(IndexError, match=r"indices must lie in \[0, 50\), .*indices\[1\] = 50"):
        buffer.get_data_by_index([0, 50])
    with pytest.raises(TypeError, match="indices must be integers"):
        buffer.get_data_by_index([0.5])
    with pytest.raises(TypeError, match="size must be an integer >= 0, but is '3'"):
        buffer.get_data("3")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="beta must be a finite number >= 0, but is -1"):
        buffer.get_balanced_data(3, beta=-1)
    with pytest.raises(ValueError, match=r"priorities must be >= 0 .*priorities\[1\] = nan"):
        buffer.update_priorities([0, 1], [1.0, np.nan])
    with pytest.raises(ValueError, match=r"priorities must have the shape \(2,\)"):
        buffer.update_priorities([0, 1], [1.0])
