"""The command `tombola experiment`: all strategies with all seeds, as a YAML file and options say."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tombola._base.console import make_bars, say, stdout_console
from tombola.experiments import ExperimentData, open_data
from tombola.experiments.file_names import find_files
from tombola.experiments.plotting import plot_comparison, save_figure
from tombola.experiments.six.config import find_misfits
from tombola.experiments.six.mappings import read_mappings
from tombola.experiments.six.runner import holding
from tombola.experiments.six.sections import DataSection
from tombola.experiments.six.settings import ExperimentSettings, find_config, read_settings
from tombola.experiments.six.study import Study, mean_rows, run_study
from tombola.experiments.six.summary import accuracy_table, means_table, result_table, summary_rows

from .console import StrategyProgress, warn
from .results import setup_lines

__all__ = ["run_study_files"]

DEFAULT_FRACTION = 0.2


def run_study_files(
    config: str | None, overrides: Mapping[str, Mapping[str, Any]], strategies: Sequence[str]
) -> Study:
    """Read the file, train what is not trained yet, and print what came of all.

    Raises
    ------
    ValueError, KeyError, OSError
        If an option, a key of the file, a label or a data file does not do.
    """
    path, folder = (None, None) if config is None else find_config(config)
    settings = read_settings(path, overrides, strategies, folder=folder)
    experiment = settings.config()
    output = settings.output.save_dir
    with holding(output):  # before files are opened, so that the answer is quick
        pass
    data = _open(settings)
    warn(find_misfits(experiment, data))
    console = stdout_console()
    seeds = tuple(dict.fromkeys(settings.training.seeds))
    say(console, [*setup_lines(data, experiment, "", ""), f"seeds:    {', '.join(map(str, seeds))}"])
    with make_bars() as bars:
        study = run_study(data, experiment, seeds, output, reporter=StrategyProgress(bars))
    found = [run for run in study.runs if not run.is_new]
    if found:
        say(console, [f"found:    {len(found)} of {len(study.runs)} runs were done before, and are kept"])
    _print_tables(study, data, seeds)
    figure, _ = plot_comparison(study.summary)
    pictures = save_figure(figure, output / "comparison.png")
    lines = [f"table:    {study.summary}", f"means:    {study.means}", f"picture:  {pictures[0]}, and as PDF"]
    say(console, ["", *lines, f"runs:     {output / 'runs'}", f"page:     tombola report {output}"])
    return study


def _open(settings: ExperimentSettings) -> ExperimentData:
    section = settings.data
    paths = find_files("h5ad_dir", section.h5ad_dir)
    held_out = _test_files(section, paths)
    fraction = section.test_fraction
    if not held_out and fraction is None:
        fraction = DEFAULT_FRACTION
    return open_data(
        paths,
        section.labels,
        holdout_files=held_out,
        holdout_fraction=fraction,
        join=section.join,
        mappings=None if section.label_dir is None else read_mappings(section.label_dir),
        max_train_cells=settings.training.max_train_cells,
        max_test_cells=settings.training.max_test_cells,
    )


def _test_files(section: DataSection, paths: Sequence[Path]) -> list[Path]:
    """Return the files to test on: those named, else the last of several, where no share is asked for."""
    if section.test_files:
        by_name = {path.name: path for path in paths}
        return [by_name.get(name, Path(name)) for name in section.test_files]
    return [paths[-1]] if len(paths) > 1 and section.test_fraction is None else []


def _print_tables(study: Study, data: ExperimentData, seeds: Sequence[int]) -> None:
    console = stdout_console()
    results = [run.result for run in study.runs]
    means = mean_rows(summary_rows(results, study.baseline, [run.seed for run in study.runs]))
    several = len(seeds) > 1
    of_seeds = f", means of {len(seeds)} seeds ± standard deviation" if several else ""
    console.print(f"\nmacro-F1 on the test rows{of_seeds}", style="bold")
    console.print(
        means_table(means, data, "macro_f1") if several else result_table(results, study.baseline, data)
    )
    console.print(f"\naccuracy on the test rows{of_seeds}", style="bold")
    console.print(
        means_table(means, data, "accuracy", has_speed=False)
        if several
        else accuracy_table(results, study.baseline)
    )
