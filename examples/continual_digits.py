"""Learn the ten digits in five tasks of two, replaying from a buffer of old samples.

    python examples/continual_digits.py                               # balanced draws
    python examples/continual_digits.py --no-use_balanced_sampling    # uniform draws
    python examples/continual_digits.py --dataset superclasses        # generated classes in superclasses

Class-incremental: one head for all classes, and a test sample may be of any class. The record and a picture
are written to the output folder under --experiment_id.
"""

import argparse
from collections.abc import Sequence

from example_tools import OneLineParser, log_to, run_example, write_json


def make_parser() -> OneLineParser:
    """Return the parser of the command line."""
    from continual.options import add_learner_options, check_experiment_id
    from continual.settings import DATASETS

    parser = OneLineParser("Learn task by task, replaying old samples from a buffer.")
    parser.add_argument("--dataset", choices=DATASETS, default=DATASETS[0], help="what to learn")
    parser.add_argument(
        "--use_balanced_sampling",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="draw by importance, balanced over semantic groups, rather than uniformly",
    )
    parser.add_argument(
        "--experiment_id",
        type=check_experiment_id,
        default=None,
        help="name of the files written; by default made of data, way and seed",
    )
    add_learner_options(parser, "continual-output")
    return parser


def run(options: argparse.Namespace) -> None:
    """Learn, print and write."""
    from continual.data import load_data
    from continual.options import make_run_options
    from continual.report import plot_run, print_run
    from continual.training import run as run_tasks

    settings = make_run_options(options, options.dataset, use_balanced_sampling=options.use_balanced_sampling)
    way = "balanced" if options.use_balanced_sampling else "uniform"
    name = options.experiment_id or f"{options.dataset}-{way}-{options.seed}"
    print(load_data(options.dataset, options.seed, quick=options.quick).describe())
    log = options.output / f"{name}.log"
    with log_to(log, verbose=options.verbose):
        record = run_tasks(settings)
    print_run(record)
    results, picture = options.output / f"{name}.json", options.output / f"{name}.png"
    write_json(results, {"experiment_id": name, **record.to_dict()})
    plot_run(picture, record)
    print(f"wrote {results}, {picture} and {log}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run on the command line's arguments, or those given."""
    options = make_parser().parse_args(arguments)
    run_example(lambda: run(options))


if __name__ == "__main__":
    main()
