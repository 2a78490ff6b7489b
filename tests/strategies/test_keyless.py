"""Streaming and BlockShuffling: equal to the oracle with every option passed on, and what they promise."""

from typing import Any

import numpy as np
import pytest

from tests import oracle
from tombola import BlockShuffling, Streaming

N = 103
INDICES = np.arange(1, 300, 3)


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("indices", [None, INDICES], ids=["all", "subset"])
@pytest.mark.parametrize("kind", ["streaming", "windows", "blocks", "rows"])
def test_every_option_reaches_the_core(kind: str, indices: Any, drop_last: bool) -> None:
    options: dict[str, Any] = {
        "batch_size": 5,
        "fetch_factor": 3,
        "drop_last": drop_last,
        "seed": 8,
        "epoch": 2,
    }
    how = oracle.Batching(**options)
    n = N if indices is None else len(indices)
    if kind in ("streaming", "windows"):
        plan = Streaming(kind == "windows", indices=indices).plan(N if indices is None else 300, **options)
        expected = oracle.streaming(n, how, shuffle=kind == "windows", indices=indices)
    else:
        block_size = 4 if kind == "blocks" else 1
        plan = BlockShuffling(block_size, indices=indices).plan(N if indices is None else None, **options)
        expected = oracle.blocks(n, how, block_size=block_size, indices=indices)
    assert [batch.tolist() for batch in plan] == [expected.batch(k).tolist() for k in range(len(expected))]


def test_defaults() -> None:
    assert Streaming() == Streaming(shuffle=False)
    assert BlockShuffling() == BlockShuffling(block_size=16)
    plan = BlockShuffling().plan(N, batch_size=5)
    same = BlockShuffling().plan(N, batch_size=5, fetch_factor=1, drop_last=False, seed=0, epoch=0)
    assert plan.indices().tolist() == same.indices().tolist()


@pytest.mark.parametrize("block_size", [1, 3, 16, 103, 1000])
def test_every_row_comes_once(block_size: int) -> None:
    plan = BlockShuffling(block_size).plan(N, batch_size=8, fetch_factor=4, seed=1)
    assert sorted(plan.indices().tolist()) == list(range(N))


def test_blocks_hold_consecutive_rows_of_the_indices() -> None:
    positions = np.searchsorted(INDICES, BlockShuffling(10, indices=INDICES).plan(batch_size=10).indices())
    blocks = np.sort(positions.reshape(-1, 10), axis=1)
    assert (blocks == blocks[:, :1] + np.arange(10)).all()
    assert (blocks[:, 0] % 10 == 0).all()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Streaming(shuffle=1), TypeError, "shuffle must be True or False, but is 1"),  # type: ignore[arg-type]
        (lambda: BlockShuffling(0), ValueError, "block_size must be an integer >= 1, but is 0"),
        (lambda: BlockShuffling(4.0), TypeError, "block_size must be an integer >= 1, but is 4.0"),  # type: ignore[arg-type]
    ],
)
def test_wrong_options(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == message


def test_huge_plans_take_no_memory() -> None:
    for strategy in (Streaming(), Streaming(shuffle=True), BlockShuffling(), BlockShuffling(1)):
        plan = strategy.plan(10**12, batch_size=64, fetch_factor=256)
        assert len(plan) == 15_625_000_000
        for k in (0, 10**10, -1):
            batch = plan[k]
            assert len(set(batch.tolist())) == 64
            assert 0 <= batch.min()
            assert batch.max() < 10**12
