"""``python -m benchmarks.report``: measure, and write NAME.md, NAME.json and the pictures NAME-*.png."""

import argparse
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.figures import parse_count
from benchmarks.instructions import RECORD, Counts
from benchmarks.machine import load, machine
from benchmarks.processes import ROOT
from benchmarks.report.jobs import FULL, QUICK, Job, Profile
from benchmarks.report.measuring import Start, measure, start_process
from benchmarks.report.page import markdown
from benchmarks.report.plots import draw
from benchmarks.report.results import Results
from benchmarks.report.works import jobs

__all__ = ["main"]

FOLDER = ROOT / "benchmarks" / "results"


def main(arguments: Sequence[str] | None = None, *, start: Start = start_process) -> int:
    """Run; `start` is how a work is started, which tests change."""
    asked = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(asked)
    if options.redraw is not None:
        results = Results.read(options.redraw)
        _show(results, options.redraw.parent, options.redraw.stem)
        return 0
    profile = _profile(options)
    chosen = [job for job in jobs() if _is_chosen(job, options.only)]
    if not chosen:
        print(f"error: no work's name or section holds any of {options.only}", file=sys.stderr)
        return 2
    now = datetime.now(UTC)
    name = options.name or f"{now:%Y-%m-%d}-{'full' if options.full else 'quick'}"
    results = Results(
        machine(),
        {"command": _command(asked), "day": f"{now:%Y-%m-%d}", "profile": asdict(profile)},
        instructions=asdict(Counts.read(RECORD)),
    )
    begun = time.perf_counter()

    def say(text: str) -> None:
        print(f"{time.perf_counter() - begun:6.0f} s  {text}", flush=True)
        results.seconds = time.perf_counter() - begun
        results.write(options.out / f"{name}.json")  # what was measured is kept if the rest fails

    measure(chosen, profile, results, start, options.annbatch, say)
    results.machine["load at the end"] = str(load())
    results.seconds = time.perf_counter() - begun
    results.write(options.out / f"{name}.json")
    _show(results, options.out, name)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--quick", action="store_true", help="about two minutes; the default")
    how.add_argument("--full", action="store_true", help="about ten minutes, up to 10^8 rows")
    how.add_argument("--redraw", type=Path, metavar="FILE", help="make page and pictures of a JSON again")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="TEXT", help="works or sections that hold it"
    )
    parser.add_argument("--sizes", type=_sizes, help="rows, as 1e5,1e6; peers are held to their own most")
    parser.add_argument("--cells", type=parse_count, help="cells of the h5ad files")
    parser.add_argument("--seconds", type=float, help="about how long each measurement repeats")
    parser.add_argument(
        "--annbatch",
        type=_python,
        default=sys.executable,
        metavar="PYTHON",
        help="the Python that has annbatch",
    )
    parser.add_argument("--name", help="of the files; by default day and kind")
    parser.add_argument(
        "--out", type=Path, default=FOLDER, help="their folder; by default benchmarks/results"
    )
    return parser


def _python(text: str) -> str:
    return str(Path(text).absolute()) if "/" in text else text  # processes start in a folder of their own


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(sorted(parse_count(part) for part in text.split(",")))


def _profile(options: argparse.Namespace) -> Profile:
    profile = FULL if options.full else QUICK
    if options.sizes:
        profile = replace(profile, rows=options.sizes, table=min(profile.table, max(options.sizes)))
    if options.cells:
        profile = replace(profile, cells=options.cells)
    if options.seconds:
        profile = replace(profile, seconds=options.seconds)
    return profile


def _is_chosen(job: Job, texts: Sequence[str]) -> bool:
    return not texts or any(text == job.section or text in job.name for text in texts)


def _command(asked: Sequence[str]) -> str:
    """Return what was asked, without folders of this machine."""
    kept, skip = [], False
    for part in asked:
        if skip or part.startswith(("--out", "--annbatch", "--name")):
            skip = not skip and "=" not in part
            continue
        kept.append(part)
    return shlex.join(["python", "-m", "benchmarks.report", *kept])


def _show(results: Results, folder: Path, name: str) -> None:
    pictures = draw(results, folder, name)
    page = folder / f"{name}.md"
    page.write_text(markdown(results, name), encoding="utf-8")
    print(f"written: {', '.join(path.name for path in (page, *pictures))} in {folder}")


if __name__ == "__main__":
    sys.exit(main())
