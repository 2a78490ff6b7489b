"""A lock that is held when the process forks is open in the child."""

import os
import pickle

import pytest

from tombola._base.fork import ForkLock


def test_it_locks() -> None:
    lock = ForkLock()
    with lock:
        assert lock._lock.locked()
        copy = pickle.loads(pickle.dumps(lock))
        with copy:
            assert copy._lock.locked()
    assert not lock._lock.locked()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_child_gets_it_open() -> None:
    lock = ForkLock()
    with lock:
        pid = os.fork()
        if pid == 0:
            os._exit(int(lock._lock.locked()))
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert lock._lock.locked()
