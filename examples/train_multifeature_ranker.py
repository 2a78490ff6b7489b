"""Train a pairwise ranker over features of images in photo series, with tombola's series sampler or without.

    python examples/train_multifeature_ranker.py                           # random batches, all data
    python examples/train_multifeature_ranker.py --use_series_sampler      # batches of different series
    python examples/train_multifeature_ranker.py --quick_experiment 0.1    # with 10% of the data
    python examples/train_multifeature_ranker.py --pairs my_pairs.csv      # pairs of your own
    python examples/train_multifeature_ranker.py --ablation                # both, several seeds, a plot

Data are generated (`ranker.data` says how): each series has a taste of its own beside the shared one, so that
a ranker overfits. Parts for training, validation and test share no series. `train.log` in the output folder
says for every batch how many unique series it holds.
"""

import argparse
from collections.abc import Sequence

from example_tools import OneLineParser, check_number, check_whole, log_to, run_example, write_json


def make_parser() -> OneLineParser:
    """Return the parser of the command line."""
    from ranker.options import add_data_options, add_experiment_fraction, check_share

    parser = OneLineParser("Train a pairwise ranker over features of images in photo series.")
    parser.add_argument(
        "--use_series_sampler",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="batches of pairs of different series, rather than random batches",
    )
    parser.add_argument(
        "--schedule",
        choices=("balanced", "round_robin"),
        default="balanced",
        help="how the sampler deals out series, see tombola.SeriesRoundRobin",
    )
    parser.add_argument(
        "--ablation", action="store_true", help="train with and without the sampler, and compare"
    )
    parser.add_argument("--repeats", type=check_whole(1), default=6, help="seeds of the ablation")
    add_experiment_fraction(parser)
    parser.add_argument(
        "--mlp_hidden_dims",
        type=check_whole(1),
        nargs="+",
        default=[256],
        metavar="WIDTH",
        help="widths of the hidden layers, one or more",
    )
    parser.add_argument("--batch_size", type=check_whole(1), default=64, help="pairs of a batch")
    parser.add_argument(
        "--epochs",
        "--max_epochs",
        dest="max_epochs",
        type=check_whole(1),
        default=20,
        help="passes over the training pairs",
    )
    parser.add_argument(
        "--learning_rate",
        "--lr",
        dest="lr",
        type=check_number(0, above=True),
        default=1e-3,
        help="learning rate of AdamW",
    )
    parser.add_argument("--weight_decay", type=check_number(0), default=1e-2, help="weight decay of AdamW")
    parser.add_argument("--dropout", type=check_share, default=0.0, help="after each hidden layer")
    parser.add_argument("--num_workers", type=check_whole(0), default=0, help="processes that read batches")
    add_data_options(parser, "ranker-output")
    return parser


def run(options: argparse.Namespace) -> None:
    """Generate, train, print and write what the options ask for."""
    from ranker.ablation import run_ablation
    from ranker.data import split_by_series
    from ranker.options import pairs_of
    from ranker.report import describe_split, plot_ablation, plot_run, print_ablation, print_run
    from ranker.training import TrainOptions, train

    train_options = TrainOptions(
        use_series_sampler=options.use_series_sampler,
        schedule=options.schedule,
        batch_size=options.batch_size,
        max_epochs=options.max_epochs,
        lr=options.lr,
        weight_decay=options.weight_decay,
        dropout=options.dropout,
        mlp_hidden_dims=tuple(options.mlp_hidden_dims),
        seed=options.seed,
        num_workers=options.num_workers,
    )
    data, of_data = pairs_of(options)
    split = split_by_series(data, fraction=options.quick_experiment, seed=options.data_seed)
    described = describe_split(data, split)
    facts = {
        "data": of_data,
        "quick_experiment": options.quick_experiment,
        "split": described,
    }
    print(described)
    with log_to(options.output / "train.log", verbose=options.verbose):
        if options.ablation:
            ablation = run_ablation(data, split, train_options, options.repeats)
        else:
            record = train(data, split, train_options)
    if options.ablation:
        print_ablation(ablation)
        results, picture = options.output / "ablation.json", options.output / "ablation.png"
        write_json(results, {**facts, **ablation.to_dict()})
        plot_ablation(picture, ablation)
    else:
        print_run(record)
        results, picture = options.output / "results.json", options.output / "training.png"
        write_json(results, {**facts, **record.to_dict()})
        plot_run(picture, record)
    print(f"wrote {results}, {picture} and {options.output / 'train.log'}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run on the command line's arguments, or those given."""
    options = make_parser().parse_args(arguments)
    run_example(lambda: run(options), options.output)


if __name__ == "__main__":
    main()
