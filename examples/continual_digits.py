"""Learn the ten digits in five tasks of two, replaying from a buffer of old samples.

    python examples/continual_digits.py                               # balanced draws
    python examples/continual_digits.py --use_balanced_sampling 0     # uniform draws
    python examples/continual_digits.py --dataset superclasses        # generated classes in superclasses
    python examples/continual_digits.py --dataset seq-cifar100 --data DIR    # CIFAR-100 from a local folder

Class-incremental: one head for all classes, and a test sample may be of any class. The record and a picture
are written to the output folder under --experiment_id, a picture of the buffer's groups and scores beside it,
and the log has both task by task.
"""

import argparse
from collections.abc import Sequence

from example_tools import OneLineParser, log_to, run_example, write_json


def make_parser() -> OneLineParser:
    """Return the parser of the command line."""
    from continual.options import add_learner_options, add_switch, check_experiment_id
    from continual.settings import ALL_DATASETS

    parser = OneLineParser("Learn task by task, replaying old samples from a buffer.")
    parser.add_argument("--dataset", choices=ALL_DATASETS, default=ALL_DATASETS[0], help="what to learn")
    add_switch(
        parser,
        "use_balanced_sampling",
        default=True,
        text="draw by importance, balanced over semantic groups, rather than uniformly",
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
    from tombola.replay.buffer.report import BufferReport

    settings = make_run_options(options, options.dataset, use_balanced_sampling=options.use_balanced_sampling)
    way = "balanced" if options.use_balanced_sampling else "uniform"
    name = options.experiment_id or f"{options.dataset}-{way}-{options.seed}"
    data = load_data(options.dataset, options.seed, quick=options.quick, folder=options.data)
    print(data.describe())
    buffer = options.output / f"{name}-buffer.png"

    def draw_buffer(task: int, report: BufferReport) -> None:
        if task == len(data.tasks) - 1:
            report.plot(buffer)

    log = options.output / f"{name}.log"
    with log_to(log, verbose=options.verbose):
        record = run_tasks(settings, on_report=draw_buffer)
    print_run(record)
    results, picture = options.output / f"{name}.json", options.output / f"{name}.png"
    write_json(results, {"experiment_id": name, **record.to_dict()})
    plot_run(picture, record)
    print(f"wrote {results}, {picture}, {buffer} and {log}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run on the command line's arguments, or those given."""
    options = make_parser().parse_args(arguments)
    run_example(lambda: run(options), options.output)


if __name__ == "__main__":
    main()
