"""The screens in docs/tour.md: what a command of each of the five systems prints on a terminal of 80 columns.

``python -m docs.site.screens`` runs them all anew, some minutes; with names of screens those alone. A screen
is an SVG of text, which needs no font of its own; what is too long is cut in the middle, and says so.
"""

import io
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "screens"
COLUMNS, LINES = 80, 34
MOVES = re.compile(r"\x1b\[\d*[A-K]|\x1b\[\?25")
"""Moves of the cursor, by which progress redraws its line."""

PROGRESS = re.compile(r"\d+/\d+ +\d:\d\d:\d\d")
FONTS = 'ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace'
SVG = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL).replace(
    "Fira Code, monospace", FONTS
)
"""Rich's own picture of a terminal, without the fonts that it would fetch."""


@dataclass(frozen=True)
class Screen:
    """A command line, and what stands in the place of Python's path when it is shown."""

    shown: str
    arguments: tuple[str, ...]


def example(name: str, *options: str) -> Screen:
    """Return the screen of an example."""
    return Screen(f"python examples/{name} {' '.join(options)}", (str(ROOT / "examples" / name), *options))


HISTORIES = [
    f"config/{name}.yaml" for name in ("algorithm/ppo_base", "env/darkroom", "model/ad_compressed_dr")
]
SCREENS = {
    "experiment": Screen("tombola demo", ("-c", "from tombola.cli import main; main()", "demo")),
    "ranker": example("train_multifeature_ranker.py", "--use_series_sampler", "--quick_experiment", "0.1"),
    "histories": example("train_compressed_ad.py", *HISTORIES, "--quick"),
    "mini-epochs": example("train_mini_epochs.py", "--quick"),
    "replay": example("continual_digits.py", "--quick", "--use_balanced_sampling", "1"),
}


def printed(screen: Screen) -> str:
    """Run a command in an empty folder; return all that it prints, colours included."""
    settings = {"COLUMNS": str(COLUMNS), "FORCE_COLOR": "1", "TERM": "xterm-256color", "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, *screen.arguments],
            cwd=folder,
            env={**os.environ, **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=True,
        )
        return done.stdout.replace(folder, ".").replace(str(Path.home()), "~")


def is_kept(line: str) -> bool:
    """Tell whether a line stays on the screen: those of progress are drawn over."""
    return not (MOVES.search(line) or PROGRESS.search(Text.from_ansi(line).plain))


def cut(lines: list[Text]) -> list[Text]:
    """Return lines that fit a screen."""
    if len(lines) <= LINES:
        return lines
    first = LINES // 3
    left_out = Text(f"  ... {len(lines) - LINES + 1} more lines ...")
    return [*lines[:first], left_out, *lines[first - LINES + 1 :]]


def draw(name: str) -> None:
    """Run a command and write its screen."""
    screen = SCREENS[name]
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    lines = [f"$ {screen.shown}", *filter(is_kept, printed(screen).rstrip().splitlines())]
    folded = [part for line in lines for part in Text.from_ansi(line).wrap(console, COLUMNS) or [Text()]]
    console.print(Text("\n").join(cut(folded)))
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.svg"
    path.write_text(console.export_svg(title=name, code_format=SVG), encoding="utf-8")
    print(path.relative_to(ROOT), flush=True)


if __name__ == "__main__":
    for chosen in sys.argv[1:] or SCREENS:
        draw(chosen)
