"""Tables of all baselines, and a picture of what the baseline does.

In: the folder of each. Out: ``study.csv``, a row a run, ``study_means.csv``, a row a strategy and baseline,
``summary.csv`` of the first folder, and pictures as PNG and PDF. Strategies that a baseline does not concern
have none in the tables, and are drawn as lines. Complexity: O(runs).
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tombola._base.files import replacing, write_csv
from tombola._base.plot_style import STYLE
from tombola.experiments.plotting import (
    plot_comparison,
    plot_f1_over_seconds,
    plot_time_comparison,
    plot_training_curves,
    read_summary,
    save_figure,
    tasks_of,
)
from tombola.experiments.six.plots import COLOURS

__all__ = ["plot_baselines", "study_means", "study_rows", "write_study"]

WEIGHTED = ("class_balanced", "class_balanced_rows")
MEASURES = {"macro_f1": "Macro-F1", "accuracy": "Accuracy"}

Rows = list[dict[str, Any]]


def write_study(folders: Mapping[float, Path], output: Path) -> list[Path]:
    """Write tables and pictures of all folders; return what was written.

    Parameters
    ----------
    folders : mapping of float to Path
        Baseline to the folder of its runs; the first one has all strategies.
    output : Path
    """
    rows = study_rows(folders)
    written = [output / "study.csv", output / "study_means.csv"]
    write_csv(written[0], rows)
    write_csv(written[1], study_means(rows))
    first = next(iter(folders.values()))
    written.append(output / "summary.csv")
    with replacing(written[-1]) as temporary:
        shutil.copyfile(first / "summary.csv", temporary)
    rarest = max(
        tasks_of(rows), key=lambda task: max(row.get(f"diversity_bits_{task}") or 0.0 for row in rows)
    )
    pictures = {
        "baselines": plot_baselines(rows),
        "comparison": plot_comparison(first)[0],
        "time": plot_time_comparison(first)[0],
        "f1_over_seconds": plot_f1_over_seconds(first, results=first)[0],
        f"curves_{rarest}": plot_training_curves(first, rarest)[0],
    }
    return [*written, *(save_figure(figure, output / name, dpi=90)[0] for name, figure in pictures.items())]


def study_rows(folders: Mapping[float, Path]) -> Rows:
    """Return a row a run, with its baseline behind its strategy; empty where that has none."""
    rows: Rows = []
    for baseline, folder in folders.items():
        for row in read_summary(folder):
            strategy = row.pop("strategy")
            if strategy in WEIGHTED:
                rows.append({"strategy": strategy, "baseline": baseline, **row})
            elif not any(
                known["strategy"] == strategy and known.get("seed") == row.get("seed") for known in rows
            ):
                rows.append({"strategy": strategy, "baseline": "", **row})
    columns = dict.fromkeys(key for row in rows for key in row)
    return [{key: row.get(key, "") for key in columns} for row in rows]


def study_means(rows: Rows) -> Rows:
    """Return a row a strategy and baseline: runs, mean and standard deviation (n - 1) of each figure."""
    groups: dict[tuple[Any, Any], Rows] = {}
    for row in rows:
        groups.setdefault((row["strategy"], row["baseline"]), []).append(row)
    means = []
    for (strategy, baseline), group in groups.items():
        mean: dict[str, Any] = {"strategy": strategy, "baseline": baseline, "runs": len(group)}
        for key in group[0]:
            if key not in ("strategy", "baseline", "seed"):
                values = [row[key] for row in group if row[key] != ""]
                mean[f"{key}_mean"] = fmean(values) if values else ""
                mean[f"{key}_sd"] = stdev(values) if len(values) > 1 else ""
        means.append(mean)
    return means


def plot_baselines(rows: Rows) -> Figure:
    """Draw scores of the weighted strategies by baseline, those of the others as lines."""
    tasks = tasks_of(rows)
    means = study_means(rows)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.3 * len(tasks), 6.4), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(len(MEASURES), len(tasks), squeeze=False, sharex=True)
        for line, (measure, title) in zip(axes, MEASURES.items(), strict=True):
            for place, task in zip(line, tasks, strict=True):
                _draw(place, means, f"{measure}_{task}")
                place.set_title(f"{title}, {task}")
        for place in axes[-1]:
            place.set_xlabel("baseline added to class counts")
        handles, names = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=4)
        runs = max(row["runs"] for row in means)
        figure.suptitle(
            f"What the baseline does: means of {runs} runs ± standard deviation",
            fontsize=13,
            fontweight="bold",
        )
    return figure


def _draw(axes: Axes, means: Sequence[Mapping[str, Any]], column: str) -> None:
    baselines = sorted({row["baseline"] for row in means if row["baseline"] != ""})
    for row in means:
        if row["strategy"] in COLOURS and row["strategy"] not in WEIGHTED:
            axes.axhline(
                row[f"{column}_mean"], color=COLOURS[row["strategy"]], label=row["strategy"], linestyle="--"
            )
        elif row["strategy"] not in COLOURS:
            axes.axhline(row[f"{column}_mean"], color="#333333", label="majority class", linestyle=":")
    for strategy in WEIGHTED:
        own = {row["baseline"]: row for row in means if row["strategy"] == strategy}
        axes.errorbar(
            range(len(baselines)),
            [own[baseline][f"{column}_mean"] for baseline in baselines],
            yerr=[own[baseline][f"{column}_sd"] or 0.0 for baseline in baselines],
            fmt="o-",
            capsize=3,
            color=COLOURS[strategy],
            label=strategy,
        )
    axes.set_xticks(range(len(baselines)), [f"{baseline:,g}" for baseline in baselines])
    axes.set_xlim(-0.3, len(baselines) - 0.7)
    axes.set_ylim(bottom=0)
