"""Command-line options that both scripts share."""

import argparse
import re

from example_tools import OneLineParser, add_result_options, check_fraction, check_number, check_whole

from .settings import SIMILARITIES, THRESHOLDS, DatasetName, LearnerOptions, RunOptions

__all__ = ["add_learner_options", "check_experiment_id", "make_run_options"]


def add_learner_options(parser: OneLineParser, output: str) -> None:
    """Add what both scripts ask: buffer, balance, learning, and where results go."""
    usual, usual_run = LearnerOptions(), RunOptions()
    above_0 = check_number(0, above=True)
    buffer = parser.add_argument_group("buffer")
    buffer.add_argument(
        "--buffer_size", type=check_whole(1), default=usual.buffer_size, help="samples that the buffer holds"
    )
    buffer.add_argument(
        "--minibatch_size",
        type=check_whole(1),
        default=usual.minibatch_size,
        help="samples drawn from the buffer for a step",
    )
    buffer.add_argument(
        "--balance_weight",
        type=check_number(0),
        default=usual.balance_weight,
        help="how far groups are balanced: 0 not at all, 1 to equal chances",
    )
    buffer.add_argument(
        "--similarity", choices=SIMILARITIES, default=usual.similarity, help="of features and prototypes"
    )
    buffer.add_argument(
        "--threshold",
        choices=THRESHOLDS,
        default=usual.threshold,
        help="what says from which similarity on classes are of one semantic group",
    )
    buffer.add_argument(
        "--threshold_quantile",
        type=check_fraction,
        default=usual.threshold_quantile,
        help="if that is the quantile: of the similarities of all pairs of classes",
    )
    learning = parser.add_argument_group("learning")
    learning.add_argument(
        "--epochs", type=check_whole(1), default=usual_run.epochs, help="passes over each task"
    )
    learning.add_argument(
        "--batch_size", type=check_whole(1), default=usual_run.batch_size, help="new samples of a step"
    )
    learning.add_argument("--lr", type=above_0, default=usual.lr, help="learning rate of backbone and head")
    learning.add_argument(
        "--sim_lr", type=above_0, default=usual.sim_lr, help="learning rate of similarity and threshold"
    )
    learning.add_argument(
        "--sm_weight", type=check_number(0), default=usual.sm_weight, help="weight of the semantic loss"
    )
    parser.add_argument("--quick", action="store_true", help="little data, for a first look")
    add_result_options(parser, output, seed_of="data, tasks, weights, draws")


def make_run_options(
    options: argparse.Namespace, dataset: DatasetName, *, use_balanced_sampling: bool = True
) -> RunOptions:
    """Return the run that the command line asks for."""
    learner = LearnerOptions(
        buffer_size=options.buffer_size,
        minibatch_size=options.minibatch_size,
        use_balanced_sampling=use_balanced_sampling,
        balance_weight=options.balance_weight,
        similarity=options.similarity,
        threshold=options.threshold,
        threshold_quantile=options.threshold_quantile,
        lr=options.lr,
        sim_lr=options.sim_lr,
        sm_weight=options.sm_weight,
        seed=options.seed,
    )
    return RunOptions(
        dataset=dataset,
        epochs=options.epochs,
        batch_size=options.batch_size,
        quick=options.quick,
        learner=learner,
    )


def check_experiment_id(text: str) -> str:
    """Convert to a name that is fit for a file, for ``type=``."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", text):
        msg = f"expected letters, digits, '.', '_' and '-', but got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return text
