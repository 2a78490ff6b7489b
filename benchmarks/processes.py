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
from collections.abc import Sequence
from pathlib import Path

__all__ = ["extra_memory", "import_seconds", "opened", "printed"]

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
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    command = [python, "-c", code, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return done.stdout


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
