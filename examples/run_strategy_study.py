"""Six ways of choosing batches on a million generated cells: several seeds, weights softened more or less.

    python examples/run_strategy_study.py            # 10^6 cells, 30 runs, half an hour or more
    python examples/run_strategy_study.py --quick    # 10^4 cells, a minute

Plates are generated, nine to train on and one to test on, each sorted by drug. `tombola experiment` then
trains every strategy with every seed at the first baseline, and those that the baseline concerns at the
others; the command is printed. A run that is done is not repeated when the same line is given again. Writes
`study.csv`, a row a run with its baseline, `study_means.csv`, pictures, and `summary.csv` of the first
baseline, from which the notebook `analyze_results.ipynb` and `tombola report` draw.
"""

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from example_tools import OneLineParser, check_number, check_whole, run_example

CONFIG = Path(__file__).resolve().parent / "config" / "strategy_study.yaml"
N_PLATES = 10
QUICK = 10_000


def make_parser() -> OneLineParser:
    """Return the parser of the command line."""
    parser = OneLineParser("Compare six ways of choosing batches on many generated cells.")
    parser.add_argument("--cells", type=check_whole(1_000), default=1_000_000, help="cells of all plates")
    parser.add_argument("--genes", type=check_whole(20), default=200, help="genes of a cell")
    parser.add_argument("--seeds", type=check_whole(0), nargs="+", default=[0, 1, 2], help="a run for each")
    parser.add_argument(
        "--baselines",
        type=check_number(0),
        nargs="+",
        default=[0.0, 100.0, 1_000.0],
        help="counts that are added to those of classes before they become weights",
    )
    parser.add_argument("--quick", action="store_true", help=f"{QUICK:,} cells, small windows")
    parser.add_argument("--config", default=str(CONFIG), help="all other options, as tombola experiment's")
    parser.add_argument("--data", type=Path, default=Path("strategy-study-plates"), help="folder for plates")
    parser.add_argument(
        "--output", "-o", type=Path, default=Path("strategy-study"), help="folder for results"
    )
    return parser


def run(options: argparse.Namespace) -> None:
    """Make plates, train at each baseline, write what came of all."""
    from strategy_study import write_study
    from tombola.cli.experiment import run_study_files
    from tombola.experiments import PlateDesign, make_plates

    n_cells = QUICK if options.quick else options.cells
    design = PlateDesign(
        n_plates=N_PLATES, cells_per_plate=n_cells // N_PLATES, n_genes=options.genes, mean_counts=120.0
    )
    plates = make_plates(options.data, design, compressed=False)[0].parent
    folders: dict[float, Path] = {}
    for baseline in dict.fromkeys(options.baselines):
        strategies = ["class_balanced", "class_balanced_rows"] if folders else ["all"]
        folders[baseline] = options.output / f"baseline-{_text(baseline)}"
        overrides: dict[str, dict[str, Any]] = {
            "data": {"h5ad_dir": [str(plates)]},
            "training": {"seeds": list(options.seeds)},
            "weights": {"min_count_baseline": baseline},
            "output": {"save_dir": folders[baseline]},
        }
        if options.quick:
            overrides["scdataset"] = {"fetch_factor": 4}
            overrides["output"] |= {"log_interval": 20, "test_interval": 50}
        print(f"\n{_command(options.config, overrides, strategies)}", flush=True)
        run_study_files(options.config, overrides, strategies)
    print("\nwrote", *write_study(folders, options.output))


def _command(config: str, overrides: dict[str, dict[str, Any]], strategies: Sequence[str]) -> str:
    """Return the line that does the same, as a shell takes it."""
    words = ["tombola", "experiment", "--config", config]
    for section in overrides.values():
        for key, value in section.items():
            values = value if isinstance(value, list) else [value]
            words += [f"--{key}", ",".join(map(_text, values))]
    words += ["--all"] if strategies == ["all"] else ["--strategy", *strategies]
    return shlex.join(words)


def _text(value: object) -> str:
    """Return a value that reads as the same one again, whole numbers without a point."""
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run on the command line's arguments, or those given."""
    options = make_parser().parse_args(arguments)
    run_example(lambda: run(options), options.output)


if __name__ == "__main__":
    main()
