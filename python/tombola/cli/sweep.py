"""The command `tombola sweep`: a search over the options of `tombola train`, as sweep.yaml says."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tombola._base.console import make_bars, say, stdout_console
from tombola._base.tables import print_table

from .console import warn

__all__ = ["INTERRUPTED_EXIT_CODE", "sweep_files"]

INTERRUPTED_EXIT_CODE = 75


def sweep_files(path: Path, overrides: Mapping[str, Any], train_overrides: Mapping[str, Any]) -> int:
    """Try options, print the best and return the exit code: 75 where a signal stopped it, else 0.

    Raises
    ------
    ValueError, KeyError, OSError, TrainingError
        If the configuration or a file does not do, or Optuna is not installed.
    """
    if importlib.util.find_spec("optuna") is None:
        msg = 'tombola sweep needs the package optuna; pip install "tombola[sweep]" brings it'
        raise ValueError(msg)
    from tombola.experiments.sweep import TrialResult, read_sweep_config, run_sweep
    from tombola.experiments.sweep.report import describe_search, sweep_table, write_sweep

    plan = read_sweep_config(path, _given(overrides), _given(train_overrides))
    console = stdout_console()
    say(console, describe_search(plan))
    with make_bars() as bars:
        task = bars.add_task("trials", total=plan.trials, note="")

        def show(trial: TrialResult, planned: int) -> None:
            value = "no value" if trial.value is None else f"{plan.base.figure} {trial.value:.4f}"
            options = ", ".join(
                f"{key} {option:.4g}" if isinstance(option, float) else f"{key} {option}"
                for key, option in trial.parameters.items()
            )
            say(bars.console, [f"trial {trial.index} {trial.state}: {value} ({options})"])
            bars.update(task, completed=trial.index + 1, total=planned)

        outcome = run_sweep(plan, on_trial=show)
    if outcome.retried:
        warn([f"{outcome.retried} trial(s) of a process that was killed were tried again"])
    written = write_sweep(outcome, plan)
    print_table(console, sweep_table(outcome, plan))
    states = [trial.state for trial in outcome.trials]
    counts = ", ".join(f"{states.count(state)} {state}" for state in ("complete", "pruned", "failed"))
    lines = [f"trials:  {len(states)} of {plan.trials}: {counts}", *(f"wrote    {file}" for file in written)]
    if outcome.interrupted:
        lines.append("stopped by a signal; the same command goes on")
    say(console, lines)
    return INTERRUPTED_EXIT_CODE if outcome.interrupted else 0


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if value is not None}
