"""Epochs of shuffled blocks, planned and read by whole fetch windows."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
import scdataset

import tombola
from benchmarks import peers
from benchmarks.checks import check_blocks, check_cover, check_random_access, windows
from benchmarks.conftest import Measure
from benchmarks.figures import OURS, Work

BATCH, FETCH = 64, 256
WORKS = {
    16: Work("BlockShuffling(16) epoch", target=3.0),
    1: Work("BlockShuffling(1) epoch", target=6.0),
}


@pytest.mark.parametrize("block_size", [16, 1])
@pytest.mark.parametrize("who", ["scDataset", OURS])
def test_epoch(who: str, block_size: int, size: int, measure: Measure) -> None:
    strategy = tombola.BlockShuffling(block_size=block_size)
    peer = scdataset.BlockShuffling(block_size=block_size)
    epochs = count(1)

    def epoch() -> Iterator[Any]:
        if who == OURS:
            plan = strategy.plan(size, batch_size=BATCH, fetch_factor=FETCH, seed=1, epoch=next(epochs))
            return windows(plan)
        return peers.scdataset_windows(peer, size, BATCH * FETCH, permute=block_size > 1)

    check_cover(epoch(), size)
    if who == OURS:
        plan = strategy.plan(size, batch_size=BATCH, fetch_factor=FETCH)
        check_blocks(plan, block_size)
        check_random_access(plan)
    measure(WORKS[block_size], who, lambda: peers.read(epoch()), n=size)


def test_full_shuffle_by_torch(peer_size: int, measure: Measure) -> None:
    measure(
        WORKS[1],
        "torch RandomSampler + BatchSampler",
        lambda: peers.read(peers.random_batches(peer_size, BATCH)),
        n=peer_size,
    )
