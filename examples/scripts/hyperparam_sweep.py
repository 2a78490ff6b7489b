"""Search the options of mini-epoch training in one call: how much data and how long a mini epoch are yours.

    python examples/scripts/hyperparam_sweep.py --total_data 0.2 --mini_epoch_size 2 --trials 12
    python examples/scripts/hyperparam_sweep.py --files plates/ --labels drug cell_line

Without --files, a few plates of synthetic cells are made. Learning rate, batch size, strategy, block size and
fetch factor are searched by Optuna, whose study is kept in SQLite in the output folder: the same command goes
on where one was killed, at the last mini epoch of the trial or, with --checkpoint_every, at most so many
batches before. Bad trials end early, at a mini epoch's end.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from example_tools import OneLineParser, check_whole, print_table, result_console, run_example

SEARCH: dict[str, Any] = {
    "learning_rate": {"low": 0.1, "high": 30.0, "log": True},
    "batch_size": [32, 64, 128],
    "strategy": ["streaming", "streaming_shuffle", "block_shuffling", "class_balanced"],
    "block_size": [4, 16, 64],
    "fetch_factor": [4, 16, 64],
}


def make_parser() -> OneLineParser:
    """Return the parser of the command line."""
    parser = OneLineParser("Search the options of mini-epoch training in one call.")
    parser.add_argument("--files", nargs="+", help="h5ad files, folders or patterns, if not made")
    parser.add_argument("--labels", nargs="+", default=["drug", "cell_line"], help="obs columns to learn")
    parser.add_argument(
        "--total_data", default="0.25", help="share of the rows (at most 1), or how many, to train on"
    )
    parser.add_argument(
        "--chunk_size",
        "--mini_epoch_size",
        dest="mini_epoch_size",
        default=argparse.SUPPRESS,
        help='files, a budget such as "50000 rows" or "2 GB", or auto (default: 20, of plates made here 2)',
    )
    parser.add_argument("--epochs", type=check_whole(1), default=1, help="full epochs of a trial")
    parser.add_argument(
        "--checkpoint_every", type=check_whole(1), help="save after so many batches of a mini epoch, too"
    )
    parser.add_argument("--trials", type=check_whole(1), default=12, help="trials in all")
    parser.add_argument("--seed", type=check_whole(0), default=0, help="of the choice")
    parser.add_argument("--output", "-o", type=Path, default=Path("sweep-output"), help="folder for results")
    return parser


def run(options: argparse.Namespace) -> None:
    """Search, print the trials, write table, picture and the best options."""
    from tombola.experiments import PlateDesign, make_plates
    from tombola.experiments.sweep import make_plan, run_sweep
    from tombola.experiments.sweep.report import sweep_table, write_sweep
    from tombola.training import INTERRUPTED_EXIT_CODE

    if options.files is None:
        design = PlateDesign(n_plates=8, cells_per_plate=2_000, n_genes=300, n_drugs=20)
        files = [str(path) for path in make_plates(options.output / "data", design)]
    else:
        files = options.files
    plan = make_plan(
        {
            "files": files,
            "labels": options.labels,
            "epochs": options.epochs,
            "total_data": options.total_data,
            "chunk_size": getattr(options, "mini_epoch_size", "2" if options.files is None else "20"),
            "checkpoint_every": options.checkpoint_every,
            "monitor": f"validation_macro_f1_{options.labels[0]}",
        },
        SEARCH,
        trials=options.trials,
        seed=options.seed,
        output=options.output,
    )
    outcome = run_sweep(
        plan, on_trial=lambda trial, n: print(f"trial {trial.index} {trial.state} ({trial.index + 1} of {n})")
    )
    if outcome.retried:
        print(f"{outcome.retried} trial(s) of a run that was killed went on")
    print_table(result_console(), sweep_table(outcome, plan))
    print("wrote", *write_sweep(outcome, plan))
    if outcome.interrupted:
        print("stopped by a signal; the same command goes on")
        raise SystemExit(INTERRUPTED_EXIT_CODE)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run on the command line's arguments, or those given."""
    options = make_parser().parse_args(arguments)
    run_example(lambda: run(options), options.output)


if __name__ == "__main__":
    main()
