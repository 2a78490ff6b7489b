"""Instructions an index of the core's loops, counted by valgrind: no noise moves them. And a gate on them.

    cmake --preset default && cmake --build --preset default
    python -m benchmarks.instructions            # count, and fail where it is more than 5% above the record
    python -m benchmarks.instructions --record   # write the record anew

What is counted is in ``cpp/counts/count_instructions.cpp``: one thread, the AVX2 kernels, 2^18 rows. Counts
depend on the compiler, so the record names it, and counts of another one are shown but not held against it.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
BINARY = ROOT / "build" / "default" / "count_instructions"
RECORD = Path(__file__).with_name("instructions.json")
MOST = 1.05
"""Times the record that a count may be."""


@dataclass(frozen=True)
class Counts:
    """Instructions an index of each work, and what made them."""

    compiler: str
    instruction_set: str
    counts: dict[str, float]

    def as_json(self) -> str:
        return json.dumps(self.__dict__, indent=2) + "\n"

    @staticmethod
    def read(path: Path) -> "Counts":
        return Counts(**json.loads(path.read_text(encoding="utf-8")))

    def is_comparable(self, other: "Counts") -> bool:
        return (self.compiler, self.instruction_set) == (other.compiler, other.instruction_set)


def count(binary: Path) -> Counts:
    """Run each work once under valgrind."""
    about, *works = subprocess.run(
        ["valgrind", "--tool=none", "-q", binary], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    compiler, instruction_set = about.split("\t")
    counts = {}
    for line in works:
        indices, name = line.split("\t")
        counts[name] = round(count_one(binary, name) / int(indices), 2)
    return Counts(compiler, instruction_set, counts)


def count_one(binary: Path, name: str) -> int:
    with TemporaryDirectory() as folder:
        command = ["valgrind", "--tool=callgrind", "--toggle-collect=tombola_counted"]
        command += [f"--callgrind-out-file={folder}/out", str(binary), name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or found is None or int(found[1]) == 0:
        msg = f"{name} could not be counted: {done.stdout}{done.stderr}"
        raise RuntimeError(msg)
    return int(found[1])


def compare(counted: Counts, record: Counts) -> tuple[list[str], list[str]]:
    """Return the rows of a Markdown table, and what is wrong."""
    lines = ["| work | recorded | now | ratio |", "|---|---|---|---|"]
    lost = sorted(record.counts.keys() - counted.counts.keys())
    wrong = [f"{name} is recorded but was not counted" for name in lost]
    held = counted.is_comparable(record)
    for name, now in counted.counts.items():
        before = record.counts.get(name)
        if before is None:
            lines.append(f"| {name} | | {now:.2f} | |")
            wrong.append(f"{name} is not recorded")
            continue
        lines.append(f"| {name} | {before:.2f} | {now:.2f} | {now / before:.3f} |")
        if held and now > MOST * before:
            wrong.append(
                f"{name} takes {now:.2f} instructions an index, {now / before:.2f} times {before:.2f}"
            )
    return lines, wrong


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Count the instructions of the core's loops.")
    parser.add_argument(
        "--binary", type=Path, default=BINARY, help="the built cpp/counts/count_instructions.cpp"
    )
    parser.add_argument("--record", action="store_true", help=f"write {RECORD.name} anew")
    options = parser.parse_args(arguments)
    if shutil.which("valgrind") is None:
        print("valgrind is not installed: instructions are not counted", file=sys.stderr)
        return 3
    if not options.binary.exists():
        print(f"{options.binary} is not there: build it by the preset `default`", file=sys.stderr)
        return 2
    counted = count(options.binary)
    print(f"instructions an index, {counted.instruction_set} kernels by {counted.compiler}")
    if options.record:
        RECORD.write_text(counted.as_json(), encoding="utf-8")
    record = Counts.read(RECORD)
    lines, wrong = compare(counted, record)
    print("\n".join(lines))
    if not counted.is_comparable(record):
        print(
            f"not held against the record, which is of {record.instruction_set} kernels by {record.compiler}"
        )
    for text in wrong:
        print(f"error: {text}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
