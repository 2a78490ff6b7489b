"""Those who do a work take turns, each in a process of its own, until each has its times.

Processes of a work make their data side by side and are all warm before the first time is taken; from then on
one of them works at any moment. Where many do the same work they come in groups, so that memory suffices.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import asdict
from functools import cached_property
from typing import Any, Protocol

from benchmarks.figures import OURS, odd_rounds
from benchmarks.h5ad_data import reference_file, reference_sums
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

    @property
    def made(self) -> Made:
        """What was made; waits for it."""

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

    @cached_property
    def made(self) -> Made:
        try:
            return Made(**json.loads(self._child.ask("")))
        except ChildError as error:
            return Made(absent=str(error), failed=True)

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
    """Memory is counted once, in a process that is new: it does not vary."""

    def __init__(self, doer: Doer, call: Call) -> None:
        script = MEMORY_SCRIPTS[doer.options["script"], doer.who]
        try:
            self._found = extra_memory(script, call.n), 1
        except subprocess.CalledProcessError as error:
            said = (error.stderr or "").strip().splitlines()
            self.made = Made(absent=said[-1] if said else str(error))
        else:
            self.made = Made()

    def time(self) -> tuple[float, float]:
        return self._found

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
            if job.sizes == "cells":
                _write_files(job, size)
            for at in range(0, len(asked), TOGETHER):
                some = asked[at : at + TOGETHER]
                found, left_out = _turns(job, some, profile, start, annbatch, results.versions)
                results.measured += found
                results.left_out += left_out
                lost |= {one.who for one in left_out}
                say(_line(job, size, found, left_out))


def _write_files(job: Job, cells: int) -> None:
    """Write what all read, so that they do not write it side by side."""
    stored = job.options.get("stored", "gzip")
    reference_file(None if stored == "raw" else stored, cells)
    reference_sums(cells)


def _turns(
    job: Job,
    asked: list[tuple[Doer, int]],
    profile: Profile,
    start: Start,
    annbatch: str,
    versions: dict[str, str],
) -> tuple[list[Measured], list[LeftOut]]:
    taken: dict[Doer, list[tuple[float, float]]] = {}
    rounds: dict[Doer, int] = {}
    left_out = []
    with ExitStack() as stack:
        turns = {}
        for doer, n in asked:
            call = Call(doer.maker, n, profile.seconds, {**job.options, **doer.options})
            turns[doer] = start(job, doer, call, profile.patience, annbatch)
            stack.callback(turns[doer].close)
        made = {doer: turn.made for doer, turn in turns.items()}
        for doer, what in made.items():
            if what.absent:
                left_out.append(_left_out(job, doer, what))
            else:
                taken[doer], rounds[doer] = [], 1
                versions.update(what.versions)
        for number in range(MOST_ROUNDS):
            for doer in [doer for doer in taken if number < rounds[doer]]:
                begun = time.perf_counter()
                try:
                    taken[doer].append(turns[doer].time())
                except ChildError as error:
                    left_out.append(_left_out(job, doer, Made(absent=str(error), failed=True)))
                    del taken[doer]
                    continue
                if number == 0 and doer.maker != MEMORY:
                    rounds[doer] = odd_rounds(time.perf_counter() - begun, profile.seconds, MOST_ROUNDS)
    found = [
        Measured(job.section, job.name, job.unit, doer.who, n, taken[doer], made[doer].note, made[doer].bits)
        for doer, n in asked
        if doer in taken
    ]
    return found, left_out


def _left_out(job: Job, doer: Doer, made: Made) -> LeftOut:
    if doer.who.startswith(OURS) and not job.section == "limits":
        msg = f"{doer.who} failed in {job.name!r}: {made.absent}"
        raise RuntimeError(msg)
    return LeftOut(doer.who, job.name, made.absent, made.failed)


def _line(job: Job, size: int, found: list[Measured], left_out: list[LeftOut]) -> str:
    parts = [f"{one.who} {one.value:,.4g}" for one in found]
    parts += [f"{one.who} left out: {one.reason}" for one in left_out]
    return f"{job.section}: {job.name}, n = {size:,}, {job.unit}: {', '.join(parts)}"
