"""One training put together from its parts, each of which does one thing, and taken apart again."""

import dataclasses
from typing import Any

from torch import nn

from .chunks import Shards
from .opening import Opener
from .optimizer_options import Options
from .options import TrainerOptions
from .parts import Parts
from .ranks import Ranks
from .reporting import Board, NoBoard, make_board, make_console
from .result import TrainingResult
from .run import Run
from .saver import Saver
from .signals import SignalNote
from .steps import Stepper
from .stream import MakeLoader
from .wrapping import is_parallel

__all__ = ["train"]


def train(
    parts: Parts,
    options: TrainerOptions,
    given: Options,
    shards: Shards,
    make_loader: MakeLoader,
    step: Any,
) -> TrainingResult:
    """Train, from the beginning or from where the options say.

    Parameters
    ----------
    parts : Parts
    options : TrainerOptions
    given : list of dict
        The optimizer's options as they were given.
    shards : sequence or callable
    make_loader : callable
    step : callable
        Gives the loss of a batch, or a mapping with it.
    """
    if options.device is not None:
        parts.model.to(options.device)
        for metric in options.metrics.values():
            if hasattr(metric, "to"):
                metric.to(options.device)
    parts.check_loadable()
    ranks = Ranks()
    try:
        if not ranks.is_alone and not is_parallel(parts.model):
            parts = dataclasses.replace(parts, model=nn.parallel.DistributedDataParallel(parts.model))
        saver = Saver(parts, options, ranks, given)
        try:
            opener = Opener(shards, make_loader, options, ranks, saver)
            return _run(parts, options, ranks, saver, opener, step)
        finally:
            saver.close()
    finally:
        ranks.close()


def _run(
    parts: Parts, options: TrainerOptions, ranks: Ranks, saver: Saver, opener: Opener, step: Any
) -> TrainingResult:
    stepper = Stepper(
        parts,
        None,
        step,
        device=options.device,
        schedule_batches=options.schedule == "batch",
        learning=options.learning,
    )

    def board(batches: int) -> Board:
        boards: list[Board] = []
        folder = options.checkpoints / "tensorboard"
        ranks.first(lambda: boards.append(make_board(options.tensorboard, folder, batches)))
        return boards[0] if boards else NoBoard()

    console = make_console(options.progress if ranks.is_first else "none")
    opener.say = console.say
    try:
        with SignalNote() as note:
            return Run(
                parts,
                options,
                ranks=ranks,
                opener=opener,
                stepper=stepper,
                saver=saver,
                note=note,
                console=console,
                make_board=board,
            ).run()
    finally:
        console.close()
