"""SIGTERM and SIGUSR1 ask training to save and stop; handlers are put back afterwards.

Rule: a handler only notes the signal. Training looks at the note between batches. Notes can be taken within
one another: all of them learn of a signal. Handlers can be set in the main thread only; elsewhere signals do
what they did before.
"""

import logging
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

__all__ = ["SignalNote"]

_logger = logging.getLogger("tombola.training")


class SignalNote:
    """Notes SIGTERM and SIGUSR1 for as long as the context lasts."""

    def __init__(self) -> None:
        self.received: int = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "SignalNote":
        if threading.current_thread() is threading.main_thread():
            for name in ("SIGTERM", "SIGUSR1"):
                number = getattr(signal, name, None)  # Windows has no SIGUSR1
                if number is not None:
                    self._before[number] = before = signal.getsignal(number)  # known before it is needed
                    signal.signal(number, self._note)
                    outer = getattr(before, "__self__", None)
                    if isinstance(outer, SignalNote):
                        self.received = self.received or outer.received
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        before = self._before[number]
        if isinstance(getattr(before, "__self__", None), SignalNote):
            before(number, frame)
