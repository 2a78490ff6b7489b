"""The record of the coming pass: set, loaded, joined by workers, copied."""

import os
import pickle
import signal

import pytest

from tombola import Position
from tombola._base.fork import forks
from tombola.passes.coming import Coming, SharedComing


def test_set_epoch_and_loaded_states() -> None:
    coming = Coming()
    assert not coming.set_epoch(4)
    assert coming.start == Position(4)
    coming.load(Position(2, ((1, 3),)))
    assert coming.set_epoch(0)  # overruled
    assert coming.start == Position(2, ((1, 3),))
    coming.begin(coming.start)
    assert (coming.start, coming.offset) == (Position(3), 2)
    coming.set_epoch(1)
    assert coming.start == Position(3)


def test_workers_of_one_pass_join_it() -> None:
    coming = Coming()
    coming.load(Position(1).advanced(2, 5))
    assert [coming.join("7 1", None) for _ in range(3)] == [Position(1, ((2, 5),))] * 3
    assert coming.start == Position(2)
    coming.set_epoch(9)  # while a worker is late
    assert coming.join("7 1", None) == Position(1, ((2, 5),))
    assert coming.start == Position(9)
    assert [coming.join("7 2", None) for _ in range(4)] == [Position(9)] * 4
    assert coming.join("7 1", None) == Position(1, ((2, 5),))  # even later
    assert coming.join("8 1", Position(3).advanced(2, 1)) == Position(3, ((2, 1),))
    assert coming.start == Position(4)
    for number in range(100):
        coming.join(f"9 {number}", None)
    assert len(coming.joined) < 40


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_forked_process_goes_its_own_way() -> None:
    shared = SharedComing()
    with shared.change() as coming:
        coming.set_epoch(3)
    pid = os.fork()
    if pid == 0:
        with shared.change() as coming:
            is_right = coming.start == Position(3)
            coming.set_epoch(8)
        os._exit(int(not (is_right and shared.read().start == Position(8))))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert shared.read().start == Position(3)


def test_a_copy_goes_its_own_way() -> None:
    shared = SharedComing()
    with shared.change() as coming:
        coming.load(Position(3, ((1, 1, 2, 1),)))
    copy = pickle.loads(pickle.dumps(shared))
    assert copy.read() == shared.read()
    with copy.change() as coming:
        coming.set_epoch(1)
        coming.begin(coming.start)
    assert (copy.read().start, shared.read().start) == (Position(4), Position(3, ((1, 1, 2, 1),)))


def test_descriptors_are_given_back() -> None:
    folder = "/proc/self/fd"
    if not os.path.isdir(folder):  # noqa: PTH112
        pytest.skip("no list of open files on this platform")
    before = len(os.listdir(folder))  # noqa: PTH208
    for _ in range(20):
        pickle.loads(pickle.dumps(SharedComing()))
    assert len(os.listdir(folder)) == before  # noqa: PTH208


def test_an_error_while_it_is_changed_changes_nothing() -> None:
    shared = SharedComing()
    with pytest.raises(RuntimeError, match="early"), shared.change() as coming:  # noqa: PT012
        coming.set_epoch(3)
        raise RuntimeError("early")
    assert shared.read().start == Position(0)


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


def test_a_forked_process_goes_on_from_where_they_parted() -> None:
    shared = SharedComing()
    ready, go = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.read(ready, 1)  # until the parent has moved on
        os._exit(int(shared.read().start != Position(0)))
    with shared.change() as coming:
        coming.set_epoch(5)
    os.write(go, b"g")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(ready)
    os.close(go)


def test_a_record_is_read_whole_while_others_write_it() -> None:
    shared = SharedComing()
    pids = [os.fork() for _ in range(2)]
    if 0 in pids:
        os._exit(_write_on(shared))
    for _ in range(2_000):
        assert shared.read().start.epoch % 7 == 0
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids] == [0, 0]


def _write_on(shared: SharedComing) -> int:
    shared._made = forks()  # as a worker does: the record stays the parent's
    for number in range(2_000):
        with shared.change() as coming:
            coming.joined = {"key" * (number % 50): Position(number)}
            coming.set_epoch(7 * number)
    return 0


def test_a_signal_handler_may_ask() -> None:
    shared = SharedComing()
    asked = []
    before = signal.signal(signal.SIGUSR1, lambda *_: asked.append(shared.read().start))
    try:
        with shared.change() as coming:
            coming.set_epoch(2)
            os.kill(os.getpid(), signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert asked == [Position(0)]
    assert shared.read().start == Position(2)
