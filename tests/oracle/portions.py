"""How many rows batches take of each stratum, plainly: so many, by shares, or by a schedule of shares.

Shares: the two strata of the smallest shares are joined, and so on until all are one (of equal shares those
that were there first). What is joined and has m rows gives floor(m q + 1/2) to the one of the smaller share,
q its share of the two in units of 2^-53, and the rest to the other. A schedule is followed batch by batch.

Source: the tree is that of Huffman, "A method for the construction of minimum-redundancy codes", Proc. IRE
40, 1952.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise

UNIT = 2**53
Rows = dict[int, int]


@dataclass(frozen=True)
class Joined:
    """Two strata, or what was joined of such; ``share`` is that of the first, in units."""

    first: "int | Joined"
    rest: "int | Joined"
    share: int


def join(shares: Sequence[Fraction]) -> "int | Joined":
    """Return all strata as one."""
    parts: dict[int, tuple[Fraction, int | Joined]] = {s: (share, s) for s, share in enumerate(shares)}
    for number in range(len(shares), 2 * len(shares) - 1):
        one, other = sorted(parts, key=lambda part: (parts[part][0], part))[:2]
        (a, first), (b, rest) = parts.pop(one), parts.pop(other)
        parts[number] = (a + b, Joined(first, rest, round(a / (a + b) * UNIT) if a + b else 0))
    return parts[max(parts)][1]


def floor_half(units: int) -> int:
    """Return units as a whole number, halves up."""
    return (units + UNIT // 2) // UNIT


def deal(rows: int, part: "int | Joined") -> Rows:
    """Return how many of some rows each stratum has."""
    if isinstance(part, int):
        return {part: rows}
    first = floor_half(rows * part.share)
    return deal(first, part.first) | deal(rows - first, part.rest)


def worst_error(shares: Sequence[Fraction]) -> list[Fraction]:
    """Return by how much a stratum can be off its share: a half, and its part of what its node is off."""
    found = [Fraction(0)] * len(shares)

    def weight(part: "int | Joined") -> Fraction:
        return shares[part] if isinstance(part, int) else weight(part.first) + weight(part.rest)

    def walk(part: "int | Joined", error: Fraction) -> None:
        if isinstance(part, int):
            found[part] = error
            return
        for one in (part.first, part.rest):
            walk(one, error * weight(one) / weight(part) + Fraction(1, 2))

    walk(join(shares), Fraction(0))
    return found


@dataclass(frozen=True)
class Portions:
    """What batches take: ``counts`` a batch, ``shares``, or the shares of each batch of an epoch."""

    batch_size: int
    counts: tuple[int, ...] = ()
    shares: tuple[float, ...] = ()
    schedule: tuple[Mapping[int, float], ...] = ()

    @cached_property
    def joined(self) -> "int | Joined":
        """All strata as one."""
        return join([Fraction(share) for share in self.shares])

    @cached_property
    def scheduled(self) -> list[list[int]]:
        """The rows in front of each batch of an epoch."""
        return scheduled(self.schedule, self.batch_size)

    def until(self, batches: int) -> list[int]:
        """Return the rows of each stratum in the first batches of all."""
        if self.counts:
            return [batches * count for count in self.counts]
        if self.shares:
            dealt = deal(batches * self.batch_size, self.joined)
            return [dealt[s] for s in range(len(self.shares))]
        epochs, rest = divmod(batches, len(self.schedule))
        return [epochs * one[-1] + one[rest] for one in self.scheduled]


def scheduled(schedule: Sequence[Mapping[int, float]], batch_size: int) -> list[list[int]]:
    """Return for each stratum the rows in front of each batch, and of all."""
    n_strata = len(schedule[0])
    due: list[list[int]] = [[0] for _ in range(n_strata)]
    for shares in schedule:
        sums = [0.0]
        for s in range(n_strata):
            sums.append(sums[-1] + shares[s])
        units = [int(until / sums[-1] * UNIT) for until in sums]
        for s in range(n_strata):
            due[s].append(due[s][-1] + (units[s + 1] - units[s]) * batch_size)
    taken: list[list[int]] = [[] for _ in range(n_strata)]

    def due_of(part: "int | Joined") -> list[int]:
        if isinstance(part, int):
            return due[part]
        return [a + b for a, b in zip(due_of(part.first), due_of(part.rest), strict=True)]

    def walk(part: "int | Joined", rows: list[int]) -> None:
        if isinstance(part, int):
            taken[part] = rows
            return
        due_here, due_first, first = due_of(part), due_of(part.first), [0]
        for batch, (before, here) in enumerate(pairwise(rows), start=1):
            above = here * UNIT - due_here[batch]
            wanted = floor_half(due_first[batch] + above * part.share // UNIT)
            first.append(min(max(wanted, first[-1]), first[-1] + here - before))
        walk(part.first, first)
        walk(part.rest, [a - b for a, b in zip(rows, first, strict=True)])

    walk(join([Fraction(one[-1]) for one in due]), [k * batch_size for k in range(len(schedule) + 1)])
    return taken
