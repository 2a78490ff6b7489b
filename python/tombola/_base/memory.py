"""How much memory a process may still take: what the machine has free, and what its control groups allow.

Rule: the smaller of what the kernel says is available and, of the control group of the process and all above
it, the limit less what is in use and cannot be given back. Pages of files that were read count as free: the
kernel drops them first. A container may not see its own group by the name that the machine has for it; the
topmost folder is then its group. A few small files are read.
"""

import os
from pathlib import Path

__all__ = ["free_memory"]

_VERSION_2 = ("memory.max", "memory.current", "inactive_file")
_VERSION_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def free_memory(root: Path = Path("/")) -> int | None:
    """Return the bytes that this process may still take; None where the system does not say.

    Parameters
    ----------
    root : Path
        Where ``proc`` and ``sys`` are.
    """
    found = [_available(root), *_left_in_groups(root)]
    known = [size for size in found if size is not None]
    return max(0, min(known)) if known else None


def _available(root: Path) -> int | None:
    size = _entry(root / "proc" / "meminfo", "MemAvailable:")
    if size is not None:
        return size << 10  # it is in kB
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return None


def _left_in_groups(root: Path) -> list[int | None]:
    """Return what is left in each control group that counts memory; None of one without a limit."""
    left: list[int | None] = []
    for line in _text(root / "proc" / "self" / "cgroup").splitlines():  # number:controllers:group
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if controllers and "memory" not in controllers.split(","):
            continue
        top = root / "sys" / "fs" / "cgroup" / ("memory" if controllers else "")
        parts = [part for part in group.split("/") if part]
        names = _VERSION_1 if controllers else _VERSION_2
        if ".." in parts:
            parts = []
        left += [_left_in(top.joinpath(*parts[:n]), *names) for n in range(len(parts), -1, -1)]
    return left


def _left_in(folder: Path, limit_name: str, usage_name: str, reclaimable: str) -> int | None:
    limit, usage = _text(folder / limit_name).strip(), _text(folder / usage_name).strip()
    if not limit.isdecimal() or not usage.isdecimal():  # "max" is none, and a group may not be seen
        return None
    return int(limit) - int(usage) + (_entry(folder / "memory.stat", reclaimable) or 0)


def _entry(path: Path, name: str) -> int | None:
    """Return the number behind a name at the beginning of a line."""
    for line in _text(path).splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == name and words[1].isdecimal():
            return int(words[1])
    return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
