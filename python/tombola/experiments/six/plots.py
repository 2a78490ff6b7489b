"""The comparison as one picture: scores, training loss, speed and batch diversity.

Strategies keep their colour in all four panels, and are named beside the bars where there is room.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..pictures import BLUE, GREEN, GREY, INK, ORANGE, RED, SKY, picture
from .config import STRATEGIES
from .data import ExperimentData
from .metrics import Scores, entropy_bits
from .summary import key_label
from .training import RunResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["COLOURS", "plot_comparison", "short_number"]

COLOURS = dict(zip(STRATEGIES, (GREY, SKY, BLUE, GREEN, ORANGE, RED), strict=True))
SMOOTHING = 9


def plot_comparison(
    path: Path,
    results: Sequence[RunResult],
    baseline: Mapping[str, Scores],
    data: ExperimentData,
    *,
    title: str = "",
) -> None:
    """Write the 2x2 picture, atomically.

    Parameters
    ----------
    path : Path
        The suffix says the format, such as ``.png``.
    results : sequence of RunResult
    baseline : mapping of str to Scores
        By label; drawn as a mark over each group of bars.
    data : ExperimentData
        Gives the bound of diversity: the entropy of the training rows.
    title : str
        Over all.
    """
    key = key_label(data)
    title = title or "Six ways of choosing batches"
    with picture(path, size=(13, 8.6), title=title, dpi=150) as figure:
        axes = figure.subplots(2, 2, width_ratios=(1.25, 1))
        _draw_scores(axes[0, 0], results, baseline)
        _draw_loss(axes[0, 1], results)
        _draw_speed(axes[1, 0], results)
        _draw_diversity(axes[1, 1], results, key.name, entropy_bits(key.codes[data.train_rows]))
        handles, names = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=len(names))


def _draw_scores(axes: "Axes", results: Sequence[RunResult], baseline: Mapping[str, Scores]) -> None:
    width = 0.84 / len(results)
    places = np.arange(len(baseline))
    for position, result in enumerate(results):
        heights = [result.scores[label].macro_f1 for label in baseline]
        offsets = places - 0.42 + (position + 0.5) * width
        axes.bar(offsets, heights, 0.9 * width, color=COLOURS[result.strategy], label=result.strategy)
    guesses = [scores.macro_f1 for scores in baseline.values()]
    axes.hlines(guesses, places - 0.44, places + 0.44, colors=INK, linestyles=":", label="majority class")
    axes.set_xticks(places, list(baseline))
    axes.set_ylim(0, 1)
    axes.grid(visible=False, axis="x")
    axes.set_ylabel("macro-F1")
    axes.set_title("Test score by task")


def _draw_loss(axes: "Axes", results: Sequence[RunResult]) -> None:
    for result in results:
        rows, losses = np.array(result.loss_curve, dtype=np.float64).T
        axes.plot(rows, _smooth(losses), color=COLOURS[result.strategy], linewidth=1.6)
    axes.set_yscale("log")
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(short_number)
    axes.set_xlabel("cells seen")
    axes.set_ylabel("training loss, log scale")
    axes.set_title("Training loss on the batches fed")


def _smooth(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Take the running mean of a few neighbours, fewer at the ends."""
    width = min(SMOOTHING, len(values))
    kernel = np.ones(width)
    return np.convolve(values, kernel, "same") / np.convolve(np.ones(len(values)), kernel, "same")


def _draw_speed(axes: "Axes", results: Sequence[RunResult]) -> None:
    _draw_bars(axes, results, [result.cells_per_second for result in results], "{:,.0f}")
    axes.xaxis.set_major_formatter(short_number)
    axes.set_xlabel("cells a second, reading and training")
    axes.set_title("Throughput (1 run each)")


def _draw_diversity(axes: "Axes", results: Sequence[RunResult], label: str, bound: float) -> None:
    _draw_bars(axes, results, [result.diversity_bits[label] for result in results], "{:.2f}")
    axes.axvline(bound, color=INK, linestyle="--", linewidth=1)
    axes.set_xlabel(f"mean entropy of {label} in a batch, bits (dashed: all training cells)")
    axes.set_title("Batch diversity")


def _draw_bars(axes: "Axes", results: Sequence[RunResult], values: Sequence[float], form: str) -> None:
    names = [result.strategy for result in results]
    bars = axes.barh(names, values, color=[COLOURS[name] for name in names])
    axes.bar_label(bars, [form.format(value) for value in values], padding=4, color=INK)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.grid(visible=False, axis="y")


def short_number(value: float, _position: float = 0.0) -> str:
    """Write 120000 as 120k, so that labels of ticks keep apart."""
    return f"{value / 1_000:,g}k" if abs(value) >= 1_000 else f"{value:g}"
