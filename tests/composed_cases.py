"""One epoch of composed batches described once, as `tests/cases.py` does for others.

`PerClassCase` is of tuples of classes, `MixtureCase` of strata that are mixed; labels follow from numbers of
rows by a formula of integers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

import numpy as np

from tests import oracle
from tests.cases import GroupCase, deal
from tests.oracle.mixture import batches_of_cells
from tests.oracle.permutations import I64
from tests.oracle.portions import Portions


@dataclass(frozen=True, kw_only=True)
class PerClassCase:
    """Every option of one plan of tuples; ``counts`` has the rows of each class."""

    counts: tuple[int, ...]
    batching: oracle.Batching
    rows_per_class: int
    repeat: bool = False
    rows: Literal["", "subset", "beyond_32_bits"] = ""
    wide: bool = False

    @property
    def groups(self) -> GroupCase:
        """The classes as groups."""
        return GroupCase(
            kind="balanced", counts=self.counts, batching=self.batching, rows=self.rows, wide=self.wide
        )

    def by_oracle(self) -> oracle.RaggedPlan:
        """Return the plan by the oracle."""
        groups = oracle.group(self.groups.make_keys(), self.groups.indices)
        return oracle.per_class(groups, self.batching, rows_per_class=self.rows_per_class, repeat=self.repeat)


@dataclass(frozen=True, kw_only=True)
class MixtureCase:
    """Every option of one mixture; ``counts`` has the rows of each stratum in each context and condition.

    One of ``takes`` (rows a batch), ``shares`` and ``schedule`` (whose shares of a batch follow from its
    number) is not empty. ``blocks`` are of each stratum's `BlockShuffling`, 0 for none.
    """

    counts: tuple[tuple[int, ...], ...]
    batching: oracle.Batching
    takes: tuple[int, ...] = ()
    shares: tuple[float, ...] = ()
    schedule: tuple[int, ...] = ()
    conditions: int = 1
    controls: int | None = None
    ends_with: str | int = "longest"
    total_size: int | None = None
    even: bool = False
    blocks: tuple[int, ...] = ()
    rows: Literal["", "subset", "beyond_32_bits"] = ""

    @property
    def n_strata(self) -> int:
        """How many strata there are."""
        return len(self.takes or self.shares or self.schedule)

    def labels(self) -> tuple[I64, I64, I64]:
        """Return stratum, context and condition of each row."""
        cells = [
            (s, *divmod(cell, self.conditions))
            for cell, counts in enumerate(self.counts)
            for s, count in enumerate(counts)
            for _ in range(count)
        ]
        dealt = np.array(cells, dtype=np.int64)[deal(len(cells))]
        return dealt[:, 0].copy(), dealt[:, 1].copy(), dealt[:, 2].copy()

    @property
    def indices(self) -> I64 | None:
        """The rows to choose among, where they are not all."""
        n = sum(map(sum, self.counts))
        return GroupCase(kind="balanced", counts=(n,), batching=self.batching, rows=self.rows).indices

    def shares_of_batch(self, batch: int) -> dict[int, float]:
        """Return what the schedule says of a batch."""
        return {s: (slope * (batch % 50) + s + 1) / 7 for s, slope in enumerate(self.schedule)}

    def given_shares(self) -> Mapping[int, float] | Callable[[int], Mapping[int, float]]:
        """Return shares as a user says them."""
        return self.shares_of_batch if self.schedule else dict(enumerate(self.takes or self.shares))

    def options(self) -> dict[str, Any]:
        """Return the options of the strategy beyond shares and inner strategies."""
        stratum, context, condition = self.labels()
        return {
            "labels": stratum,
            "within": context if len(self.counts) > self.conditions else None,
            "per_condition": condition if self.controls is not None else None,
            "controls": self.controls,
            "contexts": "even" if self.even else "proportional",
            "ends_with": self.ends_with,
            "total_size": self.total_size,
            "indices": self.indices,
        }

    def portions(self) -> Portions:
        """Return what batches take, by the oracle."""
        size = self.batching.batch_size
        if not self.schedule:
            return Portions(size, self.takes, self.shares)
        assert self.total_size is not None
        batches = -(-self.total_size // size)
        return Portions(size, schedule=tuple(self.shares_of_batch(batch) for batch in range(batches)))

    def by_oracle(self) -> oracle.RaggedPlan:
        """Return the plan by the oracle."""
        stratum, context, condition = self.labels()
        condition[stratum == self.controls] = 0
        keys = (context * self.conditions + condition) * self.n_strata + stratum
        groups = oracle.group(keys, self.indices)
        firsts = groups.firsts if self.indices is None else np.searchsorted(self.indices, groups.firsts)
        group_of = {key: group for group, key in enumerate(keys[firsts].tolist())}
        chosen = [
            [
                group_of[(cell - (cell % self.conditions if s == self.controls else 0)) * self.n_strata + s]
                for s in range(self.n_strata)
            ]
            for cell in range(len(self.counts))
        ]
        portions = self.portions()
        batches = batches_of_cells(
            portions,
            [[int(groups.counts[group]) for group in cell] for cell in chosen],
            counted=[s for s in range(self.n_strata) if s != self.controls],
            ends_with=self.ends_with,
            total_size=self.total_size,
            even=self.even,
        )
        cells = [oracle.Cell(tuple(used), count) for used, count in zip(chosen, batches, strict=True)]
        return oracle.mixture(
            groups, cells, portions, self.batching, self._passes(groups, keys[firsts], batches)
        )

    def _passes(
        self, groups: oracle.Groups, keys: I64, batches: list[int]
    ) -> Callable[[int, int], I64 | None]:
        many = batches[0] if self.schedule else 1000
        sizes = [max(1, round(rows / many)) for rows in self.portions().until(many)]

        def one_pass(group: int, number: int) -> I64 | None:
            stratum = int(keys[group]) % self.n_strata
            block_size = self.blocks[stratum] if self.blocks else 0
            if not block_size:
                return None
            hashed = sha256(f"{self.batching.seed} {group}".encode()).digest()[:8]
            how = oracle.Batching(
                batch_size=sizes[stratum],
                fetch_factor=self.batching.fetch_factor,
                seed=int.from_bytes(hashed, "little") // 2,
                epoch=number,
            )
            members = groups.members[groups.offsets[group] : groups.offsets[group + 1]]
            return oracle.blocks(len(members), how, block_size=block_size, indices=members).rows

        return one_pass
