"""The one front end on a terminal: consoles, plain lines, progress bars. rich is imported when it is used.

Rule: results go to stdout, progress and warnings to stderr, so that results can be piped. Where stdout is no
terminal, tables are as wide as COLUMNS says, else 80 characters.
"""

import shutil
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

__all__ = ["make_bars", "say", "stderr_console", "stdout_console"]

PLAIN_SIZE = (80, 24)
REFRESHES_PER_SECOND = 5


def stdout_console() -> "Console":
    """Return a console for results."""
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = shutil.get_terminal_size(PLAIN_SIZE).columns
    return console


def stderr_console() -> "Console":
    """Return a console for progress and warnings."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def say(console: "Console", lines: Iterable[str]) -> None:
    """Print lines as they are: not cut, and brackets are no markup."""
    for line in lines:
        console.print(line, soft_wrap=True, markup=False)


def make_bars(*, width: int = 32, has_clock: bool = True, needs_terminal: bool = True) -> "Progress":
    """Return progress bars on stderr, to be started; each task has a field ``note``, shown behind its bar.

    Parameters
    ----------
    width : int
        Of a bar, in characters.
    has_clock : bool
        Whether the time since its start stands beside a bar.
    needs_terminal : bool
        Whether nothing is shown where stderr is no terminal.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = stderr_console()
    return Progress(
        TextColumn("{task.description:<18}"),
        BarColumn(bar_width=width),
        MofNCompleteColumn(),
        *([TimeElapsedColumn()] if has_clock else []),
        TextColumn("{task.fields[note]}"),
        console=console,
        disable=needs_terminal and not console.is_terminal,
        refresh_per_second=REFRESHES_PER_SECOND,
    )
