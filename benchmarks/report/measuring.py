"""Those who do a work take turns, each in a process of its own, until each has its times.

Processes of a work are all alive and warm; at any moment one of them works. Where many do the same work
they come in groups, so that memory suffices.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any, Protocol

from benchmarks.figures import OURS
from benchmarks.peers import MEMORY_SCRIPTS
from benchmarks.processes import ROOT, Child, ChildError, extra_memory
from benchmarks.report.jobs import MEMORY, Doer, Job, Profile
from benchmarks.report.results import LeftOut, Measured, Results
from benchmarks.report.tasks import Call, timed
from benchmarks.report.worker import Made, prepare

__all__ = ["Start", "measure", "start_inline", "start_process"]

MOST_ROUNDS = 7
TOGETHER = 6


class Turn(Protocol):
    """One who does a work, warm."""

    made: Made

    def time(self) -> tuple[float, float]:
        """Take one time: its amount, and of how many it is."""

    def close(self) -> None:
        """Let go of everything."""


Start = Callable[[Job, Doer, Call, float, str], Turn]
"""Starts a work: job, doer, call, patience, the Python of annbatch."""


class _Process:
    def __init__(self, job: Job, doer: Doer, call: Call, patience: float, annbatch: str) -> None:
        asked = json.dumps({**asdict(call), "packages": doer.packages})
        elsewhere = doer.maker.endswith(":annbatch") and annbatch != sys.executable
        own = os.environ.get("PYTHONPATH")
        threads = str(job.threads)
        self._child = Child(
            ["-W", "ignore", "-m", "benchmarks.report.worker", asked],
            paths=[str(ROOT), *([own] if own and not elsewhere else [])],
            python=annbatch if elsewhere else sys.executable,
            seconds=patience,
            variables={"TOMBOLA_NUM_THREADS": threads, "OMP_NUM_THREADS": threads},
        )
        try:
            self.made = Made(**json.loads(self._child.ask("")))
        except ChildError as error:
            self.made = Made(absent=str(error), failed=True)

    def time(self) -> tuple[float, float]:
        seconds, count = json.loads(self._child.ask(""))
        return seconds, count

    def close(self) -> None:
        self._child.close()


class _Inline:
    def __init__(self, call: Call, doer: Doer) -> None:
        self._task, self.made = prepare(call, list(doer.packages))

    def time(self) -> tuple[float, float]:
        assert self._task is not None
        return timed(self._task, self.made.repeats)

    def close(self) -> None:
        self._task = None


class _Memory:
    """No turns are needed where memory is counted: a new process each time."""

    def __init__(self, doer: Doer, call: Call) -> None:
        self._script, self._n = MEMORY_SCRIPTS[doer.options["script"], doer.who], call.n
        try:
            self._first: tuple[float, float] | None = self._count()
        except subprocess.CalledProcessError as error:
            said = (error.stderr or "").strip().splitlines()
            self.made = Made(absent=said[-1] if said else str(error))
        else:
            self.made = Made(seconds=1e9)  # one round: it does not vary

    def _count(self) -> tuple[float, float]:
        return extra_memory(self._script, self._n), 1

    def time(self) -> tuple[float, float]:
        found, self._first = self._first or self._count(), None
        return found

    def close(self) -> None:
        pass


def start_process(job: Job, doer: Doer, call: Call, patience: float, annbatch: str) -> Turn:
    """Start a work in a process of its own."""
    return _Memory(doer, call) if doer.maker == MEMORY else _Process(job, doer, call, patience, annbatch)


def start_inline(job: Job, doer: Doer, call: Call, patience: float, annbatch: str) -> Turn:
    """Make a work here: for tests, whose times mean nothing."""
    return _Memory(doer, call) if doer.maker == MEMORY else _Inline(call, doer)


def measure(
    jobs: Iterable[Job],
    profile: Profile,
    results: Results,
    start: Start,
    annbatch: str,
    say: Callable[[str], Any],
) -> None:
    """Measure jobs, and add to the results.

    Raises
    ------
    RuntimeError
        If ours fails: that is no peer to be left out.
    """
    for job in jobs:
        seen: set[tuple[str, int]] = set()
        lost: set[str] = set()
        for size in profile.sizes(job.sizes):
            asked = []
            for doer in job.doers:
                n = min(size, profile.most(doer))
                if (doer.who, n) not in seen and doer.who not in lost:
                    seen.add((doer.who, n))
                    asked.append((doer, n))
            for at in range(0, len(asked), TOGETHER):
                some = asked[at : at + TOGETHER]
                found, left_out = _turns(job, some, profile, start, annbatch, results.versions)
                results.measured += found
                results.left_out += left_out
                lost |= {one.who for one in left_out}
                say(_line(job, size, found, left_out))


def _turns(
    job: Job,
    asked: list[tuple[Doer, int]],
    profile: Profile,
    start: Start,
    annbatch: str,
    versions: dict[str, str],
) -> tuple[list[Measured], list[LeftOut]]:
    taken: dict[str, list[tuple[float, float]]] = {}
    turns: dict[str, tuple[Turn, int]] = {}
    left_out = []
    with ExitStack() as stack:
        for doer, n in asked:
            call = Call(doer.maker, n, profile.seconds, {**job.options, **doer.options})
            turn = start(job, doer, call, profile.patience, annbatch)
            stack.callback(turn.close)
            if turn.made.absent:
                left_out.append(_left_out(job, doer, turn.made))
                continue
            turns[doer.who], taken[doer.who] = (turn, n), []
            versions.update(turn.made.versions)
        rounds = {who: _rounds(turn.made, profile.seconds) for who, (turn, _) in turns.items()}
        for number in range(max(rounds.values(), default=0)):
            for who, (turn, _) in list(turns.items()):
                if number < rounds[who]:
                    try:
                        taken[who].append(turn.time())
                    except ChildError as error:
                        doer = next(doer for doer, _ in asked if doer.who == who)
                        left_out.append(_left_out(job, doer, Made(absent=str(error), failed=True)))
                        del turns[who]
    found = [
        Measured(job.section, job.name, job.unit, who, n, taken[who], turn.made.note, turn.made.bits)
        for who, (turn, n) in turns.items()
    ]
    return found, left_out


def _rounds(made: Made, seconds: float) -> int:
    once = max(made.seconds * made.repeats, 1e-9)
    rounds = max(1, min(MOST_ROUNDS, int(seconds / once)))
    return rounds - 1 + rounds % 2  # odd, so that the median is a time that was taken


def _left_out(job: Job, doer: Doer, made: Made) -> LeftOut:
    if doer.who.startswith(OURS) and not job.section == "limits":
        msg = f"{doer.who} failed in {job.name!r}: {made.absent}"
        raise RuntimeError(msg)
    return LeftOut(doer.who, job.name, made.absent, made.failed)


def _line(job: Job, size: int, found: list[Measured], left_out: list[LeftOut]) -> str:
    parts = [f"{one.who} {one.value:,.4g}" for one in found]
    parts += [f"{one.who} left out: {one.reason}" for one in left_out]
    return f"{job.section}: {job.name}, n = {size:,}, {job.unit}: {', '.join(parts)}"
