"""Strata of a mixture, the contexts and conditions that they are split by, and the batches of an epoch.

Rule: rows are grouped by stratum, context and condition; the stratum of controls is not split by condition. A
cell is a context and a condition that other strata than the controls have rows of; each batch is of one cell.
The batches of an epoch are numbered cell by cell, those of one context side by side, and the k-th batch of a
cell takes the k-th portion of its groups; controls, which the cells of a context share, count the batches of
the context. O(n) once.
"""

import hashlib
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _core
from .._base.types import CodeArray, IndexArray
from ..labels.classes import Classes, factorise
from ..labels.numbering import Missing, code_type
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
    context_of : ndarray of int64
        The context of each cell, from 0.
    controls : int or None
        Which stratum the cells of a context share.
    n_left_out : int
        Rows that are in no group.
    """

    names: tuple[Hashable, ...]
    classes: Classes
    groups: _core.Groups
    stratum_of: IndexArray
    cells: IndexArray
    context_of: IndexArray
    controls: int | None
    n_left_out: int

    def counts(self) -> IndexArray:
        """Return the rows of each group."""
        return np.diff(self.groups.offsets())

    def digest(self) -> str:
        """Return a hash of which groups belong together."""
        parts = (self.stratum_of, self.cells, self.context_of)
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
    context = _split("within", within, classes, missing)
    condition = _split("per_condition", per_condition, classes, missing)
    stratum = _strata_of_codes(classes, names, others)[classes.codes]
    keep = stratum >= 0
    for split in (context, condition):
        if split is not None and split.has_missing:
            keep &= ~split.is_missing()
    shared = None if controls is None else names.index(controls)
    keys, width = _keys(stratum, len(names), context, condition, shared)
    rows, positions = _chosen(keep, indices, len(classes))
    chosen = keys if positions is None else keys[positions]
    if not len(chosen):
        msg = "strata must have rows, but none is left to choose among"
        raise ValueError(msg)
    groups = _core.Groups.from_keys(chosen, rows)
    firsts = groups.firsts()
    is_subset = indices is not None and len(classes) == len(indices)
    found = keys[np.searchsorted(indices, firsts) if is_subset else firsts].astype(np.int64)  # type: ignore[arg-type]
    cells, context_of = _cells(found, len(names), width, shared, _Namer(names, context, condition))
    left_out = (len(classes) if indices is None else len(indices)) - groups.n
    return Strata(names, classes, groups, found % len(names), cells, context_of, shared, left_out)


def _split(name: str, column: Any, classes: Classes, missing: Missing) -> Classes | None:
    if column is None:
        return None
    split = factorise(column, missing=missing)
    if len(split) != len(classes):
        msg = f"{name} must be as long as labels, {len(classes)}, but the length is {len(split)}"
        raise ValueError(msg)
    return split


def _keys(
    stratum: IndexArray, n_strata: int, context: Classes | None, condition: Classes | None, shared: int | None
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
            parts.append(self.context.name_of(context))
        if self.condition is not None and condition is not None:
            parts.append(self.condition.name_of(condition))
        return " and ".join(map(repr, parts))


def _strata_of_codes(classes: Classes, names: tuple[Hashable, ...], others: Missing) -> IndexArray:
    """Return the stratum of each code, -1 for none."""
    by_name = {str(name): s for s, name in enumerate(names)}
    if len(by_name) < len(names):
        msg = f"shares must name strata by different texts, but are of {list(names)!r}"
        raise ValueError(msg)
    found = np.full(len(classes.counts), -1, dtype=np.int64)
    present = np.flatnonzero(classes.class_counts)
    seen = {}
    for code in present.tolist():
        name = classes.name_of(code)
        seen[name] = int(classes.counts[code])
        found[code] = by_name.get(name, -1)
        if found[code] < 0 and others == "error":
            msg = (
                f"every label must have a share, but {name!r} with {seen[name]:,} rows has none: name it in "
                'shares, or leave such rows out by others="drop"'
            )
            raise ValueError(msg)
    absent = [name for name in by_name if name not in seen]
    if absent:
        some = ", ".join(map(repr, list(seen)[:6]))
        msg = f"shares must be of labels that there are, such as {some}, but no row is labelled {absent[0]!r}"
        raise ValueError(msg)
    return found


def _chosen(
    keep: Any, indices: IndexArray | None, length: int
) -> tuple[IndexArray | None, IndexArray | None]:
    """Return the rows to choose among, and where their labels are; None for all."""
    if indices is None:
        if keep.all():
            return None, None
        places = np.flatnonzero(keep)
        return places, places
    if length == len(indices):
        places = np.flatnonzero(keep)
        return indices[places], places
    if indices.size and int(indices[-1]) >= length:
        msg = f"labels must be as long as the whole or as indices, {len(indices)}, but the length is {length}"
        raise ValueError(msg)
    rows = indices[keep[indices]]
    return rows, rows


def _cells(
    keys: IndexArray, n_strata: int, n_conditions: int, shared: int | None, namer: _Namer
) -> tuple[IndexArray, IndexArray]:
    """Return the groups of each cell, and its context."""
    group_of = {key: group for group, key in enumerate(keys.tolist())}
    own = keys if shared is None else keys[keys % n_strata != shared]
    cells, contexts = [], []
    for cell in np.unique(own // n_strata).tolist():
        context, condition = divmod(cell, n_conditions)
        row = []
        for s in range(n_strata):
            is_shared = s == shared
            key = (context * n_conditions if is_shared else cell) * n_strata + s
            if key not in group_of:
                where = namer.cell(context, None if is_shared else condition)
                msg = (
                    f"every stratum must have rows in every context, but {namer.strata[s]!r} has none in "
                    f"{where}: leave its rows out by indices"
                )
                raise ValueError(msg)
            row.append(group_of[key])
        cells.append(row)
        contexts.append(context)
    if not cells:
        msg = f"a stratum other than the controls must have rows, but only {namer.strata[shared or 0]!r} has"
        raise ValueError(msg)
    return np.array(cells, dtype=np.int64), np.unique(contexts, return_inverse=True)[1].astype(np.int64)


@dataclass(frozen=True, eq=False)
class Contexts:
    """The batches of an epoch, cell by cell.

    Parameters
    ----------
    firsts : ndarray of int64, shape (cells,)
        The first batch of each cell.
    groups, use_firsts, use_batches : ndarray of int64, shape (cells, strata)
        The group of each stratum, the first batch that uses it and how many do.
    batches : int
    """

    firsts: IndexArray
    groups: IndexArray
    use_firsts: IndexArray
    use_batches: IndexArray
    batches: int


def epoch_of(
    strata: Strata, portions: Portions, *, ends_with: Hashable, total_size: int | None, is_even: bool
) -> Contexts:
    """Return how many batches of each cell an epoch has.

    Raises
    ------
    ValueError
        If a cell has none.
    """
    rows = strata.counts()[strata.cells]
    own = [s for s in range(len(strata.names)) if s != strata.controls]
    if total_size is None:
        each = [_batches_of(strata, portions, cell, own, ends_with) for cell in rows.tolist()]
        if is_even:
            each = [max(each)] * len(each)
    else:
        each = _dealt(-(-total_size // portions.batch_size), rows[:, own].sum(axis=1), is_even=is_even)
    per_cell = np.array(each, dtype=np.int64)
    ends = np.cumsum(per_cell)
    firsts = ends - per_cell
    use_firsts = np.repeat(firsts[:, None], len(strata.names), axis=1)
    use_batches = np.repeat(per_cell[:, None], len(strata.names), axis=1)
    if strata.controls is not None:
        starts = np.searchsorted(strata.context_of, strata.context_of)
        stops = np.searchsorted(strata.context_of, strata.context_of, side="right")
        use_firsts[:, strata.controls] = firsts[starts]
        use_batches[:, strata.controls] = ends[stops - 1] - firsts[starts]
    return Contexts(firsts, strata.cells, use_firsts, use_batches, int(ends[-1]))


def _batches_of(
    strata: Strata, portions: Portions, rows: list[int], own: list[int], ends_with: Hashable
) -> int:
    if ends_with in strata.names:
        s = strata.names.index(ends_with)
        return portions.batches_for(s, rows[s])
    if ends_with == "longest":
        return max(portions.batches_for(s, rows[s]) for s in own)
    fewest = min(portions.batches_for(s, rows[s] + 1) - 1 for s in own)
    if fewest < 1:
        s = min(own, key=lambda s: portions.batches_for(s, rows[s] + 1))
        msg = (
            f'with ends_with="shortest" a batch must take at most all rows of the shortest stratum, but '
            f"{strata.names[s]!r} has {rows[s]}"
        )
        raise ValueError(msg)
    return fewest


def _dealt(batches: int, rows: IndexArray, *, is_even: bool) -> list[int]:
    """Return batches dealt out to cells, evenly or by rows, by largest remainders, each one at least."""
    if batches < len(rows):
        msg = f"total_size must give each of {len(rows)} contexts a batch, but gives {batches} batches"
        raise ValueError(msg)
    weights = np.ones(len(rows)) if is_even else rows.astype(np.float64)
    ideal = weights / weights.sum() * batches
    each = np.maximum(1, np.floor(ideal)).astype(np.int64)
    order = np.argsort(-(ideal - each), kind="stable")
    at = 0
    while (left := batches - int(each.sum())) != 0:
        cell = order[at % len(order)] if left > 0 else int(np.argmax(each))
        each[cell] += 1 if left > 0 else -1
        at += 1
    return [int(number) for number in each]
