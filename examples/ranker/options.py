"""Command-line options that the ranker's two scripts share."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from example_tools import OneLineParser, add_result_options, check_fraction, check_number, check_whole

from .data import PairData, SeriesDesign, make_pairs

__all__ = ["add_data_options", "add_experiment_fraction", "check_share", "design_of", "pairs_of"]


def add_data_options(parser: OneLineParser, output: str) -> None:
    """Add what both scripts ask: the data, the seed, where results go."""
    data = parser.add_argument_group("generated data")
    data.add_argument(
        "--pairs",
        type=Path,
        metavar="FILE",
        help="your own pairs: CSV or Parquet of series_id, winner_F and loser_F for each feature F",
    )
    data.add_argument("--n_series", type=check_whole(20), default=SeriesDesign.n_series, help="photo series")
    data.add_argument(
        "--more_images",
        type=check_share,
        default=SeriesDesign.more_images,
        help="chance that a series has one more image than two, again and again",
    )
    data.add_argument(
        "--max_images", type=check_whole(2), default=SeriesDesign.max_images, help="most images of a series"
    )
    data.add_argument(
        "--taste",
        type=check_number(0),
        default=SeriesDesign.taste,
        help="size of each series' own taste beside the shared one",
    )
    data.add_argument("--data_seed", type=check_whole(0), default=0, help="seed of the data and of the split")
    add_result_options(parser, output, seed_of="weights and batches", log="log every batch")


def add_experiment_fraction(parser: OneLineParser) -> None:
    """Add ``--quick_experiment``."""
    parser.add_argument(
        "--quick_experiment",
        type=check_fraction,
        default=1.0,
        metavar="SHARE",
        help="share of the series to use, such as 0.1",
    )


def check_share(text: str) -> float:
    """Convert to a number in [0, 1), for ``type=``."""
    value = check_number(0)(text)
    if value >= 1:
        msg = f"expected a number in [0, 1), but got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return value


def pairs_of(options: argparse.Namespace) -> tuple[PairData, dict[str, Any]]:
    """Return the pairs that the options describe, and what records say of them."""
    if options.pairs is None:
        return make_pairs(design_of(options)), asdict(design_of(options))
    from .pairs_file import read_pairs

    return read_pairs(options.pairs), {"pairs": str(options.pairs)}


def design_of(options: argparse.Namespace) -> SeriesDesign:
    """Return the design of the data that the options describe."""
    return SeriesDesign(
        n_series=options.n_series,
        more_images=options.more_images,
        max_images=options.max_images,
        taste=options.taste,
        seed=options.data_seed,
    )
