"""Semantic groups: classes whose prototypes are alike, and the similarity and threshold that say so.

Each class begins as a group; the two groups whose classes are most alike on average are joined, again and
again, as long as that average is above the threshold: agglomerative clustering with average linkage (Sokal
and Michener, "A statistical method for evaluating systematic relationships", 1958). Components of all pairs
above the threshold would chain: with more links than half the classes even random ones join most of them
(Erdos and Renyi, 1960). Groups are numbered in the order of their smallest labels. A class without a
prototype is a group of its own. O(changed classes * classes * width) when prototypes change, and about
O(classes ** 2) for groups.
"""

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from ..._base.types import FloatArray, IndexArray
from ..scores.importance import prototype_similarity

__all__ = [
    "MISSING",
    "Measure",
    "SemanticGroups",
    "item_similarity",
    "linked_groups",
    "parameter_versions",
]

Measure: TypeAlias = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Takes two tensors of shape (n, width) and returns the similarity of each pair of rows, in [0, 1]."""

MISSING = 0.5
"""Similarity to a prototype that is missing: neither near nor far."""

QUANTILE = 0.9
"""Of the similarities of all pairs of classes: a pair in ten is above the default threshold."""

_TILE = 2**21


def parameter_versions(module: object) -> tuple[tuple[int, int], ...]:
    """Return what changes when a module was trained; empty for what has no parameters."""
    if not isinstance(module, torch.nn.Module):
        return ()
    return tuple((id(parameter), parameter._version) for parameter in module.parameters())


def item_similarity(
    features: torch.Tensor, codes: npt.NDArray[np.int32], table: FloatArray, measure: Measure | None
) -> npt.NDArray[np.float64]:
    """Return the similarity of each row to the prototype of its class; NaN where a measure gives none.

    Raises
    ------
    ValueError
        If a measure gives a finite number that is not in [0, 1], or another shape than one a row.
    """
    labels = codes.astype(np.int64)
    if not table.shape[1]:
        return np.full(len(codes), MISSING)
    if measure is None:
        return prototype_similarity(features, labels, table)
    out = np.full(len(labels), MISSING)
    there = np.flatnonzero(~np.isnan(table[labels, 0])) if table.shape[1] else np.empty(0, np.int64)
    prototypes = torch.from_numpy(table).float()
    step = max(1, _TILE // max(1, table.shape[1]))
    for start in range(0, len(there), step):
        rows = torch.from_numpy(there[start : start + step])
        chosen = features[rows.to(features.device)].float()
        out[there[start : start + step]] = _measured(
            measure, chosen, prototypes[torch.from_numpy(labels)[rows]]
        )
    return out


def _measured(measure: Measure, first: torch.Tensor, second: torch.Tensor) -> npt.NDArray[np.float64]:
    device = _device_of(measure)
    with torch.no_grad():
        found = measure(first.to(device), second.to(device)).detach().cpu().double().numpy()
    if found.shape != (len(first),):
        msg = (
            f"semantic_similarity must return one number a pair, ({len(first)},), but returned {found.shape}"
        )
        raise ValueError(msg)
    outside = np.isfinite(found) & ((found < -1e-6) | (found > 1 + 1e-6))
    if outside.any():
        msg = f"semantic_similarity must return numbers in [0, 1], but returned {found[np.argmax(outside)]}"
        raise ValueError(msg)
    return np.asarray(np.clip(found, 0.0, 1.0))


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


class SemanticGroups:
    """The similarity of every two classes, and their groups.

    Parameters
    ----------
    measure : callable, optional
        Similarity of pairs; by default the cosine, as ``(1 + cosine) / 2``.
    threshold : number, callable or None
        The threshold itself; what makes it from a tensor of the similarities of all pairs of classes; or
        None for a quantile of these.
    quantile : float, optional
        `QUANTILE` by default.
    """

    def __init__(self, measure: Measure | None, threshold: Any, quantile: float | None) -> None:
        self.measure = measure
        self.rule = threshold
        self.quantile = quantile
        self.threshold = 1.0
        self.table: FloatArray = np.empty((0, 0))
        self.similarity: FloatArray = np.empty((0, 0))
        self.groups: IndexArray = np.empty(0, dtype=np.int64)

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
            self.groups = np.concatenate([self.groups, np.zeros(missing, dtype=np.int64)])
        if len(codes):
            used = np.zeros(len(counts) + 1, dtype=np.bool_)
            used[self.groups[counts > 0]] = True
            self.groups[codes] = np.flatnonzero(~used)[: len(codes)]
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
        self.threshold = self._threshold()
        self.groups = linked_groups(self.similarity, self.threshold, labels)

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
                    found[at, columns] = _measured(self.measure, own, table)
        found[:, ~there] = np.nan
        found[~there[rows]] = np.nan
        return found

    def _threshold(self) -> float:
        if isinstance(self.rule, int | float):
            return float(self.rule)
        pairs = self.similarity[np.triu_indices(len(self.similarity), 1)]
        pairs = pairs[np.isfinite(pairs)]
        if not len(pairs):
            return 1.0
        if self.rule is None:
            return float(np.quantile(pairs, QUANTILE if self.quantile is None else self.quantile))
        with torch.no_grad():
            given = torch.from_numpy(pairs).float()
            found = float(self.rule(given.to(_device_of(self.rule))))
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


def _device_of(module: object) -> torch.device:
    """Return where the parameters of a module are; the CPU for what has none."""
    if isinstance(module, torch.nn.Module):
        for parameter in module.parameters():
            return parameter.device
    return torch.device("cpu")
