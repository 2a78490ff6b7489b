"""What is measured in processes of its own: peak memory, import time, whole epochs.

The peak of a process that was started by a larger one cannot be had from getrusage: on Linux it begins at the
parent's. The kernel's own count (VmHWM) does not, and can be set back to what is in use.
It counts in steps of some dozen pages a core, so a figure is right to about 0.3 MB.
"""

import json
import os
import statistics
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["Child", "ChildError", "extra_memory", "import_seconds", "opened", "printed"]

ROOT = Path(__file__).resolve().parents[1]

MEMORY = """
import gc, sys
from pathlib import Path

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

use(100)  # whatever is made once
gc.collect()
Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
before = peak()
kept = use(int(sys.argv[1]))
print(peak() - before)
"""

OPENED = """
import gc, json, sys, time
from pathlib import Path

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

gc.collect()
Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
before, start = peak(), time.perf_counter()
kept = use(sorted(Path(sys.argv[1]).glob("*.h5ad")))
print(json.dumps([time.perf_counter() - start, peak() - before, answer(kept)]))
"""

TIMED = "import time; start = time.perf_counter(); {}; print(time.perf_counter() - start)"


def extra_memory(script: str, n: int) -> float:
    """Return how many MB a new process takes at its peak for ``use(n)`` of a script, beyond a small use."""
    command = [sys.executable, "-W", "error", "-c", script + MEMORY, str(n)]
    result = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return int(result.stdout) * 1024 / 1e6


def opened(script: str, folder: Path, package: Path | None = None) -> tuple[float, float, list[int]]:
    """Open the files of a folder in a new process, by ``use(paths)`` of a script.

    Returns
    -------
    tuple
        Seconds, MB at the peak beyond what was imported, and ``answer(kept)`` of the script, to be checked.
    """
    command = [sys.executable, "-W", "error", "-c", script + OPENED, str(folder)]
    environment = dict(os.environ) if package is None else {**os.environ, "PYTHONPATH": str(package)}
    result = subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True)
    seconds, kilobytes, answer = json.loads(result.stdout)
    return seconds, kilobytes * 1024 / 1e6, answer


def printed(code: str, *arguments: str, paths: Sequence[str], python: str = sys.executable) -> str:
    """Return what code prints in a new process that imports from these folders first.

    Raises
    ------
    RuntimeError
        If it fails, with what it said.
    """
    command = [python, "-c", code, *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=_importing(paths), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return done.stdout


def _importing(paths: Sequence[str]) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


class ChildError(Exception):
    """A process ended without an answer, or took too long for one."""


class Child:
    """A process that answers a line by a line, so that two of them can take turns.

    Parameters
    ----------
    arguments : sequence of str
        For Python.
    paths : sequence of str
        Folders that it imports from first.
    python : str
    seconds : float
        How long an answer may take.
    variables : mapping of str to str, optional
        Of its environment, beside those of this process.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        paths: Sequence[str],
        python: str = sys.executable,
        seconds: float = 600.0,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self._seconds = seconds
        self._process = subprocess.Popen(
            [python, *arguments],
            cwd=ROOT,
            env={**_importing(paths), **(variables or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def ask(self, line: str) -> str:
        """Send a line, return the answer.

        Raises
        ------
        ChildError
            If none comes.
        """
        out, into = self._process.stdout, self._process.stdin
        assert out is not None
        assert into is not None
        late = threading.Timer(self._seconds, self._process.kill)
        late.start()
        try:
            into.write(line + "\n")
            into.flush()
            answer = out.readline()
        except BrokenPipeError:
            answer = ""
        is_late = not late.is_alive()
        late.cancel()
        if answer:
            return answer
        why = f"no answer within {self._seconds:g} s" if is_late else f"ended, status {self._process.wait()}"
        raise ChildError(why)


def import_seconds(statements: list[str], rounds: int) -> list[float]:
    """Return the median seconds of each statement in a new process, taken in turn after one warm-up each."""
    taken: list[list[float]] = [[] for _ in statements]
    for number in range(rounds + 1):
        for times, statement in zip(taken, statements, strict=True):
            command = [sys.executable, "-c", TIMED.format(statement)]
            result = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
            if number:
                times.append(float(result.stdout))
    return [statistics.median(times) for times in taken]
