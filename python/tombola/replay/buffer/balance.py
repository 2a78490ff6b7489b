"""What balanced draws go by: classes, prototypes, groups and weights of the stored items, kept up to date.

An item that comes in or is replaced changes counts, sums and its own weight only: O(log n) each. Prototypes
are read at a draw; items of those classes whose prototype changed are scored anew, and classes grouped anew.
"""

import logging
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from ..._base.types import FloatArray, IndexArray
from ...draws.sum_tree import SumTree
from ..scores.arrays import check_shape
from .arguments import Items
from .classes import Classes, SemanticGroups, class_factors
from .followed import values_of
from .guard import Guard
from .item_scores import ItemScores, Scores, read_losses
from .items import Storage, as_tensor
from .options import BufferOptions
from .prototypes import MISSING, ClassMeans, check_width, given_table, item_similarity
from .weights import Drawn, ItemWeights

__all__ = ["Balance", "Newcomers"]

RESCORED_PER_ITEM = 8
"""The buffer's own prototypes are due once an eighth of its items is new."""

NO_LABELS = "items have no labels of one integer each, so there are no classes"
NO_FEATURES = "no features are stored that could be compared with prototypes"
NO_PROTOTYPES = "no class has a prototype yet"
ONE_GROUP = "there is one semantic group only"
NOT_FINITE = "scores are not finite, or all of them 0"

_LAST = np.iinfo(np.int64).max
"""In place of the label of a class that is forgotten: groups are numbered in the order of labels."""

_logger = logging.getLogger("tombola")


class Newcomers(NamedTuple):
    """Items that are about to be stored: codes of their classes, parts of their weights, features."""

    codes: npt.NDArray[np.int32]
    scores: FloatArray
    factors: FloatArray
    predicted: Scores
    features: torch.Tensor | None
    labelled: bool


class Balance:
    """State of the balance of the items in a storage.

    `guard` knows of changes, `said` holds what was logged already.
    """

    def __init__(self, storage: Storage, options: BufferOptions, guard: Guard, said: set[str]) -> None:
        size = storage.size
        self.storage = storage
        self.guard = guard
        self.options = options
        self.said = said
        measure, rule = options.semantic_similarity, options.adaptive_threshold
        self.groups = SemanticGroups(measure, rule, options.threshold_quantile)
        self.classes = Classes()
        self.means = ClassMeans()
        self.weights = ItemWeights(size, guard)
        self.scores: FloatArray = np.ones(size)  # 1 / (similarity + eps)
        self.priorities: FloatArray = np.ones(size)
        self.task_factors: FloatArray = np.ones(size)
        self.item_scores = ItemScores(size, options)
        self.highest = 1.0  # of all priorities that were set
        self.prioritised = False
        self.labelled = False
        self.draws = 0
        self.own_prototypes = False
        self.written_since_fit = 0
        self.rescore_asked = False
        self.versions: tuple[Any, Any] = ((), ())
        self.drawn: FloatArray = np.zeros(0)
        self.expected: FloatArray = np.zeros(0)

    # ------------------------------------------------------------------------------------------- items

    def judge(self, items: Items, rows: IndexArray) -> Newcomers:
        """Return codes and scores of some of the items that come in; of what is stored nothing changes.

        Raises
        ------
        ValueError
            If a similarity is not in [0, 1], or what weights or factors of tasks ask for is missing or wrong.
        """
        factors = items.factors(self.options.factor_of_task)[rows]
        predicted = self.item_scores.predicted(items.losses, items.parts.get("logits"), items.classes)
        self.item_scores.require(predicted)
        predicted = self.item_scores.joined({name: scores[rows] for name, scores in predicted.items()})
        labels, features = items.class_labels(rows), items.features(rows)
        similarity = np.full(len(labels), MISSING)
        known = self.classes.known(labels)  # others have no prototype
        if features is not None and self.groups.has_prototypes and known.any():
            of_known = features[torch.from_numpy(np.flatnonzero(known)).to(features.device)]
            similarity[known] = self._similarity(of_known, self.classes.codes(labels[known])[0])
        with self.guard.change():
            codes, begun = self.classes.codes(labels)
            self._begin(begun)
        scores = 1 / (similarity + self.options.eps)
        return Newcomers(codes, scores, factors, predicted, features, items.classes is not None)

    def take_out(self, slots: IndexArray) -> None:
        """Take out what is stored in these slots, and still to be read there."""
        codes = self.weights.codes[slots]
        features = self.storage.read("features", slots) if "features" in self.storage.parts else None
        self.classes.count(codes, -1)
        if features is not None:
            self.means.change(codes, features, -1, len(self.classes))

    def put(self, slots: IndexArray, new: Newcomers) -> None:
        """Take in items; what was in these slots has been taken out."""
        self.labelled = new.labelled
        self.classes.count(new.codes, 1)
        if new.features is not None:
            self.means.change(new.codes, new.features, 1, len(self.classes))
        self.scores[slots] = new.scores
        self.task_factors[slots] = new.factors
        self.priorities[slots] = self.highest
        self.item_scores.write(slots, new.predicted)
        stored = int(self.classes.counts.sum())
        renewed = self.item_scores.date(slots, self.storage.stamps.items, stored)
        self.weights.write(slots, new.codes, self.own(slots), self.factors(), self.classes.counts)
        if renewed:
            self.weights.rescore(np.arange(stored), self.own(np.arange(stored)), stored)
        self.written_since_fit += len(slots)

    def prioritise(
        self, slots: IndexArray, priorities: FloatArray, stamps: IndexArray | None, stored: int
    ) -> None:
        """Set priorities of slots that hold the items meant; where a slot comes twice the last holds."""
        current = self.storage.stamps.current(slots, stamps)
        slots, priorities = slots[current], priorities[current]
        with self.guard.change():
            self.priorities[slots] = priorities
            self.highest = max(self.highest, float(priorities.max(initial=0.0)))
            self.prioritised = self.prioritised or len(slots) > 0
            self.weights.rescore(slots, self.own(slots), stored)

    def predict(
        self, slots: IndexArray, losses: Any, logits: Any, stamps: IndexArray | None, stored: int
    ) -> None:
        """Set difficulty and uncertainty of slots that hold the items meant, as far as these can be had.

        Raises
        ------
        TypeError, ValueError
            If losses or logits are not one a slot, or such that they cannot be scored.
        """
        outputs = None if logits is None else as_tensor("logits", logits)
        if outputs is not None:
            check_shape("logits", tuple(outputs.shape[:1]), (len(slots),), "one an index")
        labels = self.classes.labels[self.weights.codes[slots]] if self.labelled else None
        found = self.item_scores.predicted(read_losses(losses, len(slots)), outputs, labels)
        if not found:
            return
        current = self.storage.stamps.current(slots, stamps)
        slots = slots[current]
        found = self.item_scores.joined({name: scores[current] for name, scores in found.items()}, slots)
        with self.guard.change():
            self.item_scores.write(slots, found)
            self.weights.rescore(slots, self.own(slots), stored)

    def own(self, slots: IndexArray) -> FloatArray:
        """Return the weights of slots but for the factor of their class."""
        weights = self.scores[slots] * self.task_factors[slots] * self.priorities[slots]
        return self.item_scores.times(weights, slots)

    def _begin(self, codes: IndexArray) -> None:
        """Take in new classes, with these codes; what their codes stood for before is forgotten."""
        classes = len(self.classes)
        self.groups.begin(codes, self.classes.counts)
        self.means.forget(codes)
        self.weights.extend(classes)
        missing = np.zeros(classes - len(self.drawn))
        self.drawn = np.concatenate([self.drawn, missing])
        self.expected = np.concatenate([self.expected, missing])
        self.drawn[codes] = self.expected[codes] = 0.0

    # ------------------------------------------------------------------------------------------- draws

    def group_sizes(self, level: int = 0) -> IndexArray:
        """Return how many items of each group of a level are stored."""
        sizes = np.bincount(self.groups.levels[level], weights=self.classes.counts)
        return sizes.astype(np.int64)

    def items_of_groups(self) -> dict[int, int]:
        """Return group number to stored items, without empty ones; nothing without labels."""
        sizes = self.group_sizes().tolist() if self.labelled else []
        return {group: size for group, size in enumerate(sizes) if size}

    def paths_of_labels(self) -> dict[int, tuple[int, ...]]:
        """Return label to its group at each level, of the classes that are stored; nothing without labels."""
        stored = (self.classes.counts > 0) & self.labelled
        paths = zip(*(groups[stored].tolist() for groups in self.groups.levels), strict=True)
        return dict(sorted(zip(self.classes.labels[stored].tolist(), paths, strict=True)))

    def slots_of_groups(self) -> dict[int, IndexArray]:
        """Return group number to the slots of its items, ascending; nothing without labels."""
        sizes = self.items_of_groups()
        of_slots = self.groups.groups[self.weights.codes[: sum(sizes.values())]]
        parts = np.split(np.argsort(of_slots, kind="stable"), np.cumsum(list(sizes.values()))[:-1])
        return dict(zip(sizes, parts, strict=False))

    def factors(self) -> FloatArray:
        """Return the balance of each class by its groups, as of the next draw."""
        return class_factors(self.groups.levels, self.classes.counts, self.options.powers(self.draws))

    def shares(self) -> FloatArray:
        """Return the share of each class in the next draw, with replacement; NaN without scores."""
        mass = np.where(self.classes.counts > 0, np.maximum(self.weights.mass, 0.0) * self.factors(), 0.0)
        total = float(mass.sum())
        return np.asarray(mass / total) if 0 < total < np.inf else np.full(len(mass), np.nan)

    def draw(self, size: int, prototypes: Any, stored: int, seed: int, step: int) -> Drawn | None:
        """Draw slots by scores, or else by task factors; None where there is neither.

        Prototypes are read, and what they change is scored and grouped anew. Why scores cannot be had is
        logged once; priorities, or scores of age, loss and logits, will do alone.
        """
        size = self.options.most(size, stored)
        reason = self._missing(prototypes, stored)
        if reason is None or self.prioritised or self.item_scores.arrays:
            reason = None if self.weights.fits(self.factors(), self.classes.counts) else NOT_FINITE
        if reason is not None:
            self._say(reason)
            return self._draw_by_task(size, stored, seed, step)
        shares, replace = self.shares(), self.options.replace
        drawn = self.weights.draw(size, seed, step, self.factors(), self.classes.counts, replace=replace)
        self.drawn += np.bincount(self.weights.codes[drawn.slots], minlength=len(shares))
        self.expected += len(drawn.slots) * np.nan_to_num(shares)
        self.draws += 1
        return drawn

    def _draw_by_task(self, size: int, stored: int, seed: int, step: int) -> Drawn | None:
        """Draw slots by task factors alone, in O(stored), or return None where these say nothing."""
        factors = self.task_factors[:stored]
        if not self.options.factor_of_task or not factors.any():
            return None
        tree = SumTree(stored, factors / factors.max())
        replace = self.options.replace
        slots = tree.draw(size if replace else min(size, tree.n_positive), seed, step, replace=replace)
        return Drawn(slots, factors[slots], 1, by_scores=False)

    def _say(self, reason: str) -> None:
        if reason not in self.said:
            self.said.add(reason)
            by_task = " inside each task" if self.options.factor_of_task else ""
            _logger.warning("BalancedBuffer draws uniformly%s as long as %s", by_task, reason)

    def _missing(self, prototypes: Any, stored: int) -> str | None:
        if not self.labelled:
            return NO_LABELS
        if "features" not in self.storage.parts:
            return NO_FEATURES
        self._refit(prototypes, stored)
        if not self.groups.has_prototypes:
            return NO_PROTOTYPES
        return ONE_GROUP if np.count_nonzero(self.group_sizes(-1)) == 1 else None

    def _refit(self, prototypes: Any, stored: int) -> None:
        """Read prototypes and modules if they are due, and fit what has changed; an error changes nothing."""
        every, anew = self.options.refit_every, self.rescore_asked
        unseen = np.isnan(self.groups.table[:, :1]).all(axis=1) & (self.classes.counts > 0)
        if every is not None and self.draws % every and not unseen.any() and not anew:
            return
        own = prototypes is None
        read_means = own and (not self.own_prototypes or anew or self._own_due(unseen, stored))
        if not own:
            table = given_table(prototypes, self.classes.labels, self.classes.counts)
        else:
            table = self.means.table(self.classes.counts) if read_means else self.groups.table
        check_width(self.storage.parts["features"], table)
        table = np.where(self.classes.counts[:, np.newaxis] > 0, table, np.nan)
        versions = self.module_versions()
        changed = self.groups.changed(table)
        if anew or versions[0] != self.versions[0]:
            changed[:] = True
        if changed.any() or versions != self.versions:
            self._fit(table, changed, stored)
        if read_means:
            self.written_since_fit = 0
        self.versions, self.own_prototypes, self.rescore_asked = versions, own, False

    def _fit(self, table: FloatArray, changed: npt.NDArray[np.bool_], stored: int) -> None:
        groups = self.groups
        kept = groups.kept
        with self.guard.change(undone=True):
            try:
                groups.fit(table, changed, np.where(self.classes.counts > 0, self.classes.labels, _LAST))
                self._rescore(changed, stored)
            except BaseException:  # the next draw begins again from what held before
                groups.put_back(kept)
                raise

    def module_versions(self) -> tuple[Any, Any]:
        """Return what says whether similarity and threshold were trained."""
        return values_of(self.groups.measure), values_of(self.groups.rule)

    def _own_due(self, unseen: npt.NDArray[np.bool_], stored: int) -> bool:
        if self.options.refit_every is not None:
            return self.written_since_fit > 0
        return bool(unseen.any()) or self.written_since_fit * RESCORED_PER_ITEM >= stored

    def _rescore(self, changed: npt.NDArray[np.bool_], stored: int) -> None:
        codes = self.weights.codes[:stored]
        slots = np.flatnonzero(changed[codes])
        if not len(slots):
            return
        if len(slots) == stored:
            features = self.storage.first("features", stored)
        else:
            features = self.storage.read("features", slots)
        similarity = self._similarity(features, codes[slots])
        with self.guard.change():
            self.scores[slots] = 1 / (similarity + self.options.eps)
            self.weights.rescore(slots, self.own(slots), stored)

    def _similarity(self, features: torch.Tensor, codes: npt.NDArray[np.int32]) -> FloatArray:
        return item_similarity(features, codes, self.groups.table, self.groups.measure)
