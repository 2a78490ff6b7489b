"""The lock of a buffer, which also knows when what it guards is half changed.

A lock keeps other threads out, but two come in all the same: a signal handler, which runs in the middle of
whatever its thread does, and a child that is forked while another thread holds the lock, for it gets it open.
A fork waits for the end of a change, though not for ever (`_base.fork`), and changes are marked while they
last. Who comes in then gets a RuntimeError that says why, and so does a handler that would change what its
own thread is reading. O(1).
"""

from types import TracebackType

from ..._base.fork import ForkLock, forks

__all__ = ["Change", "Guard"]

IN_USE = (
    "a signal handler, or a function that the buffer calls, cannot change the buffer, or use it in the "
    "middle of a change: set a flag there, and look at it after the call"
)
FORKED = (
    "another thread was changing the buffer when this process was forked: empty() or load_state_dict() "
    "begins anew here; or fork while nothing is added or scored"
)
BROKEN_OFF = "a change of the buffer was broken off: empty() or load_state_dict() begins anew"


class Guard:
    """For `with`: what is guarded is whole, and no other thread changes it; `change` is for who changes it.

    The thread that is in may come in again, to read.
    """

    def __init__(self) -> None:
        self._lock = ForkLock(reentrant=True)
        self._changing = ForkLock(reentrant=True, settle=True)  # held during a change only
        self._depth = 0  # how often the thread that is in came in
        self._forks = forks()
        self._reason: str | None = None  # why what is guarded is not whole

    def __reduce__(self) -> tuple[type["Guard"], tuple[()]]:
        return Guard, ()

    def __enter__(self) -> None:
        self._come_in()
        if self._reason is not None:
            reason = self._reason
            self._go()
            raise RuntimeError(reason)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._go()

    def change(self, *, undone: bool = False) -> "Change":
        """Return what marks a change, for `with`, inside of `with` the guard itself.

        Where it is broken off by an error the mark stays, unless `undone` says that what was changed is put
        back, or made up for, by then.
        """
        return Change(self, undone=undone)

    def renew(self) -> "Renewal":
        """Return what comes in, for `with`, to make anew all that is guarded, whole or not."""
        return Renewal(self)

    def _come_in(self) -> None:
        self._lock.__enter__()
        if self._forks != forks():  # whoever was in is not in this process
            self._forks, self._depth = forks(), 0
            if self._reason == IN_USE:
                self._reason = FORKED
        self._depth += 1

    def _go(self) -> None:
        self._depth -= 1
        self._lock.__exit__(None, None, None)

    def _begin(self) -> None:
        if self._depth != 1:
            raise RuntimeError(IN_USE)
        self._changing.__enter__()
        self._reason = IN_USE

    def _end(self, reason: str | None) -> None:
        self._reason = reason
        self._changing.__exit__(None, None, None)


class Change:
    """A change of what is guarded, for `with`; may lie in another one."""

    def __init__(self, guard: Guard, *, undone: bool) -> None:
        self._guard = guard
        self._undone = undone
        self._outermost = False

    def __enter__(self) -> None:
        self._outermost = self._guard._reason is None
        if self._outermost:
            self._guard._begin()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        guard = self._guard
        broken_off = guard._reason == BROKEN_OFF or (error is not None and not self._undone)
        if self._outermost:
            guard._end(BROKEN_OFF if broken_off else None)
        elif broken_off:
            guard._reason = BROKEN_OFF


class Renewal:
    """The making anew of all that is guarded, for `with`."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._before: str | None = None

    def __enter__(self) -> None:
        guard = self._guard
        guard._come_in()
        self._before = guard._reason
        try:
            guard._begin()
        except RuntimeError:
            guard._go()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._guard._end(None if error is None else self._before)
        self._guard._go()
