"""Batches of rows of one bucket: of equal keys, or of lengths between two boundaries.

Rows are grouped by bucket and shuffled inside each by a keyed bijection; each bucket is cut into batches, and
the order of all batches is a keyed bijection as well. O(n) once, O(buckets) a new epoch, O(batch_size) a
batch.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from .. import _core
from .._base.checks import check_bool, check_integer, index_array
from .._base.types import CodeArray, IndexArray
from ..labels.boundaries import (
    ascending_codes,
    bucket_codes,
    count_lengths,
    longest_of_buckets,
    quantile_boundaries,
)
from ..labels.numbering import first_row
from ..plans.plan import Plan
from ..reports.group_report import bucket_entries
from ..reports.plan_report import Sample
from .base import Batching
from .keyed import KeyedStrategy

__all__ = ["Bucketed"]

_LISTED_BOUNDARIES = 32


@dataclass(frozen=True, eq=False, repr=False)
class Bucketed(KeyedStrategy):
    """Each batch holds rows of one bucket, every row comes once, and each epoch shuffles them anew.

    Parameters
    ----------
    keys : array-like, shape (n,)
        One a row of the whole or of ``indices``. Integers of any range, strings, objects that hash and pandas
        columns are buckets as they are; with one of the options below they are lengths, which must be
        integers. C-contiguous signed integer arrays are borrowed.
    boundaries : sequence of int, optional, keyword-only
        Strictly increasing. A row is in bucket ``number of boundaries <= its length``: ``[10, 20]`` makes
        buckets of lengths below 10, 10 to 19, and 20 and above.
    n_buckets : int, optional, keyword-only
        So many buckets of about equally many rows, or as many as there are different lengths if these are
        fewer. From short to long, each bucket ends at the length that brings it nearest to its equal share of
        the rows left, the shorter of two; rows of equal length stay together. Taken over the rows that are
        chosen among. Not together with ``boundaries``.
    max_tokens : int, optional, keyword-only
        At most so much of padded length in a batch: batches of a bucket have
        ``min(batch_size, max_tokens // longest row of the bucket)`` rows. At least the longest of all rows.
    shuffle : bool, keyword-only
        False: buckets in ascending order of key and their rows in order, every epoch alike. Keys count by
        value where they are integers that all fit int64 or all fit uint64, or an array of times; categoricals
        by the order of their categories, all others by first appearance. Costs O(n log n) once where keys are
        integers that span more than twice the number of rows.
    missing : {"error", "drop"}, keyword-only
        Whether a missing key (None, NaN, -1 of a categorical) is refused, or its row left out; the latter
        takes floats for integers with gaps.
    indices : array-like of int, optional, keyword-only
        The rows to choose among, strictly increasing. Borrowed if a C-contiguous int64 array, else copied
        once.

    Raises
    ------
    TypeError
        If an argument is of a wrong type; keys must not be booleans, floats or unhashable objects, and must
        be integers where they are lengths.
    ValueError
        If an argument is out of range; a missing key, a negative length or one above ``max_tokens`` is named.

    Notes
    -----
    Making the strategy reads the keys, its first plan groups the rows: O(n). After that an epoch costs
    O(buckets). Each bucket ends with a batch that may be shorter; ``drop_last=True`` leaves those out. The
    same version gives the same batches on every platform; equal keys of any integer type give equal batches.
    No other thread must write to the keys or ``indices`` while the strategy or a plan of it is being made;
    later changes are harmless.

    Examples
    --------
    >>> import tombola
    >>> lengths = [3, 60, 4, 2, 60, 3, 60]
    >>> plan = tombola.Bucketed(lengths, boundaries=[10], max_tokens=120).plan(batch_size=4)
    >>> sorted(sorted(lengths[row] for row in batch) for batch in plan)
    [[2, 3, 3, 4], [60], [60, 60]]
    """

    keys: Any
    boundaries: npt.ArrayLike | None = field(default=None, kw_only=True)
    n_buckets: int | None = field(default=None, kw_only=True)
    max_tokens: int | None = field(default=None, kw_only=True)
    shuffle: bool = field(default=True, kw_only=True)

    _key_name = "keys"
    _group_name = "bucket"

    def __post_init__(self) -> None:
        for name in ("n_buckets", "max_tokens"):
            value = getattr(self, name)
            self._set(**{name: None if value is None else check_integer(name, value, minimum=1)})
        self._set(shuffle=check_bool("shuffle", self.shuffle))
        if self.boundaries is not None:
            self._set(boundaries=_boundary_tuple(self.boundaries))
            if self.n_buckets is not None:
                msg = "give boundaries or n_buckets, but not both: n_buckets makes boundaries of its own"
                raise ValueError(msg)
        super().__post_init__()
        self._check_lengths()

    def sizes_vary(self, *, drop_last: bool) -> bool:
        """Tell whether batches other than the last may hold fewer rows than ``batch_size``."""
        return self.max_tokens is not None or not drop_last

    def _check_lengths(self) -> None:
        asked, keys = self._length_option(), self._keys()
        if asked is not None and not keys.are_numbers:
            msg = f"keys must be integers below 2**63 with {asked}=, but keys[0] is {keys.name_of(0)}"
            raise TypeError(msg)
        if self.max_tokens is None:
            return
        lengths = self._chosen_codes()
        low, high = int(lengths.min()), int(lengths.max())
        if low < 0:
            row = self._row_of(lengths < 0)
            came = f"keys[{self._key_row(row)}] = {keys.name_of(row)}"
            msg = f"keys must be lengths >= 0 with max_tokens=, but {came}"
            raise ValueError(msg)
        if high > self.max_tokens:
            row = self._row_of(lengths == high)
            came = f"is {self.max_tokens}, and keys[{self._key_row(row)}] = {high}"
            msg = f"max_tokens must be at least the longest row, but {came}"
            raise ValueError(msg)

    def _length_option(self) -> str | None:
        """Return the option by which keys are lengths; None where they are buckets as they are."""
        options = ("boundaries", "n_buckets", "max_tokens")
        return next((name for name in options if getattr(self, name) is not None), None)

    def _row_of(self, chosen: npt.NDArray[np.bool_]) -> int:
        """Return where in the keys the first of the rows chosen among is for which this holds."""
        first = first_row(chosen)
        indices = self._indices
        return first if indices is None or self._is_subset_key else int(indices[first])

    def _cut(self) -> tuple[tuple[int, ...], IndexArray] | None:
        """Return the boundaries between buckets and the longest row of each; None where keys are buckets.

        Without ``max_tokens`` nobody asks how long rows are.
        """
        cuts, n_buckets = cast("tuple[int, ...] | None", self.boundaries), self.n_buckets
        if cuts is None and n_buckets is None:
            return None

        def cut() -> tuple[tuple[int, ...], IndexArray]:
            if cuts is not None and self.max_tokens is None:
                return cuts, np.empty(0, dtype=np.int64)
            distinct, counts = count_lengths(self._chosen_codes())
            made = quantile_boundaries(distinct, counts, n_buckets or 1) if cuts is None else cuts
            return made, longest_of_buckets(distinct, made)

        return self._once("cut", cut)

    def _group_codes(self) -> CodeArray:
        cut, codes = self._cut(), self._chosen_codes()
        if cut is not None:
            codes = bucket_codes(codes, cut[0])
        return codes if self.shuffle else ascending_codes(codes, are_bits=self._keys().are_bits)

    def _name_of(self, row: IndexArray) -> Any:
        cut = self._cut()
        if cut is None:
            return super()._name_of(row)
        return int(bucket_codes(self._keys().codes[self._positions(row)], cut[0])[0])

    def _longest(self) -> IndexArray:
        """Return the longest row of each group, which decides how it is cut into batches."""

        def longest() -> IndexArray:
            of_firsts = self._keys().codes[self._positions(self._groups().firsts())].astype(np.int64)
            cut = self._cut()
            return of_firsts if cut is None else cut[1][bucket_codes(of_firsts, cut[0])]

        return self._once("longest", longest)

    def _batch_sizes(self, batch_size: int) -> IndexArray | None:
        if self.max_tokens is None:
            return None
        longest = self._longest()
        affordable = self.max_tokens // np.maximum(longest, 1)
        affordable[longest <= 0] = batch_size
        sizes: IndexArray = np.clip(affordable, 1, batch_size)  # 1: keys may have changed since the check
        return sizes

    def _make(self, rows: int, options: Batching) -> _core.Plan:
        return _core.plan_buckets(
            self._groups(),
            batch_sizes=self._batch_sizes(options["batch_size"]),
            shuffle=self.shuffle,
            **options,
        )

    def _hashes(self) -> dict[str, Any]:
        return {**super()._hashes(), "boundaries": self._plain_boundaries(), "longest_rows": self._lengths()}

    def _lengths(self) -> str | None:
        """Return a hash of the longest rows, where they decide."""
        return None if self.max_tokens is None else f"{_core.hash_array(self._longest()):016x}"

    def _compared(self) -> Iterator[object]:
        return iter((*super()._compared(), self._lengths()))

    def describe(self) -> dict[str, Any]:
        """Return the class and its options, in a form that JSON can hold; keys by kind and length."""
        return {**super().describe(), "boundaries": self._plain_boundaries()}

    def _plain_boundaries(self) -> list[int] | str | None:
        cuts = cast("tuple[int, ...] | None", self.boundaries)
        if cuts is None or len(cuts) <= _LISTED_BOUNDARIES:
            return None if cuts is None else list(cuts)
        return f"{len(cuts)} of hash {_core.hash_array(np.array(cuts, dtype=np.int64)):016x}"

    def _report_entries(self, plan: Plan, sample: Sample) -> dict[str, Any]:
        keys, cut = self._keys(), self._cut()
        lengths = keys.codes[self._positions(sample.rows)].astype(np.int64)
        are_lengths = self._length_option() is not None and int(lengths.min()) >= 0
        return bucket_entries(
            sample,
            buckets=lengths if cut is None else bucket_codes(lengths, cut[0]),
            n_buckets=self._groups().n_groups,
            lengths=lengths if are_lengths else None,
        )


def _boundary_tuple(boundaries: npt.ArrayLike) -> tuple[int, ...]:
    array = index_array("boundaries", boundaries)
    falls = array[1:] <= array[:-1]  # differences would wrap
    if falls.any():
        at = first_row(falls) + 1
        came = f"boundaries[{at}] = {array[at]} follows {array[at - 1]}"
        msg = f"boundaries must be strictly increasing, but {came}"
        raise ValueError(msg)
    return tuple(array.tolist())
