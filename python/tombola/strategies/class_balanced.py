"""Weighted draws that make classes equally frequent.

Each row of a class with ``count`` rows gets the weight ``n / (n_classes * (count + min_count_baseline))``.
The core works on class codes and one weight a class: no weight a row is ever made. O(n) once to find and
count the classes, else as `BlockWeightedSampling`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _core
from .._base.checks import check_integer, check_number
from .._base.types import IndexArray
from ..labels.categorical import Categorical
from ..labels.classes import Classes, factorise
from ..labels.weights import class_weights
from .base import Batching, Strategy
from .weighted import WeightedStrategy

__all__ = ["ClassBalancedSampling"]


@dataclass(frozen=True, eq=False, repr=False)
class ClassBalancedSampling(WeightedStrategy):
    """Rows drawn so that classes come equally often, in blocks of nearby rows.

    Parameters
    ----------
    labels : array-like, sequence of array-likes, or DataFrame
        One label a row of the whole (classes balance over the whole) or of ``indices`` (balance within them).
        Integers, strings, objects that hash, pandas categoricals. With several columns their combinations are
        the classes: a list or tuple of sequences is read as columns, so for one tuple a row pass
        ``list(zip(*rows))``. C-contiguous integer arrays with values in ``[0, n)`` are borrowed.
    block_size : int
        Consecutive draws that stay together until the window mixes them.
    min_count_baseline : number, keyword-only
        Added to each count, so that very rare classes are not blown up. 0 balances exactly.
    missing : {"error", "drop"}, keyword-only
        Whether a missing label (None, NaN, -1 of a categorical) is refused, or its row has the weight 0, so
        that it never comes; the latter takes floats for integers with gaps.
    total_size, replace, sampling_size, draw, indices
        As in `BlockWeightedSampling`, keyword-only.

    Raises
    ------
    TypeError
        If an argument is of a wrong type; labels must not be floats.
    ValueError
        If an argument is out of range, or a label is missing (the first row is named).

    Notes
    -----
    Making the strategy reads the labels, O(n); integers and categoricals are much the fastest. After that an
    epoch costs O(1) to plan. The same version gives the same batches on every platform. Strategies count as
    equal if their classes are numbered alike, whatever the names.

    Examples
    --------
    >>> import numpy as np, tombola
    >>> labels = np.repeat(["rare", "common"], [10, 90])
    >>> rows = tombola.ClassBalancedSampling(labels).plan(batch_size=20).indices()
    >>> np.unique(labels[rows], return_counts=True)[1].tolist()
    [50, 50]
    """

    labels: Any
    block_size: int = 16
    min_count_baseline: float = field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set(block_size=check_integer("block_size", self.block_size, minimum=1))
        self._set(min_count_baseline=check_number("min_count_baseline", self.min_count_baseline))
        self._count(None)
        self._check_sampling_size(self._table())

    _key_name = "labels"

    def _classes(self) -> Classes:
        return self._once("classes", lambda: factorise(self.labels, missing=self.missing))

    def _class_weights(self) -> npt.NDArray[np.float64]:
        """Return the weight of each code, 0 for that of rows without a label."""
        return class_weights(self._classes().class_counts, self.min_count_baseline)

    def _key_length(self) -> int:
        return len(self._classes())

    def _among(self, rows: IndexArray) -> Strategy:
        classes = self._classes()
        codes = classes.codes[rows]
        if classes.has_missing:
            codes[codes == len(classes.counts) - 1] = -1
        named = Categorical(codes, np.arange(len(classes.counts)), self._key_name)
        return replace(self, labels=named, indices=rows)

    def _make(self, rows: int, options: Batching) -> _core.Plan:
        return self._plan_draws(self._table(), self.block_size, options)

    def _table(self) -> _core.WeightTable:
        indices = None if self._is_subset_key else self._indices
        classes = self._classes()
        counts = classes.counts if indices is None else None  # those of a subset are still to be taken
        return self._once(
            "table",
            lambda: _core.WeightTable.from_codes(classes.codes, self._class_weights(), indices, counts),
        )

    def _hashes(self) -> dict[str, str | None]:
        return {**super()._hashes(), "labels": f"{self._table().fingerprint:016x}"}

    def _compared(self) -> Iterator[object]:
        options = (value for name, value in self._fields() if name != "labels")
        return iter((*options, self._classes().codes))

    def _element_weights(self, start: int, stop: int) -> npt.NDArray[np.floating] | None:
        if not self.replace:
            return None
        codes, indices = self._classes().codes, self._indices
        if indices is None or self._is_subset_key:
            return self._class_weights()[codes[start:stop]]
        return self._class_weights()[codes[indices[start:stop]]]

    def describe(self) -> dict[str, Any]:
        """Return the class and its options, in a form that JSON can hold; labels by kind and length."""
        return {**super().describe(), "n_classes": self._classes().n_classes}
