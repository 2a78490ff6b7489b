"""Priorities that come after another item has taken the slot: ignored and counted."""

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from tests.replay.streams import items
from tombola import BalancedBuffer


def make(**options: Any) -> BalancedBuffer:
    buffer = BalancedBuffer(8, **options)
    buffer.add_data(torch.arange(8.0)[:, None], torch.arange(8) % 2)
    return buffer


def overwrite(buffer: BalancedBuffer, start: float = 100.0) -> None:
    buffer.add_data(torch.arange(start, start + 40)[:, None], torch.arange(40) % 2)


def contents(buffer: BalancedBuffer) -> list[float]:
    return [float(buffer._storage.parts["examples"][slot]) for slot in range(8)]


def priorities(buffer: BalancedBuffer) -> list[float]:
    found: list[float] = buffer._balance.priorities.tolist()
    return found


HANDED_BACK: dict[str, Callable[[torch.Tensor], Any]] = {
    "itself": lambda slots: slots,
    "list": lambda slots: slots.tolist(),
    "array": lambda slots: slots.numpy(),
    "copy": lambda slots: slots.clone(),
    "int32": lambda slots: slots.int(),
    "pickled": lambda slots: pickle.loads(pickle.dumps(slots)),
    "moved": lambda slots: slots.to("cpu"),
}


@pytest.mark.parametrize("draw", ["get_data", "get_balanced_data"])
@pytest.mark.parametrize("how", HANDED_BACK)
def test_late_priorities_are_ignored_and_counted(how: str, draw: str) -> None:
    buffer = make(seed=0)
    slots = getattr(buffer, draw)(8, return_index=True)[-1]
    before = contents(buffer)
    overwrite(buffer)
    gone = [a != b for a, b in zip(before, contents(buffer), strict=True)]
    assert 0 < sum(gone) < 8
    buffer.update_priorities(HANDED_BACK[how](slots), np.full(8, 0.25))
    assert priorities(buffer) == [1.0 if g else 0.25 for g in gone]
    assert buffer.report()["ignored_priorities"] == sum(gone)
    assert f"priorities ignored       {sum(gone)}" in str(buffer.report())


def test_a_part_of_what_was_drawn() -> None:
    buffer = make(seed=0)
    slots = buffer.get_data(8, return_index=True)[-1]
    before = contents(buffer)
    overwrite(buffer)
    now = contents(buffer)
    buffer.update_priorities(slots[2:5], [0.5] * 3)
    for slot in range(8):
        meant = slot in slots[2:5].tolist() and before[slot] == now[slot]
        assert priorities(buffer)[slot] == (0.5 if meant else 1.0)


def test_the_largest_priority_is_none_of_an_item_that_is_gone() -> None:
    buffer = make(seed=0)
    slots = buffer.get_data(8, return_index=True)[-1]
    for start in (100.0, 200.0, 300.0, 400.0):
        overwrite(buffer, start)
    assert not {*range(8)} & {*contents(buffer)}
    buffer.update_priorities(slots, [50.0] * 8)
    assert buffer.report()["ignored_priorities"] == 8
    overwrite(buffer, 500.0)
    assert set(priorities(buffer)) == {1.0}


def test_draws_under_way_each_mean_their_own_items() -> None:
    """A slot is overwritten and drawn again before the priorities of its first item come."""
    buffer = make(seed=0)
    first = buffer.get_data(8, return_index=True)[-1]
    before = contents(buffer)
    overwrite(buffer)
    second = buffer.get_data(8, return_index=True)[-1]
    kept = [a == b for a, b in zip(before, contents(buffer), strict=True)]
    buffer.update_priorities(first, [0.5] * 8)
    assert priorities(buffer) == [0.5 if k else 1.0 for k in kept]
    buffer.update_priorities(second, [0.25] * 8)
    assert priorities(buffer) == [0.25] * 8
    # As a list they stand for what was last given out; stamps say better.
    buffer.update_priorities(first.tolist(), [0.75] * 8, stamps=first.stamps)  # type: ignore[attr-defined]
    assert priorities(buffer) == [0.75 if k else 0.25 for k in kept]
    assert buffer.report()["ignored_priorities"] == 2 * (8 - sum(kept))


def test_slots_that_were_changed_in_place_carry_nothing() -> None:
    buffer = make(seed=0)
    slots = buffer.get_data(8, return_index=True)[-1]
    slots.copy_(torch.arange(8))
    buffer.update_priorities(slots, np.arange(1.0, 9.0))
    assert priorities(buffer) == list(range(1, 9))


@pytest.mark.parametrize("how", ["get_all_data", "get_data_by_index", "stamps", "never given out"])
def test_priorities_of_items_that_are_there(how: str) -> None:
    buffer = make(seed=0)
    if how != "never given out":
        buffer.get_data(8, return_index=True)
    overwrite(buffer)
    stamps = None
    match how:
        case "get_all_data":
            buffer.get_all_data()
        case "get_data_by_index":
            buffer.get_data_by_index(range(8))
        case "stamps":
            stamps = buffer.stamps(range(8))
            assert stamps.dtype == torch.int64
            assert len(set(stamps.tolist())) == 8
    buffer.update_priorities(range(8), [0.5] * 8, stamps=stamps)
    assert priorities(buffer) == [0.5] * 8
    assert buffer.report()["ignored_priorities"] == 0


def test_stamps_are_numbers_of_the_stream() -> None:
    buffer = BalancedBuffer(20, seed=4)
    for start, stop in [(0, 7), (7, 50), (50, 200)]:
        buffer.add_data(**items(start, stop))
    numbers = buffer.get_all_data()[2][:, 0].long() + 1
    assert torch.equal(buffer.stamps(range(20)), numbers)
    *_, logits, _, slots = buffer.get_data(9, return_index=True)
    assert torch.equal(slots.stamps, logits[:, 0].long() + 1)  # type: ignore[attr-defined]


def test_items_of_an_earlier_stream_are_gone() -> None:
    buffer = make(seed=0)
    slots = buffer.get_data(8, return_index=True)[-1]
    buffer.empty()
    buffer.add_data(torch.arange(8.0)[:, None], torch.arange(8) % 2)
    buffer.update_priorities(slots, [0.5] * 8)
    assert priorities(buffer) == [1.0] * 8
    assert buffer.report()["ignored_priorities"] == 8
    buffer.update_priorities(slots.tolist(), [0.5] * 8)
    assert priorities(buffer) == [0.5] * 8


@pytest.mark.parametrize("how", ["state", "pickle", "deepcopy"])
def test_stamps_are_part_of_the_state(how: str) -> None:
    buffer = make(seed=0)
    slots = buffer.get_balanced_data(8, return_index=True)[-1].tolist()
    overwrite(buffer)
    buffer.update_priorities(slots[:4], [2.0] * 4)
    other = BalancedBuffer(8)
    match how:
        case "state":
            file = io.BytesIO()
            torch.save(buffer.state_dict(), file)
            file.seek(0)
            other.load_state_dict(torch.load(file, weights_only=True))
        case "pickle":
            other = pickle.loads(pickle.dumps(buffer))
        case _:
            other = copy.deepcopy(buffer)
    for each in (buffer, other):
        each.update_priorities(slots, [0.5] * 8)
        overwrite(each, 300.0)
        each.update_priorities(slots, [0.25] * 8)
    assert priorities(buffer) == priorities(other)
    assert str(buffer.report()) == str(other.report())


def test_nothing_applied_is_no_prioritised_replay() -> None:
    buffer = make(seed=0)
    buffer.update_priorities([], [])
    assert not buffer._balance.prioritised


@pytest.mark.parametrize(
    ("stamps", "error", "message"),
    [
        ([1], ValueError, "stamps must"),
        ([0.5, 1.5], TypeError, "stamps must be integers, but the dtype is float64"),
    ],
)
def test_wrong_stamps(stamps: Any, error: type[Exception], message: str) -> None:
    buffer = make()
    with pytest.raises(error, match=message):
        buffer.update_priorities([1, 2], [0.5, 0.5], stamps=stamps)
    assert priorities(buffer) == [1.0] * 8
