"""A training in a process of its own, killed with SIGKILL again and again.

A moment to kill is chosen only once the process has begun to train: one that is killed while it imports torch
proves nothing. For the same reason a kill counts as one while writing, or within a chunk, by files that the
killed process itself has written.
"""

import contextlib
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
LEARNING: dict[Kind, dict[str, Any]] = {"loader": {"accumulate": 3, "clip_grad_norm": 1.0}}
"""By which most files of that kind are saved within an accumulation."""


@dataclass
class Kills:
    """How often it was killed in training: while it wrote, and after it had saved within chunks."""

    total: int = 0
    while_writing: int = 0
    within_chunk: int = 0


def server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.training.kills"])
    return context


def train(folder: Path, kind: Kind, has_begun: Any) -> None:
    """Train to the end and keep what came of it. A model of 2 MB, so that writing takes a while."""
    torch.set_num_threads(1)
    model = make_model(50_000)

    def slowly(record: Any) -> None:
        time.sleep(STEP_SECONDS)

    options = {**OPTIONS, **LEARNING.get(kind, {}), "on_mini_epoch": slowly}
    trainer = make_trainer(folder, kind, model=model, resume="latest", **options)
    has_begun.set()
    torch.save(outcome(trainer, trainer.fit()), folder / "outcome")


def run_to_the_end(folder: Path, kind: Kind) -> Any:
    """Return what comes of an undisturbed run."""
    context = server()
    has_begun = context.Event()  # held until the process has its own
    process = context.Process(target=train, args=(folder, kind, has_begun))
    process.start()
    process.join()
    assert process.exitcode == 0
    return torch.load(folder / "outcome", weights_only=True)


def train_killed(folder: Path, kind: Kind, kills: Kills, seed: int, *, most: int | None = None) -> Any:
    """Start, kill at a random moment, start again, until it ends by itself or was killed `most` times.

    Every other kill waits for a random moment, the others until a file is being written, a random while long.
    """
    generator, context = random.Random(seed), server()
    number = 0
    while True:
        before, has_begun = _files(folder), context.Event()
        process = context.Process(target=train, args=(folder, kind, has_begun))
        process.start()
        assert process.pid is not None
        if most is None or number < most:
            assert has_begun.wait(60)
            _wait_to_kill(process, folder, before, generator, until_writing=number % 2 == 1)
            if process.exitcode is None:
                os.kill(process.pid, signal.SIGKILL)
        process.join()
        if process.exitcode == 0:
            return torch.load(folder / "outcome", weights_only=True)
        assert process.exitcode == -signal.SIGKILL
        number += 1
        own = _files(folder) - before
        kills.total += 1
        kills.while_writing += any(name.startswith(".checkpoint") for name, _ in own)
        kills.within_chunk += any("_batch" in name and name.endswith(".pt") for name, _ in own)


def _files(folder: Path) -> set[tuple[str, int]]:
    """Return names and times of writing: what changes is new."""
    found = set()
    for path in folder.glob("*checkpoint*"):
        with contextlib.suppress(FileNotFoundError):
            found.add((path.name, path.stat().st_mtime_ns))
    return found


def _is_writing(folder: Path, before: set[tuple[str, int]]) -> bool:
    return any(".partial" in name for name, _ in _files(folder) - before)


def _wait_to_kill(
    process: Any, folder: Path, before: set[tuple[str, int]], generator: random.Random, *, until_writing: bool
) -> None:
    end = time.monotonic() + generator.uniform(0.0, 0.4)
    while process.exitcode is None and time.monotonic() < end:
        time.sleep(0.0005)
    if until_writing:
        while process.exitcode is None and not _is_writing(folder, before):
            time.sleep(0.0002)
        time.sleep(generator.uniform(0.0, 0.004))
