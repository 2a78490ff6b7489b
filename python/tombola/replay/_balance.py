"""What balanced draws go by: classes, prototypes, groups and weights of the stored items, kept up to date.

An item that comes in or is replaced changes counts, sums and its own weight only. Prototypes are read at a
draw; items of those classes whose prototype changed are scored anew, and classes are grouped anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from .._validation import IndexArray
from ._classes import Classes
from ._item_weights import Drawn, ItemWeights
from ._prototype_table import ClassMeans, Table, given_table
from ._semantic_groups import MISSING, SemanticGroups, item_similarity, parameter_versions
from ._storage import Storage
from .schedule import BalanceSchedule

__all__ = ["Balance", "BalanceOptions", "Newcomers"]

_RESCORED_PER_ITEM = 8
"""The buffer's own prototypes are due after an eighth of its items came in."""

NO_LABELS = "items have no integer labels, so there are no classes to balance"
NO_FEATURES = "no features are stored, so that nothing can be compared with prototypes"
NO_PROTOTYPES = "no class has a prototype yet"
ONE_GROUP = "there is one semantic group only"
NOT_FINITE = "scores are not finite, or all 0"


@dataclass(frozen=True)
class BalanceOptions:
    """What `BalancedBuffer` was told about scores; checked there."""

    balance_weight: float | BalanceSchedule
    eps: float
    refit_every: int | None


@dataclass(frozen=True, eq=False)
class Newcomers:
    """Items that are about to be stored: their codes, and similarity to their prototypes."""

    codes: npt.NDArray[np.int32]
    similarity: npt.NDArray[np.float64]
    extra: npt.NDArray[np.float64]


class Balance:
    """State of the balance of one buffer."""

    def __init__(self, size: int, options: BalanceOptions, groups: SemanticGroups) -> None:
        self.size = size
        self.options = options
        self.groups = groups
        self.classes = Classes()
        self.means = ClassMeans()
        self.weights = ItemWeights(size)
        self.extra: npt.NDArray[np.float64] = np.ones(size)
        self.draws = 0
        self.own_prototypes = False
        self.written_since_fit = 0
        self.versions: tuple[Any, Any] = ((), ())
        self.drawn: npt.NDArray[np.float64] = np.zeros(0)
        self.expected: npt.NDArray[np.float64] = np.zeros(0)

    # ------------------------------------------------------------------------------------------- items

    def judge(self, labels: IndexArray, features: torch.Tensor | None, extra: npt.NDArray[np.float64]) -> Newcomers:
        """Return codes and similarities of items that come in; of what is stored nothing changes."""
        codes = self.classes.codes(labels)
        self._extend()
        if features is None or not self.groups.has_prototypes:
            similarity = np.full(len(codes), MISSING)
        else:
            self._check_width(features, self.groups.table)
            similarity = self._similarity(features, codes)
        return Newcomers(codes, similarity, extra)

    def replace(self, slots: IndexArray, features: torch.Tensor | None) -> None:
        """Take out what is stored in these slots, with these features."""
        codes = self.weights.codes[slots]
        self.classes.count(codes, -1)
        if features is not None:
            self.means.change(codes, features, -1, len(self.classes))

    def put(self, slots: IndexArray, new: Newcomers, features: torch.Tensor | None) -> None:
        """Take in items; what was in these slots has been taken out."""
        self.classes.count(new.codes, 1)
        if features is not None:
            self.means.change(new.codes, features, 1, len(self.classes))
        self.extra[slots] = new.extra
        own = new.extra / (new.similarity + self.options.eps)
        self.weights.write(slots, new.codes, own, self.factors(), self.classes.counts)
        self.written_since_fit += len(slots)

    def _extend(self) -> None:
        classes = len(self.classes)
        self.groups.extend(classes)
        self.weights.extend(classes)
        missing = np.zeros(classes - len(self.drawn))
        self.drawn = np.concatenate([self.drawn, missing])
        self.expected = np.concatenate([self.expected, missing])

    # ------------------------------------------------------------------------------------------- draws

    def group_sizes(self) -> npt.NDArray[np.float64]:
        """Return how many items of each group are stored."""
        return np.bincount(self.groups.groups, weights=self.classes.counts)

    def factors(self) -> npt.NDArray[np.float64]:
        """Return ``(groups / size) ** balance_weight`` of each class's group, as of the next draw."""
        sizes = self.group_sizes()
        weight = self.options.balance_weight
        power = weight(self.draws) if isinstance(weight, BalanceSchedule) else float(weight)
        with np.errstate(over="ignore", under="ignore"):
            shares = (np.count_nonzero(sizes) / np.maximum(sizes, 1)) ** power
        return np.asarray(shares[self.groups.groups])

    def prepare(self, prototypes: Any, storage: Storage, stored: int) -> str | None:
        """Read prototypes, score and group what they change, and return why scores cannot be had, or None."""
        if not len(self.classes):
            return NO_LABELS
        if "features" not in storage.parts:
            return NO_FEATURES
        self._refit(prototypes, storage, stored)
        if not self.groups.has_prototypes:
            return NO_PROTOTYPES
        if np.count_nonzero(self.group_sizes()) == 1:
            return ONE_GROUP
        return None if self.weights.fits(self.factors(), self.classes.counts) else NOT_FINITE

    def draw(self, size: int, seed: int, step: int, *, replace: bool) -> Drawn:
        """Draw slots, after `prepare` found nothing against it."""
        factors = self.factors()
        drawn = self.weights.draw(size, seed, step, factors, self.classes.counts, replace=replace)
        shares = self.shares(factors)
        codes = self.weights.codes[drawn.slots]
        self.drawn += np.bincount(codes, minlength=len(shares))
        self.expected += len(codes) * shares
        self.draws += 1
        return drawn

    def shares(self, factors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the share of each class in a draw from all."""
        mass = np.where(self.classes.counts > 0, self.weights.mass * factors, 0.0)
        return np.asarray(mass / mass.sum())

    def _refit(self, prototypes: Any, storage: Storage, stored: int) -> None:
        every = self.options.refit_every
        unseen = np.isnan(self.groups.table[:, :1]).all(axis=1) & (self.classes.counts > 0)
        if every is not None and self.draws % every and not unseen.any():
            return
        own = prototypes is None
        if not own:
            table = given_table(prototypes, self.classes.labels, self.classes.counts)
        elif self.own_prototypes and not self._own_due(unseen, stored):
            table = self.groups.table
        else:
            table = self.means.table(self.classes.counts)
            self.written_since_fit = 0
        self._check_width(storage.parts["features"], table)
        versions = parameter_versions(self.groups.measure), parameter_versions(self.groups.rule)
        changed = self.groups.changed(table)
        if versions[0] != self.versions[0]:
            changed[:] = True
        if changed.any() or versions != self.versions:
            present = np.flatnonzero(self.classes.counts)
            self.groups.fit(table, changed, self.classes.labels, present)
            self._rescore(changed, storage, stored)
        self.versions = versions
        self.own_prototypes = own

    def _own_due(self, unseen: npt.NDArray[np.bool_], stored: int) -> bool:
        if self.options.refit_every is not None:
            return self.written_since_fit > 0
        return bool(unseen.any()) or self.written_since_fit * _RESCORED_PER_ITEM >= stored

    def _rescore(self, changed: npt.NDArray[np.bool_], storage: Storage, stored: int) -> None:
        codes = self.weights.codes[:stored]
        slots = np.flatnonzero(changed[codes])
        if not len(slots):
            return
        everything = len(slots) == stored
        features = storage.first("features", stored) if everything else storage.read("features", slots)
        similarity = self._similarity(features, codes[slots])
        own = self.extra[slots] / (similarity + self.options.eps)
        self.weights.rescore(slots, own, stored)

    def _similarity(self, features: torch.Tensor, codes: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
        return item_similarity(features, codes, self.groups.table, self.groups.measure)

    @staticmethod
    def _check_width(features: torch.Tensor, table: Table) -> None:
        width = features.shape[1]
        if table.shape[1] not in (0, width):
            msg = f"prototypes must be as wide as the stored features, {width}, but are {table.shape[1]} wide"
            raise ValueError(msg)

    # ------------------------------------------------------------------------------------------- state

    def state(self, stored: int) -> dict[str, Any]:
        """Return copies of all that cannot be made anew exactly, as tensors and numbers."""
        tree = self.weights.tree.state_dict()
        arrays = {
            "labels": self.classes.labels,
            "counts": self.classes.counts,
            "sums": self.means.sums,
            "codes": self.weights.codes[:stored],
            "own": self.weights.own[:stored],
            "applied": self.weights.applied,
            "mass": self.weights.mass,
            "tree": tree["weights"][:stored],
            "extra": self.extra[:stored],
            "drawn": self.drawn,
            "expected": self.expected,
            "table": self.groups.table,
            "similarity": self.groups.similarity,
            "groups": self.groups.groups,
        }
        return {
            "arrays": {name: torch.from_numpy(array.copy()) for name, array in arrays.items()},
            "scale": tree["scale"],
            "threshold": self.groups.threshold,
            "draws": self.draws,
            "own_prototypes": self.own_prototypes,
            "written_since_fit": self.written_since_fit,
        }

    def load(self, state: Mapping[str, Any], stored: int) -> None:
        """Take over what `state` returned; trained modules are read anew at the next draw."""
        arrays = {name: tensor.numpy().copy() for name, tensor in state["arrays"].items()}
        self.classes.load(arrays["labels"], arrays["counts"])
        self.means.sums = arrays["sums"]
        weights = self.weights
        weights.applied, weights.mass = arrays["applied"], arrays["mass"]
        of_slots = np.zeros(self.size)
        of_slots[:stored] = arrays["tree"]
        tree = {"version": 1, "n": self.size, "weights": of_slots, "scale": state["scale"]}
        weights.tree.load_state_dict(tree)
        weights.codes[:stored], weights.own[:stored] = arrays["codes"], arrays["own"]
        self.extra[:stored] = arrays["extra"]
        self.drawn, self.expected = arrays["drawn"], arrays["expected"]
        groups = self.groups
        groups.table, groups.similarity, groups.groups = (arrays[k] for k in ("table", "similarity", "groups"))
        groups.threshold = state["threshold"]
        self.draws, self.own_prototypes = state["draws"], state["own_prototypes"]
        self.written_since_fit = state["written_since_fit"]
        self.versions = (parameter_versions(groups.measure), parameter_versions(groups.rule))
