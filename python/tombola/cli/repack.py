"""The command `tombola repack`: write h5ad files anew in a layout that loads fast."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.progress import Progress, TaskID

from tombola._base.console import make_bars, say, stdout_console
from tombola.repacking import RepackOptions, RepackResult, repack

from .console import warn

__all__ = ["parse_memory", "repack_files"]

_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def repack_files(paths: Sequence[Path], output: Path, options: RepackOptions) -> RepackResult:
    """Write the output with progress bars, and say what came of it.

    Raises
    ------
    ValueError, OSError
        If an option or a file does not do.
    """
    try:
        with make_bars() as bars, _quiet():
            result = repack(paths, output, options=options, report=_Bars(bars))
    except KeyboardInterrupt:
        warn([f"{output}.part keeps what is done; the same call goes on with it"])
        raise
    warn(result.notes)
    say(stdout_console(), _summary(result, options))
    return result


def parse_memory(text: str) -> int:
    """Return the bytes that "512 MB", "2g" or a plain number mean; units are powers of 1,024.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    short = text.strip().lower().removesuffix("b").removesuffix("i")
    unit = short[-1:] if short[-1:] in _UNITS else ""
    number = short.removesuffix(unit).strip()
    if not number.isdigit():
        msg = f'memory must be like "512 MB" or "2 GB", but is {text!r}'
        raise ValueError(msg)
    return int(number) * _UNITS[unit]


class _Bars:
    """A bar for each step."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        if what not in self._tasks:
            self._tasks[what] = self._bars.add_task(what, total=total, note="rows")
        self._bars.update(self._tasks[what], completed=done)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep notes out of the log while bars are shown: they are said behind them."""
    logger = logging.getLogger("tombola.repacking")
    was, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = was


def _summary(result: RepackResult, options: RepackOptions) -> list[str]:
    order = f"shuffled with seed {options.seed}; {options.row_column!r} has the rows of the inputs"
    level = "" if options.chosen_level is None else f" {options.chosen_level}"
    checked = "every row compared with the inputs" if options.verify else "not compared with the inputs"
    share = result.bytes_after / max(result.bytes_before, 1)
    return [
        f"written:  {result.path}, {result.n_rows:,} rows, {checked}",
        f"matrices: {', '.join(result.matrices) or 'none'}",
        f"rows:     {order if options.shuffle else 'in their order'}",
        f"chunks:   {options.chunk_values:,} values, {options.compression}{level}",
        f"size:     {result.bytes_after:,} bytes, {share:.2f} of the input's; {result.seconds:,.1f} s",
    ]
