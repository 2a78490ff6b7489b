"""What composed batches change: controls matched by plate, and P classes with K rows each.

    python examples/compose_batches.py            # five seeds, a minute
    python examples/compose_batches.py --quick    # a first look, in seconds

Prints both comparisons with means and deviations over seeds, writes each run's figures and a picture.
"""

import argparse
from collections.abc import Sequence

from example_tools import (
    OneLineParser,
    add_result_options,
    check_whole,
    log_to,
    print_table,
    result_console,
    run_example,
    spread,
    write_json,
)


def make_parser() -> OneLineParser:
    """Return the parser of the command line."""
    parser = OneLineParser("Compare composed batches with random ones.")
    parser.add_argument(
        "--repeats", type=check_whole(1), default=5, help="seeds, from --seed on; 2 if --quick"
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the training, two seeds")
    add_result_options(parser, "composed-output", seed_of="data, models and batches")
    return parser


def run(options: argparse.Namespace) -> None:
    """Run all, print and write."""
    import logging

    from composed.comparison import compare, plot
    from rich.table import Table

    options.output.mkdir(parents=True, exist_ok=True)
    seeds = range(options.seed, options.seed + (2 if options.quick else options.repeats))
    with log_to(options.output / "composed.log", verbose=options.verbose):
        results = compare(seeds, epochs=2 if options.quick else 20, steps=60 if options.quick else 600)
        logging.getLogger("composed").info("%s", results)
    console = result_console()
    for name, columns, of in (
        ("drugs: controls of", ("accuracy, training plates", "held-out plates"), results["plates"]),
        (
            "classes: batches",
            ("recall at 1, held-out classes", "rows with another of their class"),
            results["metric"],
        ),
    ):
        table = Table(name, *columns)
        forms = (".1%", ".1%") if of is results["plates"] else (".1%", ".1f")
        for way, values in of.items():
            table.add_row(way, *(spread([run[i] for run in values], forms[i]) for i in range(2)))
        print_table(console, table)
    picture, record = options.output / "composed.png", options.output / "composed.json"
    write_json(record, {"seeds": list(seeds), **results})
    plot(picture, results)
    print(f"wrote {record} and {picture}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run on the command line's arguments, or those given."""
    options = make_parser().parse_args(arguments)
    run_example(lambda: run(options), options.output)


if __name__ == "__main__":
    main()
