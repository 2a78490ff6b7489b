"""Which rows land in which batch, drawn: a line a batch, a mark a row, coloured by label.

The first batches of a plan, and of their rows at most so many, evenly spread; the title says what is left
out. Marks stand at the row's number, so that runs, mixing and balance can be seen. Matplotlib is imported
when the first picture is drawn, without a display. O(rows of the batches drawn).
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from .._base.plot_style import STYLE
from .._base.types import IndexArray
from ..labels.classes import Classes
from ..plans.plan import Plan
from .plan_report import Choice, codes_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_plan"]

# Okabe and Ito (2008): colour-blind readers tell them apart.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442")
OTHERS, WINDOWS = "#999999", "#F2F2F2"
_READ_ROWS = 2**20
_MARKS = 450.0  # points that the rows of the whole share
_LARGEST_NAME = 24


class _Drawn(NamedTuple):
    """The marks: batch and row of each, how often it comes there, and of how many rows these are taken."""

    batches: IndexArray
    rows: IndexArray
    times: IndexArray
    n_batches: int
    of_rows: int
    n_rows: int


def draw_plan(
    plan: Plan, choice: Choice, classes: Classes | None, *, max_batches: int, max_rows: int
) -> tuple["Figure", "Axes"]:
    """Return the picture of a plan; see `Plan.plot`.

    Parameters
    ----------
    plan : Plan
    choice : Choice
        What it chooses among.
    classes : Classes or None
        Classes to colour by, of all rows or of those chosen among.
    max_batches, max_rows : int
        Draw no more than these.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    drawn = _read(plan, max_batches, max_rows)
    with mpl.rc_context(STYLE):
        height = float(np.clip(1.4 + 0.16 * drawn.n_batches, 2.4, 9.0))
        figure = Figure(figsize=(9.0, height), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        end = max(1, _end(plan, choice))
        for start in range(0, drawn.n_batches if plan.fetch_factor > 1 else 0, 2 * plan.fetch_factor):
            axes.axhspan(start - 0.5, min(start + plan.fetch_factor, drawn.n_batches) - 0.5, color=WINDOWS)
        width = float(np.clip(_MARKS / end, 1.0, 8.0))
        reach = 0.28 + 0.05 * np.minimum(drawn.times - 1, 4)
        for label, colour, marks in _groups(plan, choice, classes, drawn.rows):
            below, above = drawn.batches + reach, drawn.batches - reach
            axes.vlines(drawn.rows[marks], below[marks], above[marks], colour, lw=width, label=label)
        axes.set_xlim(-0.5 - end / 100, end - 0.5 + end / 100)
        axes.set_ylim(max(1, drawn.n_batches) - 0.5, -0.5)
        axes.xaxis.set_major_formatter(lambda row, _: f"{row:,.0f}")
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(visible=False)
        axes.set_xlabel("row")
        axes.set_ylabel("batch (bands: fetch windows)" if plan.fetch_factor > 1 else "batch")
        axes.set_title(_title(plan, drawn))
        if classes is not None and len(drawn.rows):
            legend = axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), handlelength=0.8)
            for line in legend.get_lines():
                line.set_linewidth(8.0)
    return figure, axes


def _read(plan: Plan, max_batches: int, max_rows: int) -> _Drawn:
    affordable = max(1, _READ_ROWS // plan.batch_size)
    count = min(len(plan), max_batches, affordable)
    rows, offsets = plan.batches(0, count)
    batches = np.repeat(np.arange(count, dtype=np.int64), np.diff(offsets))
    of_rows = len(rows)
    if of_rows > max_rows:
        taken = np.arange(max_rows) * of_rows // max_rows
        rows, batches = rows[taken], batches[taken]
    pairs, times = np.unique(np.stack([batches, rows]), axis=1, return_counts=True)
    return _Drawn(pairs[0], pairs[1], times.astype(np.int64), count, of_rows, len(rows))


def _end(plan: Plan, choice: Choice) -> int:
    """Return the number of rows of the whole, as far as it is known."""
    if plan.n is not None:
        return plan.n
    if choice.indices is None:
        return choice.elements
    return int(choice.indices[-1]) + 1 if len(choice.indices) else 0


def _groups(
    plan: Plan, choice: Choice, classes: Classes | None, rows: IndexArray
) -> list[tuple[str, str, npt.NDArray[np.bool_]]]:
    """Return label, colour and marks of each class, the most frequent ones first, and of all others."""
    if classes is None:
        return [("", COLOURS[0], np.ones(len(rows), dtype=np.bool_))]
    codes, _ = codes_of(plan, choice, classes, rows)
    present, counts = np.unique(codes, return_counts=True)
    missing = len(classes.counts) - 1 if classes.has_missing else -1
    named = present[np.argsort(-counts, kind="stable")]
    named = named[named != missing]
    if len(named) > len(COLOURS):
        named = named[: len(COLOURS) - 1]
    named.sort()
    groups: list[tuple[str, str, npt.NDArray[np.bool_]]] = [
        (_short(classes.name_of(code)), colour, codes == code)
        for code, colour in zip(named.tolist(), COLOURS, strict=False)
    ]
    without = codes == missing
    others = ~np.isin(codes, named) & ~without
    n_others = len(present) - len(named) - int(without.any())
    if n_others:
        groups.append((f"{n_others:,} others", OTHERS, others))
    if without.any():
        groups.append(("missing", "#333333", without))
    return groups


def _short(name: str) -> str:
    # A legend leaves out names that begin with an underscore, and reads mathematics between dollars.
    text = str(name).replace("$", r"\$")
    text = text if len(text) <= _LARGEST_NAME else f"{text[: _LARGEST_NAME - 3]}..."
    return f" {text}" if text.startswith("_") else text


def _title(plan: Plan, drawn: _Drawn) -> str:
    count = len(plan)
    name = type(plan.strategy).__name__
    if drawn.n_batches < count:
        text = f"{name}: the first {drawn.n_batches:,} of {count:,} batches"
    else:
        text = (
            f"{name}: all {count:,} batches" if count > 1 else f"{name}: {count} batch" + "es" * (not count)
        )
    if drawn.n_rows < drawn.of_rows:
        text += f", {drawn.n_rows:,} of their {drawn.of_rows:,} rows"
    return f"{text} (seed {plan.seed}, epoch {plan.epoch})"
