"""Mixture: shares and schedules of them that cannot be, and what they say."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tombola import Mixture, Plan

LABELS = np.array(["control", "treated", "treated", "treated"] * 5)
SHARES = {"control": 1, "treated": 3}
KNOWN = "'control', 'treated'"

WRONG_SHARES: dict[str, tuple[Any, type[Exception], str]] = {
    "none": ({}, ValueError, "shares must name a stratum or more, but are empty"),
    "a list": (
        ["control", "treated"],
        TypeError,
        "shares must be a mapping from strata to rows or shares, or a function, but are ['control', "
        "'treated']",
    ),
    "a boolean": (
        {"control": 1, "treated": True},
        TypeError,
        "shares must be rows a batch or shares that sum to 1, but shares['treated'] = True",
    ),
    "text": (
        {"control": 1, "treated": "3"},
        TypeError,
        "shares must be rows a batch or shares that sum to 1, but shares['treated'] = '3'",
    ),
    "zero": ({"control": 0, "treated": 3}, ValueError, "shares must be above 0, but shares['control'] = 0"),
    "negative": (
        {"control": -0.5, "treated": 1.5},
        ValueError,
        "shares must be above 0, but shares['control'] = -0.5",
    ),
    "not a number": (
        {"control": 0.5, "treated": float("nan")},
        ValueError,
        "shares must be finite, but shares['treated'] = nan",
    ),
    "too much": (
        {"control": 0.5, "treated": 0.6},
        ValueError,
        "shares must all be integers, rows a batch, or all be floats that sum to 1, but are "
        "{'control': 0.5, 'treated': 0.6}, sum 1.1",
    ),
    "mixed": (
        {"control": 25, "treated": 75.0},
        ValueError,
        "shares must all be integers, rows a batch, or all be floats that sum to 1, but are "
        "{'control': 25, 'treated': 75.0}, sum 100",
    ),
    "too small": (
        {"control": 1e-16, "treated": 1.0},
        ValueError,
        "shares must be at least 2**-50, but are {'control': 1e-16, 'treated': 1.0}",
    ),
    "a stratum without rows": (
        {"control": 1, "treated": 2, "vehicle": 1},
        ValueError,
        f"shares must be of labels that rows have, such as {KNOWN}, but no row is labelled 'vehicle'",
    ),
    "a label without share": (
        {"control": 1},
        ValueError,
        "every label must have a share, but 'treated' with 15 rows has none: name it in shares, or leave "
        "such "
        'rows out by others="drop"',
    ),
    "equal texts": (
        {"1": 1, 1: 2},
        ValueError,
        "shares must name strata by different texts, but are of ['1', 1]",
    ),
}


@pytest.mark.parametrize(("shares", "error", "message"), WRONG_SHARES.values(), ids=WRONG_SHARES.keys())
def test_wrong_shares(shares: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        Mixture(LABELS, shares)
    assert str(caught.value) == message


def mixture(shares: Any, **options: Any) -> Mixture:
    return Mixture(LABELS, shares, **options)


def scheduled(shares: Any, from_batch: int = 0) -> Plan:
    strategy = mixture(lambda batch: shares if batch >= from_batch else SHARES, total_size=40)
    return strategy.plan(batch_size=4)


ALONE = "shares that are a function of the batch number need total_size, and neither within nor per_condition"

WRONG_SCHEDULES: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "a schedule without an end": (lambda: mixture(lambda batch: SHARES), ValueError, ALONE),
    "a schedule within contexts": (
        lambda: mixture(lambda batch: SHARES, total_size=8, within=LABELS),
        ValueError,
        ALONE,
    ),
    "a schedule of no shares": (
        lambda: scheduled(3),
        TypeError,
        "shares must be a mapping from strata to rows or shares, or a function, but shares(0) = 3",
    ),
    "a schedule that ends": (
        lambda: scheduled(None, 3),
        TypeError,
        "shares must give a mapping from strata to shares, but shares(3) = None",
    ),
    "a schedule of other strata": (
        lambda: scheduled({"control": 1}, 3),
        ValueError,
        "shares(0) names the strata ['control', 'treated'], but shares(3) names ['control']",
    ),
    "a schedule of nothing": (
        lambda: scheduled({"control": 0, "treated": 0.0}, 1),
        ValueError,
        "shares(1) must be >= 0, and one of them above, but are {'control': 0, 'treated': 0.0}",
    ),
    "a schedule below nothing": (
        lambda: scheduled({"control": -1, "treated": 2}, 1),
        ValueError,
        "shares(1) must be >= 0, and one of them above, but are {'control': -1, 'treated': 2}",
    ),
    "a schedule of text": (
        lambda: scheduled({"control": "x", "treated": 2}, 1),
        TypeError,
        "shares must be rows a batch or shares that sum to 1, but shares(1)['control'] = 'x'",
    ),
}


@pytest.mark.parametrize(("make", "error", "message"), WRONG_SCHEDULES.values(), ids=WRONG_SCHEDULES.keys())
def test_wrong_schedules(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == message
