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
from typing import IO, TextIO

__all__ = ["run"]

_ROOT = Path(__file__).resolve().parents[1]
_DUE = "TOMBOLA_TESTS_STACKS"
"""When stacks are due, in seconds since 1970, and the folder for them: all print at once, each to a file."""

_TO_END = 40.0
"""Seconds for torchrun to end its ranks, for which it takes up to 30."""


def run(*arguments: str, limit: float = 150) -> str:
    """Run Python with these arguments, return what it says at the end; that is shown if it fails.

    Raises
    ------
    AssertionError
        If it fails, or takes longer than `limit` seconds; then with the stacks of those who import this.
    """
    settings = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONWARNINGS": "ignore"}
    # Not by a pipe, which would be open as long as any process of the run.
    with tempfile.TemporaryFile() as said, tempfile.TemporaryDirectory() as stacks:
        settings[_DUE] = f"{time.time() + 0.9 * limit} {stacks}"
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
            found = [f"\n{path.name}: {path.read_text()}" for path in sorted(Path(stacks).iterdir())]
            msg = f"more than {limit} s: {arguments}\n{_tail(said)}{''.join(found)}"
            raise AssertionError(msg) from None
        text = _tail(said)
        assert status == 0, text
        return text


def _tail(said: IO[bytes]) -> str:
    said.seek(0)
    return said.read().decode(errors="replace")[-9_000:]


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()  # torchrun then ends its ranks, which a kill would leave behind
    try:
        process.wait(_TO_END)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _place() -> tuple[float, TextIO] | None:
    """Return in how many seconds stacks are due, and where; None outside of such a run."""
    due, _, folder = os.environ.get(_DUE, "").partition(" ")
    if not Path(folder or "none").is_dir():
        return None
    file = (Path(folder) / f"process {os.getpid()}, forked from {os.getppid()}").open("w")
    _files.append(file)
    return max(float(due) - time.time(), 0.01), file


_files: list[TextIO] = []  # kept open


def _print_stacks_later() -> None:
    """By a thread of C's, as trainers set signals back."""
    if place := _place():
        faulthandler.dump_traceback_later(place[0], file=place[1])


def _print_stacks_later_if_forked() -> None:
    """By a signal, as that thread is not there, and asked for another one waits for it without end."""
    if place := _place():
        faulthandler.register(signal.SIGALRM, file=place[1])
        signal.setitimer(signal.ITIMER_REAL, place[0])


_print_stacks_later()
os.register_at_fork(after_in_child=_print_stacks_later_if_forked)
