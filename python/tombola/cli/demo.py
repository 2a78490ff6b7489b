"""The command `tombola demo`: make plates, compare the six strategies on them.

The options suit the data made: the baseline is the median count of label combinations and the fetch window at
most a tenth of a plate.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tombola._base.console import make_bars, say, stdout_console
from tombola.experiments import ExperimentConfig, Outcome, PlateDesign, make_plates, open_data
from tombola.experiments.plates import LABELS
from tombola.experiments.six.config import check_strategies, window_factor
from tombola.experiments.six.runner import prepare_output

from .cache import cache_folder
from .results import run_and_print

__all__ = ["run_demo"]

BATCH_SIZE = 64


def run_demo(
    *,
    output: Path,
    strategies: Sequence[str] = ("all",),
    seed: int = 0,
    cache: Path | None = None,
    design: PlateDesign | None = None,
) -> Outcome:
    """Make the plates, or find them, then train on all but the last and test on that.

    Parameters
    ----------
    output : Path
        Folder for the results.
    strategies : sequence of str
        Names, or "all".
    seed : int
        Of order and weights, not of the data.
    cache : Path, optional
        Folder for the plates; by default the user's cache folder.
    design : PlateDesign, optional
        What the plates are like; by default the demo's own.
    """
    design = design or PlateDesign()
    config = ExperimentConfig(strategies=check_strategies(strategies), batch_size=BATCH_SIZE, seed=seed)
    prepare_output(output)
    plates = _plates(cache or cache_folder(), design)
    data = open_data(plates, LABELS, holdout_files=plates[-1:])
    config = replace(
        config,
        fetch_factor=window_factor(design.cells_per_plate // 10, BATCH_SIZE),
        min_count_baseline=float(np.median(data.combination_counts())),
    )
    say(stdout_console(), [f"plates:   {len(plates)} in {plates[0].parent}"])
    return run_and_print(
        data,
        config,
        output,
        title=f"Six ways of choosing batches: {len(plates) - 1} plates to train on, each sorted by drug",
        window_note=f", at most a tenth of a plate of {design.cells_per_plate:,}",
        baseline_note=", the median count of label combinations",
    )


def _plates(folder: Path, design: PlateDesign) -> list[Path]:
    with make_bars() as bars:
        task = bars.add_task("making plates", total=design.n_plates, note="", visible=False)

        def on_plate(done: int, total: int) -> None:
            bars.update(task, completed=done, total=total, visible=True)

        return make_plates(folder, design, on_plate=on_plate)
