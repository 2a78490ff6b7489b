"""The sweep as a table, a CSV file, a picture, and the best trial's options as a train.yaml."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import yaml
from rich.markup import escape
from rich.table import Table

from tombola._base.files import replacing, write_csv

from ..pictures import BLUE, INK, ORANGE, RED, picture
from ..train.run import config_values
from .config import Range, SweepPlan, Value
from .study import State, SweepOutcome, TrialResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.gridspec import GridSpec

__all__ = ["describe_search", "sweep_table", "write_sweep"]

COLOURS: dict[State, str] = {"complete": BLUE, "pruned": ORANGE, "failed": RED}
SHOWN = 20
"""Rows of the table on the terminal."""


def describe_search(plan: SweepPlan) -> list[str]:
    """Say in a few lines what is tried."""
    lines = []
    for key, values in plan.search.items():
        if isinstance(values, Range):
            text = f"{values.low:g} to {values.high:g}{', by its logarithm' if values.log else ''}"
        else:
            text = ", ".join(map(str, values))
        lines.append(f"{key + ':':<15} {text}")
    goal = "smallest" if plan.base.mode == "min" else "largest"
    lines.append(
        f"{plan.trials} trials for the {goal} {plan.base.figure}, pruner {plan.pruner}, in {plan.output}"
    )
    return lines


def searched_keys(plan: SweepPlan) -> list[str]:
    """Return the keys that differ between trials."""
    return [key for key, values in plan.search.items() if isinstance(values, Range) or len(values) > 1]


def ranked(outcome: SweepOutcome, plan: SweepPlan) -> list[TrialResult]:
    """Return the trials: complete ones from the best on, then pruned ones, then failed ones."""
    sign = -1.0 if plan.base.mode == "max" else 1.0
    order = list(COLOURS)

    def place(trial: TrialResult) -> tuple[int, float, int]:
        value = float("inf") if trial.value is None else sign * trial.value
        return order.index(trial.state), value, trial.index

    return sorted(outcome.trials, key=place)


def sweep_table(outcome: SweepOutcome, plan: SweepPlan) -> Table:
    """Return the best trials, at most 20."""
    table = Table()
    table.add_column("trial", justify="right")
    keys = searched_keys(plan)
    for key in keys:
        table.add_column(escape(key), justify="right")
    for name in (escape(plan.base.figure), "mini epochs", "batches", "seconds"):
        table.add_column(name, justify="right")
    table.add_column("state")
    for trial in ranked(outcome, plan)[:SHOWN]:
        value = "" if trial.value is None else f"{trial.value:.4f}"
        cells = [str(trial.index), *(_text(trial.parameters[key]) for key in keys), value]
        cells += [f"{trial.mini_epochs:,}", f"{trial.batches:,}", f"{trial.seconds:.1f}", trial.state]
        table.add_row(*cells, style="bold" if trial is outcome.best else None)
    return table


def _text(value: Value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else escape(str(value))


def write_sweep(outcome: SweepOutcome, plan: SweepPlan) -> list[Path]:
    """Write ``trials.csv``, ``sweep.png`` and, where a trial is complete, ``best.yaml``; return the paths."""
    table, picture, best = (plan.output / name for name in ("trials.csv", "sweep.png", "best.yaml"))
    written = [table]
    rows = [_row(trial, plan) for trial in outcome.trials]
    if not rows:
        return []
    write_csv(table, rows)
    if any(trial.curve for trial in outcome.trials):
        plot_sweep(picture, outcome, plan)
        written.append(picture)
    if outcome.best is not None:
        config = plan.config(outcome.best.parameters, plan.base.output)
        values = config_values(config)
        del values["output"]
        with replacing(best) as temporary:
            temporary.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
        written.append(best)
    return written


def _row(trial: TrialResult, plan: SweepPlan) -> dict[str, object]:
    fixed = {key: "" for key in plan.search}
    return {
        "trial": trial.index,
        "state": trial.state,
        plan.base.figure: "" if trial.value is None else trial.value,
        **fixed,
        **plan.fixed(),
        **trial.parameters,
        "mini_epochs": trial.mini_epochs,
        "batches": trial.batches,
        "seconds": trial.seconds,
        "error": trial.error,
    }


def plot_sweep(path: Path, outcome: SweepOutcome, plan: SweepPlan) -> None:
    """Draw every trial's course over its training, and its best figure by each option searched."""
    keys = searched_keys(plan)
    columns = 4
    lines = -(-len(keys) // columns)
    n = len(outcome.trials)
    title = f"{n} trial{'' if n == 1 else 's'}: {plan.base.figure}"
    with picture(path, size=(13, 4.4 + 2.9 * lines), title=title) as figure:
        grid = figure.add_gridspec(1 + lines, columns, height_ratios=[1.5, *[1] * lines])
        wide = figure.add_subplot(grid[0, :])
        _draw_courses(wide, outcome, plan)
        _draw_options(figure, grid, keys, outcome, plan, columns)
        handles, names = wide.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=len(names))


def _draw_courses(axes: "Axes", outcome: SweepOutcome, plan: SweepPlan) -> None:
    named: set[State] = set()
    for trial in outcome.trials:
        if not trial.curve or trial is outcome.best:
            continue
        shares, values = np.array(trial.curve).T
        label: str | None = None if trial.state in named else trial.state
        named.add(trial.state)
        axes.plot(
            100 * shares, values, "o-", markersize=2.5, linewidth=1, color=COLOURS[trial.state], label=label
        )
    if outcome.best is not None:
        shares, values = np.array(outcome.best.curve).T
        best = f"trial {outcome.best.index}, the best"
        axes.plot(100 * shares, values, "o-", markersize=4, linewidth=2.2, color=INK, label=best)
    axes.set_xlim(left=0)
    axes.set_xlabel("share of the training, % (a dot for each mini epoch)")
    axes.set_ylabel(plan.base.figure)
    axes.set_title("Course of each trial")
    _spread_out(axes, [value for trial in outcome.trials for _, value in trial.curve], plan)


def _draw_options(
    figure: "Figure",
    grid: "GridSpec",
    keys: Sequence[str],
    outcome: SweepOutcome,
    plan: SweepPlan,
    columns: int,
) -> None:
    tried = [trial for trial in outcome.trials if trial.value is not None]
    first = None
    for at, key in enumerate(keys):
        axes = figure.add_subplot(grid[1 + at // columns, at % columns], sharey=first)
        first = first or axes
        values = plan.search[key]
        if isinstance(values, Range):
            places = {trial.index: float(trial.parameters[key]) for trial in tried}
            if values.log:
                axes.set_xscale("log")
        else:
            places = {trial.index: values.index(trial.parameters[key]) for trial in tried}
            long = max(len(str(value)) for value in values) > 7
            axes.set_xticks(range(len(values)), [str(value) for value in values])
            if long:
                axes.tick_params(axis="x", labelrotation=35)
                for tick in axes.get_xticklabels():
                    tick.set_horizontalalignment("right")
            axes.set_xlim(-0.6, len(values) - 0.4)
        for trial in tried:
            best = trial is outcome.best
            axes.plot(
                places[trial.index],
                np.nan if trial.value is None else trial.value,
                "D" if best else "o",
                color=INK if best else COLOURS[trial.state],
                markersize=7 if best else 5,
                zorder=3 if best else 2,
                alpha=1.0 if best else 0.8,
            )
        axes.set_title(key)
        if at % columns == 0:
            axes.set_ylabel(f"best {plan.base.figure}")
    if first is not None:
        _spread_out(first, [trial.value for trial in tried if trial.value is not None], plan)


def _spread_out(axes: "Axes", values: Sequence[float], plan: SweepPlan) -> None:
    """Use a log scale where losses range over more than a factor of ten, as diverged trials make them."""
    if plan.base.mode == "min" and values and min(values) > 0 and max(values) > 10 * min(values):
        axes.set_yscale("log")
