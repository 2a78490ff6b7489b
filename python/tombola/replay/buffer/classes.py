"""The classes of stored items: codes that are used again, and groups of classes whose prototypes are alike.

**Codes**: each label gets one, and items are counted by it. A class of which nothing is stored any more is
forgotten, and the next new label gets its code. So there are never more codes than twice the items that a
buffer holds, however many labels a stream has. O(items log classes) to look labels up, else O(classes).

**Semantic groups**: each class begins as a group; the two groups whose classes are most alike on average are
joined, again and again, as long as that average is above the threshold: agglomerative clustering with average
linkage (Sokal and Michener, "A statistical method for evaluating systematic relationships", 1958). Components
of all pairs above the threshold would chain: with more links than half the classes even random ones join most
of them (Erdos and Renyi, 1960). Groups are numbered in the order of their smallest labels. A class without a
prototype is a group of its own. O(changed classes * classes * width) when prototypes change, and about
O(classes ** 2) for the groups of a level.

**Levels**: rising thresholds cut one and the same sequence of joins earlier and earlier, so the groups of a
level lie inside those of the level before it, coarse to fine.

SciPy's linkage finds the same groups where no two similarities are equal. Where some are, as with features of
few values, its documentation leaves open which of them it joins first. Here smallest labels join first, so
that groups, and with them draws, are the same whatever is installed.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..._base.types import FloatArray, IndexArray
from .prototypes import Measure, device_of, measured

__all__ = ["Classes", "SemanticGroups", "class_factors", "linked_groups"]

QUANTILE = 0.9
"""Of the similarities of all pairs of classes: a pair in ten is above the default threshold."""


class Classes:
    """Labels, their codes, and how many items of each are stored; a count of 0 says that a code is free."""

    def __init__(self) -> None:
        self.labels: IndexArray = np.empty(0, dtype=np.int64)  # by code
        self.counts: IndexArray = np.empty(0, dtype=np.int64)
        self._index(np.empty(0, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.labels)

    def known(self, labels: IndexArray) -> npt.NDArray[np.bool_]:
        """Return which labels are those of stored items."""
        self._forget()
        return np.isin(labels, self._sorted)

    def codes(self, labels: IndexArray) -> tuple[npt.NDArray[np.int32], IndexArray]:
        """Return codes of labels, and those codes that are given out anew, counted as 0 so far."""
        self._forget()
        distinct = np.unique(labels)
        new = distinct[~np.isin(distinct, self._sorted)]
        free = np.flatnonzero(self.counts == 0)
        missing = len(new) - len(free)
        if missing > 0:
            free = np.concatenate([free, np.arange(len(self), len(self) + missing)])
            self.labels = np.concatenate([self.labels, np.zeros(missing, dtype=np.int64)])
            self.counts = np.concatenate([self.counts, np.zeros(missing, dtype=np.int64)])
        begun = free[: len(new)]
        self.labels[begun] = new
        if len(new):
            self._index(np.concatenate([self._order, begun]))
        return self._order[np.searchsorted(self._sorted, labels)].astype(np.int32), begun

    def count(self, codes: npt.NDArray[np.int32], change: int) -> None:
        """Count items in (``change = 1``) or out (``-1``)."""
        self.counts += change * np.bincount(codes, minlength=len(self))

    def load(self, labels: IndexArray, counts: IndexArray) -> None:
        """Take over labels and counts."""
        self.labels, self.counts = labels, counts
        self._index(np.flatnonzero(counts))

    def _forget(self) -> None:
        """Leave classes out of which nothing is stored; none comes in but by `codes`, so numbers tell."""
        if len(self._order) != np.count_nonzero(self.counts):
            self._index(np.flatnonzero(self.counts))

    def _index(self, codes: IndexArray) -> None:
        self._order = codes[np.argsort(self.labels[codes])]
        self._sorted = self.labels[self._order]


def linked_groups(similarity: FloatArray, threshold: float, labels: IndexArray) -> IndexArray:
    """Return the group of each class: joined on average above a threshold, numbered by smallest labels.

    Examples
    --------
    >>> similarity = np.array([[1, 0.1, 0.9], [0.1, 1, 0.2], [0.9, 0.2, 1]])
    >>> linked_groups(similarity, 0.5, np.array([7, 3, 5])).tolist()
    [1, 0, 1]
    """
    classes = len(labels)
    order = np.argsort(labels, kind="stable")
    alike = similarity[np.ix_(order, order)]
    alike += alike.T
    alike /= 2
    alike[np.isnan(alike)] = -np.inf
    np.fill_diagonal(alike, -np.inf)
    heads = np.arange(classes)  # the first class of the group of each
    sizes = np.ones(classes)
    nearest = alike.argmax(axis=1) if classes else heads
    highest = alike[heads, nearest]
    while classes:
        one = int(highest.argmax())
        if not highest[one] > threshold:
            break
        one, other = sorted((one, int(nearest[one])))
        total = sizes[one] + sizes[other]
        mean = alike[one] * (sizes[one] / total) + alike[other] * (sizes[other] / total)
        mean[one] = -np.inf
        alike[other] = alike[:, other] = -np.inf
        alike[one] = alike[:, one] = mean
        alike[one, other] = alike[other, one] = -np.inf
        sizes[one] = total
        heads[heads == other] = one
        stale = np.flatnonzero((nearest == one) | (nearest == other))
        stale = np.union1d(stale, (one, other))
        nearest[stale] = alike[stale].argmax(axis=1)
        highest[stale] = alike[stale, nearest[stale]]
    groups = np.empty(classes, dtype=np.int64)
    groups[order] = np.unique(heads, return_inverse=True)[1]
    return groups


def class_factors(levels: Sequence[IndexArray], counts: IndexArray, powers: Sequence[float]) -> FloatArray:
    """Return the balance of each class: `group_balance` of its items, level by level, O(levels * classes).

    Parameters
    ----------
    levels : sequence of ndarray of int64, shape (classes,)
        The group of each class, coarse to fine; groups lie inside those of the level before.
    counts : ndarray of int64, shape (classes,)
        Items of each class.
    powers : sequence of float
        The balance weight of each level.

    Examples
    --------
    >>> levels = [np.array([0, 0, 1]), np.array([0, 1, 2])]
    >>> class_factors(levels, np.array([2, 1, 1]), [1.0, 1.0]).round(3).tolist()
    [0.5, 1.0, 2.0]
    """
    stored = counts > 0
    factors = np.ones(len(counts))
    parents, parent_sizes = np.zeros(len(counts), dtype=np.int64), np.ones(1, dtype=np.int64)
    for level, (groups, power) in enumerate(zip(levels, powers, strict=True)):
        sizes = np.bincount(groups, weights=counts).astype(np.int64)
        if level:
            parent = np.zeros(len(sizes), dtype=np.int64)
            parent[groups[stored]] = parents[stored]
            children = np.bincount(parent[sizes > 0], minlength=len(parent_sizes))
            even = parent_sizes[parent] / (np.maximum(children[parent], 1) * np.maximum(sizes, 1))
        else:
            even = np.count_nonzero(sizes) / np.maximum(sizes, 1)
        with np.errstate(over="ignore", under="ignore"):
            factors *= (even**power)[groups]
        parents, parent_sizes = groups, sizes
    return factors


class SemanticGroups:
    """The similarity of every two classes, and their groups.

    Parameters
    ----------
    measure : callable, optional
        Similarity of pairs; by default the cosine, as ``(1 + cosine) / 2``.
    threshold : number, callable, None or tuple
        The threshold itself; what makes it from a tensor of the similarities of all pairs of classes; or
        None for a quantile of these. A tuple has one a level.
    quantile : float or tuple of float, optional
        `QUANTILE` by default; a tuple has one a level.
    """

    def __init__(self, measure: Measure | None, threshold: Any, quantile: Any) -> None:
        self.measure = measure
        self.rule = threshold
        quantiles = quantile if isinstance(quantile, tuple) else (quantile,)
        self.quantiles = tuple(QUANTILE if one is None else float(one) for one in quantiles)
        self.thresholds = (1.0,) * (len(threshold) if isinstance(threshold, tuple) else len(self.quantiles))
        self.table: FloatArray = np.empty((0, 0))
        self.similarity: FloatArray = np.empty((0, 0))
        self.levels: tuple[IndexArray, ...] = tuple(np.empty(0, dtype=np.int64) for _ in self.thresholds)

    @property
    def groups(self) -> IndexArray:
        """The group of each class at the first level, the coarsest."""
        return self.levels[0]

    @property
    def kept(self) -> tuple[Any, ...]:
        """All that `fit` changes, for `put_back`."""
        return self.table, self.similarity, self.levels, self.thresholds

    def put_back(self, kept: tuple[Any, ...]) -> None:
        """Take over what `kept` was."""
        self.table, self.similarity, self.levels, self.thresholds = kept

    @property
    def has_prototypes(self) -> bool:
        """Whether some class has a prototype."""
        return bool(self.table.size) and not np.isnan(self.table[:, 0]).all()

    def begin(self, codes: IndexArray, counts: IndexArray) -> None:
        """Take in new classes, without prototypes and each a group of its own.

        `counts` has one entry a class; groups of those that are 0 are free.
        """
        missing = len(counts) - len(self.groups)
        if missing > 0:
            more = np.full((missing, self.table.shape[1]), np.nan)
            self.table = np.concatenate([self.table, more])
            self.levels = tuple(np.concatenate([g, np.zeros(missing, dtype=np.int64)]) for g in self.levels)
        if len(codes):
            for groups in self.levels:
                used = np.zeros(len(counts) + 1, dtype=np.bool_)
                used[groups[counts > 0]] = True
                groups[codes] = np.flatnonzero(~used)[: len(codes)]
            self.table[codes] = np.nan
            known = codes[codes < len(self.similarity)]
            self.similarity[known] = self.similarity[:, known] = np.nan

    def changed(self, table: FloatArray) -> npt.NDArray[np.bool_]:
        """Return which classes have another prototype than so far."""
        if table.shape != self.table.shape:
            return np.ones(len(table), dtype=np.bool_)
        same = (table == self.table) | (np.isnan(table) & np.isnan(self.table))
        return np.asarray(~same.all(axis=1))

    def _make_room(self, classes: int) -> None:
        """Let there be a similarity for every two classes; without prototypes it would be in vain."""
        known = len(self.similarity)
        if classes > known:
            similarity = np.full((classes, classes), np.nan)
            similarity[:known, :known] = self.similarity
            self.similarity = similarity

    def fit(self, table: FloatArray, changed: npt.NDArray[np.bool_], labels: IndexArray) -> None:
        """Take over prototypes, of which some changed, and group the classes anew."""
        self.table = table
        self._make_room(len(table))
        at = np.flatnonzero(changed)
        if len(at):
            rows = self._pairs(at)
            similarity = self.similarity.copy()  # what was kept of the state before stays as it was
            similarity[at] = rows
            similarity[:, at] = rows.T
            self.similarity = similarity
        self.thresholds = self._thresholds()
        self.levels = tuple(linked_groups(self.similarity, one, labels) for one in self.thresholds)

    def _pairs(self, rows: IndexArray) -> FloatArray:
        """Return the similarity of some classes to all; NaN where one has no prototype."""
        there = np.asarray(~np.isnan(self.table[:, :1]).all(axis=1))
        if self.measure is None:
            unit = _unit_rows(np.where(there[:, np.newaxis], self.table, 0.0))
            found = np.clip((1 + unit[rows] @ unit.T) / 2, 0.0, 1.0)
        else:
            found = np.full((len(rows), len(self.table)), np.nan)
            columns = np.flatnonzero(there)
            table = torch.from_numpy(self.table[columns]).float()
            for at, row in enumerate(rows.tolist()):
                if there[row] and len(columns):
                    own = torch.from_numpy(self.table[row]).float().expand_as(table)
                    found[at, columns] = measured(self.measure, own, table)
        found[:, ~there] = np.nan
        found[~there[rows]] = np.nan
        return found

    def _thresholds(self) -> tuple[float, ...]:
        """Return the threshold of each level; one that is below that of the level before counts as that."""
        pairs = self.similarity[np.triu_indices(len(self.similarity), 1)]
        pairs = pairs[np.isfinite(pairs)]
        if self.rule is None:
            found = [float(np.quantile(pairs, one)) if len(pairs) else 1.0 for one in self.quantiles]
        else:
            rules = self.rule if isinstance(self.rule, tuple) else (self.rule,)
            found = [_asked(rule, pairs) for rule in rules]
        return tuple(np.maximum.accumulate(found).tolist())


def _asked(rule: Any, pairs: FloatArray) -> float:
    """Return a threshold as it is given, or what a callable makes of the similarities of all pairs."""
    if isinstance(rule, int | float):
        return float(rule)
    if not len(pairs):
        return 1.0
    with torch.no_grad():
        given = torch.from_numpy(pairs).float()
        found = float(rule(given.to(device_of(rule))))
    if not math.isfinite(found):
        msg = f"adaptive_threshold must return a finite number, but returned {found}"
        raise ValueError(msg)
    return found


def _unit_rows(table: FloatArray) -> FloatArray:
    """Return rows of length 1, those of zeros as they are; no square leaves float64 on the way."""
    largest = np.abs(table).max(axis=1, initial=0.0)[:, np.newaxis]
    near_one = table / np.where(largest > 0, largest, 1.0)
    lengths = np.sqrt(np.square(near_one).sum(axis=1, keepdims=True))
    return np.asarray(near_one / np.where(lengths > 0, lengths, 1.0))
