"""Search the ranker's hyperparameters with Optuna, with tombola's series sampler or without.

    python examples/run_hyperparameter_search.py --mode quick      # 10% of the data, both ways
    python examples/run_hyperparameter_search.py --mode full --use_series_sampler
    python examples/run_hyperparameter_search.py --mode full --no-use_series_sampler

Learning rate, widths, dropout, weight decay and batch size are searched; what counts is the best validation
accuracy, and the test accuracy is told of the best trial only.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace

from example_tools import OneLineParser, check_whole, log_to, run_example, write_json


@dataclass(frozen=True)
class Mode:
    """How much to search."""

    fraction: float
    trials: int
    epochs: int


MODES = {"quick": Mode(fraction=0.1, trials=3, epochs=6), "full": Mode(fraction=1.0, trials=25, epochs=12)}


def make_parser() -> OneLineParser:
    """Return the parser of the command line."""
    from ranker.options import add_data_options

    parser = OneLineParser("Search the ranker's hyperparameters with Optuna.")
    sizes = "; ".join(
        f"{name}: {mode.trials} trials of {mode.epochs} epochs on {100 * mode.fraction:g}%% of the series"
        for name, mode in MODES.items()
    )
    parser.add_argument("--mode", choices=list(MODES), default="quick", help=sizes)
    parser.add_argument(
        "--use_series_sampler",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="batches of pairs of different series, or random batches; left out: both, one after the other",
    )
    parser.add_argument(
        "--trials", "--n_trials", type=check_whole(1), help="trials, if not as many as the mode says"
    )
    parser.add_argument(
        "--epochs", "--max_epochs", type=check_whole(1), help="epochs, if not as many as the mode says"
    )
    parser.add_argument(
        "--batch_size", type=check_whole(1), help="pairs of a batch; left out: 32, 64 or 128, searched"
    )
    add_data_options(parser, "search-output")
    return parser


def run(options: argparse.Namespace) -> None:
    """Search, print the trials and the best one's test accuracy, write both."""
    from ranker.data import split_by_series
    from ranker.options import pairs_of
    from ranker.report import describe_split
    from ranker.search import plot_search, print_search, search
    from ranker.training import TrainOptions

    mode = MODES[options.mode]
    data, of_data = pairs_of(options)
    split = split_by_series(data, fraction=mode.fraction, seed=options.data_seed)
    described = describe_split(data, split)
    print(described)
    size = {} if options.batch_size is None else {"batch_size": options.batch_size}
    base = TrainOptions(max_epochs=options.epochs or mode.epochs, seed=options.seed, **size)
    facts = {"mode": options.mode, "data": of_data, "split": described}
    written = []
    with log_to(options.output / "search.log", verbose=options.verbose):
        asked = options.use_series_sampler
        for use in (True, False) if asked is None else (asked,):
            found = search(
                data,
                split,
                replace(base, use_series_sampler=use),
                options.trials or mode.trials,
                fixed=set(size),
            )
            print_search(found)
            name = "search" if asked is not None else f"search-{'with' if use else 'without'}-sampler"
            written += [options.output / f"{name}.json", options.output / f"{name}.png"]
            write_json(written[-2], {**facts, **found.to_dict()})
            plot_search(written[-1], found)
    print(f"wrote {', '.join(map(str, written))} and {options.output / 'search.log'}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run on the command line's arguments, or those given."""
    options = make_parser().parse_args(arguments)
    run_example(lambda: run(options), options.output)


if __name__ == "__main__":
    main()
