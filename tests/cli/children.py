"""Child processes of these tests: what they do before they run, and commands that get a signal at work."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def listen_to_ctrl_c() -> None:
    """Undo what a shell does for commands in the background, which ignore the signal and so do theirs."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def signal_at_work(arguments: list[str], number: int, *, folder: Path, pattern: str) -> int:
    """Run ``tombola ...``, send a signal once a file matches below a folder, and return the exit code."""
    with subprocess.Popen(
        [sys.executable, "-m", "tombola.cli", *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        deadline = time.monotonic() + 90
        while not list(folder.rglob(pattern)) and time.monotonic() < deadline:
            time.sleep(0.002)
        process.send_signal(number)
        process.wait(timeout=60)
    return process.returncode
