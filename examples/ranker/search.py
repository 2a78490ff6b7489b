"""A search for hyperparameters: Optuna's TPE, with trials below the median of earlier ones broken off.

The first trial has the usual values, so that the search is seen to gain, or not to. What counts is the best
validation accuracy. Source: Akiba et al., "Optuna: a next-generation hyperparameter optimization framework"
(2019).
"""

from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from matplotlib.ticker import MaxNLocator
from rich.table import Table

from example_tools import INK, print_table, result_console, save_figure, show_percent

from .data import PairData, PairSplit
from .report import COLOURS, NAMES
from .training import EpochRecord, RunRecord, TrainOptions, train

__all__ = ["Search", "Trial", "plot_search", "print_search", "search"]

HIDDEN_DIMS = {"64": (64,), "256": (256,), "128x64": (128, 64), "256x128": (256, 128)}
USUAL = {"lr": 1e-3, "hidden_dims": "256", "dropout": 0.0, "weight_decay": 1e-2, "batch_size": 64}


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One set of hyperparameters; `run` is None where the trial was broken off."""

    number: int
    parameters: dict[str, Any]
    validation_accuracy: float
    """The best of its epochs."""

    run: RunRecord | None


@dataclass(frozen=True, kw_only=True)
class Search:
    """All trials in order."""

    use_series_sampler: bool
    trials: tuple[Trial, ...]

    @property
    def best(self) -> Trial:
        """The finished trial that validated best, the first of equals."""
        finished = [trial for trial in self.trials if trial.run is not None]
        return max(finished, key=lambda trial: trial.validation_accuracy)

    def to_dict(self) -> dict[str, Any]:
        """Return the trials in a form that JSON can hold; of the runs, the best one's."""
        assert self.best.run is not None
        trials = [{**asdict(replace(trial, run=None)), "pruned": trial.run is None} for trial in self.trials]
        for trial in trials:
            del trial["run"]
        return {
            "use_series_sampler": self.use_series_sampler,
            "best_trial": self.best.number,
            "best_parameters": self.best.parameters,
            "best_run": self.best.run.to_dict(),
            "trials": trials,
        }


def search(
    data: PairData,
    split: PairSplit,
    base: TrainOptions,
    n_trials: int,
    *,
    fixed: Collection[str] = (),
) -> Search:
    """Train `n_trials` rankers; `base` says what is not searched: epochs, seed, sampler, what is `fixed`."""
    runs: dict[int, RunRecord] = {}

    def objective(trial: optuna.Trial) -> float:
        def report(epoch: EpochRecord) -> None:
            trial.report(epoch.validation_accuracy, epoch.epoch)
            if trial.should_prune():
                raise optuna.TrialPruned

        run = runs[trial.number] = train(data, split, _draw(trial, base, fixed), on_epoch=report)
        return run.best.validation_accuracy

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=base.seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=2),
    )
    study.enqueue_trial({name: value for name, value in USUAL.items() if name not in fixed})
    study.optimize(objective, n_trials=n_trials)
    trials = tuple(
        Trial(
            number=trial.number,
            parameters=trial.params,
            validation_accuracy=max(trial.intermediate_values.values()),
            run=runs.get(trial.number),
        )
        for trial in study.trials
    )
    return Search(use_series_sampler=base.use_series_sampler, trials=trials)


def _draw(trial: optuna.Trial, base: TrainOptions, fixed: Collection[str]) -> TrainOptions:
    drawn = replace(
        base,
        lr=trial.suggest_float("lr", 1e-4, 1e-2, log=True),
        mlp_hidden_dims=HIDDEN_DIMS[trial.suggest_categorical("hidden_dims", tuple(HIDDEN_DIMS))],
        dropout=trial.suggest_float("dropout", 0.0, 0.6, step=0.1),
        weight_decay=trial.suggest_float("weight_decay", 1e-4, 1.0, log=True),
    )
    if "batch_size" in fixed:
        return drawn
    return replace(drawn, batch_size=trial.suggest_categorical("batch_size", (32, 64, 128)))


def print_search(search: Search) -> None:
    """Print the trials, best first, and the test accuracy of the best."""
    table = Table(title=f"Trials, {NAMES[search.use_series_sampler]}", title_justify="left")
    names = list(search.trials[0].parameters)
    for name in ("trial", *names, "validation"):
        table.add_column(name.replace("_", " "), justify="right")
    table.add_column("remark")
    for trial in sorted(search.trials, key=lambda trial: -trial.validation_accuracy):
        values = (trial.parameters[name] for name in names)
        texts = (f"{value:.2g}" if isinstance(value, float) else str(value) for value in values)
        remark = "broken off" if trial.run is None else "best" if trial is search.best else ""
        remark += " (usual values)" if trial.number == 0 else ""
        table.add_row(str(trial.number), *texts, f"{trial.validation_accuracy:.1%}", remark.strip())
    console = result_console()
    print_table(console, table)
    run = search.best.run
    assert run is not None
    figures = f"test accuracy {run.test_accuracy:.1%}, gap {run.best.gap:.1%} at its epoch {run.best.epoch}"
    console.print(f"best trial {search.best.number}: {figures}")


def plot_search(path: Path, search: Search) -> None:
    """Draw the accuracy by trial, and by learning rate."""
    title = f"Hyperparameter search, {NAMES[search.use_series_sampler]}"
    colour = COLOURS[search.use_series_sampler]
    values = np.array([trial.validation_accuracy for trial in search.trials])
    finished = np.array([trial.run is not None for trial in search.trials])
    reached = np.maximum.accumulate(np.where(finished, values, -np.inf))
    shown = np.isfinite(reached)
    rates = np.array([trial.parameters["lr"] for trial in search.trials])
    with save_figure(path, (10, 4.3), title) as figure:
        by_trial, by_rate = figure.subplots(1, 2, sharey=True)
        for axes, places in ((by_trial, np.arange(len(values))), (by_rate, rates)):
            axes.plot(places[finished], values[finished], "o", color=colour, label="finished")
            axes.plot(places[~finished], values[~finished], "x", color="#999999", label="broken off early")
            show_percent(axes.yaxis)
        by_trial.step(
            np.flatnonzero(shown), reached[shown], where="post", color=INK, linewidth=1, label="best so far"
        )
        by_trial.xaxis.set_major_locator(MaxNLocator(integer=True))
        by_trial.set_xlabel("trial")
        by_trial.set_ylabel("best validation accuracy")
        by_trial.set_title("By trial")
        by_rate.set_xscale("log")
        by_rate.set_xlabel("learning rate")
        by_rate.set_title("By learning rate")
        figure.legend(*by_trial.get_legend_handles_labels(), loc="outside lower center", ncols=3)
