"""Mixtures, plainly: each stratum goes through its own rows again and again, batches take the next ones.

A cell is what a batch is of, such as a context: it has a group of rows for each stratum and so many batches
an epoch, which are numbered cell by cell and come in random order. Groups may be of several cells: these take
of it one after the other.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from tests.oracle.groups import Groups, RaggedPlan, group_order
from tests.oracle.permutations import EXACT_BELOW, I64, Bijection
from tests.oracle.philox import Purpose, derive
from tests.oracle.plans import Batching
from tests.oracle.portions import Portions

MakePass = Callable[[int, int], I64 | None]


@dataclass(frozen=True)
class Cell:
    """The group of each stratum, and batches an epoch."""

    groups: tuple[int, ...]
    batches: int


@dataclass(eq=False)
class Sequences:
    """The endless sequence of each group: pass after pass, by ``make_pass`` where that gives one."""

    groups: Groups
    seed: int
    make_pass: MakePass
    made: dict[tuple[int, int], I64]

    def one_pass(self, group: int, number: int) -> I64:
        """Return the rows of a pass."""
        if (group, number) not in self.made:
            start, stop = self.groups.offsets[group : group + 2].tolist()
            rows = self.make_pass(group, number % 2**63)
            if rows is None:
                own_key = derive(self.seed, number % 2**64, Purpose.MIXTURE_ROWS)
                shared_key = derive(self.seed, number % 2**64, Purpose.MIXTURE_KEYS)
                rows = self.groups.members[start + group_order(stop - start, start, own_key, shared_key)]
            self.made[group, number] = rows
        return self.made[group, number]

    def take(self, group: int, first: int, count: int) -> list[int]:
        """Return the rows at some positions."""
        each, taken = len(self.one_pass(group, 0)), list[int]()
        while count > 0:
            number, rank = divmod(first, each)
            rows = self.one_pass(group, number)[rank : rank + count].tolist()
            taken += rows
            first, count = first + len(rows), count - len(rows)
        return taken


def batches_of_cells(
    portions: Portions,
    rows: Sequence[Sequence[int]],
    *,
    counted: Sequence[int],
    ends_with: int | str = "longest",
    total_size: int | None = None,
    even: bool = False,
) -> list[int]:
    """Return the batches of each cell, given the rows of its strata, of which some decide."""
    if total_size is not None:
        return dealt(
            -(-total_size // portions.batch_size), [sum(cell[s] for s in counted) for cell in rows], even=even
        )
    each = [batches_of_cell(portions, cell, counted, ends_with) for cell in rows]
    return [max(each)] * len(each) if even else each


def batches_of_cell(
    portions: Portions, rows: Sequence[int], counted: Sequence[int], ends_with: int | str
) -> int:
    """Return batches until a stratum, or all, came once, or as many as none comes more than once in."""
    batches = 1
    decide = counted if isinstance(ends_with, str) else [ends_with]
    while ends_with != "shortest" and any(portions.until(batches)[s] < rows[s] for s in decide):
        batches += 1
    while ends_with == "shortest" and all(portions.until(batches + 1)[s] <= rows[s] for s in decide):
        batches += 1
    return batches


def dealt(batches: int, rows: Sequence[int], *, even: bool) -> list[int]:
    """Return batches by rows, by largest remainders; a cell that would have less than one has one."""
    due = {cell: Fraction(1 if even else count) for cell, count in enumerate(rows)}
    each = dict.fromkeys(due, 1)
    while True:
        left, total = batches - len(each) + len(due), sum(due.values())
        kept = {cell: weight for cell, weight in due.items() if weight / total * left >= 1}
        if kept == due:
            break
        due = kept
    parts = {cell: weight / total * left for cell, weight in due.items()}
    each |= {cell: int(part) for cell, part in parts.items()}
    spare = batches - sum(each.values())
    for cell in sorted(parts, key=lambda cell: (-(parts[cell] - int(parts[cell])), cell))[:spare]:
        each[cell] += 1
    return [each[cell] for cell in sorted(each)]


def mixture(
    groups: Groups,
    cells: Sequence[Cell],
    portions: Portions,
    how: Batching,
    make_pass: MakePass = lambda group, number: None,
) -> RaggedPlan:
    """Return the plan of ``Mixture``."""
    sequences = Sequences(groups, how.seed, make_pass, {})
    where = [0] * len(groups)  # in its sequence
    for cell in cells:
        for group, rows in zip(cell.groups, portions.until(how.epoch * cell.batches), strict=True):
            where[group] += rows
    batches = []
    for cell in cells:
        before = portions.until(how.epoch * cell.batches)
        for k in range(cell.batches):
            after = portions.until(how.epoch * cell.batches + k + 1)
            batch: list[int] = []
            for s, group in enumerate(cell.groups):
                batch += sequences.take(group, where[group], after[s] - before[s])
                where[group] += after[s] - before[s]
            batches.append(batch)
            before = after
    if len(cells) > 1:
        key = derive(how.seed, how.epoch, Purpose.MIXTURE_BATCHES)
        order = Bijection(len(batches), key, EXACT_BELOW)(np.arange(len(batches)))
        batches = [batches[number] for number in order.tolist()]
    offsets = np.arange(len(batches) + 1) * how.batch_size
    return RaggedPlan(np.array(batches, dtype=np.int64).ravel(), offsets)
