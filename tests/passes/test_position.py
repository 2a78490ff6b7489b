"""Positions: spans are merged, kept as JSON, and checked."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tombola import Position


@pytest.mark.parametrize(
    ("spans", "merged"),
    [
        ([(2, 3), (2, 4)], ((2, 7),)),
        ([(2, 0)], ()),
        ([(1, 1), (2, 0), (1, 2)], ((1, 3),)),
        ([(1, 1), (2, 1), (1, 2)], ((1, 1), (2, 1), (1, 2))),
    ],
)
def test_neighbours_are_merged(spans: list[tuple[int, int]], merged: tuple[tuple[int, int], ...]) -> None:
    position = Position(0)
    for span in spans:
        position = position.advanced(*span)
    assert position.spans == merged
    assert position == Position(0, tuple(spans))
    assert hash(position) == hash(Position(0, merged))


@given(st.integers(0, 2**63 - 1), st.lists(st.tuples(st.integers(1, 9), st.integers(0, 2**60)), max_size=4))
def test_json_round_trip(epoch: int, spans: list[tuple[int, int]]) -> None:
    position = Position(epoch, tuple(spans))
    state = position.to_dict()
    assert Position.from_dict(json.loads(json.dumps(state))) == position
    state["spans"].append([1, 1])
    assert position.to_dict() != state


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"epoch": 1},
        {"epoch": -1, "spans": []},
        {"epoch": 1.0, "spans": []},
        {"epoch": True, "spans": []},
        {"epoch": 0, "spans": [[0, 1]]},
        {"epoch": 0, "spans": [[1, -1]]},
        {"epoch": 0, "spans": [[1]]},
        {"epoch": 0, "spans": 3},
        None,
    ],
)
def test_a_strange_state_is_refused(state: Any) -> None:
    with pytest.raises(ValueError, match=r"a position is .* but got"):
        Position.from_dict(state)


def test_wrong_types_of_a_position_are_named() -> None:
    with pytest.raises(TypeError, match="epoch must be an integer >= 0, but is 'a'"):
        Position("a")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"steps must be an integer >= 0, but is 1\.5"):
        Position(0, ((1, 1.5),))  # type: ignore[arg-type]


def test_a_begun_step_is_kept_and_merged() -> None:
    position = Position(0).advanced(1, 2, workers=4, more=3)
    assert position.spans == ((1, 2, 4, 3),)
    assert position.steps == 11
    assert position.advanced(1, 0, workers=4, more=1) == Position(0, ((1, 3, 4, 0),))
    assert position.advanced(1, 1, workers=4, more=2).spans == ((1, 4, 4, 1),)
    assert position.advanced(4, 1).spans == ((1, 2, 4, 3), (4, 1))  # as many readers, but not the same
    assert Position.from_dict(json.loads(json.dumps(position.to_dict()))) == position
    with pytest.raises(ValueError, match="more must be an integer >= 0 and < 4, but is 4"):
        Position(0, ((1, 1, 4, 4),))
