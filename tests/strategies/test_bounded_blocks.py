"""`BlockShuffling(bounds=...)`: every option reaches the core, what blocks are, and what is refused."""

import itertools
import math
import pickle
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tombola
from tests import oracle
from tombola import ArraySource, BlockShuffling, Loader, PlanBatchSampler

N = 103
BOUNDS = np.array([0, 1, 2, 19, 20, 61, 62, 90, 102, N])
INDICES = np.flatnonzero(np.arange(N) * 40503 % 97 < 40)

search = settings(deadline=None, derandomize=True, max_examples=300, database=None)


def equal_bounds(n: int, block_size: int) -> list[int]:
    return [*range(0, n, block_size), n] if n else [0]


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("indices", [None, INDICES], ids=["all", "subset"])
def test_every_option_reaches_the_core(indices: Any, drop_last: bool) -> None:
    options: dict[str, Any] = {
        "batch_size": 5,
        "fetch_factor": 3,
        "drop_last": drop_last,
        "seed": 8,
        "epoch": 2,
    }
    plan = BlockShuffling(bounds=BOUNDS, indices=indices).plan(**options)
    expected = oracle.bounded_blocks(oracle.Batching(**options), bounds=BOUNDS, indices=indices)
    assert [batch.tolist() for batch in plan] == [expected.batch(k).tolist() for k in range(len(expected))]


def runs_of_blocks(strategy: BlockShuffling, epoch: int) -> list[list[int]]:
    """Return the blocks in the order in which they come: windows of a row leave it to be seen."""
    rows = strategy.plan(batch_size=1, seed=3, epoch=epoch).indices()
    block_of = np.searchsorted(np.asarray(strategy.bounds), rows, side="right")
    pairs = zip(block_of.tolist(), rows.tolist(), strict=True)
    return [[row for _, row in run] for _, run in itertools.groupby(pairs, lambda pair: pair[0])]


@pytest.mark.parametrize(
    "indices", [None, INDICES, [0], [N - 1], []], ids=["all", "some", "first", "last", "none"]
)
def test_blocks_are_the_rows_between_bounds(indices: Any) -> None:
    chosen = np.arange(N) if indices is None else np.asarray(indices, dtype=np.int64)
    parts = np.split(chosen, np.searchsorted(chosen, BOUNDS))
    expected = Counter(tuple(part.tolist()) for part in parts if len(part))
    for epoch in range(20):
        found = runs_of_blocks(BlockShuffling(bounds=BOUNDS, indices=indices), epoch)
        assert Counter(map(tuple, found)) == expected


@pytest.mark.parametrize("n", [0, 1, 2, 16, 17, 103, 70_000])
@pytest.mark.parametrize("block_size", [1, 2, 16, 1000])
def test_equal_blocks_give_the_batches_of_that_block_size(n: int, block_size: int) -> None:
    for fetch_factor, drop_last in ((1, True), (7, False)):
        options: dict[str, Any] = {"batch_size": 9, "fetch_factor": fetch_factor, "drop_last": drop_last}
        bounded = BlockShuffling(bounds=equal_bounds(n, block_size)).plan(n, **options, seed=4)
        assert np.array_equal(
            bounded.indices(), BlockShuffling(block_size).plan(n, **options, seed=4).indices()
        )


@st.composite
def bounded(draw: st.DrawFn) -> BlockShuffling:
    """Return any small strategy of this kind."""
    lengths = draw(st.lists(st.integers(1, 40), max_size=80))
    bounds = np.cumsum([0, *lengths])
    if draw(st.booleans()):
        return BlockShuffling(bounds=bounds)
    kept = draw(st.lists(st.integers(0, max(0, int(bounds[-1]) - 1)), unique=True)) if lengths else []
    return BlockShuffling(bounds=bounds, indices=sorted(kept))


@given(
    strategy=bounded(),
    batch_size=st.integers(1, 50),
    fetch_factor=st.integers(1, 5),
    drop_last=st.booleans(),
    seed=st.integers(0, 2**63 - 1),
    data=st.data(),
)
@search
def test_any_bounds(
    strategy: BlockShuffling, batch_size: int, fetch_factor: int, drop_last: bool, seed: int, data: Any
) -> None:
    options: dict[str, Any] = {
        "batch_size": batch_size,
        "fetch_factor": fetch_factor,
        "drop_last": drop_last,
        "seed": seed,
    }
    plan = strategy.plan(**options)
    how = oracle.Batching(**options)
    expected = oracle.bounded_blocks(how, bounds=np.asarray(strategy.bounds), indices=strategy.indices)
    assert plan.indices().tolist() == expected.rows.tolist()
    if len(plan):
        start = data.draw(st.integers(0, len(plan)))
        stop = data.draw(st.integers(start, len(plan)))
        rows = plan.batches(start, stop)[0]
        assert rows.tolist() == expected.rows[expected.offset(start) : expected.offset(stop)].tolist()


def test_all_orders_of_few_blocks_come() -> None:
    strategy = BlockShuffling(bounds=[0, 1, 3, 7, 8])
    orders = {tuple(run[0] for run in runs_of_blocks(strategy, epoch)) for epoch in range(400)}
    assert len(orders) == math.factorial(4)


def test_bounds_tell_the_number_of_rows() -> None:
    strategy = BlockShuffling(bounds=BOUNDS)
    assert strategy.plan(batch_size=4).n_rows == strategy.plan(N, batch_size=4).n_rows == N
    with pytest.raises(
        ValueError, match=r"^bounds must end with the number of rows, n = 104, but end with 103$"
    ):
        strategy.plan(104, batch_size=4)
    with pytest.raises(ValueError, match="n = 50, but end with 103"):
        Loader(ArraySource(np.zeros((50, 1))), strategy, 4)
    assert len(PlanBatchSampler(strategy, batch_size=4)) == 26


@pytest.mark.parametrize(
    ("bounds", "error", "message"),
    [
        ([], ValueError, "bounds must go from 0 to the number of rows, but are empty"),
        ([1, 5], ValueError, "bounds must begin with 0, but begin with 1"),
        ([-1, 5], ValueError, "bounds must begin with 0, but begin with -1"),
        ([0, 5, 5], ValueError, "bounds must be strictly increasing, but bounds[2] = 5 follows 5"),
        ([0, 5, 4], ValueError, "bounds must be strictly increasing, but bounds[2] = 4 follows 5"),
        ([0, 2**61 + 1], ValueError, f"bounds must end with at most 2**61 rows, but end with {2**61 + 1}"),
        ([0.0, 5.0], TypeError, "bounds must be integers, but the dtype is float64"),
        ([False, True], TypeError, "bounds must be integers, but the dtype is bool: np.flatnonzero turns a "),
        ([[0, 5]], ValueError, "bounds must be one-dimensional, but the shape is (1, 2)"),
        (16, ValueError, "bounds must be one-dimensional, but is one int"),
        ("file", ValueError, "bounds must be one-dimensional, but is one str"),
    ],
)
def test_wrong_bounds(bounds: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        BlockShuffling(bounds=bounds)
    assert str(caught.value).startswith(message)


def test_what_does_not_go_together() -> None:
    with pytest.raises(ValueError, match=r"^block_size must be left out where bounds are given, but is 8$"):
        BlockShuffling(8, bounds=BOUNDS)
    with pytest.raises(ValueError, match=r"^indices must lie in \[0, 103\), but indices\[1\] = 103$"):
        BlockShuffling(bounds=BOUNDS, indices=[0, 103])


def test_bounds_that_change_never_lead_out_of_bounds() -> None:
    bounds, indices = BOUNDS.copy(), INDICES.copy()
    strategies = [BlockShuffling(bounds=bounds), BlockShuffling(bounds=bounds, indices=indices)]
    expected = [strategy.plan(batch_size=8, seed=1).indices().tolist() for strategy in strategies]
    bounds[1:-1] = 10**9
    assert [s.plan(batch_size=8, seed=1).indices().tolist() for s in strategies] == expected
    with pytest.raises(ValueError, match="strictly increasing"):
        pickle.loads(pickle.dumps(strategies[0])).plan(batch_size=8)


def test_bounds_are_borrowed() -> None:
    assert np.shares_memory(np.asarray(BlockShuffling(bounds=BOUNDS).bounds), BOUNDS)
    assert not np.shares_memory(np.asarray(BlockShuffling(bounds=BOUNDS.astype(np.int32)).bounds), BOUNDS)


@pytest.mark.parametrize("threads", [1, 4, 7])
def test_threads_change_nothing(threads: int) -> None:
    bounds = np.concatenate([[0], np.cumsum(1 + np.arange(80_000) * 7 % 13)])
    expected = oracle.bounded_blocks(oracle.Batching(batch_size=50, fetch_factor=9, seed=2), bounds=bounds)
    before = tombola.get_num_threads()
    try:
        tombola.set_num_threads(threads)
        plan = BlockShuffling(bounds=bounds).plan(batch_size=50, fetch_factor=9, seed=2)
        assert np.array_equal(plan.indices(), expected.rows)
    finally:
        tombola.set_num_threads(before)


def test_huge_blocks() -> None:
    strategy = BlockShuffling(bounds=[0, 10**12, 10**12 + 1, 10**15])
    plan = strategy.plan(batch_size=64, fetch_factor=16)
    assert plan.n_rows == 10**15
    for k in (0, len(plan) // 2, -1):
        rows = plan[k]
        assert len(set(rows.tolist())) == len(rows)
        assert 0 <= rows.min()
        assert rows.max() < 10**15
