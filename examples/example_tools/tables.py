"""Tables on the terminal."""

from collections.abc import Sequence

import numpy as np
from rich.console import Console

from tombola._base.console import stdout_console
from tombola._base.tables import print_table

__all__ = ["print_table", "result_console", "spread"]


def result_console() -> Console:
    """Return a console for results, by tombola's rules."""
    return stdout_console()


def spread(values: Sequence[float], form: str) -> str:
    """Return the mean, and the standard deviation where there are several."""
    mean = format(float(np.mean(values)), form)
    return mean if len(values) == 1 else f"{mean} ± {format(float(np.std(values, ddof=1)), form)}"
