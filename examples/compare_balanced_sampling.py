"""Compare uniform and balanced draws of a replay buffer in class-incremental learning, over several seeds.

    python examples/compare_balanced_sampling.py            # digits and generated superclasses, 20 seeds
    python examples/compare_balanced_sampling.py --quick    # a first look, in seconds

For each data set it prints final accuracy, forgetting, how far draws are off an even share of semantic
groups, and semantic consistency, with standard errors and paired differences, then the same for variants.
Every run's record is written, and a picture of the comparison.
"""

import argparse
import os
from collections.abc import Sequence
from dataclasses import asdict

from example_tools import OneLineParser, check_number, check_whole, log_to, run_example, write_json

QUICK_SEEDS = 2


def make_parser() -> OneLineParser:
    """Return the parser of the command line."""
    from continual.options import add_learner_options, check_experiment_id
    from continual.settings import ALL_DATASETS, DATASETS

    parser = OneLineParser("Compare uniform and balanced draws of a replay buffer.")
    parser.add_argument(
        "--datasets", choices=ALL_DATASETS, nargs="+", default=list(DATASETS), help="what to learn"
    )
    parser.add_argument(
        "--repeats", type=check_whole(1), default=20, help=f"seeds, from --seed on; {QUICK_SEEDS} if --quick"
    )
    parser.add_argument(
        "--balance_weights",
        type=check_number(0),
        nargs="*",
        default=[0.0, 0.5],
        metavar="WEIGHT",
        help="further weights to try beside --balance_weight",
    )
    parser.add_argument(
        "--variants",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="try plain cosine, a learned threshold, levels of groups, scores of losses, logits and age, "
        "stored logits, and uniform draws without the semantic loss, too",
    )
    parser.add_argument(
        "--workers", type=check_whole(1), default=os.cpu_count() or 1, help="processes; results do not differ"
    )
    parser.add_argument(
        "--experiment_id", type=check_experiment_id, default="comparison", help="name of the files written"
    )
    add_learner_options(parser, "continual-output")
    return parser


def run(options: argparse.Namespace) -> None:
    """Run all, print and write."""
    from continual.comparison import Way, compare, make_ways
    from continual.data import load_data
    from continual.options import make_run_options
    from continual.report import plot_comparison, print_comparison
    from continual.training import RunRecord

    repeats, workers = (QUICK_SEEDS, 1) if options.quick else (options.repeats, options.workers)
    name = options.experiment_id
    settings = [make_run_options(options, dataset) for dataset in dict.fromkeys(options.datasets)]
    for of_data in settings:
        data = load_data(of_data.dataset, options.seed, quick=options.quick, folder=options.data)
        print(data.describe())

    def write_run(way: Way, record: RunRecord) -> None:
        seed = record.options.learner.seed
        run_name = f"{record.options.dataset}-{way.slug}-{seed}"
        record_id = {"experiment_id": f"{name}/{run_name}"}
        write_json(options.output / name / f"{run_name}.json", {**record_id, **record.to_dict()})

    log = options.output / f"{name}.log"
    with log_to(log, verbose=options.verbose):
        comparison = compare(
            settings,
            make_ways(options.balance_weights, variants=options.variants),
            seeds=range(options.seed, options.seed + repeats),
            workers=workers,
            on_run=write_run,
        )
    print_comparison(comparison)
    results, picture = options.output / f"{name}.json", options.output / f"{name}.png"
    facts = {"experiment_id": name, "settings": [asdict(of_data) for of_data in settings]}
    write_json(results, {**facts, "datasets": comparison.to_dict()})
    plot_comparison(picture, comparison)
    print(f"wrote {results}, {picture}, {log} and a record of each run to {options.output / name}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run on the command line's arguments, or those given."""
    options = make_parser().parse_args(arguments)
    run_example(lambda: run(options), options.output)


if __name__ == "__main__":
    main()
