"""`python -m tests.large NAME`: run one proof and keep what it found in `benchmarks/results/large.md`."""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.large.day import prove_day
from tests.large.kill import prove_plates
from tests.large.ranks import prove_ranks
from tests.large.record import ROOT, run_recorded, written_into
from tests.large.tree import prove_tree

PROOFS: dict[str, Callable[[], Iterator[tuple[str, str]]]] = {
    "ranks": prove_ranks,
    "kill": prove_plates,
    "tree": prove_tree,
    "day": prove_day,
}
RESULTS = ROOT / "benchmarks" / "results" / "large.md"


def main() -> None:
    """Run the proof that is named; nothing is written where it fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.large", description=__doc__)
    parser.add_argument("name", choices=PROOFS)
    parser.add_argument("--results", type=Path, default=RESULTS, help="where sections are kept")
    given = parser.parse_args()
    section = run_recorded(f"python -m tests.large {given.name}", PROOFS[given.name]())
    page = given.results.read_text(encoding="utf-8") if given.results.exists() else ""
    given.results.parent.mkdir(parents=True, exist_ok=True)
    given.results.write_text(written_into(page, section), encoding="utf-8")


if __name__ == "__main__":
    main()
