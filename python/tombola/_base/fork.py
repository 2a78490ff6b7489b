"""What a fork must not leave behind: the one place of the package that follows a fork of the process.

A fork copies memory, but only the thread that forks. A lock that another thread held would stay locked in the
child for ever, threads that a library counts on are not there, and open files are shared with the parent. So

- `ForkLock` is a lock that a child gets open, and `ForkLock(reentrant=True)` one that its holder may take
  again;
- `in_forked_child` names a function that a child calls before anything else runs in it, `before_fork` one
  that a process calls before it forks;
- `forks` counts the forks between this process and the first one, so that what was made before the last of
  them is known by an older count.

Processes that are spawned begin anew and need none of it.
"""

import os
import threading
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Any

__all__ = ["ForkLock", "before_fork", "forks", "in_forked_child"]

_locks: "weakref.WeakSet[ForkLock]" = weakref.WeakSet()
_renewals: list[Callable[[], object]] = []
_preparations: list[Callable[[], object]] = []
_forks = 0


class ForkLock:
    """A lock for `with`; new and open in a forked child, and after pickling.

    What it guards may be half changed in the child, if another thread was changing it when the process
    forked: guard what is valid at every step, or look at `forks`.
    """

    def __init__(self, *, reentrant: bool = False) -> None:
        self._make: Callable[[], Any] = threading.RLock if reentrant else threading.Lock
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

    def __reduce__(self) -> tuple[Callable[[bool], "ForkLock"], tuple[bool]]:
        return _new_lock, (self._make is threading.RLock,)

    def _renew(self) -> None:
        self._lock = self._make()


def _new_lock(reentrant: bool) -> ForkLock:
    return ForkLock(reentrant=reentrant)


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


def _forked() -> None:
    global _forks
    _forks += 1
    for lock in list(_locks):
        lock._renew()
    for function in _renewals:
        function()


def _prepare() -> None:
    for function in _preparations:
        function()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_prepare, after_in_child=_forked)
