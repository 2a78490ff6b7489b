"""Few batches of very many rows, so that layers are more than a plan keeps the shuffles of."""

import numpy as np
import pytest

from tombola import SeriesRoundRobin


@pytest.mark.parametrize("batch_size", [4_095, 4_096, 4_097, 5_000])
def test_parts_equal_the_whole(batch_size: int) -> None:
    ids = np.tile(np.arange(batch_size), 3)
    plan = SeriesRoundRobin(ids).plan(batch_size=batch_size, fetch_factor=1, seed=1, epoch=0)
    rows, offsets = plan.batches(0, len(plan))
    assert offsets.tolist() == [0, batch_size, 2 * batch_size, 3 * batch_size]
    assert np.array_equal(np.sort(rows), np.arange(len(ids)))
    for k in range(3):
        batch, _ = plan.batches(k, k + 1)
        assert np.array_equal(batch, rows[offsets[k] : offsets[k + 1]])
        assert len(np.unique(ids[batch])) == batch_size
