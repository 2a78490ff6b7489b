"""What one sees of training: bars on a terminal, lines elsewhere, TensorBoard where it is installed.

Rule: nothing here changes training. Bars and lines go to stderr; without a terminal, one line a mini epoch
and one every 30 seconds within it. rich and TensorBoard are imported when they are first used.
"""

import importlib.util
import logging
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from .._base.console import make_bars, say
from .chunks import Chunk

__all__ = ["Board", "Console", "NoBoard", "make_board", "make_console"]

LINE_SECONDS = 30.0

_logger = logging.getLogger("tombola.training")


class Console(Protocol):
    """Shows how training goes."""

    def say(self, line: str) -> None:
        """Say a line."""

    def begin(self, chunk: Chunk, n_epochs: int, batch: int, length: int | None) -> None:
        """Begin, or go on with, a mini epoch."""

    def step(self, batch: int, rate: float, loss: float | None) -> None:
        """Show how far the mini epoch is."""

    def record(self, record: Mapping[str, Any], is_best: bool) -> None:
        """Show what came of a mini epoch or a validation."""

    def close(self) -> None:
        """End."""


def make_console(kind: str) -> Console:
    """Return a console: by "auto", bars where stderr is a terminal, and lines elsewhere."""
    if kind == "none":
        return _NoConsole()
    if kind == "rich" or (kind == "auto" and sys.stderr.isatty()):
        return _Bars()
    return _Lines()


class _NoConsole:
    def say(self, line: str) -> None:
        _logger.info(line)

    def begin(self, chunk: Chunk, n_epochs: int, batch: int, length: int | None) -> None:
        pass

    def step(self, batch: int, rate: float, loss: float | None) -> None:
        pass

    def record(self, record: Mapping[str, Any], is_best: bool) -> None:
        pass

    def close(self) -> None:
        pass


class _Counted:
    """Which mini epoch of how many this is, and the time that is left for all."""

    def __init__(self) -> None:
        self.title = ""
        self.length: int | None = None
        self._number, self._total, self._first, self._began = 0, 1, 0, time.monotonic()

    def begin(self, chunk: Chunk, n_epochs: int, batch: int, length: int | None) -> None:
        self._number = chunk.epoch * chunk.n_chunks + chunk.index
        self._total = n_epochs * chunk.n_chunks
        if not self.title:
            self._first, self._began = self._number, time.monotonic()
        self.title = f"mini epoch {self._number + 1} of {self._total}"
        self.length = length

    def left(self, share: float) -> str:
        """Return the time left for all mini epochs, where `share` of this one is done."""
        done = self._number + share - self._first
        if done < 0.01:
            return "-:--"
        seconds = (time.monotonic() - self._began) * (self._total - self._number - share) / done
        minutes, rest = divmod(int(seconds), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02}:{rest:02}"

    def summary(self, record: Mapping[str, Any], is_best: bool) -> str:
        """Return a record on one line."""
        shown = [
            f"{name} {value:.6g}"
            for name, value in record.items()
            if isinstance(value, float) and name not in ("seconds", "batches_per_second")
        ]
        within = f", batch {record['batch']}" if record["kind"] == "batch" else ""
        rate = f"{record['batches_per_second']:,.0f} batches/s"
        return ", ".join([f"{self.title}{within}", *shown, rate, *(["best"] if is_best else [])])


class _Lines(_Counted):
    def __init__(self) -> None:
        super().__init__()
        self._next = time.monotonic() + LINE_SECONDS

    def say(self, line: str) -> None:
        _say(line)

    def step(self, batch: int, rate: float, loss: float | None) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + LINE_SECONDS
        of = "" if self.length is None else f" of {self.length}"
        left = "" if not self.length else f", {self.left(batch / self.length)} left"
        said = "" if loss is None else f", loss {loss:.6g}"
        _say(f"{self.title}: batch {batch}{of}{said}, {rate:,.0f} batches/s{left}")

    def record(self, record: Mapping[str, Any], is_best: bool) -> None:
        self._next = time.monotonic() + LINE_SECONDS
        _say(f"{self.summary(record, is_best)}, {self.left(1.0)} left")

    def close(self) -> None:
        pass


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class _Bars(_Counted):
    def __init__(self) -> None:
        super().__init__()
        self._bars = make_bars(width=24, has_clock=False, needs_terminal=False)
        self._bars.start()
        self._task = self._bars.add_task("", total=None, note="")

    def say(self, line: str) -> None:
        say(self._bars.console, [line])

    def begin(self, chunk: Chunk, n_epochs: int, batch: int, length: int | None) -> None:
        super().begin(chunk, n_epochs, batch, length)
        self._bars.reset(self._task, total=length, completed=batch, description=self.title, note="")

    def step(self, batch: int, rate: float, loss: float | None) -> None:
        share = batch / self.length if self.length else 0.0
        said = "" if loss is None else f"loss {loss:.4g}  "
        note = f"{said}{rate:,.0f} batches/s  {self.left(share)} left"
        self._bars.update(self._task, completed=batch, note=note)

    def record(self, record: Mapping[str, Any], is_best: bool) -> None:
        self._bars.update(self._task, completed=record["batch"])
        say(self._bars.console, [self.summary(record, is_best)])

    def close(self) -> None:
        self._bars.update(self._task, visible=False)
        self._bars.stop()


class Board(Protocol):
    """Where numbers are drawn as curves."""

    def add(self, values: Mapping[str, Any], step: int) -> None:
        """Add the numbers among some values."""

    def close(self) -> None:
        """Write out what is left."""


class NoBoard:
    """Draws nothing."""

    def add(self, values: Mapping[str, Any], step: int) -> None:
        """Add nothing."""

    def close(self) -> None:
        """Write nothing."""


class _TensorBoard:
    def __init__(self, folder: Path, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        # What an interrupted run drew beyond the checkpoint is drawn again.
        self._writer: Any = SummaryWriter(str(folder), purge_step=step)

    def add(self, values: Mapping[str, Any], step: int) -> None:
        for name, value in values.items():
            if isinstance(value, float):
                self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


def make_board(wanted: Any, folder: Path, step: int) -> Board:
    """Return TensorBoard if it is wanted, or by "auto" if it is installed.

    Raises
    ------
    ModuleNotFoundError
        If it is wanted and not installed.
    """
    if wanted is False:
        return NoBoard()
    if importlib.util.find_spec("tensorboard") is None:
        if wanted == "auto":
            return NoBoard()
        msg = "tensorboard=True needs TensorBoard: pip install 'tombola[tensorboard]'"
        raise ModuleNotFoundError(msg)
    return _TensorBoard(folder, step)
