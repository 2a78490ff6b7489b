"""A buffer's report as one picture: groups, drawn beside expected shares, scores. Drawn without a display."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._base.plot_style import STYLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .buffer.report import BufferReport

__all__ = ["plot_report"]

# Okabe and Ito (2008): colour-blind readers tell them apart.
STORED, DRAWN, EXPECTED = "#999999", "#0072B2", "#D55E00"
_MOST_GROUPS = 30


def plot_report(report: "BufferReport", path: Path) -> None:
    """Write the picture of a report; beyond 30 groups, of the 30 largest."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(13, 4), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(1, 3)
        rows = sorted(report["group_table"].items(), key=lambda item: -item[1]["items"])[:_MOST_GROUPS]
        _draw_groups(axes[0], rows)
        _draw_shares(axes[1], rows, replace=report["replace"])
        _draw_scores(axes[2], report)
        figure.savefig(path, dpi=150)


def _draw_groups(axes: "Axes", rows: list[tuple[int, dict[str, Any]]]) -> None:
    axes.bar(range(len(rows)), [row["items"] for _, row in rows], color=STORED)
    _name_groups(axes, rows)
    _count(axes, "items stored")
    axes.set_title("Semantic groups, largest first")


def _draw_shares(axes: "Axes", rows: list[tuple[int, dict[str, Any]]], *, replace: bool) -> None:
    places = np.arange(len(rows))
    so_far = bool(rows) and not np.isnan(rows[0][1]["drawn"])
    axes.bar(places, [row["stored"] for _, row in rows], 0.85, color=STORED, alpha=0.4, label="stored")
    if so_far:
        axes.bar(places, [row["drawn"] for _, row in rows], 0.5, color=DRAWN, label="drawn")
    expected = [row["expected" if so_far else "next"] for _, row in rows]
    label = "expected" if replace else "expected of independent draws"
    axes.plot(places, expected, "_", color=EXPECTED, markersize=14, markeredgewidth=2, label=label)
    _name_groups(axes, rows)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set_title("Share of draws" if so_far else "Share of the next draw")
    if rows:
        axes.legend()


def _draw_scores(axes: "Axes", report: "BufferReport") -> None:
    """Draw scores by their logarithms: a logarithmic axis has one label or none where scores are near."""
    from matplotlib.ticker import MaxNLocator

    histogram = report["score_histogram"]
    if histogram["counts"]:
        axes.stairs(histogram["counts"], histogram["edges"], fill=True, color=DRAWN, alpha=0.7)
        axes.axvline(0.0, color=EXPECTED, linestyle="--", linewidth=1)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(lambda power, _: f"{10**power:.2g}")
    axes.set_xlabel("score over its mean (dashed)")
    _count(axes, "items")
    axes.set_title("Scores")


def _count(axes: "Axes", label: str) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel(label)


def _name_groups(axes: "Axes", rows: list[tuple[int, dict[str, Any]]]) -> None:
    axes.set_xticks(range(len(rows)), [str(group) for group, _ in rows])
    axes.tick_params(axis="x", labelsize=10 if len(rows) <= 15 else 6)
    axes.set_xlabel("group")
    axes.grid(visible=False, axis="x")
