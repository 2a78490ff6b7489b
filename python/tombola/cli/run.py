"""The command `tombola run`: compare strategies on the user's own h5ad files.

The field's defaults stay (batches of 64, fetch factor 256, baseline 1,000); where they make no sense for
the data it is said, with values that do.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tombola.experiments import ExperimentConfig, Outcome, open_data
from tombola.experiments.block_size import check_block_size
from tombola.experiments.six.config import check_strategies, enough_epochs, find_misfits
from tombola.experiments.six.runner import prepare_output
from tombola.strategies.names import DEFAULT_BASELINE

from .console import warn
from .results import run_and_print

__all__ = ["RunOptions", "run_files"]

DEFAULT_FRACTION = 0.2


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """The options of the command as given; see its help."""

    labels: Sequence[str]
    holdout_files: Sequence[Path] = ()
    holdout_fraction: float | None = None
    strategies: Sequence[str] = ("all",)
    epochs: int | None = None
    batch_size: int = 64
    fetch_factor: int = 256
    block_size: str = "16"
    min_count_baseline: float = DEFAULT_BASELINE
    learning_rate: float = 3.0
    log1p: bool = False
    join: str = "exact"
    seed: int = 0


def run_files(paths: Sequence[Path], options: RunOptions, output: Path) -> Outcome:
    """Train on the files with each strategy and print scores beside those of the majority class.

    Raises
    ------
    ValueError, KeyError, OSError
        If an option, a label column or a file does not do.
    """
    fraction = options.holdout_fraction
    if options.holdout_files and fraction is not None:
        msg = "--holdout-files and --holdout-fraction exclude each other"
        raise ValueError(msg)
    if fraction is None and not options.holdout_files:
        fraction = DEFAULT_FRACTION
    config = ExperimentConfig(
        strategies=check_strategies(options.strategies),
        epochs=1 if options.epochs is None else options.epochs,
        log1p=options.log1p,
        batch_size=options.batch_size,
        fetch_factor=options.fetch_factor,
        block_size=check_block_size(options.block_size),
        min_count_baseline=options.min_count_baseline,
        learning_rate=options.learning_rate,
        seed=options.seed,
    )
    prepare_output(output)
    data = open_data(
        paths,
        options.labels,
        holdout_files=options.holdout_files,
        holdout_fraction=fraction,
        seed=options.seed,
        join=options.join,
    )
    if options.epochs is None:
        config = replace(config, epochs=enough_epochs(len(data.train_rows), config.batch_size))
    warn(find_misfits(config, data))
    files = paths[0].name if len(data.source.paths) == 1 else f"{len(data.source.paths)} files"
    return run_and_print(data, config, output, title=f"Ways of choosing batches, {files}")
