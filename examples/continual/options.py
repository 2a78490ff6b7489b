"""Command-line options that both scripts share."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from example_tools import OneLineParser, add_result_options, check_fraction, check_number, check_whole

from .settings import CIFAR, LR, SCHEDULES, SIMILARITIES, THRESHOLDS, DatasetName, LearnerOptions, RunOptions

__all__ = ["add_learner_options", "add_switch", "check_experiment_id", "make_run_options"]

_ABOVE_0 = check_number(0, above=True)
_ANY = check_number(-float("inf"), above=True)
_USUAL, _USUAL_RUN = LearnerOptions(), RunOptions()


def add_switch(parser: argparse.ArgumentParser, name: str, *, default: bool, text: str) -> None:
    """Add ``--NAME``, ``--NAME 1``, ``--NAME 0`` and ``--no-NAME``."""
    parser.add_argument(
        f"--{name}", type=_check_switch, nargs="?", const=True, default=default, metavar="1|0", help=text
    )
    parser.add_argument(
        f"--no-{name}", dest=name, action="store_false", default=argparse.SUPPRESS, help=f"--{name} 0"
    )


def _check_switch(text: str) -> bool:
    if text not in ("0", "1"):
        msg = f"expected 1 or 0, but got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return text == "1"


def add_learner_options(parser: OneLineParser, output: str) -> None:
    """Add what both scripts ask: buffer, balance, learning, and where results go."""
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help=f"folder of CIFAR-100 for Python, for {CIFAR}"
    )
    _add_buffer(parser.add_argument_group("buffer"))
    _add_scores(parser.add_argument_group("scores of the buffer"))
    _add_learning(parser.add_argument_group("learning"))
    parser.add_argument("--quick", action="store_true", help="little data, for a first look")
    add_result_options(parser, output, seed_of="data, tasks, weights, draws")


def _add_buffer(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--buffer_size", type=check_whole(1), default=_USUAL.buffer_size, help="samples that the buffer holds"
    )
    group.add_argument(
        "--minibatch_size",
        type=check_whole(1),
        default=_USUAL.minibatch_size,
        help="samples drawn from the buffer for a step",
    )
    group.add_argument(
        "--balance_weight",
        type=check_number(0),
        default=_USUAL.balance_weight,
        help="how far groups are balanced: 0 not at all, 1 to equal chances",
    )
    group.add_argument(
        "--balance_schedule",
        choices=SCHEDULES,
        default=_USUAL.balance_schedule,
        help="how that goes to --balance_end in --balance_steps draws",
    )
    group.add_argument("--balance_end", type=check_number(0), help="the weight at the end of a schedule")
    group.add_argument(
        "--balance_steps", type=check_whole(1), default=_USUAL.balance_steps, help="draws of a schedule"
    )
    group.add_argument(
        "--similarity", choices=SIMILARITIES, default=_USUAL.similarity, help="of features and prototypes"
    )
    group.add_argument(
        "--threshold",
        choices=THRESHOLDS,
        default=_USUAL.threshold,
        help="what says from which similarity on classes are of one semantic group",
    )
    group.add_argument(
        "--threshold_quantile",
        type=check_fraction,
        nargs="+",
        default=list(_USUAL.threshold_quantile),
        metavar="SHARE",
        help="if that is the quantile: of the similarities of all pairs of classes; several, rising, are "
        "levels of groups within groups",
    )


def _add_scores(group: argparse._ArgumentGroup) -> None:
    for name, text in (
        ("temporal_weight", "power of 2^(-age / half_life); below 0 old samples come more often"),
        ("difficulty_weight", "power of the loss, as of when a sample was last seen; below 0 easy ones gain"),
        ("uncertainty_weight", "power of the entropy of predictions; below 0 sure ones come more often"),
    ):
        group.add_argument(f"--{name}", type=_ANY, default=getattr(_USUAL, name), help=text)
    group.add_argument("--half_life", type=_ABOVE_0, help="in samples offered; by default the buffer's size")
    group.add_argument(
        "--task_weights",
        type=check_number(0),
        nargs="+",
        default=list(_USUAL.task_weights),
        metavar="FACTOR",
        help="factors of the samples of the first task, the second, ...; 1 beyond",
    )


def _add_learning(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--epochs",
        "--n_epochs",
        type=check_whole(1),
        default=_USUAL_RUN.epochs,
        help="passes over each task",
    )
    group.add_argument(
        "--batch_size", type=check_whole(1), default=_USUAL_RUN.batch_size, help="new samples of a step"
    )
    usual = f"{_USUAL.lr}, of {CIFAR} {LR[CIFAR]}"
    group.add_argument(
        "--lr",
        type=_ABOVE_0,
        default=argparse.SUPPRESS,
        help=f"learning rate of backbone and head (default: {usual})",
    )
    group.add_argument(
        "--sim_lr", type=_ABOVE_0, default=_USUAL.sim_lr, help="learning rate of similarity and threshold"
    )
    group.add_argument(
        "--sm_weight", type=check_number(0), default=_USUAL.sm_weight, help="weight of the semantic loss"
    )
    group.add_argument(
        "--alpha",
        type=check_number(0),
        default=_USUAL.alpha,
        help="weight of dark experience replay: drawn samples keep the logits that are stored with them",
    )
    group.add_argument(
        "--beta",
        type=check_number(0),
        default=_USUAL.beta,
        help="with --alpha: weight of the cross-entropy of drawn samples, as in DER++; 0 is DER",
    )
    group.add_argument("--device", default=_USUAL.device, help="where to learn, such as cpu or cuda")


_PASSED_ON = (
    "buffer_size",
    "minibatch_size",
    "balance_weight",
    "balance_schedule",
    "balance_end",
    "balance_steps",
    "similarity",
    "threshold",
    "temporal_weight",
    "half_life",
    "difficulty_weight",
    "uncertainty_weight",
    "alpha",
    "beta",
    "sim_lr",
    "sm_weight",
    "device",
    "seed",
)
"""Options of the learner that are taken as they come."""


def make_run_options(
    options: argparse.Namespace, dataset: DatasetName, *, use_balanced_sampling: bool = True
) -> RunOptions:
    """Return the run that the command line asks for.

    Raises
    ------
    ValueError
        If options do not go together.
    """
    if options.balance_end is not None and options.balance_schedule == "constant":
        msg = "--balance_end needs --balance_schedule linear or cosine, but that is constant"
        raise ValueError(msg)
    learner = LearnerOptions(
        **{name: getattr(options, name) for name in _PASSED_ON},
        use_balanced_sampling=use_balanced_sampling,
        threshold_quantile=_rising(options.threshold_quantile),
        task_weights=tuple(options.task_weights),
        lr=getattr(options, "lr", LR[dataset]),
    )
    return RunOptions(
        dataset=dataset,
        data=None if options.data is None else str(options.data),
        epochs=options.epochs,
        batch_size=options.batch_size,
        quick=options.quick,
        learner=learner,
    )


def _rising(levels: Sequence[float]) -> tuple[float, ...]:
    if sorted(set(levels)) != list(levels):
        came = " ".join(f"{level:g}" for level in levels)
        msg = f"--threshold_quantile must rise from level to level, but is {came}"
        raise ValueError(msg)
    return tuple(levels)


def check_experiment_id(text: str) -> str:
    """Convert to a name that is fit for a file, for ``type=``."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", text):
        msg = f"expected letters, digits, '.', '_' and '-', but got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return text
