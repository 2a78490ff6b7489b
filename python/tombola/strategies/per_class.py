"""Batches of P classes with K rows each, as metric learning wants them.

The rows of a class, in an order of their own each epoch, are cut into tuples of K. Tuples are scheduled as
`SeriesRoundRobin` schedules rows of series, by the balanced rule with full batches only: a batch takes P
tuples of different classes, and there are as many batches as can all be full. O(n) once to group rows,
O(classes) a new epoch, O(P K) a batch.
"""

import logging
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .. import _core
from .._base.checks import check_choice, check_integer
from .._base.types import CodeArray, IndexArray
from ..labels.classes import Classes, factorise
from ..labels.keys import Keys
from ..plans.plan import Plan
from ..reports.plan_report import Sample
from .base import Batching
from .keyed import KeyedStrategy

__all__ = ["FewRows", "PerClass"]

_logger = logging.getLogger("tombola.strategies")

FewRows = Literal["error", "drop", "repeat"]


@dataclass(frozen=True, eq=False, repr=False)
class PerClass(KeyedStrategy):
    """Each batch holds ``rows_per_class`` different rows of each of ``classes_per_batch`` classes.

    Parameters
    ----------
    labels : array-like, sequence of array-likes, or DataFrame
        One label a row of the whole or of ``indices``, as in `ClassBalancedSampling`: with several columns
        their combinations are the classes.
    classes_per_batch : int, optional, keyword-only
        Classes in a batch, P. Left out, it is ``batch_size / rows_per_class``.
    rows_per_class : int, keyword-only
        Rows of each of them, K. ``batch_size`` is ``P * K``.
    few : {"error", "drop", "repeat"}, keyword-only
        What becomes of classes with fewer than K rows: they are refused, left out, or their rows come several
        times in a batch, each as often as the others or once more.
    missing : {"error", "drop"}, keyword-only
        Whether a missing label (None, NaN, -1 of a categorical) is refused, or its row left out; the latter
        takes floats for integers with gaps.
    indices : array-like of int, optional, keyword-only
        The rows to choose among, strictly increasing. Borrowed if a C-contiguous int64 array, else copied
        once.

    Raises
    ------
    TypeError
        If an argument is of a wrong type; labels must not be floats.
    ValueError
        If an argument is out of range, a label is missing (the first row is named), a class has too few rows
        (the smallest is named) or there are fewer classes than a batch holds.

    Notes
    -----
    No row comes twice in an epoch, unless it is of a class with few rows that repeats them. All batches are
    full, ``drop_last`` changes nothing. What rows no tuple takes, since K does not divide the rows of their
    class or since a class is so large that the others cannot fill batches beside it, differs from epoch to
    epoch; the report counts them. Rows of a class stand together in a batch. Making the strategy reads the
    labels, its first plan groups the rows: O(n). After that an epoch costs O(classes). The same version gives
    the same batches on every platform. No other thread must write to the labels or ``indices`` while the
    strategy or a plan of it is being made; later changes are harmless.

    Examples
    --------
    >>> import numpy as np, tombola
    >>> labels = np.repeat(["a", "b", "c", "d"], [5, 4, 6, 4])
    >>> strategy = tombola.PerClass(labels, classes_per_batch=2, rows_per_class=2)
    >>> plan = strategy.plan(batch_size=4)
    >>> len(plan), {len(set(labels[batch])) for batch in plan}, len(set(plan.indices().tolist()))
    (4, {2}, 16)
    """

    labels: Any
    classes_per_batch: int | None = field(default=None, kw_only=True)
    rows_per_class: int = field(kw_only=True)
    few: FewRows = field(default="error", kw_only=True)

    _key_name = "labels"
    _group_name = "class"

    def __post_init__(self) -> None:
        classes = self.classes_per_batch
        classes = None if classes is None else check_integer("classes_per_batch", classes, minimum=1)
        self._set(classes_per_batch=classes)
        self._set(rows_per_class=check_integer("rows_per_class", self.rows_per_class, minimum=1))
        self._set(few=check_choice("few", self.few, ("error", "drop", "repeat")))
        super().__post_init__()

    def _classes(self) -> Classes:
        return self._once("classes", lambda: factorise(self.labels, missing=self.missing))

    def _all_keys(self) -> Keys:
        def read() -> Keys:
            classes = self._classes()
            missing = classes.is_missing() if classes.has_missing else None
            codes = classes.codes
            return Keys(codes, False, lambda at: classes.name_of(int(codes[at])), missing=missing)

        return self._once("keys", read)

    def _group_codes(self) -> CodeArray:
        return self._chosen_codes()

    def _group_counts(self) -> IndexArray:
        return np.diff(self._groups().offsets())

    def _tuples(self) -> _core.Tuples:
        return self._once("tuples", self._make_tuples)

    def _make_tuples(self) -> _core.Tuples:
        counts, each = self._group_counts(), self.rows_per_class
        few = counts < each
        if few.any() and self.few == "error":
            at = int(np.argmin(counts))
            msg = (
                f"every class must have rows_per_class = {each} rows, but {np.count_nonzero(few)} of "
                f"{len(counts)} have fewer, such as {self._name_of_group(at)} with {counts[at]}: leave "
                'them out by few="drop", or let their rows come again by few="repeat"'
            )
            raise ValueError(msg)
        if few.any() and self.few == "drop":
            _logger.info(
                'few="drop" leaves out %s of %s classes, with %s of %s rows, as they have fewer than '
                "rows_per_class = %d",
                *(f"{number:,}" for number in (few.sum(), len(counts), counts[few].sum(), counts.sum())),
                each,
            )
        return _core.Tuples(self._groups(), each, self.few == "repeat")

    def _name_of_group(self, group: int) -> str:
        first = self._groups().firsts()[group : group + 1]
        return repr(self._keys().name_of(int(self._positions(first)[0])))

    def _make(self, rows: int, options: Batching) -> _core.Plan:
        each, size = self.rows_per_class, options["batch_size"]
        wanted = self.classes_per_batch
        if size % each or (wanted is not None and size != wanted * each):
            by = f"a multiple of rows_per_class = {each}"
            if wanted is not None:
                by = f"classes_per_batch * rows_per_class = {wanted} * {each} = {wanted * each}"
            msg = f"batch_size must be {by}, but is {size}"
            raise ValueError(msg)
        tuples = self._tuples()
        if tuples.n_classes < size // each:
            has = "" if self.few == "repeat" else f" that have {each} rows"
            msg = (
                f"classes_per_batch must be at most the number of classes{has}, {tuples.n_classes}, but is "
                f"{size // each}"
            )
            raise ValueError(msg)
        return _core.plan_per_class(tuples, **options)

    def _element_weights(self, start: int, stop: int) -> npt.NDArray[np.floating[Any]] | None:
        return None

    def _report_entries(self, plan: Plan, sample: Sample) -> dict[str, Any]:
        counts, each = self._group_counts(), self.rows_per_class
        repeats = self.few == "repeat" and bool((counts < each).any())
        entries = {
            "classes_per_batch": plan.batch_size // each,
            "rows_per_class": each,
            "classes_left_out": 0 if self.few == "repeat" else int(np.count_nonzero(counts < each)),
            "tuples_left_out": self._tuples().n_tuples - plan.n_rows // each,
        }
        if not repeats:
            entries["rows_left_out"] = int(counts.sum()) - plan.n_rows
        elif sample.complete:
            entries["rows_left_out"] = int(counts.sum()) - len(np.unique(sample.rows))
        return entries
