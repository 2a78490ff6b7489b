"""Strata of a mixture, the contexts and conditions that they are split by, and the batches of an epoch.

Rule: rows are grouped by stratum, context and condition; the stratum of controls is not split by condition. A
cell is a context and a condition that other strata than the controls have rows of; each batch is of one cell.
The batches of an epoch are numbered cell by cell, those of one context side by side, and the k-th batch of a
cell takes the k-th portion of its groups; of controls, which the cells of a context share, each cell takes
what comes after those of the cell in front of it. O(n) once.
"""

import hashlib
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from .. import _core
from .._base.checks import ROWS_LIMIT
from .._base.types import CodeArray, IndexArray
from ..labels.classes import Classes, factorise
from ..labels.numbering import Missing, code_type, refuse_missing
from .portions import Portions

__all__ = ["Contexts", "Strata", "epoch_of", "read_strata"]


@dataclass(frozen=True, eq=False)
class Strata:
    """Rows grouped by stratum, context and condition.

    Parameters
    ----------
    names : tuple
        Of the strata.
    classes : Classes
        The label of each row, as given.
    groups : Groups
    stratum_of : ndarray of int64
        Which stratum each group is of.
    cells : ndarray of int64, shape (cells, strata)
        The group of each stratum; those of one context side by side.
    controls : int or None
        Which stratum the cells of a context share.
    n_left_out : int
        Rows that no cell has.
    """

    names: tuple[Hashable, ...]
    classes: Classes
    groups: _core.Groups
    stratum_of: IndexArray
    cells: IndexArray
    controls: int | None
    n_left_out: int

    def counts(self) -> IndexArray:
        """Return the rows of each group."""
        return np.diff(self.groups.offsets())

    def digest(self) -> str:
        """Return a hash of which groups belong together."""
        parts = (self.stratum_of, self.cells)
        return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()[:16]


def read_strata(
    labels: Any,
    names: tuple[Hashable, ...],
    *,
    within: Any,
    per_condition: Any,
    controls: Hashable,
    indices: IndexArray | None,
    others: Missing,
    missing: Missing,
) -> Strata:
    """Group rows; the parameters are those of `Mixture`.

    Raises
    ------
    ValueError
        If a stratum has no rows, in a cell where others have some, or rows have no share.
    """
    classes = factorise(labels, missing=missing)
    places = _places(indices, len(classes))
    stratum = _strata_of_codes(classes, places, names, others)[classes.codes]
    shared = None if controls is None else names.index(controls)
    context = None if within is None else factorise(within, missing=missing, called="within")
    condition = None
    if per_condition is not None:  # what stands there for controls means nothing
        condition = factorise(per_condition, missing="drop", called="per_condition")
    keep = stratum >= 0
    for called, split in (("within", context), ("per_condition", condition)):
        if split is None:
            continue
        if len(split) != len(classes):
            msg = f"{called} must be as long as labels, {len(classes)}, but the length is {len(split)}"
            raise ValueError(msg)
        is_gap = split.is_missing()
        if split is condition:
            is_gap &= (stratum != shared) & (stratum >= 0)
        if missing == "error" and is_gap.any():
            refuse_missing(called, is_gap, "condition")
        keep &= ~is_gap
    keys, width = _keys(stratum, len(names), context, condition, shared)
    rows, positions = _chosen(keep, indices, places)
    chosen = keys if positions is None else keys[positions]
    if not len(chosen):
        _refuse_none()
    groups = _core.Groups.from_keys(chosen, rows)
    firsts = groups.firsts()
    is_subset = indices is not None and places is None
    found = keys[np.searchsorted(indices, firsts) if is_subset else firsts].astype(np.int64)  # type: ignore[arg-type]
    cells = _cells(found, len(names), width, shared, _Namer(names, context, condition))
    used = int(np.diff(groups.offsets())[np.unique(cells)].sum())
    left_out = (len(classes) if indices is None else len(indices)) - used
    return Strata(names, classes, groups, found % len(names), cells, shared, left_out)


def _places(indices: IndexArray | None, length: int) -> IndexArray | None:
    """Return where the labels of the rows to choose among are; None for all labels."""
    if indices is None or length == len(indices):
        return None
    if indices.size and int(indices[-1]) >= length:
        msg = (
            f"labels must be as long as the whole or as indices, {len(indices)}, but the length is {length} "
            f"and indices reach {int(indices[-1])}"
        )
        raise ValueError(msg)
    return indices


def _keys(
    stratum: CodeArray, n_strata: int, context: Classes | None, condition: Classes | None, shared: int | None
) -> tuple[CodeArray, int]:
    """Return (context, condition, stratum) of each row as one number, and the number of conditions."""
    n_contexts = 1 if context is None else len(context.counts)
    n_conditions = 1 if condition is None else len(condition.counts)
    keys = np.zeros(len(stratum), dtype=code_type(n_strata * n_contexts * n_conditions))
    if context is not None:
        keys += context.codes.astype(keys.dtype)
    keys *= n_conditions
    if condition is not None:
        keys += np.where(stratum == shared, 0, condition.codes).astype(keys.dtype)
    keys *= n_strata
    keys += stratum.astype(keys.dtype)
    return keys, n_conditions


@dataclass(frozen=True, eq=False)
class _Namer:
    """What strata, contexts and conditions are called in messages."""

    strata: tuple[Hashable, ...]
    context: Classes | None
    condition: Classes | None

    def cell(self, context: int, condition: int | None) -> str:
        parts = []
        if self.context is not None:
            parts.append(f"context {self.context.name_of(context)!r}")
        if self.condition is not None and condition is not None:
            parts.append(f"condition {self.condition.name_of(condition)!r}")
        return ", ".join(parts)


def _strata_of_codes(
    classes: Classes, places: IndexArray | None, names: tuple[Hashable, ...], others: Missing
) -> CodeArray:
    """Return the stratum of each code, -1 for none."""
    by_name: dict[str, int] = {}
    for s, name in enumerate(names):
        for text in _texts(name):
            if by_name.setdefault(text, s) != s:
                msg = f"shares must name strata by different texts, but are of {list(names)!r}"
                raise ValueError(msg)
    counts = classes.class_counts
    if places is not None:
        counts = np.bincount(classes.codes[places], minlength=len(counts)).astype(np.int64)
        counts[len(counts) - classes.has_missing :] = 0
    found = np.full(len(counts), -1, dtype=code_type(len(names)))
    seen = {code: classes.name_of(code) for code in np.flatnonzero(counts).tolist()}
    for code, text in seen.items():
        found[code] = by_name.get(text, -1)
        if found[code] < 0 and others == "error":
            msg = (
                f"every label must have a share, but {text!r} with {counts[code]:,} rows has none: name it "
                'in shares, or leave such rows out by others="drop"'
            )
            raise ValueError(msg)
    if not seen:
        _refuse_none()
    for s, name in enumerate(names):
        if s not in found:
            some = ", ".join(map(repr, list(seen.values())[:6]))
            msg = f"shares must be of labels that rows have, such as {some}, but no row is labelled {name!r}"
            raise ValueError(msg)
    return found


def _refuse_none() -> NoReturn:
    msg = "strata must have rows, but none is left to choose among"
    raise ValueError(msg)


def _texts(name: Hashable) -> set[str]:
    """Return how a label may be written; a combination of columns also with the slashes of messages."""
    return {str(name), " / ".join(map(str, name))} if isinstance(name, tuple) else {str(name)}


def _chosen(
    keep: Any, indices: IndexArray | None, places: IndexArray | None
) -> tuple[IndexArray | None, IndexArray | None]:
    """Return the rows to choose among, and where their labels are; None for all."""
    if indices is None and keep.all():
        return None, None
    if places is not None:
        rows = places[keep[places]]
        return rows, rows
    kept = np.flatnonzero(keep)
    return kept if indices is None else indices[kept], kept


def _cells(
    keys: IndexArray, n_strata: int, n_conditions: int, shared: int | None, namer: _Namer
) -> IndexArray:
    """Return the groups of each cell."""
    group_of = {key: group for group, key in enumerate(keys.tolist())}
    own = keys if shared is None else keys[keys % n_strata != shared]
    cells = []
    for cell in np.unique(own // n_strata).tolist():
        context, condition = divmod(cell, n_conditions)
        row = []
        for s in range(n_strata):
            is_shared = s == shared
            key = (context * n_conditions if is_shared else cell) * n_strata + s
            if key not in group_of:
                where = namer.cell(context, None if is_shared else condition)
                msg = (
                    f"every stratum must have rows where others have some, but {namer.strata[s]!r} has none "
                    f"in {where}: leave those that are there out by indices"
                )
                raise ValueError(msg)
            row.append(group_of[key])
        cells.append(row)
    if not cells:
        msg = f"a stratum other than the controls must have rows, but only {namer.strata[shared or 0]!r} has"
        raise ValueError(msg)
    return np.array(cells, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Contexts:
    """The batches of an epoch, cell by cell.

    Parameters
    ----------
    firsts : ndarray of int64, shape (cells,)
        The first batch of each cell.
    batches : int
    """

    firsts: IndexArray
    batches: int


def epoch_of(
    strata: Strata, portions: Portions, *, ends_with: Hashable, total_size: int | None, is_even: bool
) -> Contexts:
    """Return how many batches of each cell an epoch has.

    Raises
    ------
    ValueError
        If a cell has none, or the epoch has 2**61 rows or more.
    """
    rows = strata.counts()[strata.cells]
    own = [s for s in range(len(strata.names)) if s != strata.controls]
    if total_size is None:
        each = [_batches_of(strata, portions, cell, own, ends_with) for cell in rows.tolist()]
        if is_even:
            each = [max(each)] * len(each)
    else:
        weights = [1] * len(rows) if is_even else rows[:, own].sum(axis=1).tolist()
        each = _dealt(-(-total_size // portions.batch_size), weights)
    batches = sum(each)
    if batches * portions.batch_size >= ROWS_LIMIT:
        msg = (
            f"an epoch must have less than 2**61 rows, but has {batches} batches of {portions.batch_size}: "
            "set total_size, or another ends_with"
        )
        raise ValueError(msg)
    ends = np.cumsum(np.array(each, dtype=np.int64))
    return Contexts(np.concatenate([[0], ends[:-1]]), batches)


def _batches_of(
    strata: Strata, portions: Portions, rows: list[int], own: list[int], ends_with: Hashable
) -> int:
    if ends_with in strata.names:
        s = strata.names.index(ends_with)
        return portions.batches_for(s, rows[s])
    if ends_with == "longest":
        return max(portions.batches_for(s, rows[s]) for s in own)
    fewest = {s: portions.batches_for(s, rows[s] + 1) - 1 for s in own}
    s = min(own, key=fewest.__getitem__)
    if fewest[s] < 1:
        msg = (
            'with ends_with="shortest" a batch must take at most all rows of a stratum, but takes more than '
            f"the {rows[s]} of {strata.names[s]!r}"
        )
        raise ValueError(msg)
    return fewest[s]


def _dealt(batches: int, weights: list[int]) -> list[int]:
    """Return batches dealt out to cells by weight, by largest remainders, each one at least."""
    if batches < len(weights):
        msg = f"total_size must give each of {len(weights)} contexts a batch, but gives {batches} batches"
        raise ValueError(msg)
    each = [1] * len(weights)
    more = list(range(len(weights)))
    while True:  # who is due less than the one that all have takes from the others
        left, total = batches - len(weights) + len(more), sum(weights[cell] for cell in more)
        due = [cell for cell in more if weights[cell] * left >= total]
        if len(due) == len(more):
            break
        more = due
    for cell in more:
        each[cell] = weights[cell] * left // total
    by_remainder = sorted(more, key=lambda cell: -(weights[cell] * left % total))
    for cell in by_remainder[: batches - sum(each)]:
        each[cell] += 1
    return each
