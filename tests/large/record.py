"""What a proof found, as lines of Markdown: command, commit, machine, seconds, peak memory."""

import datetime
import os
import platform
import re
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

import tombola

__all__ = ["peak_memory", "run_recorded", "written_into"]

ROOT = Path(__file__).resolve().parents[2]
TITLE = """# Large runs

What is too large for the suite, run once; each command replaces its own section. Seconds are of a machine
that others used too, so they say what to expect at most. Short forms of all four are among the tests.
"""


def run_recorded(command: str, found: Iterable[tuple[str, str]]) -> str:
    """Run a proof, which yields what it found line by line, and return its section; each line is printed."""
    lines = [f"## {command.split()[3]}", "", f"`{command}`", "", "| what | found |", "|---|---|"]
    commit, start, spent = _commit(), time.perf_counter(), time.process_time()
    for what, value in found:
        lines.append(f"| {what} | {value} |")
        print(lines[-1], flush=True)
    seconds = time.perf_counter() - start
    times = os.times()
    spent = time.process_time() - spent + times.children_user + times.children_system
    lines.append(f"| seconds | {seconds:,.0f}, of which {spent:,.0f} on a processor |")
    lines.append(f"| peak memory of the process | {peak_memory() / 1e6:,.0f} MB |")
    lines.append(f"| commit, day | {commit}, {datetime.datetime.now(datetime.UTC):%Y-%m-%d} |")
    place = f"{_processor()} x {os.cpu_count()}, {platform.system()}, Python {platform.python_version()}"
    lines.append(f"| machine | {place}, tombola {tombola.__version__} |")
    return "\n".join(lines) + "\n"


def written_into(page: str, section: str) -> str:
    """Return a page with this section in place of the one of that name, or at its end."""
    heading = section.partition("\n")[0]
    pattern = rf"^{re.escape(heading)}\n.*?(?=^## |\Z)"
    kept = re.sub(pattern, "", page or TITLE, flags=re.MULTILINE | re.DOTALL).rstrip("\n")
    return f"{kept}\n\n{section}"


def peak_memory(process: int | str = "self") -> int:
    """Return the most bytes that a process has held in memory, since it began; 0 where it is gone."""
    try:
        text = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    match = re.search(r"^VmHWM:\s+(\d+) kB", text, re.MULTILINE)
    return int(match[1]) * 1024 if match else 0


def _commit() -> str:
    """Return the commit of the checkout, and whether what is proved, or the proof, was changed since."""
    changed = _git("status", "--porcelain", "--", "cpp", "python", "tests")
    return _git("rev-parse", "--short=9", "HEAD") + (" with changes" if changed else "")


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.machine()
    match = re.search(r"^model name\s*: (.+)$", text, re.MULTILINE)
    return match[1] if match else platform.machine()
