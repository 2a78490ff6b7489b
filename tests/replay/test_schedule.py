"""Schedules of the balance weight."""

import dataclasses
from typing import Any

import pytest

from tombola.replay import BalanceSchedule


def test_by_hand() -> None:
    assert [BalanceSchedule(0.5)(step) for step in (0, 1, 10**9)] == [0.5] * 3
    linear = BalanceSchedule(1.0, 0.0, steps=4, kind="linear")
    assert [linear(step) for step in range(6)] == [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    cosine = BalanceSchedule(0, 2, steps=6, kind="cosine")
    assert [cosine(step) for step in (0, 2, 3, 6, 7)] == pytest.approx([0.0, 0.5, 1.0, 2.0, 2.0], rel=1e-15)
    assert cosine(6) == 2.0
    assert BalanceSchedule(0.3, steps=5, kind="linear")(2) == 0.3


def test_it_is_frozen_and_equal_by_value() -> None:
    schedule = BalanceSchedule(0.5)
    assert schedule == BalanceSchedule(0.5)
    with pytest.raises(dataclasses.FrozenInstanceError):
        schedule.start = 1.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"start": -1}, ValueError, "start must be a finite number >= 0, but is -1"),
        ({"start": 0, "end": "1"}, TypeError, "end must be a finite number >= 0, but is '1'"),
        ({"start": 0, "steps": 0}, ValueError, "steps must be an integer >= 1, but is 0"),
        ({"start": 0, "kind": "step"}, ValueError, 'kind must be "constant" or "linear" or "cosine"'),
        ({"start": 0, "end": 1}, ValueError, 'end must be start where kind is "constant", .* 0 and end 1'),
    ],
)
def test_bad_input(arguments: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        BalanceSchedule(**arguments)


def test_steps_are_counted_from_zero() -> None:
    with pytest.raises(ValueError, match=r"^step must be an integer >= 0, but is -1$"):
        BalanceSchedule(0.5)(-1)
