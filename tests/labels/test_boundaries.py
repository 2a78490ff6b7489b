"""Buckets of lengths: each function against a slow count over sorted lists."""

from bisect import bisect_left, bisect_right
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tombola.labels.boundaries import bucket_codes, count_lengths, longest_of_buckets, quantile_boundaries

N = 2**16 + 100  # more than one chunk
ROWS = np.arange(N)
LENGTHS: dict[str, Any] = {
    "one": np.array([7], dtype=np.int16),
    "equal": np.full(50, -3, dtype=np.int8),
    "all bytes": np.arange(-128, 128).astype(np.int8),
    "ends of int64": np.array([-(2**63), 0, 2**63 - 1, 0], dtype=np.int64),
    "small range": (ROWS * 40503 % 97 + 2**31 - 200).astype(np.int32),
    "skewed": (ROWS * 7919 % 1000) ** 2 // 5000,
    "wide": ROWS * 2654435761 % 2**40 - 2**30,
    "just a table": np.append(ROWS % 1000, 2**20 - 1),
    "just none": np.append(ROWS % 1000, 2**20),
}
every_kind = pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS.keys())


@every_kind
def test_counts(lengths: Any) -> None:
    distinct, counts = count_lengths(lengths)
    assert distinct.dtype == counts.dtype == np.int64
    expected = sorted(Counter(lengths.tolist()).items())
    assert list(zip(distinct.tolist(), counts.tolist(), strict=True)) == expected


@every_kind
@pytest.mark.parametrize("n_boundaries", [0, 1, 3, 127, 128, 300])
def test_codes(lengths: Any, n_boundaries: int) -> None:
    values = sorted(set(lengths.tolist()))
    cuts = sorted({values[i * len(values) // max(1, n_boundaries)] + i % 2 for i in range(n_boundaries)})
    cuts = [cut for cut in cuts if cut < 2**63]
    codes = bucket_codes(lengths, cuts)
    assert codes.dtype == (np.int8 if len(cuts) < 128 else np.int16)
    assert codes.tolist() == [bisect_right(cuts, length) for length in lengths.tolist()]


def test_many_buckets_take_wider_codes() -> None:
    lengths = np.arange(2**15 + 10)
    codes = bucket_codes(lengths, range(1, 2**15 + 5))
    assert codes.dtype == np.int32
    assert codes.max() == 2**15 + 4


@every_kind
def test_longest(lengths: Any) -> None:
    distinct, _ = count_lengths(lengths)
    cuts = [int(distinct[i]) for i in range(0, len(distinct), 3)]
    longest = longest_of_buckets(distinct, cuts).tolist()
    assert len(longest) == len(cuts) + 1
    ordered = sorted(lengths.tolist())
    for bucket in set(bucket_codes(lengths, cuts).tolist()):
        end = len(ordered) if bucket == len(cuts) else bisect_left(ordered, cuts[bucket])
        assert longest[bucket] == ordered[end - 1]


def slow_quantiles(lengths: list[int], n_buckets: int) -> list[int]:
    """Return the boundaries by the rule, trying every length."""
    ordered = sorted(lengths)
    values = sorted(set(lengths))
    n_buckets = min(n_buckets, len(values))
    boundaries: list[int] = []
    taken = 0
    for left in range(n_buckets, 1, -1):
        rest = [value for value in values if bisect_left(ordered, value) >= taken]
        candidates = rest[1 : len(rest) - left + 2]  # the lengths at which the next bucket may begin

        def off(value: int, left: int = left, taken: int = taken) -> int:
            return abs((bisect_left(ordered, value) - taken) * left - (len(ordered) - taken))

        boundaries.append(min(candidates, key=off))
        taken = bisect_left(ordered, boundaries[-1])
    return boundaries


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.lists(st.integers(-3, 20), min_size=1, max_size=60), st.integers(1, 25))
def test_quantiles_follow_the_rule(lengths: list[int], n_buckets: int) -> None:
    boundaries = quantile_boundaries(*count_lengths(np.array(lengths)), n_buckets)
    assert list(boundaries) == slow_quantiles(lengths, n_buckets)
    assert len(set(bucket_codes(np.array(lengths), boundaries).tolist())) == min(n_buckets, len(set(lengths)))


@pytest.mark.parametrize(
    ("counts", "n_buckets", "boundaries"),
    [
        ([10, 10, 10, 10], 2, (2,)),
        ([10, 10, 10, 10], 4, (1, 2, 3)),
        ([10, 10, 10, 10], 9, (1, 2, 3)),
        ([60, 40], 2, (1,)),
        ([90, 5, 5], 3, (1, 2)),
        ([5, 5, 90], 2, (2,)),
        ([5, 10, 5], 2, (1,)),  # both ends are as near: the shorter
        ([100], 5, ()),
        ([1, 1, 1, 1, 96, 1, 1], 3, (4, 5)),
    ],
)
def test_quantiles_by_hand(counts: list[int], n_buckets: int, boundaries: tuple[int, ...]) -> None:
    distinct = np.arange(len(counts))
    assert quantile_boundaries(distinct, np.array(counts), n_buckets) == boundaries


@pytest.mark.parametrize("n_buckets", [2, 10, 100])
def test_different_lengths_make_buckets_of_equally_many_rows(n_buckets: int) -> None:
    lengths = ROWS * 3
    codes = bucket_codes(lengths, quantile_boundaries(*count_lengths(lengths), n_buckets))
    sizes = np.bincount(codes)
    assert len(sizes) == n_buckets
    assert set(sizes.tolist()) <= {N // n_buckets, -(-N // n_buckets)}
