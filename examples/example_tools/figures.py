"""One look for all pictures; drawn without a display, written whole.

Colours are those of Okabe and Ito (2008), which colour-blind readers tell apart.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tombola._base.files import replacing
from tombola._base.plot_style import STYLE

__all__ = ["INK", "STYLE", "save_figure", "show_percent"]

INK = "#333333"


@contextmanager
def save_figure(path: Path, size: tuple[float, float], title: str) -> Iterator[Figure]:
    """Give an empty figure to draw in; on leaving without an exception it is written to `path`."""
    with mpl.rc_context(STYLE), replacing(path) as temporary:
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        figure.suptitle(title, fontsize=13, fontweight="bold", x=0.01, ha="left")
        yield figure
        figure.savefig(temporary, dpi=150)


def show_percent(axis: Axis) -> None:
    """Write shares as percent, at round places only, so that no label is rounded."""
    axis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(lambda share, _place: f"{100 * share:.4g}%")
