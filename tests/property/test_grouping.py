"""Grouping by the core equals the oracle: any dtype, any keys, subsets, 32-bit and 64-bit members."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hypothesis_numpy
from numpy.typing import NDArray

from tests import oracle
from tests.cases import KEY_DTYPES, deal
from tests.oracle.permutations import I64
from tests.property.searches import searching
from tombola import _core

search = searching(300)


def check_groups(keys: NDArray[Any], indices: I64 | None = None, *, wide: bool = False) -> _core.Groups:
    """Check everything that groups say, and return them."""
    groups, expected = _core.Groups.from_keys(keys, indices=indices, wide=wide), oracle.group(keys, indices)
    assert (groups.n, groups.n_groups) == (len(keys), len(expected))
    assert groups.largest == expected.counts.max()
    np.testing.assert_array_equal(groups.offsets(), expected.offsets, strict=True)
    np.testing.assert_array_equal(groups.members(), expected.members, strict=True)
    np.testing.assert_array_equal(groups.firsts(), expected.firsts, strict=True)
    return groups


@st.composite
def any_keys(draw: st.DrawFn) -> NDArray[Any]:
    """Return keys of any dtype: all over it, near each other anywhere, or few that come often."""
    dtype = draw(st.sampled_from(KEY_DTYPES))
    limits = np.iinfo(dtype)
    n = draw(st.integers(1, 300))
    if draw(st.booleans()):
        width = draw(st.integers(0, 3 * n))
        least = draw(st.integers(limits.min, max(limits.min, limits.max - width)))
        values = st.integers(least, min(least + width, limits.max))
    else:
        values = st.integers(limits.min, limits.max)
    if draw(st.booleans()):
        values = st.sampled_from(draw(st.lists(values, min_size=1, max_size=9)))
    return draw(hypothesis_numpy.arrays(dtype, n, elements=values))


@given(keys=any_keys(), step=st.integers(1, 10**6), wide=st.booleans())
@search
def test_any_keys(keys: NDArray[Any], step: int, wide: bool) -> None:
    whole = check_groups(keys, wide=wide)
    chosen = np.cumsum(1 + np.arange(len(keys)) * step % 9)
    subset = check_groups(keys, chosen, wide=wide)
    check_groups(keys, chosen + 2**40, wide=wide)
    assert subset.fingerprint != whole.fingerprint


@pytest.mark.parametrize("dtype", KEY_DTYPES)
def test_ends_of_a_dtype(dtype: str) -> None:
    least, largest = np.iinfo(dtype).min, np.iinfo(dtype).max
    for keys in ([least], [largest], [largest, least], [least, -1, 0, 1, largest, largest, least], [0] * 5):
        check_groups(np.array(keys, dtype=dtype))


@pytest.mark.parametrize("n", [2, 3, 10, 1000, 70001])
@pytest.mark.parametrize("least", [-(2**63), -5, 2**40])
def test_where_the_order_changes(n: int, least: int) -> None:
    """Keys that span fewer than 2n are ordered as they are, others by their mixed distance."""
    for span in (2 * n - 1, 2 * n, 2 * n + 1):
        keys = least + np.arange(n)[::-1] // 2
        keys[n // 2] = least + span
        check_groups(keys)


def make_keys(kind: str, n: int) -> NDArray[Any]:
    i = np.arange(n)
    scattered = (i.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)).view(np.int64)
    return {
        "dense": i * 7919 % 30011 - 77,
        "all-alone": deal(n) - n // 2,
        "all-alone-scattered": scattered,
        "one": i * 0 + 2**62,
        "dominant": np.where(i % 5 > 0, 4, i),
        "dominant-scattered": np.where(i % 5 > 0, -4, scattered),
        "sorted": i // 3,
        "few-far-apart": i * 7919 % 11 * 2**59 - 2**62,
        "bytes": (i * i % 251 - 128).astype(np.int8),
        "shorts": (i * i % 65521 - 2**15).astype(np.int16),
        "ints": (i * i % 65521 * 30011 - 2**30).astype(np.int32),
    }[kind]


KINDS = (
    *("dense", "all-alone", "all-alone-scattered", "one", "dominant", "dominant-scattered"),
    *("sorted", "few-far-apart", "bytes", "shorts", "ints"),
)


@pytest.mark.parametrize("n", [65537, 2**20 + 12345])
@pytest.mark.parametrize("kind", KINDS)
def test_many_rows_with_any_number_of_threads(kind: str, n: int) -> None:
    keys = make_keys(kind, n)
    expected = oracle.group(keys)
    before = _core.get_num_threads()
    fingerprints = set()
    try:
        for threads in (1, 4, 7):
            _core.set_num_threads(threads)
            for wide in (False, True):
                groups = _core.Groups.from_keys(keys, wide=wide)
                np.testing.assert_array_equal(groups.offsets(), expected.offsets)
                np.testing.assert_array_equal(groups.members(), expected.members)
                np.testing.assert_array_equal(groups.firsts(), expected.firsts)
                assert groups.largest == expected.counts.max()
                fingerprints.add((wide, groups.fingerprint))
    finally:
        _core.set_num_threads(before)
    assert len(fingerprints) == 2  # one for each width of members


def test_the_dtype_of_keys_does_not_matter() -> None:
    keys = np.arange(1000) * 31 % 100 - 50
    groups = [check_groups(keys.astype(dtype)) for dtype in KEY_DTYPES]
    assert len({group.fingerprint for group in groups}) == 1


def test_fingerprints_tell_groups_apart() -> None:
    """Same members or same offsets, but not both."""
    keys = np.arange(90) // 3
    swapped, merged = keys.copy(), keys.copy()
    swapped[[4, 80]] = keys[[80, 4]]
    merged[merged == 11] = 12
    assert len({check_groups(k).fingerprint for k in (keys, swapped, merged, keys[:-1])}) == 4


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "uint64", "bool"])
def test_keys_of_other_dtypes_are_refused(dtype: str) -> None:
    with pytest.raises(TypeError):
        _core.Groups.from_keys(np.ones(5, dtype=dtype))


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        _core.Groups.from_keys(np.array([], dtype=np.int64))
    with pytest.raises(ValueError, match=r"4.*3|3.*4"):
        _core.Groups.from_keys(np.arange(4), indices=np.arange(3))
