"""The comparison as a table and as a picture."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.table import Table

from example_tools import INK, print_table, result_console, save_figure, spread
from tombola import Bucketed, padding_report

from .batches import WAYS
from .comparison import MEASURES, PROGRESS, Comparison, Progress
from .config import Config
from .histories import HistoryDataset
from .training import WayRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["describe_samples", "plot_comparison", "print_comparison"]

NAMES = {"bucketed": "batches of one depth", "mixed": "mixed, padded to the deepest"}
COLOURS = {"bucketed": "#0072B2", "mixed": "#D55E00"}
SHORT = {"bucketed": "one depth", "mixed": "mixed"}
KINDS = {"real": "#009E73", "padding": "#E69F00", "dummies": "#999999"}


def describe_samples(dataset: HistoryDataset, config: Config) -> str:
    """Return the depths of the samples, and what padding of stages `tombola.padding_report` expects."""
    depths, counts = np.unique(dataset.samples["compression_depth"], return_counts=True)
    shares = ", ".join(f"depth {d}: {c / len(dataset):.0%}" for d, c in zip(depths, counts, strict=True))
    strategy = Bucketed(dataset.samples["compression_depth"])
    plan = strategy.plan(batch_size=config.train_batch_size)
    return f"{len(dataset):,} samples; {shares}\n{padding_report(dataset.stage_lengths(), plan)}"


def print_comparison(comparison: Comparison) -> None:
    """Print what both ways cost and gained."""
    seeds = len(comparison.records[WAYS[0]])
    title = f"Mean{' ± standard deviation' if seeds > 1 else ''} of {seeds} seed{'s' if seeds > 1 else ''}"
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for way in WAYS:
        table.add_column(NAMES[way], justify="right")
    table.add_column("ratio", justify="right")
    for measure in MEASURES:
        values = [[measure.value(record) for record in comparison.records[way]] for way in WAYS]
        table.add_row(measure.name, *(spread(column, measure.form) for column in values), _ratio(values))
    to_target: tuple[tuple[str, Progress, str], ...] = (
        ("steps to the target loss", "steps", ",.0f"),
        ("seconds of training to it", "seconds", ",.1f"),
        ("CPU seconds of training to it", "cpu_seconds", ",.1f"),
    )
    for name, what, form in to_target:
        values = [comparison.to_target(way, what) for way in WAYS]
        texts = (_of_those(column, seeds, form) for column in values)
        table.add_row(name, *texts, _ratio(values) if all(len(column) == seeds for column in values) else "")
    console = result_console()
    print_table(console, table)
    targets = ", ".join(f"{comparison.target(seed):.3f}" for seed in range(seeds))
    nearly = f"{PROGRESS:.0%} of the way from the untrained loss to the lowest that both ways reach"
    kind = "given" if comparison.given_target is not None else nearly
    console.print(f"target loss, {kind}: {targets}")
    largest = max(record.same_loss for records in comparison.records.values() for record in records)
    console.print(f"a target's loss differs by at most {largest:.1e} between the two ways (same weights)")


def _ratio(values: Sequence[Sequence[float]]) -> str:
    one, other = (float(np.mean(column)) for column in values)
    return f"{one / other:.2f}" if other else ""


def _of_those(values: Sequence[float], seeds: int, form: str) -> str:
    if not values:
        return "not reached"
    return spread(values, form) + (f" ({len(values)} of {seeds} seeds)" if len(values) < seeds else "")


def plot_comparison(path: Path, comparison: Comparison) -> None:
    """Draw tokens, seconds, memory, and the validation loss by steps and by seconds."""
    title = "Compressed histories: batches of one depth beside mixed batches"
    with save_figure(path, (13, 7.4), title) as figure:
        axes = figure.subplot_mosaic("AABBCC;DDDEEE", height_ratios=(1, 2))
        _draw_tokens(axes["A"], comparison)
        _draw_bars(axes["B"], comparison, _cpu_seconds, "CPU seconds an epoch", ".1f")
        _draw_bars(axes["C"], comparison, lambda r: r.kept_mean, "MiB kept for backward, mean batch", ".0f")
        _draw_losses(axes["D"], comparison, "steps", "steps")
        _draw_losses(axes["E"], comparison, "cpu_seconds", "CPU seconds of training")
        axes["E"].sharey(axes["D"])
        axes["D"].legend()


def _draw_tokens(axes: "Axes", comparison: Comparison) -> None:
    """Draw what the encoder computes, a bar for each way."""
    places = np.arange(len(WAYS))
    left = np.zeros(len(WAYS))
    for kind, colour in KINDS.items():
        width = np.array([np.mean([_millions(r, kind) for r in comparison.records[way]]) for way in WAYS])
        axes.barh(places, width, left=left, height=0.75, color=colour, label=kind)
        left += width
    for place, way in enumerate(WAYS):
        wasted = np.mean([1 - r.tokens.real / r.tokens.total for r in comparison.records[way]])
        axes.text(left[place], place, f"  {wasted:.0%} not real", va="center", color=INK)
    axes.set_yticks(places, [SHORT[way] for way in WAYS])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlim(0, 1.35 * left.max())
    axes.set_title("Million encoder tokens an epoch")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=3, handlelength=1, columnspacing=1)


def _cpu_seconds(record: WayRecord) -> float:
    return float(np.median(record.epoch_cpu_seconds))


def _millions(record: WayRecord, kind: str) -> float:
    tokens: int = getattr(record.tokens, kind)
    return tokens / len(record.epoch_seconds) / 1e6


def _draw_bars(
    axes: "Axes", comparison: Comparison, value: Callable[[WayRecord], float], title: str, form: str
) -> None:
    """Draw the mean of a figure, a bar for each way, and a dot for each seed."""
    for place, way in enumerate(WAYS):
        values = [value(record) for record in comparison.records[way]]
        bars = axes.barh([place], [np.mean(values)], height=0.75, color=COLOURS[way])
        axes.bar_label(bars, [format(float(np.mean(values)), form)], label_type="center", color="white")
        if len(values) > 1:
            axes.plot(values, [place] * len(values), "o", color=INK, markersize=3)
    axes.set_yticks(range(len(WAYS)), [SHORT[way] for way in WAYS])
    axes.invert_yaxis()
    axes.margins(x=0.1)
    axes.grid(visible=False, axis="y")
    axes.set_title(title)


def _draw_losses(axes: "Axes", comparison: Comparison, of: Progress, label: str) -> None:
    """Draw the validation loss of every seed, and where it reached the target."""
    for way, records in comparison.records.items():
        for seed, record in enumerate(records):
            places = getattr(record, of)
            name = f"{NAMES[way]} (dot: target loss reached)" if seed == 0 else None
            axes.plot(places, record.validation_loss, color=COLOURS[way], linewidth=1.4, label=name)
            reached = comparison.reached(way, seed)
            if reached is not None:
                axes.plot(
                    places[reached],
                    record.validation_loss[reached],
                    "o",
                    color=COLOURS[way],
                    markeredgecolor=INK,
                    zorder=3,
                )
    axes.set_xlim(left=0)
    axes.set_xlabel(label)
    axes.set_ylabel("validation loss, nats an action")
    axes.set_title(f"Validation loss by {label}")
