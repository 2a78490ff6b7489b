"""Lines that tests ran, by folder, and each file below 95%: `lines.py PYTHON-JSON CPP-JSON`.

In: what coverage.py and gcovr write, called by `.ci/coverage`. Out: tables in Markdown; status 1 where either
whole is below 95%.
"""

import json
import sys
from itertools import groupby
from pathlib import Path, PurePosixPath

LEAST = 0.95
TOO_FEW = 3  # status


def python_files(report: Path) -> dict[str, dict[int, bool]]:
    """Return for each file which of its lines ran."""
    files = json.loads(report.read_text(encoding="utf-8"))["files"]
    return {
        path: dict.fromkeys(file["missing_lines"], False) | dict.fromkeys(file["executed_lines"], True)
        for path, file in files.items()
    }


def cpp_files(report: Path) -> dict[str, dict[int, bool]]:
    """Return for each file which of its lines ran; a line of a template ran if any of its forms did."""
    found: dict[str, dict[int, bool]] = {}
    for file in json.loads(report.read_text(encoding="utf-8"))["files"]:
        lines = found.setdefault(file["file"], {})
        for line in file["lines"]:
            if not line.get("gcovr/noncode") and not line.get("gcovr/excluded"):
                number = line["line_number"]
                lines[number] = lines.get(number, False) or line["count"] > 0
    return found


def ranges(numbers: list[int]) -> str:
    """Return numbers in short: 3, 7-9."""
    parts = []
    for _, group in groupby(enumerate(sorted(numbers)), key=lambda pair: pair[1] - pair[0]):
        run = [number for _, number in group]
        parts.append(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}")
    return ", ".join(parts)


def row(name: str, lines: list[bool]) -> str:
    """Return a row of a table."""
    return f"| {name} | {len(lines):,} | {sum(lines):,} | {sum(lines) / len(lines):.1%} |"


def tables(language: str, files: dict[str, dict[int, bool]]) -> bool:
    """Print the tables of one language; return whether enough of its lines ran."""
    in_order = sorted(files, key=lambda path: (str(PurePosixPath(path).parent), path))
    files = {path: files[path] for path in in_order if files[path]}
    whole = [ran for lines in files.values() for ran in lines.values()]
    print(f"\n| {language} | lines | ran | |\n|---|---:|---:|---:|")
    for folder, paths in groupby(files, key=lambda path: str(PurePosixPath(path).parent)):
        print(row(f"`{folder}`", [ran for path in paths for ran in files[path].values()]))
    print(row("all", whole))
    print(f"\n| {language}: below {LEAST:.0%} | lines | ran | | not run |\n|---|---:|---:|---:|---|")
    for path, lines in files.items():
        if sum(lines.values()) < LEAST * len(lines):
            missed = ranges([number for number, ran in lines.items() if not ran])
            print(row(f"`{path}`", list(lines.values())), missed, "|")
    return sum(whole) >= LEAST * len(whole)


if __name__ == "__main__":
    enough = [
        tables("Python", python_files(Path(sys.argv[1]))),
        tables("C++", cpp_files(Path(sys.argv[2]))),
    ]
    sys.exit(0 if all(enough) else TOO_FEW)
