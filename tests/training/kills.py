"""A training in a process of its own, killed with SIGKILL again and again until it is done.

Processes fork from a server that has everything imported, so that one costs milliseconds.
"""

import multiprocessing
import os
import random
import signal
import time
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import torch

from tests.training.course import Kind, make_model, make_trainer, outcome

__all__ = ["Kills", "run_to_the_end", "train_killed"]

STEP_SECONDS = 0.004
OPTIONS: dict[str, Any] = {"checkpoint_every": 2, "validate_every": 5, "num_epochs": 3}


@dataclass
class Kills:
    """How often the process was killed, and how often while it was writing a file or within a chunk."""

    total: int = 0
    while_writing: int = 0
    within_chunk: int = 0


def server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.training.kills"])
    return context


def train(folder: Path, kind: Kind) -> None:
    """Train to the end and keep what came of it. A model of 2 MB, so that writing takes a while."""
    torch.set_num_threads(1)
    model = make_model(50_000)

    def slowly(record: Any) -> None:
        time.sleep(STEP_SECONDS)

    trainer = make_trainer(folder, kind, model=model, resume="latest", on_mini_epoch=slowly, **OPTIONS)
    torch.save(outcome(trainer, trainer.fit()), folder / "outcome")


def run_to_the_end(folder: Path, kind: Kind) -> Any:
    """Return what comes of an undisturbed run."""
    process = server().Process(target=train, args=(folder, kind))
    process.start()
    process.join()
    assert process.exitcode == 0
    return torch.load(folder / "outcome", weights_only=True)


def train_killed(folder: Path, kind: Kind, kills: Kills, seed: int, *, most: int | None = None) -> Any:
    """Start, kill at a random moment, start again, until it ends by itself or was killed `most` times.

    Every other kill waits for a random moment, the others until a file is being written, a random while long.
    """
    generator = random.Random(seed)
    number = 0
    while True:
        process = server().Process(target=train, args=(folder, kind))
        process.start()
        if most is None or number < most:
            _wait_to_kill(process, folder, generator, until_writing=number % 2 == 1)
        else:
            process.join()
        assert process.pid is not None
        if process.exitcode is None:
            os.kill(process.pid, signal.SIGKILL)
        process.join()
        if process.exitcode == 0:
            return torch.load(folder / "outcome", weights_only=True)
        assert process.exitcode == -signal.SIGKILL
        number += 1
        kills.total += 1
        kills.while_writing += bool(list(folder.glob(".*.partial")))
        newest = max(folder.glob("*.pt"), key=lambda path: path.stat().st_mtime_ns, default=None)
        kills.within_chunk += newest is not None and "batch" in newest.name


def _wait_to_kill(process: Any, folder: Path, generator: random.Random, *, until_writing: bool) -> None:
    end = time.monotonic() + generator.uniform(0.0, 0.5)
    while process.exitcode is None and time.monotonic() < end:
        time.sleep(0.0005)
    if until_writing:
        while process.exitcode is None and not list(folder.glob(".checkpoint*.partial")):
            time.sleep(0.0002)
        time.sleep(generator.uniform(0.0, 0.004))
