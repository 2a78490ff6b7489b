"""Where the user's cache folder is: as TOMBOLA_CACHE says, or where the platform keeps caches."""

import os
import sys
from pathlib import Path

__all__ = ["cache_folder"]


def cache_folder() -> Path:
    """Return tombola's cache folder, which may not exist yet.

    TOMBOLA_CACHE names it; else it is ``tombola`` in XDG_CACHE_HOME or ``~/.cache``, on macOS in
    ``~/Library/Caches``.
    """
    named = os.environ.get("TOMBOLA_CACHE")
    if named:
        return Path(named).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "tombola"
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "tombola"
