"""JSON and log files in a folder of results."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tombola._base.files import write_json

__all__ = ["log_to", "write_json"]


@contextmanager
def log_to(path: Path, *, verbose: bool) -> Iterator[None]:
    """Send log records of all levels to a new file, and those of INFO to stderr; all of them if `verbose`.

    Only this example's loggers and those of tombola are let through.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = logging.FileHandler(path, mode="w", encoding="utf-8")
    file.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s"))
    console = logging.StreamHandler()
    console.setFormatter(logging.Formatter("%(message)s"))
    console.setLevel(logging.DEBUG if verbose else logging.INFO)
    loggers = [
        logging.getLogger(name) for name in ("ranker", "compressed_ad", "continual", "composed", "tombola")
    ]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
        logger.addHandler(file)
        logger.addHandler(console)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(file)
            logger.removeHandler(console)
        file.close()
