"""Command lines whose errors are one line on stderr, with exit code 2; Ctrl-C gives exit code 130.

Hyphens and underscores in options are alike. With TOMBOLA_DEBUG=1 errors keep their traceback.
"""

import argparse
import io
import math
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from tombola._base.files import make_output
from tombola._base.option_names import option_word
from tombola._base.words import meant_or

__all__ = [
    "OneLineParser",
    "add_result_options",
    "check_fraction",
    "check_number",
    "check_whole",
    "run_example",
]

BAD_INPUT = 2
INTERRUPTED = 130


class OneLineParser(argparse.ArgumentParser):
    """An argument parser that says what is wrong in one line; defaults are shown in the help."""

    def __init__(self, description: str, **options: Any) -> None:
        super().__init__(
            description=description,
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
            allow_abbrev=False,
            epilog="Hyphens and underscores in options are alike.",
            **options,
        )

    def parse_known_args(self, args: Iterable[str] | None = None, namespace: Any = None) -> Any:
        """Parse, with hyphens and underscores alike, and words that mean the same (`option_names`)."""
        known = {option_word(name[2:]): name for name in self._option_string_actions if name[:2] == "--"}
        given = sys.argv[1:] if args is None else args
        words = [_spelled(word, known) for word in given]
        values, unknown = super().parse_known_args(words, namespace)
        for word in unknown:
            if word.startswith("--"):
                meant = meant_or(word.partition("=")[0], known.values(), "")
                self.error(f"unrecognized arguments: {word}{meant and '; ' + meant}")
        return values, unknown

    def error(self, message: str) -> NoReturn:
        """Leave with exit code 2."""
        self.exit(BAD_INPUT, f"error: {message} (see --help)\n")


def add_result_options(
    parser: argparse.ArgumentParser, output: str, *, seed_of: str, log: str = "log everything"
) -> None:
    """Add ``--seed``, ``--output`` and ``--verbose``."""
    parser.add_argument("--seed", type=check_whole(0), default=0, help=f"seed of {seed_of}")
    parser.add_argument("--output", "-o", type=Path, default=Path(output), help="folder for results")
    parser.add_argument("--verbose", "-v", action="store_true", help=f"{log} to the terminal, too")


def run_example(work: Callable[[], None], output: Path) -> NoReturn:
    """Do the work and leave; an error that comes of bad input is told in one line.

    The folder for results is made before anything is done, so that what hinders it shows at once.

    ValueError, missing packages and unreadable files count as bad input; everything else is a fault of the
    example and keeps its traceback.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # so that lines come in order beside those on stderr
    try:
        make_output(output)
        work()
    except KeyboardInterrupt:
        print("interrupted; what is written is whole", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except (ValueError, OSError, ModuleNotFoundError) as error:
        if os.environ.get("TOMBOLA_DEBUG"):
            raise
        print(f"error: {_one_line(error)}", file=sys.stderr)
        sys.exit(BAD_INPUT)
    sys.exit(0)


def check_whole(least: int) -> Callable[[str], int]:
    """Return a converter to whole numbers of at least `least`, for ``type=``."""

    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            msg = f"expected a whole number >= {least}, but got {text!r}"
            raise argparse.ArgumentTypeError(msg)
        return value

    return convert


def check_number(least: float, *, above: bool = False) -> Callable[[str], float]:
    """Return a converter to finite numbers of at least, or with ``above`` beyond, `least`."""

    def convert(text: str) -> float:
        value = _number(text)
        if not math.isfinite(value) or value < least or (above and value == least):
            msg = f"expected a finite number {'>' if above else '>='} {least:g}, but got {text!r}"
            raise argparse.ArgumentTypeError(msg)
        return value

    return convert


def check_fraction(text: str) -> float:
    """Convert to a number in (0, 1], for ``type=``."""
    value = _number(text)
    if not 0 < value <= 1:
        msg = f"expected a share in (0, 1], such as 0.1, but got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return value


def _spelled(word: str, known: Mapping[str, str]) -> str:
    """Return an option as it is known here, whatever else as it is."""
    if not word.startswith("--"):
        return word
    name, equals, value = word.partition("=")
    return known.get(option_word(name[2:]), name) + equals + value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _one_line(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError):
        return (
            f"this example needs the package {error.name}; pip install -r examples/requirements.txt brings it"
        )
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())
