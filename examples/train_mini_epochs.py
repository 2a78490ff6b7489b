"""Train over 500 small files in mini epochs; get killed in the middle of one; go on exactly.

    python examples/train_mini_epochs.py --quick      # seconds
    python examples/train_mini_epochs.py

The shards are positions of a board game with policy and value targets, generated (seeded) if they are not
there yet; some policies are missing. A mini epoch is a pass over 20 files, followed by a checkpoint and a
validation. The same training runs twice: once undisturbed, and once in a child process that is killed by
SIGKILL inside a chunk and then goes on from its last checkpoint. Their weights are compared bit by bit.
"""

import argparse
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from example_tools import OneLineParser, check_whole, run_example, write_json

HALF_A_CHUNK = 0.5


def make_parser() -> OneLineParser:
    """Return the parser of the command line."""
    parser = OneLineParser("Train over many small files in mini epochs, get killed, go on exactly.")
    parser.add_argument("--quick", action="store_true", help="a fraction of the positions, one full epoch")
    parser.add_argument("--chunk_size", type=check_whole(1), default=20, help="files of a mini epoch")
    parser.add_argument("--epochs", type=check_whole(1), help="full epochs, if not 2 (1 with --quick)")
    parser.add_argument("--seed", type=check_whole(0), default=0, help="of shards, weights and order")
    parser.add_argument(
        "--kill_after", type=check_whole(1), help="batches, if not in the middle of the training"
    )
    parser.add_argument(
        "--output", "-o", type=Path, default=Path("mini-epochs-output"), help="folder for results"
    )
    parser.add_argument("--as_child", action="store_true", help=argparse.SUPPRESS)
    return parser


def run(options: argparse.Namespace) -> None:
    """Train undisturbed, train and get killed, go on, compare, draw."""
    import torch

    from mini_epochs.boards import ShardDesign, ensure_shards
    from mini_epochs.report import plot_training, print_training
    from mini_epochs.training import Settings, mini_epoch_records, train

    torch.set_num_threads(1)
    design = ShardDesign(positions=8 if options.quick else 64, seed=options.seed)
    settings = Settings(
        chunk_size=options.chunk_size,
        epochs=options.epochs or (1 if options.quick else 2),
        channels=8 if options.quick else 16,
        checkpoint_every=3 if options.quick else 10,
        seed=options.seed,
    )
    paths = ensure_shards(options.output / "shards", design)
    killed = options.output / "killed_and_resumed"
    if options.as_child:
        train(paths, settings, killed, die_after=options.kill_after, progress=False)
        return
    undisturbed = options.output / "undisturbed"
    for folder in (undisturbed, killed):
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{len(paths)} shards of {design.positions} positions in {paths[0].parent}")
    model, result = train(paths, settings, undisturbed)
    records = list(mini_epoch_records(result))
    print_training(records)
    kill_after = options.kill_after or _middle_of_a_chunk([record["batches"] for record in records])
    if kill_after >= result.batches:
        msg = f"--kill_after must be below the {result.batches} batches of the training, but is {kill_after}"
        raise ValueError(msg)
    _train_and_get_killed(options, kill_after)
    left = sorted(path.name for path in killed.glob("*.pt"))
    print(f"killed by SIGKILL after {kill_after} batches; checkpoints: {', '.join(left)}")
    again, resumed = train(paths, settings, killed)
    equal = all(torch.equal(value, again.state_dict()[name]) for name, value in model.state_dict().items())
    print(f"weights of the resumed training equal the undisturbed one's bit for bit: {equal}")
    picture, results = options.output / "training.png", options.output / "results.json"
    plot_training(picture, records, list(mini_epoch_records(resumed)), kill_after)
    write_json(
        results,
        {
            "shards": len(paths),
            "batches": result.batches,
            "killed_after": kill_after,
            "weights_equal": equal,
            "mini_epochs": records,
        },
    )
    print(f"wrote {picture} and {results}")


def _middle_of_a_chunk(ends: Sequence[int]) -> int:
    """Return the number of batches in the middle of the middle chunk; `ends` are those at chunks' ends."""
    at = len(ends) // 2
    start = ends[at - 1] if at else 0
    return max(1, start + round(HALF_A_CHUNK * (ends[at] - start)))


def _train_and_get_killed(options: argparse.Namespace, kill_after: int) -> None:
    command = [sys.executable, __file__, "--as_child", "--output", str(options.output)]
    command += ["--seed", str(options.seed), "--chunk_size", str(options.chunk_size)]
    command += ["--kill_after", str(kill_after), *(["--quick"] if options.quick else [])]
    command += ["--epochs", str(options.epochs)] if options.epochs else []
    code = subprocess.run(command, check=False).returncode
    if code != -signal.SIGKILL:
        msg = f"the child was to be killed by SIGKILL, but left with {code}"
        raise RuntimeError(msg)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run on the command line's arguments, or those given."""
    options = make_parser().parse_args(arguments)
    run_example(lambda: run(options), options.output)


if __name__ == "__main__":
    main()
