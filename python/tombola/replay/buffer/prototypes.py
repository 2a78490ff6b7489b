"""Prototypes of classes: as a learner gives them or as means of stored features, compared with items.

One table, a row a class; a row of NaN is a missing prototype. Reading is O(classes * width); the means are
kept by adding what comes and subtracting what is replaced, O(items * width); so is comparing.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from ..._base.types import FloatArray, IndexArray
from ..scores.importance import prototype_similarity

__all__ = [
    "MISSING",
    "ClassMeans",
    "Measure",
    "check_width",
    "device_of",
    "given_table",
    "item_similarity",
    "measured",
]

Measure: TypeAlias = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Takes two tensors of shape (n, width) and returns the similarity of each pair of rows, in [0, 1]."""

MISSING = 0.5
"""Similarity to a prototype that is missing: neither near nor far."""

_CHUNK = 2**14
_DEPTH = 4
_TILE = 2**21


def given_table(prototypes: Any, labels: IndexArray, counts: IndexArray) -> FloatArray:
    """Return the table of what was given as prototypes, in the order of `labels`.

    Parameters
    ----------
    prototypes
        An array or tensor with the prototype of label k in row k; a mapping from label to vector, in which
        classes may be missing; an object with one of these as its attribute ``prototypes``; or what returns
        one of these when called.
    labels, counts : ndarray of int64, shape (classes,)
        Labels of the classes, and how many of their items are stored.

    Raises
    ------
    TypeError, ValueError
        If it is nothing of that kind, or vectors differ in width, or one is partly NaN or infinite.
    IndexError
        If an array has no row for the label of a stored item.
    """
    for _ in range(_DEPTH):
        if isinstance(prototypes, torch.Tensor | np.ndarray | Mapping | list | tuple):
            break
        if hasattr(prototypes, "prototypes"):
            prototypes = prototypes.prototypes
        elif callable(prototypes):
            prototypes = prototypes()
        else:
            break
    if isinstance(prototypes, Mapping):
        table = _from_mapping(prototypes, labels)
    else:
        table = _from_array(prototypes, labels, counts)
    finite = np.isfinite(table)
    odd = ~(finite.all(axis=1) | np.isnan(table).all(axis=1))
    if odd.any():
        label = int(labels[int(np.argmax(odd))])
        msg = f"prototypes must be finite, or all NaN where missing, but that of label {label} is neither"
        raise ValueError(msg)
    return table


def _from_mapping(prototypes: Mapping[Any, Any], labels: IndexArray) -> FloatArray:
    vectors = {int(label): _values(vector).reshape(-1) for label, vector in prototypes.items()}
    widths = {len(vector) for vector in vectors.values()}
    if len(widths) > 1:
        msg = f"prototypes must be equally wide, but their widths are {sorted(widths)}"
        raise ValueError(msg)
    table = np.full((len(labels), widths.pop() if widths else 0), np.nan)
    for code, label in enumerate(labels.tolist()):
        if label in vectors:
            table[code] = vectors[label]
    return table


def _from_array(prototypes: Any, labels: IndexArray, counts: IndexArray) -> FloatArray:
    values = _values(prototypes)
    if values.ndim != 2:
        expected = (
            "op_prototypes must be a table of shape (classes, width), or a mapping from label to vector"
        )
        msg = f"{expected}, but its shape is {values.shape}"
        raise ValueError(msg)
    known = (labels >= 0) & (labels < len(values))
    unknown = np.flatnonzero(~known & (counts > 0))
    if len(unknown):
        label = int(labels[unknown[0]])
        cure = "a mapping from label to vector, or a row of NaN, says that a prototype is missing"
        came = f"has {len(values)} and label {label} is stored"
        msg = f"op_prototypes must have a row for each label, but {came}; {cure}"
        raise IndexError(msg)
    table = np.full((len(labels), values.shape[1]), np.nan)
    table[known] = values[labels[known]]
    return table


def _values(values: Any) -> FloatArray:
    if isinstance(values, list | tuple) and values and isinstance(values[0], torch.Tensor):
        values = torch.stack(list(values))
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().double().numpy()
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "fiu":
            raise TypeError(array.dtype)
        return array.astype(np.float64)
    except (TypeError, ValueError) as error:
        expected = "a table, a mapping from label to vector, or what has or returns one"
        msg = f"op_prototypes must be {expected}, but is {type(values).__name__}"
        raise TypeError(msg) from error


class ClassMeans:
    """Sums of the stored features of each class, in float64."""

    def __init__(self) -> None:
        self.sums: FloatArray = np.zeros((0, 0))

    def change(self, codes: npt.NDArray[np.int32], features: torch.Tensor, sign: int, classes: int) -> None:
        """Add features to the sums of their classes (``sign = 1``), or subtract them (``-1``)."""
        missing = classes - len(self.sums)
        if missing > 0 or self.sums.shape[1] != features.shape[1]:
            width = features.shape[1]
            old = self.sums if len(self.sums) else np.zeros((0, width))
            self.sums = np.concatenate([old, np.zeros((missing, width))])
        for start in range(0, len(codes), _CHUNK):
            part = codes[start : start + _CHUNK]
            order = np.argsort(part, kind="stable")
            sorted_codes = part[order]
            starts = np.flatnonzero(np.r_[True, sorted_codes[1:] != sorted_codes[:-1]])
            rows = features[start : start + _CHUNK].detach().cpu().double().numpy()[order]
            self.sums[sorted_codes[starts]] += sign * np.add.reduceat(rows, starts, axis=0)

    def forget(self, codes: IndexArray) -> None:
        """Begin the sums of some classes anew."""
        self.sums[codes[codes < len(self.sums)]] = 0.0

    def table(self, counts: IndexArray) -> FloatArray:
        """Return the means, NaN for classes of which nothing is stored."""
        missing = len(counts) - len(self.sums)
        if missing > 0:
            self.sums = np.concatenate([self.sums, np.zeros((missing, self.sums.shape[1]))])
        self.sums[counts == 0] = 0.0
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.sums / np.where(counts > 0, counts, np.nan)[:, np.newaxis]


def check_width(features: torch.Tensor, table: FloatArray) -> None:
    """Raise ValueError if prototypes are not as wide as features."""
    width = features.shape[1]
    if table.shape[1] not in (0, width):
        msg = f"prototypes must be as wide as the stored features, {width}, but are {table.shape[1]} wide"
        raise ValueError(msg)


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
        out[there[start : start + step]] = measured(
            measure, chosen, prototypes[torch.from_numpy(labels)[rows]]
        )
    return out


def measured(measure: Measure, first: torch.Tensor, second: torch.Tensor) -> npt.NDArray[np.float64]:
    """Return what a measure says of pairs of rows, in float64.

    Raises
    ------
    ValueError
        If it gives a finite number that is not in [0, 1], or another shape than one a pair.
    """
    device = device_of(measure)
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


def device_of(module: object) -> torch.device:
    """Return where the parameters of a module are; the CPU for what has none."""
    if isinstance(module, torch.nn.Module):
        for parameter in module.parameters():
            return parameter.device
    return torch.device("cpu")
