"""Runs of Python that have a limit, and say where they are shortly before it.

A process that imports this module while it is in such a run, and whatever that one forks, prints the stacks
of all its threads when most of the limit is over. So a run that hangs shows where it does.
"""

import faulthandler
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

__all__ = ["run"]

_ROOT = Path(__file__).resolve().parents[1]
_DUE = "TOMBOLA_TESTS_STACKS_AT"
"""When stacks are due, in seconds since 1970."""

_SHOWN = 60_000
"""Characters of a run that took too long, most of them stacks."""

_TO_END = 40.0
"""Seconds for torchrun to end its ranks, for which it takes up to 30."""


def run(*arguments: str, limit: float = 150) -> None:
    """Run Python with these arguments; what it says is shown if it fails.

    Raises
    ------
    AssertionError
        If it fails, or takes longer than `limit` seconds; then with the stacks of those who import this.
    """
    settings = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONWARNINGS": "ignore"}
    settings[_DUE] = str(time.time() + 0.9 * limit)
    with tempfile.TemporaryFile() as said:  # a pipe would be open as long as any process of the run
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=_ROOT,
            env={**os.environ, **settings},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        try:
            status = process.wait(limit)
        except subprocess.TimeoutExpired:
            _end(process)
            said.seek(0)
            msg = f"more than {limit} s: {arguments}\n{said.read().decode(errors='replace')[-_SHOWN:]}"
            raise AssertionError(msg) from None
        said.seek(0)
        assert status == 0, said.read().decode(errors="replace")[-9_000:]


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()  # torchrun then ends its ranks, which a kill would leave behind
    try:
        process.wait(_TO_END)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _seconds_left() -> float | None:
    due = os.environ.get(_DUE)
    return None if due is None else max(float(due) - time.time(), 0.01)


def _print_stacks_later() -> None:
    """By a thread of C's, as trainers set signals back."""
    seconds = _seconds_left()
    if seconds is not None:
        faulthandler.dump_traceback_later(seconds)


def _print_stacks_later_if_forked() -> None:
    """By a signal, as that thread is not there, and asked for another one waits for it without end."""
    seconds = _seconds_left()
    if seconds is not None:
        faulthandler.register(signal.SIGALRM)
        signal.setitimer(signal.ITIMER_REAL, seconds)


_print_stacks_later()
os.register_at_fork(after_in_child=_print_stacks_later_if_forked)
