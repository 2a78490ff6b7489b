"""What the commands share on the terminal: consoles, warnings, progress bars.

Results go to stdout, progress and warnings to stderr, so that results can be piped. Where stdout is no
terminal, tables are as wide as they need to be.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from tombola.experiments import RunResult

__all__ = ["StrategyProgress", "progress", "stderr_console", "stdout_console", "warn"]

PLAIN_WIDTH = 160
SHOWN_EVERY = 20


def stdout_console() -> Console:
    """Return a console for results."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = max(PLAIN_WIDTH, shutil.get_terminal_size().columns)
    return console


def stderr_console() -> Console:
    """Return a console for progress and warnings."""
    return Console(stderr=True, highlight=False)


def warn(messages: Sequence[str]) -> None:
    """Say each on a line of its own on stderr."""
    console = stderr_console()
    for message in messages:
        console.print(Text.assemble(("warning: ", "yellow"), message), soft_wrap=True)


@contextmanager
def progress() -> Iterator[Progress]:
    """Show progress bars on stderr for as long as the context lasts; nothing where it is no terminal."""
    console = stderr_console()
    columns = (
        TextColumn("{task.description:<18}"),
        BarColumn(bar_width=32),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        yield bars


class StrategyProgress:
    """Shows each strategy as a bar of batches, with its cells a second and loss.

    Parameters
    ----------
    bars : Progress
        Where to show them.
    """

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._task: TaskID | None = None
        self._steps = 0

    def begin(self, strategy: str, n_steps: int) -> None:
        """Add a strategy's bar."""
        self._task = self._bars.add_task(strategy, total=n_steps, note="")
        self._steps = 0

    def step(self, n_rows: int, loss: float) -> None:
        """Count a batch; the bar moves every few of them."""
        self._steps += 1
        if self._task is not None and self._steps % SHOWN_EVERY == 0:
            self._bars.update(self._task, completed=self._steps, note=f"loss {loss:.2f}")

    def end(self, result: RunResult) -> None:
        """Fill the bar, or say that the strategy is done where there are no bars."""
        note = f"{result.cells_per_second:,.0f} cells/s"
        if self._bars.disable:
            self._bars.console.print(f"{result.strategy}: {result.seconds:.1f} s, {note}", soft_wrap=True)
        elif self._task is not None:
            self._bars.update(self._task, completed=self._steps, note=note)
