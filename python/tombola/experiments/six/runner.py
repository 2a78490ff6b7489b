"""Run the experiment: every strategy in turn, a JSON file for each, then the summary and the plot.

Files are written as soon as they can be, each atomically; an interrupted experiment leaves those of the
strategies that are done.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tombola._base.files import make_output, write_csv, write_json
from tombola.training import folders

from .config import ExperimentConfig
from .data import ExperimentData
from .metrics import Scores, majority_scores
from .plots import plot_comparison
from .records import run_record
from .summary import summary_rows
from .training import RunResult, count_steps, run_strategy

__all__ = ["EXPERIMENT_FILE", "Outcome", "Reporter", "Silent", "holding", "prepare_output", "run_experiment"]

RUNS = "runs"
EXPERIMENT_FILE = "experiment.json"
"""Marks a folder of several runs, see `study`."""


class Reporter(Protocol):
    """What is told about progress."""

    def begin(self, strategy: str, n_steps: int) -> None:
        """Hear that a strategy begins to train."""

    def step(self, n_rows: int, loss: float) -> None:
        """Hear of a batch."""

    def end(self, result: RunResult) -> None:
        """Hear that a strategy is done."""


class Silent:
    """A `Reporter` that says nothing."""

    def begin(self, strategy: str, n_steps: int) -> None:
        """Say nothing."""

    def step(self, n_rows: int, loss: float) -> None:
        """Say nothing."""

    def end(self, result: RunResult) -> None:
        """Say nothing."""


@dataclass(frozen=True)
class Outcome:
    """All results, and where they are.

    Parameters
    ----------
    results : tuple of RunResult
        In the order of the options' strategies.
    baseline : dict of str to Scores
        By label: what guessing the most common class scores on the test rows.
    summary, plot : Path
    runs : tuple of Path
        JSON files, one a strategy.
    """

    results: tuple[RunResult, ...]
    baseline: dict[str, Scores]
    summary: Path
    plot: Path
    runs: tuple[Path, ...]


def prepare_output(output: Path) -> None:
    """Make the folder for results, so that what hinders it shows before anything is done.

    Raises
    ------
    OSError
        If it cannot be made.
    """
    make_output(output, RUNS)


@contextmanager
def holding(output: Path) -> Iterator[None]:
    """Make the folder for results and keep other processes from training into it, as long as this one lives.

    Raises
    ------
    ValueError
        If another process, or another call of this one, trains into it.
    OSError
        If it cannot be made.
    """
    prepare_output(output)
    with folders.holding(output):
        yield


def run_experiment(
    data: ExperimentData,
    config: ExperimentConfig,
    output: Path,
    *,
    title: str = "",
    reporter: Reporter | None = None,
) -> Outcome:
    """Train and test with every strategy and write what came of it.

    Parameters
    ----------
    data : ExperimentData
    config : ExperimentConfig
    output : Path
        Folder for ``runs/STRATEGY.json``, ``summary.csv`` and ``comparison.png``; made if missing.
    title : str
        Of the plot.
    reporter : Reporter, optional

    Returns
    -------
    Outcome

    Raises
    ------
    ValueError
        If another process trains into the folder, or it holds runs of `tombola experiment`.
    OSError
        If the folder cannot be written, which is tried before anything is trained.
    """
    with holding(output):
        if (output / EXPERIMENT_FILE).exists():
            msg = f"{output} holds runs of tombola experiment; name another folder (--output)"
            raise ValueError(msg)
        return _run_all(data, config, output, title, reporter or Silent())


def _run_all(
    data: ExperimentData, config: ExperimentConfig, output: Path, title: str, reporter: Reporter
) -> Outcome:
    baseline = {
        label.name: majority_scores(label.codes[data.test_rows], data.train_counts(label))
        for label in data.labels
    }
    results: list[RunResult] = []
    runs: list[Path] = []
    for name in config.strategies:
        reporter.begin(name, count_steps(config, data))
        result = run_strategy(name, data, config, on_step=reporter.step)
        results.append(result)
        runs.append(output / RUNS / f"{name}.json")
        write_json(runs[-1], run_record(result, data, config, baseline))
        reporter.end(result)
    summary, plot = output / "summary.csv", output / "comparison.png"
    write_csv(summary, summary_rows(results, baseline))
    plot_comparison(plot, results, baseline, data, title=title)
    return Outcome(tuple(results), baseline, summary, plot, tuple(runs))
