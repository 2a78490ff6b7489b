"""The batch sampler under a trainer: whole epochs, the first batch of a new one, resuming, memory."""

import sys
from collections.abc import Callable, Iterator
from itertools import count, islice, pairwise
from typing import Any

import numpy as np
import pytest
import scdataset
from torch.utils.data import BatchSampler

from benchmarks import peers
from benchmarks.checks import check_cover
from benchmarks.conftest import Measure
from benchmarks.figures import OURS, Figures, Work
from benchmarks.peers import MEMORY_SCRIPTS
from benchmarks.processes import extra_memory
from tombola import BlockShuffling, PlanBatchSampler, Position

BATCH, FETCH = 64, 256
LARGE_BATCH = 1024
STRATEGY = BlockShuffling(block_size=16)

EPOCH = Work(f"iter(PlanBatchSampler(as_array=True)), batches of {LARGE_BATCH}", ratio=1 / 1.2)
LISTS = {size: Work(f"iter(PlanBatchSampler()), lists of {size}", ratio=1.0) for size in (BATCH, LARGE_BATCH)}
IN_ORDER = "torch BatchSampler(range)"
FIRST = Work("first batch of a new epoch, keyless", unit="ms", target=1.0)
RESUME = Work("first batch after resuming at any batch, keyless", unit="ms", target=1.0)
MEMORY = Work("memory of a keyless plan and its first window", unit="MB", target=1.0)


def make_sampler(n: int, batch_size: int = BATCH, *, as_array: bool = False) -> PlanBatchSampler:
    fetch_factor = BATCH * FETCH // batch_size
    return PlanBatchSampler(
        STRATEGY, n, batch_size=batch_size, fetch_factor=fetch_factor, seed=1, as_array=as_array
    )


def scdataset_batches(n: int, batch_size: int = BATCH) -> Iterator[Any]:
    strategy = scdataset.BlockShuffling(block_size=16)
    data = peers.Identity(n)
    fetch_factor = BATCH * FETCH // batch_size
    return iter(scdataset.scDataset(data, strategy, batch_size=batch_size, fetch_factor=fetch_factor, seed=1))


@pytest.mark.parametrize("who", ["plan.indices()", OURS])
def test_epoch_as_arrays(who: str, size: int, measure: Measure) -> None:
    fetch_factor = BATCH * FETCH // LARGE_BATCH
    plan = STRATEGY.plan(size, batch_size=LARGE_BATCH, fetch_factor=fetch_factor, seed=1)
    sampler = make_sampler(size, LARGE_BATCH, as_array=True)
    if who == OURS:
        order = plan.indices()
        bounds = [*range(0, size, LARGE_BATCH), size]
        assert all(
            np.array_equal(batch, order[a:b]) for batch, (a, b) in zip(sampler, pairwise(bounds), strict=True)
        )
        measure(EPOCH, who, lambda: peers.read(iter(sampler)), n=size)
    else:
        measure(EPOCH, who, plan.indices, n=size)


@pytest.mark.parametrize("batch_size", list(LISTS))
@pytest.mark.parametrize("who", [IN_ORDER, "torch RandomSampler + BatchSampler", "scDataset", OURS])
def test_epoch_as_a_trainer_reads_it(
    who: str, batch_size: int, size: int, peer_size: int, measure: Measure
) -> None:
    n = size if who == OURS else peer_size
    sampler = make_sampler(n, batch_size)
    runs: dict[str, Callable[[], Iterator[Any]]] = {
        OURS: lambda: iter(sampler),
        "scDataset": lambda: scdataset_batches(n, batch_size),
        IN_ORDER: lambda: iter(BatchSampler(range(n), batch_size, drop_last=False)),
        "torch RandomSampler + BatchSampler": lambda: peers.random_batches(n, batch_size),
    }
    if who == IN_ORDER:
        assert next(runs[who]()) == list(range(batch_size))
    else:
        check_cover((np.asarray(batch) for batch in runs[who]()), n)
    note = {"scDataset": "arrays", IN_ORDER: "no shuffle", OURS: ""}.get(who, "full shuffle")
    measure(LISTS[batch_size], who, lambda: peers.read(runs[who]()), n=n, note=note)


@pytest.mark.parametrize("who", ["torch RandomSampler + BatchSampler", "scDataset", OURS])
def test_first_batch(who: str, size: int, measure: Measure) -> None:
    sampler, epochs = make_sampler(size), count(1)

    def first() -> Any:
        if who == OURS:
            sampler.set_epoch(next(epochs))
            return next(iter(sampler))
        return next(scdataset_batches(size) if who == "scDataset" else peers.random_batches(size, BATCH))

    batch = np.asarray(first())
    assert len(set(batch.tolist())) == BATCH
    assert 0 <= batch.min() <= batch.max() < size
    if who == OURS:
        plan = STRATEGY.plan(size, batch_size=BATCH, fetch_factor=FETCH, seed=1, epoch=1)
        assert np.array_equal(batch, plan[0])
    measure(FIRST, who, first, n=size)


def test_resume(size: int, measure: Measure) -> None:
    sampler = make_sampler(size)
    plan = STRATEGY.plan(size, batch_size=BATCH, fetch_factor=FETCH, seed=1)
    places = (number * 7919 % len(plan) for number in count(1))
    states = iter(
        [
            (place, {**sampler.state_dict(), "position": Position(0).advanced(1, place).to_dict()})
            for place in islice(places, 20)
        ]
        * 1000
    )

    def resume() -> tuple[int, list[int]]:
        place, state = next(states)
        sampler.load_state_dict(state)
        return place, next(iter(sampler))

    for _ in range(20):
        place, batch = resume()
        assert batch == plan[place].tolist()
    measure(RESUME, OURS, resume, n=size)


def test_resume_by_replay(peer_size: int, measure: Measure) -> None:
    place = peer_size // BATCH // 2

    def resume() -> Any:
        return next(islice(peers.random_batches(peer_size, BATCH), place, None))

    assert len(resume()) == BATCH
    measure(RESUME, "torch, replayed to the middle", resume, n=peer_size)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("who", [OURS, "scDataset", "torch"])
def test_memory(who: str, size: int, figures: Figures) -> None:
    megabytes = extra_memory(MEMORY_SCRIPTS["blocks", who], size)
    figures.add(MEMORY, who, megabytes, n=size, note="+- 0.3" if who == OURS else "")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_seen() -> None:
    """Two MB that were surely taken are found, so a figure below one means something."""
    script = "import numpy\ndef use(n):\n    return numpy.ones(n)\n"
    assert extra_memory(script, 250_000) == pytest.approx(2, abs=0.4)
