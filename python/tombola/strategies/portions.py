"""What a batch of a mixture takes of each stratum: numbers, or shares whose fractions are spread evenly.

Rule: strata are joined two by two, those of the smallest shares first, until all are one (Huffman 1952). Of x
batches of B rows the whole has x B rows; of m rows of what was joined the smaller part has
``floor(m q + 1/2)``, where q is its share of the two in units of 2^-53, and the larger one the rest. So no
batch takes less than no rows of a stratum, and all are full. After any number of batches a stratum is off its
share by less than two rows, one of three or fewer strata by less than one.

Where shares follow a schedule, the smaller part has ``floor(t + e q + 1/2)`` instead, at least as many as
before and at most all that came since: t is what its shares up to here sum to, e by how much the rows of the
two are above their shares, q its share of the two over the whole epoch.

Integers all the way. O(strata), where shares follow a schedule O(batches * strata).
"""

import heapq
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from typing import Any, Literal

import numpy as np

from .._base.types import IndexArray

__all__ = ["Portions", "Schedule", "fixed_portions", "read_shares", "scheduled_portions"]

Schedule = Callable[[int], Mapping[Any, float]]

_UNIT = 2**53
_HALF = 2**52


@dataclass(frozen=True)
class _Split:
    """Two of the strata, or of what was joined before, which are numbered behind them."""

    first: int
    rest: int
    share: int


@dataclass(frozen=True)
class Portions:
    """As the core takes it.

    Parameters
    ----------
    kind : {"counts", "splits", "positions"}
        Rows a batch; how shares were joined; or rows in front of each batch of an epoch.
    amounts : ndarray of int64
        One a stratum; three a split; or for positions those of one stratum after the other.
    batch_size : int
    paths : tuple
        For splits those that lead to each stratum, and whether it is in the rest.
    """

    kind: Literal["counts", "splits", "positions"]
    amounts: IndexArray
    batch_size: int
    paths: tuple[tuple[tuple[int, bool], ...], ...] = ()

    def until(self, stratum: int, batches: int) -> int:
        """Return how many rows of a stratum so many batches take, counted from the first one."""
        if self.kind == "counts":
            return int(self.amounts[stratum]) * batches
        if self.kind == "positions":
            n_strata = len(self.amounts) // (batches + 1)
            return int(self.amounts.reshape(n_strata, batches + 1)[stratum, batches])
        rows = batches * self.batch_size
        for share, is_rest in self.paths[stratum]:
            first = _rounded(rows * share)
            rows = rows - first if is_rest else first
        return rows

    def batches_for(self, stratum: int, rows: int) -> int:
        """Return the fewest batches that take so many rows of a stratum."""
        if self.kind == "counts":
            return -(-rows // int(self.amounts[stratum]))
        each = float(self.batch_size)
        for share, is_rest in self.paths[stratum]:
            each *= (_UNIT - share if is_rest else share) / _UNIT
        fewest, most, step = int(max(0, rows - 3) / each), int((rows + 3) / each) + 1, 1
        while self.until(stratum, most) < rows:  # the guess is off where there are very many rows
            most += step
            step *= 2
        while fewest > 0 and self.until(stratum, fewest) >= rows:
            fewest = max(0, fewest - step)
            step *= 2
        while fewest < most:
            middle = (fewest + most) // 2
            if self.until(stratum, middle) < rows:
                fewest = middle + 1
            else:
                most = middle
        return fewest


def _rounded(units: int) -> int:
    return (units + _HALF) >> 53


def read_shares(shares: Mapping[Any, Any]) -> tuple[int, ...] | tuple[float, ...]:
    """Return what a batch takes of each stratum: all integers, or all shares that sum to 1.

    Raises
    ------
    TypeError, ValueError
        If they are neither.
    """
    if not shares:
        msg = "shares must name a stratum or more, but are empty"
        raise ValueError(msg)
    for name, value in shares.items():
        _check_share(f"shares[{name!r}]", value)
        if not value > 0:
            msg = f"shares must be above 0, but shares[{name!r}] = {value!r}"
            raise ValueError(msg)
    values = list(shares.values())
    if all(isinstance(value, int | np.integer) for value in values):
        return tuple(map(int, values))
    total = sum(map(float, values))
    if any(isinstance(value, int | np.integer) for value in values) or abs(total - 1) > 1e-9:
        msg = (
            "shares must all be integers, rows a batch, or all be floats that sum to 1, but are "
            f"{dict(shares)!r}, sum {total:g}"
        )
        raise ValueError(msg)
    if min(values) < 2**-50:
        msg = f"shares must be at least 2**-50, but are {dict(shares)!r}"
        raise ValueError(msg)
    return tuple(map(float, values))


def _check_share(what: str, value: object) -> None:
    is_number = isinstance(value, int | float | np.integer | np.floating)
    if not is_number or isinstance(value, bool):
        msg = f"shares must be rows a batch or shares that sum to 1, but {what} = {value!r}"
        raise TypeError(msg)
    if not abs(value) < float("inf"):  # type: ignore[arg-type]
        msg = f"shares must be finite, but {what} = {value!r}"
        raise ValueError(msg)


def fixed_portions(values: Sequence[float], batch_size: int) -> Portions:
    """Return portions that are the same for all batches.

    Raises
    ------
    ValueError
        If rows a batch do not sum to the batch size.
    """
    if isinstance(values[0], int):
        if sum(values) != batch_size:
            msg = f"batch_size must be the sum of the rows a batch takes, {sum(values)}, but is {batch_size}"
            raise ValueError(msg)
        return Portions("counts", np.array(values, dtype=np.int64), batch_size)
    if len(values) == 1:
        return Portions("counts", np.array([batch_size], dtype=np.int64), batch_size)
    splits = _join([Fraction(value) for value in values])
    amounts = [number for split in splits for number in (split.first, split.rest, split.share)]
    paths = _paths(splits, len(values))
    return Portions("splits", np.array(amounts, dtype=np.int64), batch_size, paths)


def _join(weights: Sequence[Fraction]) -> list[_Split]:
    """Return how strata are joined; of equal weights those that were there first."""
    smallest = [(weight, node) for node, weight in enumerate(weights)]
    heapq.heapify(smallest)
    splits = []
    while len(smallest) > 1:
        (weight, first), (other, rest) = heapq.heappop(smallest), heapq.heappop(smallest)
        total = weight + other
        splits.append(_Split(first, rest, round(weight / total * _UNIT) if total else 0))
        heapq.heappush(smallest, (total, len(weights) + len(splits) - 1))
    return splits


def _paths(splits: Sequence[_Split], n_strata: int) -> tuple[tuple[tuple[int, bool], ...], ...]:
    paths: dict[int, tuple[tuple[int, bool], ...]] = {n_strata + len(splits) - 1: ()}
    for node in reversed(range(n_strata, n_strata + len(splits))):
        split = splits[node - n_strata]
        paths[split.first] = (*paths[node], (split.share, False))
        paths[split.rest] = (*paths[node], (split.share, True))
    return tuple(paths[s] for s in range(n_strata))


def scheduled_portions(
    schedule: Schedule, names: Sequence[Hashable], batches: int, batch_size: int
) -> Portions:
    """Return portions that follow a schedule: its shares of a batch are divided by their sum.

    Raises
    ------
    TypeError, ValueError
        If the schedule gives no shares, or other strata than at first.
    """
    n_strata = len(names)
    sums = [[0] for _ in names]  # rows due in front of each batch, in units
    for batch in range(batches):
        due = 0
        for s, until in enumerate(_sums_of_batch(schedule, batch, names)):
            sums[s].append(sums[s][-1] + (until - due) * batch_size)
            due = until
    splits = _join([Fraction(one[-1]) for one in sums])
    for split in splits:
        sums.append([a + b for a, b in zip(sums[split.first], sums[split.rest], strict=True)])
    taken = {n_strata + len(splits) - 1: [batch * batch_size for batch in range(batches + 1)]}
    for node in reversed(range(n_strata, n_strata + len(splits))):
        split = splits[node - n_strata]
        first = _dealt(taken[node], sums[node], sums[split.first], split.share)
        taken[split.first] = first
        taken[split.rest] = [a - b for a, b in zip(taken[node], first, strict=True)]
    positions = np.array([taken[s] for s in range(n_strata)], dtype=np.int64)
    return Portions("positions", positions.ravel(), batch_size)


def _sums_of_batch(schedule: Schedule, batch: int, names: Sequence[Hashable]) -> list[int]:
    """Return what the shares up to each stratum sum to, in units; all sum to 1."""
    shares: Any = schedule(batch)
    if not isinstance(shares, Mapping):
        msg = f"shares must give a mapping from strata to shares, but shares({batch}) = {shares!r}"
        raise TypeError(msg)
    if set(shares) != set(names):
        msg = f"shares(0) names the strata {list(names)!r}, but shares({batch}) names {list(shares)!r}"
        raise ValueError(msg)
    for name in names:
        _check_share(f"shares({batch})[{name!r}]", shares[name])
    sums = list(accumulate(float(shares[name]) for name in names))
    if min(shares.values()) < 0 or not 0 < sums[-1] < float("inf"):
        msg = f"shares({batch}) must be >= 0, and one of them above, but are {dict(shares)!r}"
        raise ValueError(msg)
    return [int(until / sums[-1] * _UNIT) for until in sums]


def _dealt(rows: list[int], due: list[int], first_due: list[int], share: int) -> list[int]:
    """Return the rows of the first part in front of each batch."""
    first = [0]
    for batch in range(1, len(rows)):
        excess = rows[batch] * _UNIT - due[batch]
        wanted = _rounded(first_due[batch] + (excess * share >> 53))
        first.append(min(max(wanted, first[-1]), first[-1] + rows[batch] - rows[batch - 1]))
    return first
