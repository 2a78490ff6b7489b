"""One way to draw a picture: the package's look, without a display, written whole or not at all.

Colours are those of Okabe and Ito (2008), which colour-blind readers tell apart. matplotlib is imported when
a picture is drawn.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tombola._base.files import replacing
from tombola._base.plot_style import STYLE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["BLUE", "GREEN", "GREY", "INK", "ORANGE", "PURPLE", "RED", "SKY", "picture"]

INK, GREY = "#333333", "#999999"
BLUE, SKY, GREEN, ORANGE, RED, PURPLE = "#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00", "#CC79A7"


@contextmanager
def picture(
    path: Path, *, size: tuple[float, float], title: str, title_size: float = 14, dpi: int = 130
) -> Iterator["Figure"]:
    """Give a figure to draw on; on leaving without an exception it becomes the file `path`.

    Parameters
    ----------
    path : Path
        The suffix says the format, such as ``.png``.
    size : (float, float)
        Width and height in inches.
    title : str
        Over all.
    title_size : float
        In points.
    dpi : int
        Dots an inch.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE), replacing(path) as temporary:
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        figure.suptitle(title, fontsize=title_size, fontweight="bold")
        figure.savefig(temporary, dpi=dpi)
