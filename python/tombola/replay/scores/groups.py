"""Groups of rows, their sizes, and each group's share of the balance: `group_balance`, `BalanceSchedule`.

One level: group codes as they are, counted by a kernel. Several levels: the group of a row at a level is the
path down to it, so that equal codes below different parents are different groups; paths are numbered level by
level. O(rows) for each level where codes are small, else O(rows log rows).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ..._base.checks import check_choice, check_integer, check_number, make_plain
from ..._base.types import FloatArray, IndexArray
from .arrays import ArrayInput, check_shape, integers, is_tensor, output, read_only

__all__ = [
    "NO_GROUPS",
    "BalanceSchedule",
    "Groups",
    "GroupsInput",
    "group_balance",
    "read_groups",
    "unknown_group",
    "write_balance",
]

GroupsInput: TypeAlias = ArrayInput | Sequence[ArrayInput]

_FEW = 2**16
_PARTS = 16
_CHUNK = 2**14
_KINDS = ("constant", "linear", "cosine")


def group_balance(
    groups: GroupsInput,
    *,
    balance_weight: float | Sequence[float] = 1.0,
    group_sizes: ArrayInput | None = None,
    out: FloatArray | None = None,
) -> FloatArray:
    """Return ``(groups / size of the row's group) ** balance_weight`` of each row.

    Inverse class frequency, tempered by a power as in Mahajan et al., "Exploring the Limits of Weakly
    Supervised Pretraining" (2018): weight 1 gives every group the same chance, 0 every row.

    With several levels (superclass, class, ...) the group of a row at a level is its path down to there. The
    first level counts as above; at level l the factor is
    ``(size of the parent / (children of the parent * size of the group)) ** balance_weight[l]``, 1 on average
    inside each parent. Weights of 1 give equal chances to all superclasses, to all classes inside each, and
    so on. For levels that are not nested, such as class and task, combine two balances with `combine_scores`.

    Parameters
    ----------
    groups : array-like of int or torch.Tensor, shape (n,) or (n, levels)
        Group of each row, >= 0; also a sequence of levels, each of shape (n,). Groups without rows do not
        count. Codes should be small: from ``max(65536, 2 * n)`` on they are sorted.
    balance_weight : float or sequence of float
        >= 0; for several levels one for all or one each.
    group_sizes : array-like of int, optional
        Rows of each group, where they are known, for a single level. They are taken as they are: sizes of a
        whole of which `groups` shows a part are welcome. A size of 0 gives the share 1.
    out : ndarray of float64, shape (n,), optional
        Where scores are written; after an error it is partly written.

    Returns
    -------
    ndarray of float64, shape (n,)
        The last bits of powers may differ between platforms, never between thread counts.

    Raises
    ------
    TypeError, ValueError
        If groups are no integers, one is negative (the first row is named), or weights or sizes do not fit.
    IndexError
        If a group is none of `group_sizes` (the first row is named).

    Examples
    --------
    >>> group_balance([0, 0, 0, 1]).round(3).tolist()
    [0.667, 0.667, 0.667, 2.0]
    >>> group_balance([[0, 0, 0, 1], [0, 0, 1, 2]]).round(3).tolist()  # superclasses, classes
    [0.5, 0.5, 1.0, 2.0]
    """
    balance = read_groups(groups, balance_weight, group_sizes)
    scores = output(out, len(balance.codes), balance.codes)
    write_balance(balance, scores)
    return scores


@dataclass(frozen=True)
class BalanceSchedule:
    """A ``balance_weight`` for every training step: call it with the step.

    With progress ``p = min(step / steps, 1)`` the weight is ``start`` (constant),
    ``start + (end - start) * p`` (linear), or ``start + (end - start) * (1 - cos(pi * p)) / 2`` (cosine: half
    a wave, flat at both ends, after Loshchilov and Hutter, "SGDR", 2017). From step ``steps`` on it is
    ``end`` exactly.

    Parameters
    ----------
    start : float
        The weight at step 0, >= 0.
    end : float, optional
        The weight from step ``steps`` on, >= 0; `start` by default, and for "constant" always.
    steps : int
        Steps from `start` to `end`, >= 1.
    kind : {"constant", "linear", "cosine"}

    Raises
    ------
    TypeError, ValueError
        If an argument is no such number or text, or a constant schedule has another end than its start.

    Examples
    --------
    >>> schedule = BalanceSchedule(0.0, 1.0, steps=100, kind="linear")
    >>> schedule(0), schedule(25), schedule(1000)
    (0.0, 0.25, 1.0)
    >>> BalanceSchedule(0.5)(7)
    0.5
    """

    start: float
    end: float | None = None
    steps: int = 1
    kind: str = "constant"

    def __post_init__(self) -> None:
        make_plain(self)
        check_number("start", self.start)
        if self.end is not None:
            check_number("end", self.end)
        check_integer("steps", self.steps, minimum=1)
        check_choice("kind", self.kind, _KINDS)
        if self.kind == "constant" and self.end not in (None, self.start):
            msg = f'end must be start where kind is "constant", but start is {self.start} and end {self.end}'
            raise ValueError(msg)

    def __call__(self, step: int) -> float:
        """Return the weight at a step, counted from 0."""
        done = check_integer("step", step)
        start = float(self.start)
        end = start if self.end is None else float(self.end)
        if done >= self.steps:
            return end
        progress = done / self.steps
        if self.kind == "cosine":
            progress = (1 - math.cos(math.pi * progress)) / 2
        return start + (end - start) * progress


@dataclass(frozen=True, eq=False)
class Groups:
    """The group of each row, and what its rows get.

    Parameters
    ----------
    codes : ndarray of int64, shape (n,)
        Read-only. Codes beyond the shares are found by the kernel that reads them.
    shares : ndarray of float64
        ``(groups / size) ** balance_weight`` of each group; 1 for groups without rows.
    """

    codes: IndexArray
    shares: FloatArray


NO_GROUPS = Groups(read_only(np.empty(0, dtype=np.int64)), read_only(np.empty(0)))


def read_groups(
    groups: GroupsInput, balance_weight: float | Sequence[float], group_sizes: ArrayInput | None
) -> Groups:
    """Return groups and shares; the arguments are those of `group_balance`.

    Raises
    ------
    TypeError, ValueError, IndexError
        If groups are no integers, one is negative (the first row is named), levels differ in length, or
        weights do not fit the levels, are negative or so large that a share overflows.
    """
    levels = _levels(groups)
    weights = _weights(balance_weight, len(levels))
    if group_sizes is not None:
        if len(levels) > 1:
            msg = f"group_sizes must be None where groups have several levels, but there are {len(levels)}"
            raise ValueError(msg)
        sizes = integers("group_sizes", group_sizes)
        if len(sizes) and int(sizes.min()) < 0:
            at = int(np.argmin(sizes))
            msg = f"group_sizes must be >= 0, but group_sizes[{at}] = {int(sizes[at])}"
            raise ValueError(msg)
        codes = levels[0]
        if len(codes) and not len(sizes):
            msg = f"groups must lie in [0, 0), the groups of group_sizes, but groups[0] = {int(codes[0])}"
            raise IndexError(msg)
    else:
        codes, sizes = _number(levels[0], _name(0, levels))
    shares = _powers(np.count_nonzero(sizes) / np.maximum(sizes, 1), weights[0], sizes)
    for k in range(1, len(levels)):
        below, own_sizes = _number(levels[k], _name(k, levels))
        paths, path_sizes = _number(codes * len(own_sizes) + below, _name(k, levels))
        parent = np.zeros(len(path_sizes), dtype=np.int64)
        parent[paths] = codes
        children = np.bincount(parent[path_sizes > 0], minlength=len(sizes))
        even = sizes[parent] / (np.maximum(children[parent], 1) * np.maximum(path_sizes, 1))
        shares = shares[parent] * _powers(even, weights[k], path_sizes)
        codes, sizes = paths, path_sizes
    return Groups(read_only(codes), read_only(shares))


def _levels(groups: GroupsInput) -> list[IndexArray]:
    if is_tensor(groups) or isinstance(groups, np.ndarray):
        if groups.ndim != 2:
            return [integers("groups", groups)]
        levels = [integers(f"groups[:, {k}]", groups[:, k]) for k in range(groups.shape[1])]
    elif isinstance(groups, Sequence) and len(groups) and np.ndim(groups[0]):
        levels = [integers(f"groups[{k}]", level) for k, level in enumerate(groups)]
    else:
        return [integers("groups", groups)]  # type: ignore[arg-type]
    if not levels:
        msg = "groups must have a level or more, but have none"
        raise ValueError(msg)
    for k, level in enumerate(levels):
        check_shape(f"level {k} of groups", level.shape, levels[0].shape, "as level 0 has")
    return levels


def _name(k: int, levels: list[IndexArray]) -> str:
    return "groups" if len(levels) == 1 else f"level {k} of groups"


def _weights(balance_weight: float | Sequence[float], levels: int) -> list[float]:
    if isinstance(balance_weight, Sequence):
        weights = [float(check_number(f"balance_weight[{k}]", w)) for k, w in enumerate(balance_weight)]
    else:
        weights = [float(check_number("balance_weight", balance_weight))] * levels
    if len(weights) != levels:
        msg = f"balance_weight must be one number or one a level, {levels}, but there are {len(weights)}"
        raise ValueError(msg)
    return weights


def _number(groups: IndexArray, name: str) -> tuple[IndexArray, IndexArray]:
    """Return codes and the size of each; the codes are the groups themselves unless they are large."""
    from . import importance_kernels as kernels
    from .runtime import PARALLEL_FROM, run

    table = min(_FEW, 4 * len(groups) + 64)
    parts = _PARTS if len(groups) >= PARALLEL_FROM else 1
    counts = np.zeros((parts, table), dtype=np.int64)
    faults = np.empty(parts, dtype=np.int64)
    run(kernels.COUNT, -(-len(groups) // parts), read_only(groups), counts, faults, work=len(groups))
    fault = int(faults.min())
    if fault == kernels.NO_FAULT:
        sizes = counts.sum(axis=0)
        return groups, sizes[: int(np.flatnonzero(sizes).max(initial=-1)) + 1]
    lowest = int(groups.min())
    if lowest < 0:
        row = int(np.argmax(groups < 0))
        msg = f"{name} must be >= 0, but row {row} is {int(groups[row])}"
        raise ValueError(msg)
    if int(groups.max()) < 2 * len(groups):
        return groups, np.bincount(groups).astype(np.int64, copy=False)
    _, codes, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    return codes.astype(np.int64, copy=False), sizes.astype(np.int64, copy=False)


def _powers(ratios: npt.NDArray[np.float64], weight: float, sizes: IndexArray) -> FloatArray:
    """Return ratios to a power, 1 where there is nobody."""
    with np.errstate(over="ignore", under="ignore"):
        powers = np.where(sizes > 0, ratios**weight, 1.0)
    if not np.isfinite(powers).all():
        at = int(np.argmin(np.isfinite(powers)))
        msg = f"balance_weight {weight} is too large: {float(ratios[at]):.3g} to that power is not finite"
        raise ValueError(msg)
    return powers


def write_balance(balance: Groups, out: FloatArray) -> None:
    """Write the share of each row's group.

    Raises
    ------
    IndexError
        If a group has no share; the first row is named.
    """
    from . import importance_kernels as kernels
    from .runtime import run

    faults = np.empty(-(-len(out) // _CHUNK), dtype=np.int64)
    run(kernels.BALANCE, _CHUNK, balance.codes, balance.shares, out, faults, work=len(out))
    fault = int(faults.min(initial=kernels.NO_FAULT))
    if fault != kernels.NO_FAULT:
        row = fault // kernels.FAULT_KINDS
        raise unknown_group(row, int(balance.codes[row]), len(balance.shares))


def unknown_group(row: int, group: int, groups: int) -> IndexError:
    """Return what is raised for a row whose group is none of so many."""
    bound = f"[0, {groups}), the groups of group_sizes"
    return IndexError(f"groups must lie in {bound}, but groups[{row}] = {group}")
