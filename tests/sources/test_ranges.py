"""Gathering ranges, by slices and by an index array."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tombola.sources import ranges as range_reader
from tombola.sources.ranges import gather_ranges

RANGES = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 10)), max_size=30)


@pytest.mark.parametrize("slice_bytes", [0, 1 << 40], ids=["slices", "index"])
@pytest.mark.parametrize("shape", [(50,), (50, 3)])
@pytest.mark.parametrize("cast", [False, True])
@given(ranges=RANGES)
def test_ranges_follow_each_other(
    slice_bytes: int, shape: tuple[int, ...], cast: bool, ranges: list[tuple[int, int]]
) -> None:
    values = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
    starts = np.array([a for a, _ in ranges], dtype=np.int64)
    lengths = np.array([b for _, b in ranges], dtype=np.int64)
    where = [i for a, b in ranges for i in range(a, a + b)]
    out = np.empty((len(where), *shape[1:]), dtype=np.float32) if cast else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(range_reader, "SLICE_BYTES", slice_bytes)
        found = gather_ranges(values, starts, lengths, out)
    assert found.dtype == (np.float32 if cast else np.int32)
    assert out is None or found is out
    np.testing.assert_array_equal(found, values[where])
