"""Bars of strategies: means of runs, how far they spread, each run as a dot. Complexity: O(rows)."""

import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ..pictures import GREY, INK
from .plots import COLOURS, short_number
from .reading import BASELINE, tasks_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["GUESS", "by_strategy", "deviation", "draw_bars", "draw_scores", "draw_throughput", "mean"]

Rows: TypeAlias = list[dict[str, Any]]
GUESS = "majority class"


def draw_scores(axes: "Axes", rows: Rows, measure: str, title: str) -> None:
    """Draw a group of bars a task, with deviations, and the baseline over each group."""
    tasks = tasks_of(rows)
    places = np.arange(len(tasks))
    columns = [by_strategy(rows, f"{measure}_{task}") for task in tasks]
    width = 0.84 / len(columns[0])
    for position, strategy in enumerate(columns[0]):
        values = [column.get(strategy, []) for column in columns]
        axes.bar(
            places - 0.42 + (position + 0.5) * width,
            [mean(some) for some in values],
            0.9 * width,
            yerr=[deviation(some) or 0.0 for some in values] if any(map(deviation, values)) else None,
            error_kw={"ecolor": INK, "elinewidth": 1, "capsize": 2},
            color=COLOURS.get(strategy, GREY),
            label=strategy,
        )
    guess = next((row for row in rows if row["strategy"] == BASELINE), None)
    if guess is not None:
        heights = [guess.get(f"{measure}_{task}", math.nan) for task in tasks]
        axes.hlines(heights, places - 0.44, places + 0.44, colors=INK, linestyles=":", label=GUESS)
    axes.set_xticks(places, tasks)
    axes.set_ylim(0, 1)
    axes.grid(visible=False, axis="x")
    axes.set_title(title)


def draw_throughput(axes: "Axes", rows: Rows) -> None:
    """Draw cells a second, marked with how many runs they come from."""
    draw_bars(axes, rows, "cells_per_second", "{:,.0f}")
    axes.xaxis.set_major_formatter(short_number)
    counts = {len(values) for values in by_strategy(rows, "cells_per_second").values()}
    repeats = f"{min(counts)} to {max(counts)}" if len(counts) > 1 else str(max(counts))
    axes.set_xlabel("cells a second, reading and training")
    axes.set_title(f"Throughput ({repeats} run{'' if counts == {1} else 's'} each)")


def draw_bars(axes: "Axes", rows: Rows, column: str, form: str) -> None:
    """Draw a bar a strategy with its mean as text, a dot for each of several runs."""
    groups = by_strategy(rows, column)
    names = list(groups)
    means = [mean(values) for values in groups.values()]
    bars = axes.barh(names, means, color=[COLOURS.get(name, GREY) for name in names])
    for at, values in enumerate(groups.values()):
        if len(values) > 1:
            axes.plot(values, [at] * len(values), "o", color=INK, markersize=3.5, alpha=0.8)
    ends = [max(values, default=0.0) for values in groups.values()]
    for bar, end, height in zip(bars, ends, means, strict=True):
        axes.annotate(
            form.format(height),
            (end, bar.get_y() + bar.get_height() / 2),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            color=INK,
        )
    axes.set_xlim(0, 1.25 * max([*ends, 1e-12]))
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")


def by_strategy(rows: Rows, column: str) -> dict[str, list[Any]]:
    """Return the values of a column by strategy, in the order of the rows; without the baseline."""
    groups: dict[str, list[Any]] = {}
    for row in rows:
        if row["strategy"] != BASELINE:
            groups.setdefault(row["strategy"], [])
            if column in row:
                groups[row["strategy"]].append(row[column])
    return groups


def mean(values: Sequence[float]) -> float:
    """Return the mean; NaN of nothing."""
    return fmean(values) if values else math.nan


def deviation(values: Sequence[float]) -> float | None:
    """Return the standard deviation of a sample (n - 1); None of fewer than two values."""
    return stdev(values) if len(values) > 1 else None
