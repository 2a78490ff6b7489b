"""``python -m tombola.experiments.run_all``: `tombola experiment` under the name that users know.

The process becomes that command, with the same arguments, so there is one place where they are read.
"""

import os
import sys

__all__ = ["main"]


def main() -> None:
    """Go on as ``tombola experiment`` with this process's arguments."""
    os.execv(sys.executable, [sys.executable, "-m", "tombola.cli", "experiment", *sys.argv[1:]])


if __name__ == "__main__":
    main()
