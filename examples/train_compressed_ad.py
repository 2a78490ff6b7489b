r"""Train a small transformer over compressed histories: batches of one depth beside padded mixed ones.

    cd examples
    python train_compressed_ad.py \
        config/algorithm/ppo_base.yaml config/env/darkroom.yaml config/model/ad_compressed_dr.yaml

Algorithm distillation: the model predicts what PPO does next from the history of its learning. What is too
old for the context is compressed in 0 to 3 stages. Batches of one depth (`tombola.BucketSampler`) need no
dummy stages; mixed batches are padded to their deepest sample. Histories are generated (seeded) and stored
in HDF5 if they are not there yet. The loss is computed on the same targets in both ways.
"""

import argparse
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from example_tools import OneLineParser, add_result_options, check_whole, run_example, write_json

HERE = Path(__file__).resolve().parent


def make_parser() -> OneLineParser:
    """Return the parser of the command line."""
    parser = OneLineParser("Train over compressed histories, in batches of one depth and in mixed batches.")
    parser.add_argument(
        "config", type=Path, nargs="+", help="YAML files that together hold each key once; see config/"
    )
    parser.add_argument(
        "--quick", action="store_true", help="little data and a small model, for a first look"
    )
    parser.add_argument("--data", type=Path, help="HDF5 file of histories, made if missing; else in --output")
    parser.add_argument(
        "--repeats", type=check_whole(1), default=1, help="seeds to train with, from --seed on"
    )
    add_result_options(
        parser,
        "ad-output",
        seed_of="data, weights and batches",
        log="log the compression depth of every batch, and the shapes of its stage 0,",
    )
    return parser


def run(options: argparse.Namespace) -> None:
    """Generate, train both ways, print and write."""
    from compressed_ad.comparison import compare
    from compressed_ad.config import read_config
    from compressed_ad.histories import HistoryDataset, ensure_file
    from compressed_ad.report import describe_samples, plot_comparison, print_comparison

    config = read_config(options.config, HERE)
    if options.quick:
        config = config.quick()
    settings = json.dumps(config.data_settings(options.seed), sort_keys=True)
    name = f"histories-{hashlib.sha256(settings.encode()).hexdigest()[:8]}.h5"
    data = options.data or options.output / name
    made = ensure_file(data, config, options.seed)
    print(f"{'generated' if made else 'read'} {data}")
    print(describe_samples(HistoryDataset(data, "train", config), config))
    seeds = range(options.seed, options.seed + options.repeats)
    comparison = compare(config, data, seeds=seeds, output=options.output, verbose=options.verbose)
    print_comparison(comparison)
    results, picture = options.output / "comparison.json", options.output / "comparison.png"
    write_json(results, {"config": config.model_dump(), "data": str(data), **comparison.to_dict()})
    plot_comparison(picture, comparison)
    print(f"wrote {results} and {picture}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run on the command line's arguments, or those given."""
    options = make_parser().parse_args(arguments)
    run_example(lambda: run(options), options.output)


if __name__ == "__main__":
    main()
