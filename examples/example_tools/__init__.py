"""What the examples share: command lines whose errors are one line, records written whole, one look."""

from .cli import OneLineParser, add_result_options, check_fraction, check_number, check_whole, run_example
from .figures import INK, STYLE, save_figure, show_percent
from .records import log_to, write_json
from .tables import print_table, result_console, spread

__all__ = [
    "INK",
    "STYLE",
    "OneLineParser",
    "add_result_options",
    "check_fraction",
    "check_number",
    "check_whole",
    "log_to",
    "print_table",
    "result_console",
    "run_example",
    "save_figure",
    "show_percent",
    "spread",
    "write_json",
]
