"""What is timed: a task is made and checked in a process of its own, then run many times."""

import gc
import importlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Absent", "Call", "Maker", "Task", "counted", "make", "needed", "repeats_for", "timed"]

SHORTEST = 0.005
"""Seconds that a time lasts at least; what takes less is repeated within it."""
MOST_REPEATS = 500


class Absent(Exception):
    """A peer does not load here; the text says why."""


@dataclass(frozen=True)
class Call:
    """What to make.

    Parameters
    ----------
    maker : str
        ``"module:function"``, of a module in this folder; it takes the call and returns a `Task`.
    n : int
        Rows of the data.
    seconds : float
        After how long reading may stop before the end of an epoch.
    options : dict
        Whatever else the maker knows.
    """

    maker: str
    n: int
    seconds: float = 1.0
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """Something to be timed, whose answer was checked.

    Parameters
    ----------
    run : callable
        Does it once, and returns how many indices, rows or times that was.
    before : callable, optional
        Called before each run, off the clock.
    note : str
    bits : dict of str to float
        How mixed its batches are.
    """

    run: Callable[[], int]
    before: Callable[[], object] | None = None
    note: str = ""
    bits: dict[str, float] = field(default_factory=dict)


Maker = Callable[[Call], Task]


def needed(module: str) -> Any:
    """Import a peer.

    Raises
    ------
    Absent
        If it does not load, with what it said.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        text = re.sub(r"(/[^/\s]+)+/", "", " ".join(str(error).split()))  # no folders of this machine
        raise Absent(text if len(text) < 100 else f"{text[:100]}...") from None


def counted(read: Callable[[], object], n: int) -> Callable[[], int]:
    """Return `read` as a run of `n`."""

    def run() -> int:
        read()
        return n

    return run


def make(call: Call) -> Task:
    """Return the task of a call, with the vector instructions that it asks for."""
    module, _, name = call.maker.partition(":")
    maker: Maker = getattr(importlib.import_module(f"benchmarks.report.{module}"), name)
    if "instructions" in call.options:
        _use(call.options["instructions"])
    return maker(call)


def _use(instructions: str) -> None:
    from tombola import _core  # a peer may live in a Python that has no tombola

    if instructions not in ("auto", *_core.available_instruction_sets()):
        msg = f"this processor has no {instructions}"
        raise Absent(msg)
    _core.set_instruction_set(instructions)


def timed(task: Task, repeats: int = 1) -> tuple[float, int]:
    """Return the seconds of a task run so often, and of how many indices they are."""
    if task.before is not None:
        task.before()
    gc.disable()
    start, count = time.perf_counter(), 0
    for _ in range(repeats):
        count += task.run()
    seconds = time.perf_counter() - start
    gc.enable()
    return seconds, count


def repeats_for(task: Task, seconds: float) -> int:
    """Return how often a task that took so long is to be repeated within one time."""
    if task.before is not None or seconds >= SHORTEST:
        return 1
    return max(1, min(MOST_REPEATS, int(SHORTEST / max(seconds, 1e-7))))
