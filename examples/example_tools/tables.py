"""Tables on the terminal."""

from collections.abc import Sequence

import numpy as np
from rich.console import Console

__all__ = ["result_console", "spread"]

PLAIN_WIDTH = 120


def result_console() -> Console:
    """Return a console for results; where stdout is no terminal, tables are as wide as they need to be."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    return console


def spread(values: Sequence[float], form: str) -> str:
    """Return the mean, and the standard deviation where there are several."""
    mean = format(float(np.mean(values)), form)
    return mean if len(values) == 1 else f"{mean} ± {format(float(np.std(values, ddof=1)), form)}"
