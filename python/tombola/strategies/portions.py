"""What a batch of a mixture takes of each stratum: numbers, or shares whose fractions are spread evenly.

Rule: after x batches of B rows the strata up to s have had ``floor(x B F_s + 1/2)`` rows, where F_s is the
sum of their shares in units of 2^-53: of each stratum within one row of its share from the beginning, and so
within two over any stretch. (Within one over any stretch cannot be for three strata and more: Fraenkel's
conjecture names the few shares for which it can.) Sums are exact integers. O(strata), where shares follow a
schedule O(batches).
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from .._base.types import IndexArray

__all__ = ["Portions", "Schedule", "fixed_portions", "read_shares", "scheduled_portions"]

Schedule = Callable[[int], Mapping[Any, float]]

_UNIT = 2**53
_HALF = 2**52


@dataclass(frozen=True)
class Portions:
    """As the core takes it.

    Parameters
    ----------
    kind : {"counts", "shares", "positions"}
        Rows a batch; sums of shares up to each stratum, in units of 2^-53; or rows in front of each batch.
    amounts : tuple of int or ndarray of int64
        One a stratum, or for positions those of one stratum after the other.
    batch_size : int
    """

    kind: Literal["counts", "shares", "positions"]
    amounts: tuple[int, ...] | IndexArray
    batch_size: int

    def array(self) -> IndexArray:
        """Return the amounts as an array."""
        return np.asarray(self.amounts, dtype=np.int64)

    def until(self, stratum: int, batches: int) -> int:
        """Return how many rows of a stratum so many batches take, counted from the first one."""
        if self.kind == "counts":
            return int(self.amounts[stratum]) * batches
        taken = [
            _rounded(batches * self.batch_size, int(self.amounts[s]))
            for s in (stratum, stratum - 1)
            if s >= 0
        ]
        return taken[0] - (taken[1] if len(taken) > 1 else 0)

    def batches_for(self, stratum: int, rows: int) -> int:
        """Return the fewest batches that take so many rows of a stratum."""
        if self.kind == "counts":
            return -(-rows // int(self.amounts[stratum]))
        below = int(self.amounts[stratum - 1]) if stratum else 0
        batches = max(0, (rows - 1) * _UNIT // ((int(self.amounts[stratum]) - below) * self.batch_size) - 1)
        while self.until(stratum, batches) < rows:
            batches += 1
        return batches


def _rounded(rows: int, share: int) -> int:
    return (rows * share + _HALF) >> 53


def read_shares(shares: Mapping[Hashable, Any]) -> tuple[int, ...] | tuple[float, ...]:
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
        if isinstance(value, bool | np.bool_) or not isinstance(
            value, int | float | np.integer | np.floating
        ):
            msg = f"shares must be rows a batch or shares that sum to 1, but shares[{name!r}] = {value!r}"
            raise TypeError(msg)
        if not 0 < value < float("inf"):
            msg = f"shares must be above 0, but shares[{name!r}] = {value!r}"
            raise ValueError(msg)
    values = list(shares.values())
    if all(isinstance(value, int | np.integer) for value in values):
        return tuple(map(int, values))
    total = sum(map(float, values))
    if any(isinstance(value, int | np.integer) for value in values) or abs(total - 1) > 1e-9:
        msg = (
            f"shares must all be integers, rows a batch, or sum to 1, but are {dict(shares)!r}, sum {total:g}"
        )
        raise ValueError(msg)
    return tuple(map(float, values))


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
        return Portions("counts", tuple(map(int, values)), batch_size)
    return Portions("shares", _sums(values), batch_size)


def _sums(values: Sequence[float]) -> tuple[int, ...]:
    exact = [Fraction(value) for value in values]
    total, until, sums = sum(exact), Fraction(0), []
    for value in exact:
        until += value
        sums.append(round(until / total * _UNIT))
    return tuple(sums)


def scheduled_portions(
    schedule: Schedule, names: Sequence[Hashable], batches: int, batch_size: int
) -> Portions:
    """Return portions that follow a schedule: its shares of a batch are divided by their sum.

    Raises
    ------
    TypeError, ValueError
        If the schedule gives no shares, or other strata than at first.
    """
    positions = np.zeros((len(names), batches + 1), dtype=np.int64)
    sums = [0] * len(names)
    for batch in range(batches):
        shares = schedule(batch)
        if list(shares) != list(names):
            msg = f"shares(0) names the strata {list(names)!r}, but shares({batch}) names {list(shares)!r}"
            raise ValueError(msg)
        values = [Fraction(value) for value in map(float, shares.values())]
        if any(value < 0 for value in values) or not any(values):
            msg = f"shares({batch}) must be >= 0, and one of them above, but are {dict(shares)!r}"
            raise ValueError(msg)
        before = 0
        for s, until in enumerate(_sums(values)):  # type: ignore[arg-type]  # fractions are exact
            sums[s] += until * batch_size
            rounded = (sums[s] + _HALF) >> 53
            positions[s, batch + 1] = rounded - before
            before = rounded
    return Portions("positions", positions.ravel(), batch_size)
