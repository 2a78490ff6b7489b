"""Run an experiment with progress bars and print what came of it; what demo and run have in common."""

from pathlib import Path

import numpy as np

from tombola._base.console import make_bars, say, stdout_console
from tombola._base.tables import print_table
from tombola.experiments import ExperimentConfig, ExperimentData, Outcome, run_experiment
from tombola.experiments.block_size import describe_blocks
from tombola.experiments.labels import left_out_text
from tombola.experiments.six.config import WITH_BLOCKS
from tombola.experiments.six.summary import accuracy_table, key_label, result_table
from tombola.experiments.six.training import count_steps

from .console import StrategyProgress

__all__ = ["run_and_print", "setup_lines"]


def run_and_print(
    data: ExperimentData,
    config: ExperimentConfig,
    output: Path,
    *,
    title: str,
    window_note: str = "",
    baseline_note: str = "",
) -> Outcome:
    """Train, test, write the files, print the tables; returns what `run_experiment` does.

    The notes are said behind the size of the fetch window and behind the baseline.
    """
    console = stdout_console()
    say(console, setup_lines(data, config, window_note, baseline_note))
    with make_bars() as bars:
        outcome = run_experiment(data, config, output, title=title, reporter=StrategyProgress(bars))
    console.print("\nmacro-F1 on the test rows", style="bold")
    print_table(console, result_table(outcome.results, outcome.baseline, data))
    say(console, legend(data))
    console.print("\naccuracy on the test rows", style="bold")
    print_table(console, accuracy_table(outcome.results, outcome.baseline))
    say(
        console,
        [
            f"\ntable:   {outcome.summary}",
            f"picture: {outcome.plot}",
            f"records: {outcome.runs[0].parent}",
        ],
    )
    return outcome


def legend(data: ExperimentData) -> list[str]:
    """Explain the columns of the table whose headings do not say it."""
    key = key_label(data)
    n_rare = max(1, len(key.classes) // 3)
    return [
        f"rare {key.name}: macro-F1 of its rarest third of classes alone ({n_rare} of {len(key.classes)})",
        f"bits ({key.name}): the mean entropy of its classes in a batch; 0 where all rows are of one",
    ]


def setup_lines(
    data: ExperimentData, config: ExperimentConfig, window_note: str, baseline_note: str
) -> tuple[str, ...]:
    """Return what is said before training; the notes stand behind window and baseline."""
    n_train, n_test = len(data.train_rows), len(data.test_rows)
    tasks = ", ".join(
        f"{label.name} ({np.count_nonzero(data.train_counts(label))} classes)" for label in data.labels
    )
    dropped = f"; {left_out_text(data.left_out, data.n_dropped)}" if data.n_dropped else ""
    window = f"{config.batch_size} x {config.fetch_factor} = {config.window:,} rows"
    sizes = dict.fromkeys(config.block_size_of(name) for name in config.strategies if name in WITH_BLOCKS)
    blocks = " or ".join(map(describe_blocks, sizes or [config.block_size]))
    passes = "1 epoch" if config.epochs == 1 else f"{config.epochs} epochs"
    return (
        f"data:     {n_train:,} rows to train on, {n_test:,} to test on, "
        f"{data.source.n_vars:,} features{dropped}",
        f"labels:   {tasks}",
        f"batches:  {config.batch_size} rows, in {blocks} where a strategy has blocks",
        f"window:   {window}{window_note}",
        f"baseline: {config.min_count_baseline:g}{baseline_note}",
        f"training: {passes}, {count_steps(config, data):,} steps, learning rate {config.learning_rate:g}, "
        f"the last fifth falling to 0, seed {config.seed}",
    )
