"""Tables and pictures: one run, and uniform beside balanced draws."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from matplotlib.ticker import MaxNLocator
from rich.table import Table

from example_tools import INK, print_table, result_console, save_figure, show_percent

from .comparison import (
    BALANCED,
    CONSISTENCY,
    FINAL_ACCURACY,
    FORGETTING,
    MEASURES,
    UNEVENNESS,
    UNIFORM,
    Comparison,
    Difference,
)
from .training import RunRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_comparison", "plot_run", "print_comparison", "print_run"]

COLOURS = {UNIFORM.name: "#D55E00", BALANCED.name: "#0072B2"}
NOT_DRAWN = "#999999"


def print_run(record: RunRecord) -> None:
    """Print accuracies task by task, and what the run is judged by."""
    table = Table(title="Accuracy on each task, among all classes", title_justify="left")
    table.add_column("after task")
    for number, classes in enumerate(record.tasks):
        name = f"{number}: {' '.join(map(str, classes))}" if len(record.tasks) <= 5 else str(number)
        table.add_column(name, justify="right")
    table.add_column("mean", justify="right")
    for number, row in enumerate(record.accuracies):
        blank = [""] * (len(record.tasks) - len(row))
        table.add_row(str(number), *(f"{a:.1%}" for a in row), *blank, f"{np.mean(row):.1%}")
    console = result_console()
    print_table(console, table)
    for measure in MEASURES:
        console.print(f"{measure.name}: {measure.value(record):.1%}")
    if record.final_accuracy < 1.5 * record.chance:
        text = "no better than guessing ({:.1%}): too few samples or epochs to learn from"
        console.print(text.format(record.chance))


def print_comparison(comparison: Comparison) -> None:
    """Print, for each data set, both ways with their difference, then the variants."""
    console = result_console()
    for dataset, ways in comparison.records.items():
        seeds = len(ways[UNIFORM.name])
        title = (
            f"{dataset}: mean{' ± standard error' if seeds > 1 else ''} of {seeds} seed{'s' * (seeds > 1)}"
        )
        table = Table(title=title, title_justify="left")
        table.add_column("%")
        for name in (UNIFORM.name, BALANCED.name, "difference", "95% interval", "p"):
            table.add_column(name, justify="right", no_wrap=True)
        for measure in MEASURES:
            texts = [_percent(comparison.values(dataset, way, measure)) for way in COLOURS]
            table.add_row(measure.name, *texts, *_difference(comparison.difference(dataset, measure)))
        print_table(console, table)
        variants = [way for way in ways if way not in COLOURS]
        if variants:
            table = Table(title=f"{dataset}, variants: difference from uniform", title_justify="left")
            table.add_column("%")
            for measure in MEASURES:
                table.add_column(measure.name, justify="right")
            for way in variants:
                found = [comparison.difference(dataset, measure, way) for measure in MEASURES]
                table.add_row(way, *(_difference(one)[0] for one in found))
            print_table(console, table)
    console.print("p: two-sided paired t-test over seeds, not corrected for the number of measures.")


def _percent(values: Sequence[float]) -> str:
    mean = f"{100 * float(np.mean(values)):.1f}"
    if len(values) == 1:
        return mean
    return f"{mean} ± {100 * float(np.std(values, ddof=1)) / len(values) ** 0.5:.1f}"


def _difference(found: Difference) -> tuple[str, str, str]:
    text = f"{100 * found.mean:+z.1f}"
    if found.standard_error is None or found.interval is None:
        return text, "", ""
    low, high = (f"{100 * end:+z.1f}" for end in found.interval)
    p = "" if found.p is None else "< 0.001" if found.p < 0.001 else f"{found.p:.3f}"
    return f"{text} ± {100 * found.standard_error:.1f}", f"{low} to {high}", p


def plot_run(path: Path, record: RunRecord) -> None:
    """Draw the accuracy of each task as tasks go by, and what is stored of each class."""
    learner = record.options.learner
    way = BALANCED.name if learner.use_balanced_sampling else UNIFORM.name
    title = f"{record.options.dataset}, {way} draws from a buffer of {learner.buffer_size}"
    with save_figure(path, (12, 4.2), title) as figure:
        accuracy, buffer = figure.subplots(1, 2)
        tasks = np.arange(len(record.tasks))
        for task in tasks.tolist():
            own = [row[task] for row in record.accuracies[task:]]
            accuracy.plot(tasks[task:], own, "o-", color=NOT_DRAWN, markersize=3, linewidth=1)
        label = "mean of all tasks so far"
        accuracy.plot(tasks, [np.mean(row) for row in record.accuracies], color=COLOURS[way], label=label)
        accuracy.plot([], [], "o-", color=NOT_DRAWN, markersize=3, linewidth=1, label="each task")
        accuracy.set_title("Accuracy among all classes")
        _label_tasks(accuracy)
        accuracy.legend()
        drawn = np.array(record.drawn[-1])
        places = np.arange(len(drawn))
        order = [known for task in record.tasks for known in task]
        stored = np.array(record.stored)[order] / sum(record.stored)
        buffer.bar(places - 0.2, stored, 0.4, color=NOT_DRAWN, label="stored at the end")
        shares = drawn[order] / max(1, drawn.sum())
        buffer.bar(places + 0.2, shares, 0.4, color=COLOURS[way], label="drawn in the last task")
        every = 1 if len(order) <= 50 else len(record.tasks[0])  # else labels lie on each other
        names = [str(known) for known in order[::every]]
        buffer.set_xticks(places[::every], names, fontsize=8 if len(names) <= 20 else 6)
        buffer.set_xlabel("class, in the order of its task")
        buffer.set_ylabel("share")
        show_percent(buffer.yaxis)
        buffer.set_title("The buffer by class")
        buffer.legend()


def plot_comparison(path: Path, comparison: Comparison) -> None:
    """Draw, a row for each data set: accuracy by task, seed by seed differences, drawn groups."""
    rows = len(comparison.records)
    title = "Experience replay: uniform beside balanced draws"
    with save_figure(path, (14, 0.6 + 4 * rows), title) as figure:
        places = figure.subplots(rows, 3, squeeze=False, width_ratios=(1.1, 1.2, 1.1))
        for (by_task, differences, groups), dataset in zip(places, comparison.records, strict=True):
            _draw_tasks(by_task, comparison, dataset)
            _draw_differences(differences, comparison, dataset)
            _draw_groups(groups, comparison, dataset)


def _draw_tasks(axes: "Axes", comparison: Comparison, dataset: str) -> None:
    for way, colour in COLOURS.items():
        runs = comparison.records[dataset][way]
        curves = np.array([[np.mean(row) for row in run.accuracies] for run in runs])
        tasks, mean = np.arange(curves.shape[1]), curves.mean(axis=0)
        axes.plot(tasks, mean, "o-", color=colour, markersize=4, label=f"{way} draws")
        if len(runs) > 1:
            error = curves.std(axis=0, ddof=1) / len(runs) ** 0.5
            axes.fill_between(tasks, mean - error, mean + error, color=colour, alpha=0.2, linewidth=0)
    axes.set_title(f"{dataset}: accuracy on all tasks so far")
    axes.set_ylabel("mean and standard error" if len(runs) > 1 else "one seed")
    _label_tasks(axes)
    axes.legend()


def _draw_differences(axes: "Axes", comparison: Comparison, dataset: str) -> None:
    """Draw what balanced draws change: a dot for each seed, the mean and its interval."""
    measures = (FINAL_ACCURACY, FORGETTING, UNEVENNESS, CONSISTENCY)
    for place, measure in enumerate(measures):
        found = comparison.difference(dataset, measure)
        shift = np.linspace(-0.12, 0.12, len(found.by_seed)) if len(found.by_seed) > 1 else [0.0]
        axes.plot(found.by_seed, place + np.asarray(shift), "o", color=NOT_DRAWN, markersize=3)
        axes.plot([found.mean], [place], "D", color=COLOURS[BALANCED.name], zorder=3)
        if found.interval is not None:
            axes.plot(found.interval, [place, place], color=COLOURS[BALANCED.name], linewidth=2.5)
    wishes = {1: "more is better", -1: "less is better"}
    names = [f"{measure.name}\n({wishes[measure.better]})" for measure in measures]
    axes.set_yticks(range(len(measures)), names, fontsize=9)
    axes.set_ylim(len(measures) - 0.5, -0.5)
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
    axes.xaxis.set_major_formatter(lambda share, _place: "0" if share == 0 else f"{100 * share:+.4g}")
    axes.set_xlabel("points; dots: seeds, diamond and bar: mean and 95% interval")
    axes.set_title(f"{dataset}: balanced less uniform")


def _draw_groups(axes: "Axes", comparison: Comparison, dataset: str) -> None:
    """Draw how often each semantic group was drawn in the last task, of what earlier tasks stored."""
    runs = comparison.records[dataset]
    n_groups = max(runs[UNIFORM.name][0].groups) + 1
    shares = {way: np.mean([_group_shares(run, n_groups) for run in runs[way]], axis=0) for way in COLOURS}
    order = np.argsort(-shares[UNIFORM.name], kind="stable")
    places = np.arange(n_groups)
    for shift, (way, colour) in zip((-0.2, 0.2), COLOURS.items(), strict=True):
        axes.bar(places + shift, shares[way][order], 0.4, color=colour, label=f"{way} draws")
    axes.axhline(1 / n_groups, color=INK, linewidth=1, linestyle="--", label="even")
    axes.set_xticks(places, [_name_group(dataset, runs[UNIFORM.name][0], group) for group in order.tolist()])
    axes.set_xlabel("semantic group, by the classes in it" if dataset == "digits" else "superclass")
    axes.set_ylabel("share of draws, last task")
    show_percent(axes.yaxis)
    axes.set_title(f"{dataset}: groups drawn")
    axes.legend()


def _group_shares(run: RunRecord, n_groups: int) -> npt.NDArray[np.float64]:
    drawn = np.array(run.drawn[-1], dtype=np.float64)
    drawn[list(run.tasks[-1])] = 0
    counts = np.bincount(run.groups, weights=drawn, minlength=n_groups)
    return np.asarray(counts / max(1.0, counts.sum()))


def _name_group(dataset: str, run: RunRecord, group: int) -> str:
    if dataset != "digits":
        return str(group)
    return " ".join(str(digit) for digit, of_digit in enumerate(run.groups) if of_digit == group)


def _label_tasks(axes: "Axes") -> None:
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("after task")
    axes.set_ylim(0, 1.02)
    show_percent(axes.yaxis)
