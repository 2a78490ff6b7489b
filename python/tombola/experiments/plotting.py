"""Pictures of an experiment, drawn from its tables and records: comparison, curves, time, score over time.

Rule: what is drawn comes from ``summary.csv`` (a path, a pandas DataFrame, or its rows as mappings) and from
the records ``runs/*.jsonl`` of a folder (`read_results`), so that every picture can be drawn again without
training. A strategy has its colour in all of them. Several runs of a strategy are drawn as their mean with
the standard deviation, and each run as a dot. Every function returns the figure and its axes, and
`save_figure` writes both PNG and PDF. pandas is not needed.

Complexity: O(rows of the table), O(records).
"""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from tombola._base.files import replacing
from tombola._base.plot_style import STYLE

from .pictures import GREY, INK
from .six.bars import GUESS, by_strategy, deviation, draw_bars, draw_scores, draw_throughput, mean
from .six.plots import COLOURS, short_number
from .six.reading import read_results, read_summary, strategy_of, tasks_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "plot_comparison",
    "plot_f1_over_seconds",
    "plot_time_comparison",
    "plot_training_curves",
    "read_results",
    "read_summary",
    "save_figure",
    "tasks_of",
]

Rows: TypeAlias = list[dict[str, Any]]
Results: TypeAlias = Mapping[str, Sequence[Mapping[str, Any]]]
P = ParamSpec("P")
T = TypeVar("T")
FIGURES = ("loss", "accuracy", "macro_f1")
TITLES = {"loss": "Loss (mean cross-entropy, log scale)", "accuracy": "Accuracy", "macro_f1": "Macro-F1"}
ROOM = 1.06
"""Length of an axis from 0, over what lies furthest on it: a dot there is whole."""


def _styled(draw: Callable[P, T]) -> Callable[P, T]:
    """Let a function draw in the package's look."""

    @wraps(draw)
    def in_style(*args: P.args, **kwargs: P.kwargs) -> T:
        import matplotlib as mpl

        with mpl.rc_context(STYLE):
            return draw(*args, **kwargs)

    return in_style


def save_figure(figure: "Figure", path: Path | str, *, dpi: int = 130) -> tuple[Path, Path]:
    """Write a figure as PNG and as PDF, each whole or not at all; the path may end in either."""
    path = Path(path)
    name = path.stem if path.suffix.lower() in (".png", ".pdf") else path.name
    written = path.with_name(f"{name}.png"), path.with_name(f"{name}.pdf")
    for target in written:
        with replacing(target) as temporary:
            figure.savefig(temporary, dpi=dpi)
    return written


@_styled
def plot_comparison(df: Any) -> tuple["Figure", npt.NDArray[Any]]:
    """Draw macro-F1 and accuracy by task, cells a second and batch diversity.

    Parameters
    ----------
    df : path, DataFrame or sequence of mapping
        As in `read_summary`.

    Returns
    -------
    figure : Figure
    axes : ndarray of Axes, shape (2, 2)
    """
    rows = read_summary(df)
    figure, axes = _figure(2, 2, size=(13, 8.6), title=_title("Ways of choosing batches", rows))
    draw_scores(axes[0, 0], rows, "macro_f1", "Macro-F1 on the test rows")
    draw_scores(axes[0, 1], rows, "accuracy", "Accuracy on the test rows")
    draw_throughput(axes[1, 0], rows)
    task = _most_diverse(rows)
    draw_bars(axes[1, 1], rows, f"diversity_bits_{task}", "{:.2f}")
    axes[1, 1].set_xlabel(f"mean entropy of {task} in a batch, bits")
    axes[1, 1].set_title("Batch diversity")
    _legend_below(figure, axes[0, 0])
    return figure, axes


@_styled
def plot_time_comparison(df: Any) -> tuple["Figure", npt.NDArray[Any]]:
    """Draw the seconds of training, of them those that it waited for rows, and cells a second.

    Parameters
    ----------
    df : path, DataFrame or sequence of mapping
        As in `read_summary`.

    Returns
    -------
    figure : Figure
    axes : ndarray of Axes, shape (2,)
    """
    rows = read_summary(df)
    figure, grid = _figure(1, 2, size=(13, 4.4), title=_title("Time of training", rows, spread=""))
    axes = grid[0]
    draw_bars(axes[0], rows, "seconds", "{:,.2f} s")
    waits = {name: mean(values) for name, values in by_strategy(rows, "wait_seconds").items()}
    axes[0].barh(
        list(waits), list(waits.values()), color="white", alpha=0.45, hatch="///", edgecolor=INK, linewidth=0
    )
    axes[0].set_xlabel("seconds, reading and training (hatched: waited for rows)")
    axes[0].set_title("Time of a run")
    draw_throughput(axes[1], rows)
    return figure, axes


@_styled
def plot_training_curves(results: Any, task: str) -> tuple["Figure", npt.NDArray[Any]]:
    """Draw loss, accuracy and macro-F1 of a task over the cells seen: lines in training, dots on test rows.

    Parameters
    ----------
    results : path or mapping of str to sequence of mapping
        The folder, or what `read_results` read of it; a run each.
    task : str

    Returns
    -------
    figure : Figure
    axes : ndarray of Axes, shape (3,)

    Raises
    ------
    ValueError
        If no record has the task.
    """
    runs = _results(results)
    _check_task(runs, task)
    figure, grid = _figure(
        1,
        3,
        size=(15, 4.6),
        title=f"Training curves of {task}: batches before their step, dots on the test rows",
    )
    axes = grid[0]
    named: set[str] = set()
    for run, records in runs.items():
        strategy = strategy_of(run)
        colour = COLOURS.get(strategy, GREY)
        label = None if strategy in named else strategy
        named.add(strategy)
        for place, figure_name in zip(axes, FIGURES, strict=True):
            trained = _points(_long_intervals(records), "train", task, "cells", figure_name)
            tested = _points(records, "test", task, "cells", figure_name)
            place.plot(*trained, color=colour, linewidth=1.2, alpha=0.75, label=label)
            place.plot(*tested, "o", color=colour, markersize=5, markeredgecolor=INK, markeredgewidth=0.5)
    for place, name in zip(axes, FIGURES, strict=True):
        place.set_title(TITLES[name])
        place.set_xlabel("cells seen")
        place.set_xlim(left=0)
        place.xaxis.set_major_formatter(short_number)
        if name == "loss":
            place.set_yscale("log")
            for set_form in (place.yaxis.set_major_formatter, place.yaxis.set_minor_formatter):
                set_form(_plain_number)
        else:
            place.set_ylim(0, 1.02)
    _legend_below(figure, axes[0])
    return figure, axes


@_styled
def plot_f1_over_seconds(df: Any, task: str | None = None, results: Any = None) -> tuple["Figure", "Axes"]:
    """Draw the macro-F1 that so many seconds of training bring.

    Parameters
    ----------
    df : path, DataFrame or sequence of mapping
        As in `read_summary`; gives the end of each run.
    task : str, optional
        Without, the mean of all tasks.
    results : path or mapping, optional
        As in `plot_training_curves`; gives the way there, where test rows were scored on it.

    Returns
    -------
    figure : Figure
    axes : Axes

    Raises
    ------
    ValueError
        If there is no such task.
    """
    rows = read_summary(df)
    tasks = tasks_of(rows) if task is None else [task]
    if not set(tasks) <= set(tasks_of(rows)):
        msg = f"task must be one of {', '.join(tasks_of(rows))}, but is {task!r}"
        raise ValueError(msg)
    what = "mean of all tasks" if task is None else task
    figure, grid = _figure(1, 1, size=(8, 5.2), title=_title("Score over time", rows))
    axes: Axes = grid[0, 0]
    for run, records in ({} if results is None else _results(results)).items():
        ways = [_points(records, "test", name, "seconds", "macro_f1") for name in tasks]
        axes.plot(
            ways[0][0],
            np.mean([scores for _, scores in ways], axis=0),
            color=COLOURS.get(strategy_of(run), GREY),
            linewidth=1,
            alpha=0.6,
        )
    seconds = by_strategy(rows, "seconds")
    scores = [by_strategy(rows, f"macro_f1_{name}") for name in tasks]
    for strategy, times in seconds.items():
        values = np.mean([score[strategy] for score in scores], axis=0).tolist()
        axes.errorbar(
            mean(times),
            mean(values),
            xerr=deviation(times),
            yerr=deviation(values),
            fmt="o",
            color=COLOURS.get(strategy, GREY),
            markeredgecolor=INK,
            markeredgewidth=0.6,
            markersize=8,
            capsize=3,
            label=strategy,
        )
    furthest, highest = axes.dataLim.max
    axes.set_xlim(0, ROOM * max(furthest, 1e-9))
    axes.set_ylim(0, ROOM * max(highest, 1e-9))
    axes.set_xlabel("seconds of training")
    axes.set_ylabel(f"macro-F1 on the test rows, {what}")
    _legend_below(figure, axes, n_columns=3)
    return figure, axes


def _figure(
    n_rows: int, n_columns: int, *, size: tuple[float, float], title: str
) -> tuple["Figure", npt.NDArray[Any]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=14, fontweight="bold")
    axes: npt.NDArray[Any] = figure.subplots(n_rows, n_columns, squeeze=False)
    return figure, axes


def _title(text: str, rows: Rows, spread: str = " ± standard deviation") -> str:
    runs = max(len(values) for values in by_strategy(rows, "strategy").values())
    return text if runs == 1 else f"{text}: means of {runs} runs{spread}"


def _most_diverse(rows: Rows) -> str:
    return max(tasks_of(rows), key=lambda task: max(row.get(f"diversity_bits_{task}", 0.0) for row in rows))


def _legend_below(figure: "Figure", axes: "Axes", n_columns: int | None = None) -> None:
    """Name what axes hold below the figure: strategies first, then what is drawn beside them."""
    named = sorted(zip(*axes.get_legend_handles_labels(), strict=True), key=lambda pair: pair[1] == GUESS)
    handles, names = [handle for handle, _ in named], [name for _, name in named]
    figure.legend(handles, names, loc="outside lower center", ncols=n_columns or max(1, len(names)))


def _plain_number(value: float, _position: float = 0.0) -> str:
    """Write 20, 0.5: a logarithmic axis would say 2 x 10^1. Between two powers 1, 2 and 5 are enough."""
    return f"{value:g}" if f"{value:e}"[0] in "125" else ""


def _long_intervals(records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the intervals but those at an epoch's end that are shorter than half: few batches scatter."""
    intervals = [record for record in records if record["kind"] == "interval"]
    sizes = np.diff([0, *(record["cells"] for record in intervals)])
    is_long = (2 * sizes >= sizes.max(initial=0)).tolist()
    return [record for record, long in zip(intervals, is_long, strict=True) if long]


def _points(
    records: Sequence[Mapping[str, Any]], part: str, task: str, x: str, y: str
) -> tuple[list[float], list[float]]:
    found = [(record[x], record[part][task][y]) for record in records if part in record]
    return [at for at, _ in found], [value for _, value in found]


def _results(results: Any) -> Results:
    read: Results = read_results(results) if isinstance(results, str | Path) else results
    return read


def _check_task(runs: Results, task: str) -> None:
    known = dict.fromkeys(
        name for records in runs.values() for record in records for name in record.get("train", {})
    )
    if task not in known:
        msg = f"task must be one of {', '.join(known)}, but is {task!r}"
        raise ValueError(msg)
