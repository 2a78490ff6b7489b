"""What a fork must not leave behind: the one place of the package that follows a fork of the process.

A fork copies memory, but only the thread that forks. A lock that another thread held would stay locked in the
child for ever, threads that a library counts on are not there, and open files are shared with the parent. So

- `ForkLock` is a lock that a child gets open, `ForkLock(reentrant=True)` one that its holder may take again,
  and with ``settle=True`` a fork waits a while until no other thread holds it: what it guards is then whole;
- `in_forked_child` names a function that a child calls before anything else runs in it, `before_fork` one
  that a process calls before it forks;
- `forks` counts the forks between this process and the first one, so that what was made before the last of
  them is known by an older count.

Before 3.11.10 Python itself leaves a lock behind, https://github.com/python/cpython/issues/112275: that of
its list of threads, which threads of libraries take as they begin to run Python, as those of
torch.distributed do. A child that finds it held waits without end. So a fork waits here for whoever holds it,
which leaves an instant for others to take it: `findings/python-locks-up-forked-children.sh` counts.

Processes that are spawned begin anew and need none of it.
"""

import os
import sys
import threading
import time
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Any

__all__ = ["ForkLock", "before_fork", "forks", "in_forked_child"]

LONGEST_WAIT = 1.0
"""Seconds that a fork waits for all locks together: whoever holds one may wait for the thread that forks."""

_locks: "weakref.WeakSet[ForkLock]" = weakref.WeakSet()
_renewals: list[Callable[[], object]] = []
_preparations: list[Callable[[], object]] = []
_forks = 0
_held = threading.local()


class ForkLock:
    """A lock for `with`; new and open in a forked child, and after pickling.

    What it guards may be half changed in the child, if another thread was changing it when the process
    forked: guard what is valid at every step, or look at `forks`. ``settle=True``, for reentrant locks that
    are not held for long, makes that rare.
    """

    def __init__(self, *, reentrant: bool = False, settle: bool = False) -> None:
        self._make: Callable[[], Any] = threading.RLock if reentrant else threading.Lock
        self._settle = reentrant and settle  # the thread that forks may hold it
        self._lock: Any = self._make()
        _locks.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.release()

    def __reduce__(self) -> tuple[Callable[[bool, bool], "ForkLock"], tuple[bool, bool]]:
        return _new_lock, (self._make is threading.RLock, self._settle)

    def _renew(self) -> None:
        self._lock = self._make()


def _new_lock(reentrant: bool, settle: bool) -> ForkLock:
    return ForkLock(reentrant=reentrant, settle=settle)


def in_forked_child(function: Callable[[], object]) -> Callable[[], object]:
    """Let a forked child call `function`; a decorator, for functions that last as long as the process."""
    _renewals.append(function)
    return function


def before_fork(function: Callable[[], object]) -> Callable[[], object]:
    """Let this process call `function` before it forks; a decorator, for functions that last as long."""
    _preparations.append(function)
    return function


def forks() -> int:
    """Return the number of forks that lead from the first process of this program's start to this one."""
    return _forks


def _about_to_fork() -> None:
    for function in _preparations:
        function()
    until = time.monotonic() + LONGEST_WAIT
    _held.locks = []
    for lock in list(_locks):
        if lock._settle:
            inner = lock._lock
            if inner.acquire(timeout=max(0.0, until - time.monotonic())):
                _held.locks.append(inner)
    if sys.version_info < (3, 11, 10):
        sys._current_frames()  # takes the lock of the list of threads, and gives it back


def _has_forked() -> None:
    for inner in _held.locks:
        inner.release()
    _held.locks = []


def _forked() -> None:
    global _forks
    _forks += 1
    _held.locks = []
    for lock in list(_locks):
        lock._renew()
    for function in _renewals:
        function()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_about_to_fork, after_in_parent=_has_forked, after_in_child=_forked)
