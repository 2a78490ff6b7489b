"""Tables and pictures of runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import MaxNLocator
from rich.table import Table

from example_tools import INK, print_table, result_console, save_figure, show_percent, spread

from .ablation import LAST_GAP, MEASURES, Ablation
from .data import PairData, PairSplit
from .training import EpochRecord, RunRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["describe_split", "plot_ablation", "plot_run", "print_ablation", "print_run"]

WITH, WITHOUT = "#0072B2", "#D55E00"
NAMES = {True: "with the series sampler", False: "random batches"}
COLOURS = {True: WITH, False: WITHOUT}


def describe_split(data: PairData, split: PairSplit) -> str:
    """Return one line: pairs and series of each part."""
    parts = (
        f"{name} {len(rows):,} pairs of {len(np.unique(data.series[rows])):,} series"
        for name, rows in split.parts().items()
    )
    return "; ".join(parts)


def print_run(run: RunRecord) -> None:
    """Print the figures of one run."""
    table = Table(title=f"Pairwise ranker, {NAMES[run.options.use_series_sampler]}", title_justify="left")
    for name in ("", f"best epoch ({run.best.epoch})", f"last epoch ({run.last.epoch})"):
        table.add_column(name, justify="right" if name else "left")
    rows: list[tuple[str, str, str]] = [
        ("train accuracy", f"{run.best.train_accuracy:.1%}", f"{run.last.train_accuracy:.1%}"),
        ("validation accuracy", f"{run.best.validation_accuracy:.1%}", f"{run.last.validation_accuracy:.1%}"),
        ("train-validation gap", f"{run.best.gap:.1%}", f"{run.last.gap:.1%}"),
        ("test accuracy", f"{run.test_accuracy:.1%}", ""),
        *_shared(run),
        ("unique series in a batch: mean, fewest", _unique(run.best), _unique(run.last)),
        ("series that batch 0 shares with the epoch before's", _overlap(run.best), _overlap(run.last)),
    ]
    for row in rows:
        table.add_row(*row)
    print_table(result_console(), table)


def _shared(run: RunRecord) -> list[tuple[str, str, str]]:
    """Return the line of generated data."""
    shared = run.shared_taste_accuracy
    return [] if shared is None else [("test accuracy of the shared taste itself", f"{shared:.1%}", "")]


def _unique(epoch: EpochRecord) -> str:
    return f"{epoch.unique_series_mean:.2f}, {epoch.unique_series_min}"


def _overlap(epoch: EpochRecord) -> str:
    return "" if epoch.first_batch_overlap is None else str(epoch.first_batch_overlap)


def print_ablation(ablation: Ablation) -> None:
    """Print what both did and how they differ, seed by seed."""
    seeds = len(ablation.without)
    title = f"Mean{' ± standard deviation' if seeds > 1 else ''} of {seeds} seed{'s' if seeds > 1 else ''}"
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for name in ("with", "without", "difference"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("with the sampler it is")
    for measure in MEASURES:
        columns = [[measure.value(run) for run in runs] for runs in (ablation.with_sampler, ablation.without)]
        columns.append(ablation.differences(measure))
        texts = [spread(values, measure.form) for values in columns[:2]]
        difference = format(float(np.mean(columns[2])), "+z" + measure.form)
        table.add_row(measure.name, *texts, difference, ablation.verdict(measure))
    console = result_console()
    print_table(console, table)
    shared = ablation.without[0].shared_taste_accuracy
    console.print("p: chance of so one-sided a count if nothing differed (exact sign test over seeds).")
    if shared is not None:
        console.print(f"On test pairs the generator's shared taste itself ranks {shared:.1%} rightly.")


def plot_run(path: Path, run: RunRecord) -> None:
    """Draw accuracy and loss by epoch."""
    use = run.options.use_series_sampler
    with save_figure(path, (10, 4), f"Pairwise ranker, {NAMES[use]}") as figure:
        accuracy, loss = figure.subplots(1, 2)
        epochs = [epoch.epoch for epoch in run.epochs]
        for axes, what in ((accuracy, "accuracy"), (loss, "loss")):
            for part, style in (("train", "--"), ("validation", "-")):
                values = [getattr(epoch, f"{part}_{what}") for epoch in run.epochs]
                axes.plot(epochs, values, style, color=COLOURS[use], label=part)
        best = [run.best.epoch]
        accuracy.plot(best, [run.test_accuracy], "*", color=INK, markersize=11, label="test, best epoch")
        show_percent(accuracy.yaxis)
        _label_epochs(accuracy, "pairs ranked rightly", "Accuracy")
        accuracy.legend()
        _label_epochs(loss, "logistic loss of a pair", "Loss")
        loss.legend()


def plot_ablation(path: Path, ablation: Ablation) -> None:
    """Draw accuracy and gap by epoch, mean and range over seeds, and the gap of each seed."""
    runs = {True: ablation.with_sampler, False: ablation.without}
    seeds = len(ablation.without)
    title = "Pairwise ranker with and without the series sampler"
    with save_figure(path, (13, 4.6), title) as figure:
        accuracy, gap, ends = figure.subplots(1, 3, width_ratios=(1.3, 1.3, 1))
        for use in (True, False):
            of_train = [[e.train_accuracy for e in run.epochs] for run in runs[use]]
            of_validation = [[e.validation_accuracy for e in run.epochs] for run in runs[use]]
            _draw_band(accuracy, of_train, COLOURS[use], "--", f"{NAMES[use]}: train")
            _draw_band(accuracy, of_validation, COLOURS[use], "-", f"{NAMES[use]}: validation")
            _draw_band(gap, [[e.gap for e in run.epochs] for run in runs[use]], COLOURS[use], "-", NAMES[use])
        for axes in (accuracy, gap, ends):
            show_percent(axes.yaxis)
        _label_epochs(accuracy, "pairs ranked rightly", "Accuracy")
        accuracy.legend(fontsize=9)
        _label_epochs(gap, "train less validation accuracy", "Train-validation gap")
        gap.axhline(0, color=INK, linewidth=0.8)
        gap.legend(loc="upper left")
        _draw_pairs(ends, [[run.last.gap for run in runs[use]] for use in (True, False)])
        ends.set_title("Seed by seed")
        ends.set_xlabel(f"with the sampler: {ablation.verdict(LAST_GAP)}")
        bands = f"lines: mean of {seeds} seeds; bands: lowest to highest" if seeds > 1 else "one seed"
        figure.supxlabel(bands, fontsize=9, color=INK)


def _draw_band(axes: "Axes", curves: Sequence[Sequence[float]], colour: str, style: str, label: str) -> None:
    values = np.array(curves)
    epochs = np.arange(values.shape[1])
    axes.plot(epochs, values.mean(axis=0), style, color=colour, label=label)
    axes.fill_between(epochs, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.15, linewidth=0)


def _draw_pairs(axes: "Axes", gaps: Sequence[Sequence[float]]) -> None:
    """Join the two gaps of each seed by a line: as many go up as go down where nothing differs."""
    for one, other in zip(*gaps, strict=True):
        axes.plot([0, 1], [one, other], color="#BBBBBB", linewidth=1)
    for place, (use, values) in enumerate(zip((True, False), gaps, strict=True)):
        axes.plot([place] * len(values), values, "o", color=COLOURS[use])
    axes.set_xticks([0, 1], ["with", "without"])
    axes.set_xlim(-0.4, 1.4)
    axes.set_ylim(min(0.0, *map(min, gaps)), 1.25 * max(0.01, *map(max, gaps)))
    axes.set_ylabel("gap after the last epoch")


def _label_epochs(axes: "Axes", of_y: str, title: str) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch")
    axes.set_ylabel(of_y)
    axes.set_title(title)
