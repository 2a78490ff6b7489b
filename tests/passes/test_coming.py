"""The coming pass, as whoever says epochs moves it."""

import pytest

from tombola.passes.coming import Coming, SharedComing
from tombola.passes.position import Position


def count(coming: Coming, completed: int) -> int:
    """Say what a count of completed passes says before a pass, twice as some do; begin that pass."""
    for _ in range(2):
        coming.set_epoch(completed, is_counted=True)
    epoch = coming.start.epoch
    coming.begin(coming.start)
    return epoch


def test_a_count_of_completed_passes_stands_still_where_one_is_broken_off() -> None:
    coming = Coming()
    assert [count(coming, completed) for completed in (0, 0, 0, 1, 2, 2, 3)] == [0, 1, 2, 3, 4, 5, 6]


def test_a_wish_is_taken_at_its_word() -> None:
    coming = Coming()
    assert [count(coming, 0) for _ in range(3)] == [0, 1, 2]
    for _ in range(2):
        coming.set_epoch(1)  # again and again
        assert coming.start == Position(1)
        assert [count(coming, 1), count(coming, 1), count(coming, 2)] == [1, 2, 3]


def test_a_pass_begun_before_the_first_count_is_that_which_is_counted() -> None:
    coming = Coming()
    coming.begin(coming.start)
    assert [count(coming, completed) for completed in (0, 1, 1)] == [0, 1, 2]


def test_counts_go_on_from_a_loaded_state() -> None:
    coming = Coming()
    coming.load(Position(3).advanced(1, 5))
    assert [count(coming, completed) for completed in (0, 1, 1, 2)] == [3, 4, 5, 6]


@pytest.mark.parametrize("lag", [None, 2])
def test_workers_are_told_all_of_it(lag: int | None) -> None:
    shared = SharedComing()
    with shared.change() as coming:
        coming.load(Position(3).advanced(2, 5))
        coming.lag = lag
    assert shared.read() == coming
