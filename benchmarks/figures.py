"""What was measured, as one table: ours beside the peers, with ratio, target and verdict.

A `Work` says what is done and what must be reached, a `Figures` collects who did it at what cost. Targets are
those of the design, stated for 10**8 rows; nothing here fails, a missed target is shown as such.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["OURS", "Figures", "Measured", "Work", "digits", "odd_rounds", "parse_count", "power_text"]

OURS = "tombola"
NOTHING = "-"
HEADER = ("work", "unit", "peers", "tombola", "ratio", "target", "met")
_SECONDS = {"s": 1.0, "ms": 1e3, "µs": 1e6}


@dataclass(frozen=True)
class Work:
    """A line of the table.

    Parameters
    ----------
    name : str
    unit : str
        "ns/index" and times ("s", "ms", "µs") are made from seconds; any other unit is taken as it comes.
    target : float, optional
        What ours must be at most, or at least where more is better.
    ratio : float, optional
        How many times as good as the best peer ours must be.
    more_is_better : bool
        As for rows a second.
    """

    name: str
    unit: str = "ns/index"
    target: float | None = None
    ratio: float | None = None
    more_is_better: bool = False

    def from_seconds(self, seconds: float, n: int) -> float:
        """Return in this work's unit what n indices took."""
        return seconds * 1e9 / n if self.unit == "ns/index" else seconds * _SECONDS[self.unit]


@dataclass(frozen=True)
class Measured:
    """Who did a work, and what it cost: the median of `rounds` on data of `n` rows."""

    who: str
    value: float
    n: int | None = None
    rounds: int = 1
    note: str = ""


@dataclass
class Figures:
    """All that was measured in one session.

    Parameters
    ----------
    size : int
        Rows of the data; a figure for another number of rows says so.
    environment : dict
        Where it was measured.
    """

    size: int
    environment: dict[str, Any] = field(default_factory=dict)
    _measured: dict[Work, dict[str, Measured]] = field(default_factory=dict)

    def add(
        self, work: Work, who: str, value: float, *, n: int | None = None, rounds: int = 1, note: str = ""
    ) -> None:
        """Add a figure; a second one for the same work and name replaces the first."""
        twin = next((other for other in self._measured if other.name == work.name), work)
        if twin != work:
            raise ValueError(f"two works are called {work.name!r}: {twin} and {work}")
        self._measured.setdefault(work, {})[who] = Measured(who, value, n, rounds, note)

    def __len__(self) -> int:
        return len(self._measured)

    def ratio(self, work: Work) -> float | None:
        """Return how many times as good as the best peer ours is."""
        peers = [measured.value for who, measured in self._measured[work].items() if who != OURS]
        ours = self._measured[work].get(OURS)
        if ours is None or not peers:
            return None
        if work.more_is_better:
            return ours.value / max(peers)
        return min(peers) / ours.value if ours.value else None

    def met(self, work: Work) -> bool | None:
        """Return whether every target of the work is reached; None where there is none, or no figure."""
        ours, ratio = self._measured[work].get(OURS), self.ratio(work)
        verdicts = []
        if work.target is not None and ours is not None:
            verdicts.append(ours.value >= work.target if work.more_is_better else ours.value <= work.target)
        if work.ratio is not None and ratio is not None:
            verdicts.append(ratio >= work.ratio)
        return all(verdicts) if verdicts else None

    def rows(self) -> Iterator[tuple[str, ...]]:
        """Yield the cells of each line."""
        for work, measured in self._measured.items():
            peers = [self._text(figure, with_name=True) for who, figure in measured.items() if who != OURS]
            ours, ratio, met = measured.get(OURS), self.ratio(work), self.met(work)
            yield (
                work.name,
                work.unit,
                ", ".join(peers) or NOTHING,
                NOTHING if ours is None else self._text(ours, with_name=False),
                NOTHING if ratio is None else f"{digits(ratio)} x",
                _target_text(work),
                NOTHING if met is None else ("yes" if met else "NO"),
            )

    def markdown(self) -> str:
        """Return the table as Markdown whose columns are aligned, so that it reads in a terminal too."""
        table = [HEADER, *self.rows()]
        widths = [max(len(row[i]) for row in table) for i in range(len(HEADER))]
        lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in table]
        lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
        place = ", ".join(f"{name} {value}" for name, value in self.environment.items())
        return "\n".join([*lines, "", f"n = {power_text(self.size)} unless said. {place}".strip()])

    def to_dict(self) -> dict[str, Any]:
        """Return everything in a form that JSON can hold."""
        works = [
            {
                **vars(work),
                "reached_ratio": self.ratio(work),
                "met": self.met(work),
                "measured": [vars(figure) for figure in measured.values()],
            }
            for work, measured in self._measured.items()
        ]
        return {"size": self.size, "environment": self.environment, "works": works}

    def write(self, path: Path) -> None:
        """Write Markdown or JSON, as the file's name ends."""
        path.parent.mkdir(parents=True, exist_ok=True)
        text = self.markdown() if path.suffix == ".md" else json.dumps(self.to_dict(), indent=2)
        path.write_text(text + "\n", encoding="utf-8")

    def _text(self, figure: Measured, *, with_name: bool) -> str:
        remarks = [] if figure.n in (None, self.size) else [f"n = {power_text(figure.n or 0)}"]
        remarks += [figure.note] if figure.note else []
        name = f"{figure.who} " if with_name else ""
        return f"{name}{digits(figure.value)}" + (f" ({', '.join(remarks)})" if remarks else "")


def _target_text(work: Work) -> str:
    parts = []
    if work.target is not None:
        parts.append(f"{'>=' if work.more_is_better else '<='} {work.target:,g}")
    if work.ratio is not None:
        parts.append(f">= {work.ratio:.3g} x")
    return ", ".join(parts) or NOTHING


def digits(value: float) -> str:
    """Return three significant digits, all digits of larger numbers."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def power_text(n: int) -> str:
    """Return 100000000 as 10^8 and other numbers with commas."""
    exponent = len(str(n)) - 1
    return f"10^{exponent}" if exponent >= 4 and n == 10**exponent else f"{n:,}"


def odd_rounds(once: float, seconds: float, most: int) -> int:
    """Return how often to repeat what takes so long once: an odd number, so that a median is a time taken."""
    rounds = max(1, min(most, int(seconds / max(once, 1e-9))))
    return rounds - 1 + rounds % 2


def parse_count(text: str) -> int:
    """Return the number that 100000000, 100_000_000, 1e8, 10**8 or 10^8 means.

    Raises
    ------
    ValueError
        If it is none, not whole, or below 1.
    """
    base, power, exponent = text.replace("^", "**").partition("**")
    number = float(base) ** int(exponent) if power else float(text)
    if not number.is_integer() or number < 1:
        raise ValueError(f"expected a whole number >= 1, but got {text!r}")
    return int(number)
