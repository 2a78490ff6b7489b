"""SIGTERM, SIGUSR1 and Ctrl-C ask training to save and stop; handlers are put back afterwards.

Rule: a handler only notes the signal. Training looks at the note between batches. Ctrl-C a second time raises
KeyboardInterrupt, or does what it did before, as a loader that hangs never comes to look. Notes can be taken
within one another: all of them learn of a signal. Handlers can be set in the main thread only; elsewhere
signals do what they did before. SIGINT stays ignored where it was, as in jobs in the background.

torchrun hands on the Ctrl-C that its processes had from the terminal: what comes at once is the same one.
"""

import os
import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

__all__ = ["SignalNote"]

_SAME_SECONDS = 1.0
"""Within these a second SIGINT under torchrun is the first one, handed on."""


class SignalNote:
    """Notes SIGTERM, SIGUSR1 and SIGINT for as long as the context lasts."""

    def __init__(self) -> None:
        self.received: int = 0
        self._before: dict[int, Any] = {}
        self._interrupted: float | None = None

    def __enter__(self) -> "SignalNote":
        if threading.current_thread() is threading.main_thread():
            for name in ("SIGTERM", "SIGUSR1", "SIGINT"):
                number = getattr(signal, name, None)  # Windows has no SIGUSR1
                if number is None:
                    continue
                before = signal.getsignal(number)
                if number == signal.SIGINT and before in (signal.SIG_IGN, None):
                    continue
                self._before[number] = before  # known before it is needed
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
        before = self._before[number]
        is_noted = isinstance(getattr(before, "__self__", None), SignalNote)
        if number == signal.SIGINT and self._is_second():
            if not callable(before):
                raise KeyboardInterrupt
            before(number, frame)
            return
        self.received = number
        if is_noted:
            before(number, frame)

    def _is_second(self) -> bool:
        """Tell whether Ctrl-C was pressed before."""
        now = time.monotonic()
        if self._interrupted is None:
            self._interrupted = now
            return False
        return "TORCHELASTIC_RUN_ID" not in os.environ or now - self._interrupted > _SAME_SECONDS
