"""Scores of age, loss and logits, and their product: by hand, against exact arithmetic, bad input."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tombola.replay import combine_scores, difficulty_scores, temporal_scores, uncertainty_scores

ULP = 2.0**-52
"""Libraries of the field err by less than one unit in the last place in exp, log1p and pow."""


def test_temporal(form: str) -> None:
    ages = np.arange(50_000)
    scores = temporal_scores(ages, half_life=100)
    assert scores[::100].tolist() == [2.0**-k for k in range(500)]
    assert np.all(np.diff(scores) < 0)
    assert temporal_scores(torch.tensor([0, 3]), half_life=3).tolist() == [1.0, 0.5]


def test_difficulty(form: str) -> None:
    losses = np.arange(40_000) / 8
    assert np.array_equal(difficulty_scores(losses, eps=0.5), losses + 0.5)
    expected = np.array([math.sqrt(loss + 0.5) for loss in losses])
    found = difficulty_scores(losses, eps=0.5, exponent=0.5)
    assert np.abs(found / expected - 1).max() <= 2 * ULP
    assert difficulty_scores([0.0], eps=0.0, exponent=0.0).tolist() == [1.0]


def entropy(logits: list[float]) -> float:
    """-sum(p log p) with sums that are exact but for one rounding, grouped so that nothing cancels."""
    best = max(range(len(logits)), key=logits.__getitem__)
    below = [logits[best] - logit for k, logit in enumerate(logits) if k != best and logit > -math.inf]
    rest = math.fsum(math.exp(-b) for b in below)
    return math.log1p(rest) + math.fsum(b * math.exp(-b) for b in below) / (1 + rest)


@given(
    st.lists(st.floats(-50, 50) | st.just(-math.inf), min_size=1, max_size=40).filter(
        lambda row: max(row) > -math.inf
    )
)
@settings(max_examples=100, deadline=None)
def test_entropy(logits: list[float]) -> None:
    found = float(uncertainty_scores([logits])[0])
    # Every term errs by 3 roundings, each sum of non-negative terms by one a term, the end by 4.
    assert abs(found - entropy(logits)) <= 2 * (len(logits) + 8) * ULP * entropy(logits)
    assert 0 <= found <= math.log(len(logits)) * (1 + 2 * (len(logits) + 8) * ULP)


def test_entropy_of_sure_and_unsure_rows(form: str) -> None:
    assert uncertainty_scores([[0.0] * 8], normalised=True)[0] == pytest.approx(1.0, rel=4 * ULP)
    assert uncertainty_scores([[7.0]], normalised=True).tolist() == [0.0]
    assert uncertainty_scores([[0.0, -math.inf]]).tolist() == [0.0]
    sure = float(uncertainty_scores([[60.0, 0.0]])[0])
    assert sure == pytest.approx(61 * math.exp(-60), rel=8 * ULP)  # the softmax rounds to (1, 0)
    shifted = uncertainty_scores(np.array([[1000.0, 1001.0], [-1000.0, -999.0]]))
    assert shifted[0] == shifted[1] == uncertainty_scores([[0.0, 1.0]])[0]


def test_half_logits_are_read_in_tiles(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tombola.replay.scores.arrays.TILE", 100)
    logits = torch.from_numpy(np.random.default_rng(1).standard_normal((999, 7))).bfloat16()
    assert uncertainty_scores(logits).tobytes() == uncertainty_scores(logits.float()).tobytes()
    logits[500, 3] = math.nan
    with pytest.raises(ValueError, match=r"but logits\[500\] holds nan$"):
        uncertainty_scores(logits)


def test_product(form: str) -> None:
    generator = np.random.default_rng(2)
    first, second = generator.random((2, 40_000))
    assert np.array_equal(combine_scores(first, second), first * second)
    assert np.array_equal(combine_scores(first), first)
    assert np.array_equal(combine_scores(first, second, weights=[1, 0]), first)
    found = combine_scores(first, second, weights=(0.5, -2))
    assert np.abs(found / (np.sqrt(first) / (second * second)) - 1).max() <= 8 * ULP
    out = np.empty(40_000)
    assert combine_scores(torch.from_numpy(first), second, out=out) is out


BAD: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any], type[Exception], str]] = [
    (
        temporal_scores,
        ([0, -1],),
        {"half_life": 1},
        ValueError,
        r"age must be finite and >= 0, but age\[1\] = -1\.0",
    ),
    (
        temporal_scores,
        ([0],),
        {"half_life": 0},
        ValueError,
        "half_life must be a finite number > 0, but is 0",
    ),
    (
        difficulty_scores,
        ([1, math.nan],),
        {},
        ValueError,
        r"loss must be finite and >= 0, but loss\[1\] = nan",
    ),
    (
        difficulty_scores,
        ([1e300],),
        {"exponent": 2},
        ValueError,
        r"loss\[0\] = 1e\+300 makes a score that is not finite; the exponent is 2\.0",
    ),
    (difficulty_scores, ([[1.0]],), {}, ValueError, r"loss must have one axis, but the shape is \(1, 1\)"),
    (difficulty_scores, (["a"],), {}, TypeError, "loss must be real numbers"),
    (uncertainty_scores, ([[0.0, 1.0], [math.inf, 0.0]],), {}, ValueError, r"but logits\[1\] holds inf"),
    (
        uncertainty_scores,
        ([[-math.inf, -math.inf]],),
        {},
        ValueError,
        r"but logits\[0\] holds minus infinity only",
    ),
    (
        uncertainty_scores,
        (np.empty((3, 0)),),
        {},
        ValueError,
        r"logits must have a class or more, but the shape is \(3, 0\)",
    ),
    (
        uncertainty_scores,
        ([[0.0]],),
        {"normalised": 1},
        TypeError,
        "normalised must be True or False, but is 1",
    ),
    (combine_scores, (), {}, TypeError, "combine_scores needs one score or more, but got none"),
    (
        combine_scores,
        ([1.0], [1.0, 2.0]),
        {},
        ValueError,
        r"scores\[1\] must have the shape \(1,\), as long as scores\[0\], .* \(2,\)",
    ),
    (
        combine_scores,
        ([1.0],),
        {"weights": [1, 2]},
        ValueError,
        "weights must be one a score, 1, but there are 2",
    ),
    (
        combine_scores,
        ([1.0],),
        {"weights": [math.inf]},
        ValueError,
        r"weights must be finite numbers, but weights\[0\] is inf",
    ),
    (
        combine_scores,
        ([1.0],),
        {"weights": ["1"]},
        TypeError,
        r"weights must be finite numbers, but weights\[0\] is '1'",
    ),
    (
        combine_scores,
        ([1.0], [0.0]),
        {"weights": [1, -1]},
        ValueError,
        r"scores\[1\]\[0\] = 0\.0 makes a score that is not finite; the exponent is -1\.0",
    ),
    (
        combine_scores,
        ([1.0], [-2.0]),
        {},
        ValueError,
        r"scores\[1\] must be finite and >= 0, but scores\[1\]\[0\] = -2\.0",
    ),
]


@pytest.mark.parametrize(("function", "arguments", "options", "error", "text"), BAD)
def test_bad_input(
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    options: dict[str, Any],
    error: type[Exception],
    text: str,
) -> None:
    with pytest.raises(error, match=text):
        function(*arguments, **options)


@pytest.mark.parametrize("row", [0, 20_000, 49_999])
def test_the_first_bad_row_is_named(form: str, row: int) -> None:
    losses = np.ones(50_000)
    losses[[row, 49_999]] = -1
    with pytest.raises(ValueError, match=rf"but loss\[{row}\] = -1\.0$"):
        difficulty_scores(losses)
