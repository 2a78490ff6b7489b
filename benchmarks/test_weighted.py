"""Weighted epochs: arbitrary weights, balanced classes, independent draws, rounds without replacement.

Draws of an epoch are read by whole fetch windows; `build` is what making a strategy costs once.
"""

from collections.abc import Iterator
from itertools import count
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest
import scdataset
import torch

import tombola
from benchmarks import checks, data, peers
from benchmarks.conftest import Measure
from benchmarks.data import N_CLASSES
from benchmarks.figures import OURS, Work
from tombola import Plan, Strategy

BATCH, FETCH = 64, 256
MOST_OF_TORCH = 2**24

Weights = npt.NDArray[np.float32] | npt.NDArray[np.float64]

EPOCH = {
    "float32": Work("BlockWeightedSampling(16) epoch, float32", target=5.0),
    "float64": Work("BlockWeightedSampling(16) epoch, float64", target=5.0),
}
BUILD = {
    "float32": Work("BlockWeightedSampling(16) build, float32"),
    "float64": Work("BlockWeightedSampling(16) build, float64"),
}
INDEPENDENT = Work('BlockWeightedSampling(16, draw="iid") epoch, float32')
INDEPENDENT_LISTS = Work('BlockWeightedSampling(1, draw="iid") in lists of 64')
ROUNDS = {
    2: Work("a round of n / 2 draws without replacement"),
    100: Work("a round of n / 100 draws without replacement"),
}
CLASSES = Work(f"ClassBalancedSampling(16) epoch, {N_CLASSES} classes", target=5.0)
CLASSES_BUILD = Work(f"ClassBalancedSampling(16) build, {N_CLASSES} classes", target=5.0)


@pytest.fixture(scope="module")
def weights(size: int) -> npt.NDArray[np.float32]:
    return data.weights(size)


@pytest.fixture(scope="module")
def labels(size: int) -> npt.NDArray[np.int16]:
    return data.class_labels(size)


def plan_of(strategy: Strategy, epoch: int) -> Plan:
    return strategy.plan(batch_size=BATCH, fetch_factor=FETCH, seed=1, epoch=epoch)


def our_epochs(strategy: Strategy) -> Iterator[Iterator[Any]]:
    """Yield epochs, each planned when asked for."""
    return (checks.windows(plan_of(strategy, epoch)) for epoch in count(1))


def peer_epoch(strategy: Any, n: int) -> Iterator[Any]:
    return peers.scdataset_windows(strategy, n, BATCH * FETCH)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_epoch(dtype: str, size: int, weights: Weights, measure: Measure) -> None:
    own = weights.astype(dtype)
    strategy = tombola.BlockWeightedSampling(own, block_size=16)
    epochs = our_epochs(strategy)
    checks.check_stratified(checks.row_counts(next(epochs), size), own)
    checks.check_random_access(plan_of(strategy, 0))
    measure(EPOCH[dtype], OURS, lambda: peers.read(next(epochs)), n=size)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_epoch_by_scdataset(dtype: str, peer_size: int, weights: Weights, measure: Measure) -> None:
    own = weights[:peer_size].astype(dtype)
    peer = scdataset.BlockWeightedSampling(weights=own, block_size=16)
    checks.check_independent(checks.row_counts(peer_epoch(peer, peer_size), peer_size), own)
    measure(EPOCH[dtype], "scDataset", lambda: peers.read(peer_epoch(peer, peer_size)), n=peer_size)


def test_epoch_by_torch(peer_size: int, weights: Weights, measure: Measure) -> None:
    n = min(peer_size, MOST_OF_TORCH)
    own = torch.from_numpy(weights[:n])
    measure(
        EPOCH["float32"],
        "torch WeightedRandomSampler + BatchSampler",
        lambda: peers.read(peers.weighted_batches(own, BATCH)),
        n=n,
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_build(dtype: str, size: int, weights: Weights, measure: Measure) -> None:
    own = weights.astype(dtype)
    measure(BUILD[dtype], OURS, lambda: tombola.BlockWeightedSampling(own, block_size=16), n=size)


def test_independent_draws(size: int, weights: Weights, measure: Measure) -> None:
    epochs = our_epochs(tombola.BlockWeightedSampling(weights, block_size=16, draw="iid"))
    checks.check_independent(checks.row_counts(next(epochs), size), weights)
    measure(INDEPENDENT, OURS, lambda: peers.read(next(epochs)), n=size)


def test_independent_lists(size: int, weights: Weights, measure: Measure) -> None:
    strategy = tombola.BlockWeightedSampling(weights, block_size=1, draw="iid")
    sampler = tombola.PlanBatchSampler(strategy, batch_size=BATCH, seed=1)
    checks.check_independent(checks.row_counts((np.asarray(rows) for rows in sampler), size), weights)
    measure(INDEPENDENT_LISTS, OURS, lambda: peers.read(iter(sampler)), n=size)


def test_independent_lists_by_torch(peer_size: int, weights: Weights, measure: Measure) -> None:
    n = min(peer_size, MOST_OF_TORCH)
    own = torch.from_numpy(weights[:n])
    who = "torch WeightedRandomSampler + BatchSampler"
    measure(INDEPENDENT_LISTS, who, lambda: peers.read(peers.weighted_batches(own, BATCH)), n=n)


@pytest.mark.parametrize("share", list(ROUNDS))
def test_round(share: int, size: int, weights: Weights, measure: Measure) -> None:
    drawn = size // share
    strategy = tombola.BlockWeightedSampling(
        weights, block_size=16, total_size=drawn, replace=False, sampling_size=drawn
    )
    epochs = our_epochs(strategy)
    checks.check_round(checks.row_counts(next(epochs), size), weights, drawn)
    measure(ROUNDS[share], OURS, lambda: peers.read(next(epochs)), n=size, indices=drawn)


@pytest.mark.parametrize("share", list(ROUNDS))
def test_round_by_scdataset(share: int, peer_size: int, weights: Weights, measure: Measure) -> None:
    drawn, own = peer_size // share, weights[:peer_size]
    peer = scdataset.BlockWeightedSampling(
        weights=own, block_size=16, total_size=drawn, replace=False, sampling_size=drawn
    )
    checks.check_round(checks.row_counts(peer_epoch(peer, peer_size), peer_size), own, drawn)
    measure(
        ROUNDS[share],
        "scDataset",
        lambda: peers.read(peer_epoch(peer, peer_size)),
        n=peer_size,
        indices=drawn,
    )


@pytest.mark.parametrize("kind", ["epoch", "build"])
def test_classes(
    kind: Literal["epoch", "build"], size: int, labels: npt.NDArray[np.int16], measure: Measure
) -> None:
    strategy = tombola.ClassBalancedSampling(labels, block_size=16)
    if kind == "build":
        measure(CLASSES_BUILD, OURS, lambda: tombola.ClassBalancedSampling(labels, block_size=16), n=size)
        return
    epochs = our_epochs(strategy)
    weights = 1.0 / np.bincount(labels, minlength=N_CLASSES)
    checks.check_stratified(checks.row_counts(next(epochs), size), weights[labels])
    measure(CLASSES, OURS, lambda: peers.read(next(epochs)), n=size)


@pytest.mark.parametrize("kind", ["epoch", "build"])
def test_classes_by_scdataset(
    kind: Literal["epoch", "build"], peer_size: int, labels: npt.NDArray[np.int16], measure: Measure
) -> None:
    own = labels[:peer_size]

    def build() -> Any:
        return scdataset.ClassBalancedSampling(own, block_size=16)

    if kind == "build":
        measure(CLASSES_BUILD, "scDataset", build, n=peer_size)
        return
    peer = build()
    weights = 1.0 / np.bincount(own, minlength=N_CLASSES)
    checks.check_independent(checks.row_counts(peer_epoch(peer, peer_size), peer_size), weights[own])
    measure(CLASSES, "scDataset", lambda: peers.read(peer_epoch(peer, peer_size)), n=peer_size)
