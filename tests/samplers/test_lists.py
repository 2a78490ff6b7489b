"""Batches as lists of Python's own integers, which DataLoader wants."""

from typing import Any

import numpy as np
import pytest

from tombola import BlockShuffling, Bucketed, PlanBatchSampler, SeriesRoundRobin
from tombola._core import as_lists
from tombola.plans.lists import LIST_ROWS
from tombola.strategies import Strategy

N = 5_000
ROWS = np.arange(10, 20)
OFFSETS = np.array([0, 3, 3, 7, 10])


@pytest.mark.parametrize("batch_size", [1, 7, LIST_ROWS, 3 * LIST_ROWS])
@pytest.mark.parametrize("world_size", [1, 3])
@pytest.mark.parametrize(
    "strategy",
    [
        BlockShuffling(16),
        SeriesRoundRobin(np.arange(N) // 3),
        Bucketed(np.arange(N) % 90, n_buckets=4),
    ],
    ids=["blocks", "series", "buckets"],
)
def test_lists_are_the_arrays(strategy: Strategy, world_size: int, batch_size: int) -> None:
    options: Any = {
        "batch_size": batch_size,
        "fetch_factor": 4,
        "seed": 3,
        "rank": 0,
        "world_size": world_size,
    }
    lists = list(PlanBatchSampler(strategy, N, even="pad", **options))
    arrays = list(PlanBatchSampler(strategy, N, even="pad", as_array=True, **options))
    assert lists == [rows.tolist() for rows in arrays]
    assert {type(rows) for rows in lists} == {list}
    assert {type(row) for rows in lists for row in rows} == {int}


@pytest.mark.parametrize(
    ("first", "stop", "step", "expected"),
    [
        (0, 4, 1, [[10, 11, 12], [], [13, 14, 15, 16], [17, 18, 19]]),
        (0, 4, 2, [[10, 11, 12], [13, 14, 15, 16]]),
        (1, 4, 2, [[], [17, 18, 19]]),
        (3, 4, 9, [[17, 18, 19]]),
        (2, 2, 1, []),
        (4, 2, 1, []),
    ],
)
def test_which_batches(first: int, stop: int, step: int, expected: list[list[int]]) -> None:
    assert as_lists(ROWS, OFFSETS, first, stop, step) == expected


@pytest.mark.parametrize(
    ("first", "stop", "step", "message"),
    [
        (0, 5, 1, "stop must be less than the number of offsets, 5, but is 5"),
        (-1, 2, 1, "first must be an integer >= 0, but is -1"),
        (0, 2, 0, "step must be an integer >= 1, but is 0"),
    ],
)
def test_batches_that_are_not_there(first: int, stop: int, step: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        as_lists(ROWS, OFFSETS, first, stop, step)


@pytest.mark.parametrize("offsets", [[0, 11], [-1, 3], [5, 3]])
def test_offsets_that_do_not_fit(offsets: list[int]) -> None:
    with pytest.raises(ValueError, match="offsets must rise from 0 to the number of rows, 10"):
        as_lists(ROWS, np.array(offsets), 0, 1, 1)


def test_largest_rows() -> None:
    rows = np.array([0, 2**30, 2**61, -(2**63)])
    assert as_lists(rows, np.array([0, 4]), 0, 1, 1) == [rows.tolist()]
