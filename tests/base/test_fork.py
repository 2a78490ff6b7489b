"""A lock that is held when the process forks is open in the child; some are waited for."""

import os
import pickle
import sys
import threading
import time

import pytest

from tombola._base import fork
from tombola._base.fork import ForkLock

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")


def test_it_locks() -> None:
    lock = ForkLock()
    with lock:
        assert lock._lock.locked()
        copy = pickle.loads(pickle.dumps(lock))
        with copy:
            assert copy._lock.locked()
    assert not lock._lock.locked()


@needs_fork
def test_a_child_gets_it_open() -> None:
    lock = ForkLock()
    with lock:
        pid = os.fork()
        if pid == 0:
            os._exit(int(lock._lock.locked()))
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert lock._lock.locked()


@needs_fork
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_waits_until_what_is_guarded_is_whole() -> None:
    lock, numbers, stop = ForkLock(reentrant=True, settle=True), [0, 0], threading.Event()

    def work() -> None:
        while not stop.is_set():
            with lock:
                numbers[0] += 1
                time.sleep(0.001)
                numbers[1] += 1
            time.sleep(0.0002)

    thread = threading.Thread(target=work)
    thread.start()
    codes = []
    for _ in range(20):
        pid = os.fork()
        if pid == 0:
            with lock:
                os._exit(int(numbers[0] != numbers[1]))
        codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    stop.set()
    thread.join()
    assert codes == [0] * 20


@needs_fork
def test_whoever_holds_a_lock_may_fork() -> None:
    lock = ForkLock(reentrant=True, settle=True)
    for each in (lock, pickle.loads(pickle.dumps(lock))):
        with each, each:
            pid = os.fork()
            if pid == 0:
                os._exit(5)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5


@needs_fork
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fork, "LONGEST_WAIT", 0.05)
    lock, here, on = ForkLock(reentrant=True, settle=True), threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            here.set()
            on.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    assert here.wait(60)
    pid = os.fork()
    if pid == 0:
        with lock:
            os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    on.set()
    thread.join()
    with lock:
        pass


@needs_fork
@pytest.mark.skipif(sys.version_info >= (3, 11, 10), reason="there Python makes its lock new in time")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_waits_for_the_lock_of_the_list_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test can hold that lock; `sys._current_frames` takes it and gives it back."""
    taken: list[int] = []
    monkeypatch.setattr(sys, "_current_frames", lambda: taken.append(os.getpid()))
    pid = os.fork()
    if pid == 0:
        os._exit(int(taken != [os.getppid()]))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert taken == [os.getpid()]
