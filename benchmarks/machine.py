"""What was measured on: processor, caches, memory, versions, commit, and how busy it was."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import tombola
from benchmarks.figures import OURS
from tombola import _core

__all__ = ["environment", "load", "machine"]

ROOT = Path(__file__).resolve().parents[1]


def environment() -> dict[str, Any]:
    """Return what stands below a table."""
    versions = {name: importlib.metadata.version(name) for name in ("numpy", "torch", "scdataset")}
    return {
        "CPU": f"{_processor()} x {os.cpu_count()}",
        "instructions": _core.instruction_set(),
        "huge pages": _huge_pages(),
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        OURS: tombola.__version__,
        **versions,
        "load at the start": load(),
    }


def machine() -> dict[str, str]:
    """Return what stands at the head of a report; versions of packages come from those that measure."""
    return {
        "processor": _processor(),
        "cores": f"{os.cpu_count()}, {_clock()}",
        "kernels": _core.instruction_set(),
        "caches": _caches(),
        "memory": _memory(),
        "huge pages": _huge_pages(),
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "commit": _commit(),
        "load at the start": str(load()),
    }


def load() -> float:
    """Return how many processes wanted a core in the last minute."""
    return round(os.getloadavg()[0], 2)


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""


def _field(path: str, name: str) -> str:
    lines = [line.partition(":") for line in _text(path).splitlines()]
    return next((value.strip() for key, _, value in lines if key.strip() == name), "")


def _processor() -> str:
    return _field("/proc/cpuinfo", "model name") or platform.processor() or platform.machine()


def _clock() -> str:
    megahertz = _field("/proc/cpuinfo", "cpu MHz")
    return f"{float(megahertz) / 1000:.1f} GHz" if megahertz else "clock unknown"


def _caches() -> str:
    found = []
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        kind, level, size = (_text(str(folder / name)).strip() for name in ("type", "level", "size"))
        if kind != "Instruction":
            found.append(f"L{level} {size}")
    return ", ".join(found) or "unknown"


def _memory() -> str:
    kilobytes = _field("/proc/meminfo", "MemTotal").removesuffix(" kB")
    return f"{int(kilobytes) / 2**20:.1f} GiB" if kilobytes else "unknown"


def _huge_pages() -> str:
    text = _text("/sys/kernel/mm/transparent_hugepage/enabled")
    return text.partition("[")[2].partition("]")[0] or "unknown"


def _commit() -> str:
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(ROOT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

    try:
        commit, changed = git("rev-parse", "--short=12", "HEAD"), git("status", "--porcelain", "-uno")
    except OSError:
        return "unknown"
    return f"{commit or 'unknown'}{', with changes' if changed else ''}"
