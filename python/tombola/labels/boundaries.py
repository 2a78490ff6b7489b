"""Buckets: where to cut lengths, which bucket one is in, its longest row; codes that stand in order of key.

Everything is integers. Lengths of a small range are counted and looked up in tables, O(n + range), in chunks
that stay in the cache; others are sorted and searched, O(n log n).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.types import CodeArray, IndexArray
from .numbering import code_type, compact_codes

__all__ = ["ascending_codes", "bucket_codes", "count_lengths", "longest_of_buckets", "quantile_boundaries"]

_CHUNK = 2**16
_SMALL_RANGE = 2**20
"""Tables of so many lengths are made whatever the number of rows."""

_LARGEST_RANGE = 2**24


def count_lengths(lengths: CodeArray) -> tuple[IndexArray, IndexArray]:
    """Return the distinct lengths, ascending, and how many rows have each.

    Parameters
    ----------
    lengths : ndarray of int8, int16, int32 or int64, shape (n,), n >= 1
    """
    low, width = _range(lengths)
    if width > _table_limit(lengths):
        distinct, counts = np.unique(lengths, return_counts=True)
        return distinct.astype(np.int64), counts.astype(np.int64)
    counted = np.zeros(width, dtype=np.int64)
    chunk = max(_CHUNK, width // 4)  # to add up what a chunk counted costs as much as the range is wide
    for start in range(0, len(lengths), chunk):
        part = np.subtract(lengths[start : start + chunk], low, dtype=np.int64)
        found = np.bincount(np.clip(part, 0, width - 1, out=part))
        counted[: len(found)] += found
    present = np.flatnonzero(counted)
    return present + low, counted[present]


def quantile_boundaries(distinct: IndexArray, counts: IndexArray, n_buckets: int) -> tuple[int, ...]:
    """Return the lengths at which buckets of about equally many rows begin, but for the first bucket.

    From short to long, each bucket ends where it comes nearest to its equal share of the rows that are left,
    rows over buckets left; of two such ends the shorter counts. Equal lengths stay together, a bucket has at
    least one length and leaves one for each bucket after it, so there are ``min(n_buckets, distinct)``.
    O(n_buckets * log distinct).
    """
    ends = np.cumsum(counts)
    n = int(ends[-1])
    boundaries: list[int] = []
    begun = taken = 0  # lengths and rows of the buckets so far
    for left in range(min(n_buckets, len(distinct)), 1, -1):
        target = taken * left + n - taken  # the ideal end, times `left`
        least, most = begun + 1, len(distinct) - left + 1
        upper = int(np.searchsorted(ends, -(-target // left))) + 1
        tried = [min(max(end, least), most) for end in (upper - 1, upper)]
        begun = min(tried, key=lambda end: abs(int(ends[end - 1]) * left - target))
        taken = int(ends[begun - 1])
        boundaries.append(int(distinct[begun]))
    return tuple(boundaries)


def bucket_codes(lengths: CodeArray, boundaries: Sequence[int]) -> CodeArray:
    """Return the bucket of each row: the number of boundaries that are at most its length.

    Parameters
    ----------
    lengths : ndarray of int8, int16, int32 or int64, shape (n,), n >= 1
    boundaries : sequence of int, strictly increasing

    Returns
    -------
    ndarray of the smallest signed integer type that holds them, shape (n,)
    """
    cuts = np.array(boundaries, dtype=np.int64)
    codes: npt.NDArray[Any] = np.empty(len(lengths), dtype=code_type(len(cuts) + 1))
    low, width = _range(lengths)
    table: npt.NDArray[np.signedinteger[Any]] | None = None
    if width <= _table_limit(lengths):
        table = np.searchsorted(cuts, np.arange(low, low + width), side="right").astype(codes.dtype)
    for start in range(0, len(lengths), _CHUNK):
        part, out = lengths[start : start + _CHUNK], codes[start : start + _CHUNK]
        if table is None:
            out[:] = np.searchsorted(cuts, part.astype(np.int64, copy=False), side="right")
        else:
            table.take(np.subtract(part, low, dtype=np.int64), out=out, mode="clip")
    return codes


def ascending_codes(codes: CodeArray, *, are_bits: bool = False) -> CodeArray:
    """Return codes that the core groups in ascending order of key: others only where keys are far apart.

    Parameters
    ----------
    codes : ndarray of int8, int16, int32 or int64, shape (n,), n >= 1
    are_bits : bool
        Whether they are the bits of uint64 keys.

    Notes
    -----
    The core keeps the order of keys that span less than 2n, O(n) to see; others are numbered, O(n log n).
    """
    if not are_bits and _range(codes)[1] <= 2 * len(codes):
        return codes
    keys: npt.NDArray[Any] = codes.view(np.uint64) if are_bits else codes
    distinct, inverse = np.unique(keys, return_inverse=True)
    return compact_codes(inverse, len(distinct))


def longest_of_buckets(distinct: IndexArray, boundaries: Sequence[int]) -> IndexArray:
    """Return the longest length of each bucket; of one without rows, whatever is longest before it."""
    ends = np.searchsorted(distinct, np.array(boundaries, dtype=np.int64), side="left")
    longest: IndexArray = distinct[np.maximum(np.append(ends, len(distinct)) - 1, 0)]
    return longest


def _range(lengths: CodeArray) -> tuple[int, int]:
    """Return the shortest length, and how many there are from it to the longest."""
    low = int(lengths.min())
    return low, int(lengths.max()) - low + 1


def _table_limit(lengths: CodeArray) -> int:
    return max(_SMALL_RANGE, min(2 * len(lengths), _LARGEST_RANGE))
