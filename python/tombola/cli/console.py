"""What the commands say besides results: warnings, and how far the six strategies are."""

from collections.abc import Sequence

from rich.progress import Progress, TaskID
from rich.text import Text

from tombola._base.console import say, stderr_console
from tombola.experiments import RunResult

__all__ = ["StrategyProgress", "warn"]

SHOWN_EVERY = 20


def warn(messages: Sequence[str]) -> None:
    """Say each on a line of its own on stderr."""
    console = stderr_console()
    for message in messages:
        console.print(Text.assemble(("warning: ", "yellow"), message), soft_wrap=True)


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
        self._name = ""

    def begin(self, strategy: str, n_steps: int) -> None:
        """Add a strategy's bar."""
        self._name = strategy
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
            say(self._bars.console, [f"{self._name}: {result.seconds:.1f} s, {note}"])
        elif self._task is not None:
            self._bars.update(self._task, completed=self._steps, note=note)
