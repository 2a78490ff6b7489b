"""What was measured, every time of it, so that page and plots can be made again."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.figures import OURS, Figures, Work

__all__ = ["LIMIT", "LeftOut", "Measured", "Results", "Row"]

FORMAT = 1
LIMIT = "limit: "
"""What a name begins with that is no peer, but what nobody can surpass."""

MORE_IS_BETTER = ("cells/s", "rows/s")


@dataclass(frozen=True)
class Measured:
    """All times of one work by one of those who do it.

    Parameters
    ----------
    section : str
    work : str
    unit : str
        "ns/index", "ms", "cells/s", "rows/s" or "MB".
    who : str
    n : int
        Rows of the data.
    raw : list of (float, float)
        Of each time an amount, seconds or MB, and the indices, rows or times that it is for.
    note : str
    bits : dict of str to float
        How mixed its batches are, by label.
    """

    section: str
    work: str
    unit: str
    who: str
    n: int
    raw: list[tuple[float, float]]
    note: str = ""
    bits: dict[str, float] = field(default_factory=dict)

    @property
    def values(self) -> list[float]:
        """All times in the unit."""
        if self.unit in MORE_IS_BETTER:
            return [count / amount for amount, count in self.raw]
        scale = {"ns/index": 1e9, "ms": 1e3, "MB": 1.0}[self.unit]
        return [scale * amount / count for amount, count in self.raw]

    @property
    def value(self) -> float:
        """Their median."""
        return median(self.values)


@dataclass(frozen=True)
class LeftOut:
    """A peer that was not measured, and why."""

    who: str
    work: str
    reason: str
    failed: bool = False


@dataclass(frozen=True)
class Row:
    """One work at one size.

    Parameters
    ----------
    work : str
    unit : str
    n : int
    ours : Measured or None
    peers : list of Measured
        The best one first; of each the largest data up to `n` that it was measured with.
    limits : list of Measured
        What nobody can surpass.
    ratio : float or None
        How many times as good as the best peer ours is.
    """

    work: str
    unit: str
    n: int
    ours: Measured | None
    peers: list[Measured]
    limits: list[Measured]
    ratio: float | None


@dataclass
class Results:
    """A whole run.

    Parameters
    ----------
    machine : dict of str to str
    options : dict
        Of the run.
    versions : dict of str to str
        Of the packages that took part.
    instructions : dict
        What valgrind counted, as `benchmarks.instructions` keeps it.
    measured : list of Measured
    left_out : list of LeftOut
    seconds : float
        How long all took.
    """

    machine: dict[str, str]
    options: dict[str, Any]
    versions: dict[str, str] = field(default_factory=dict)
    instructions: dict[str, Any] = field(default_factory=dict)
    measured: list[Measured] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    seconds: float = 0.0

    def of(self, section: str) -> list[Measured]:
        """Return what a section measured."""
        return [found for found in self.measured if found.section == section]

    def rows(self, section: str) -> Iterator[Row]:
        """Yield the lines of a section's table, a work after the other, by size."""
        found = self.of(section)
        for work in dict.fromkeys(one.work for one in found):
            mine = [one for one in found if one.work == work]
            # Peers that are only measured with fewer rows stand in the line of the first size beyond.
            own = sorted({one.n for one in mine if one.who == OURS}) or sorted({one.n for one in mine})
            for n in own:
                yield _row(work, n, [one for one in mine if one.n <= n])

    def losses(self) -> list[Row]:
        """Return the lines in which a peer is better."""
        sections = dict.fromkeys(one.section for one in self.measured)
        rows = (row for section in sections for row in self.rows(section))
        return [row for row in rows if row.ratio is not None and row.ratio < 1]

    def write(self, path: Path) -> None:
        """Write all as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"format": FORMAT, **asdict(self)}, indent=1) + "\n", encoding="utf-8")

    @staticmethod
    def read(path: Path) -> "Results":
        """Read what `write` wrote.

        Raises
        ------
        ValueError
            If it is of another format.
        """
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept.pop("format", None) != FORMAT:
            raise ValueError(f"expected a report of format {FORMAT}, but {path} is none")
        measured = [
            Measured(**{**one, "raw": [(float(a), float(b)) for a, b in one["raw"]]})
            for one in kept.pop("measured")
        ]
        left_out = [LeftOut(**one) for one in kept.pop("left_out")]
        return Results(**kept, measured=measured, left_out=left_out)


def _row(work: str, n: int, mine: Iterable[Measured]) -> Row:
    latest: dict[str, Measured] = {}
    for one in sorted(mine, key=lambda one: one.n):
        latest[one.who] = one
    unit = next(iter(latest.values())).unit
    more = unit in MORE_IS_BETTER
    ours = latest.pop(OURS, None)
    limits = [one for who, one in latest.items() if who.startswith(LIMIT)]
    peers = [one for who, one in latest.items() if not who.startswith(LIMIT)]
    peers.sort(key=lambda one: one.value, reverse=more)
    figures, line = Figures(n), Work(work, unit, more_is_better=more)
    for one in [*peers, *([ours] if ours else [])]:
        figures.add(line, one.who, one.value, n=one.n)
    ratio = figures.ratio(line) if ours else None
    return Row(work, unit, n, ours, peers, limits, ratio)
