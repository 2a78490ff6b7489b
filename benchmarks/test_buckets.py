"""Batches of one bucket each: building, epochs, the first batch of a new one, the sampler around it."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from benchmarks import checks, data, peers
from benchmarks.conftest import Measure
from benchmarks.figures import OURS, Work
from benchmarks.python_samplers import PythonBucketSampler
from tombola import Bucketed, Plan, PlanBatchSampler

BATCH, FETCH = 64, 256
N_BUCKETS = [4, 10_000]
PYTHON = "Python lists"

BUILD = {k: Work(f"Bucketed build, {k:,} buckets, int64 keys", target=10.0) for k in N_BUCKETS}
EPOCH = {k: Work(f"Bucketed epoch, {k:,} buckets", target=5.0) for k in N_BUCKETS}
FIRST = {k: Work(f"first batch of a new epoch, {k:,} buckets", unit="ms", target=5.0) for k in N_BUCKETS}
SAMPLER = {k: Work(f"{k:,} buckets: iter(PlanBatchSampler(as_array=True))", ratio=1 / 1.2) for k in N_BUCKETS}
GATHER = Work("limit: a gather of single 4-byte rows in random order")

Keys = npt.NDArray[np.int64]


@pytest.fixture(scope="module", params=N_BUCKETS)
def keys(request: pytest.FixtureRequest, size: int) -> tuple[int, Keys]:
    """The number of buckets, and keys."""
    n_buckets = int(request.param)
    return n_buckets, data.bucket_keys(size, n_buckets)


def plan_of(strategy: Bucketed, epoch: int) -> Plan:
    return strategy.plan(batch_size=BATCH, fetch_factor=FETCH, seed=1, epoch=epoch)


def test_build(keys: tuple[int, Keys], size: int, measure: Measure) -> None:
    n_buckets, own = keys
    measure(BUILD[n_buckets], OURS, lambda: Bucketed(own).describe(), n=size)


def test_build_by_python(keys: tuple[int, Keys], peer_size: int, measure: Measure) -> None:
    n_buckets, own = keys
    values = own[:peer_size].tolist()
    measure(BUILD[n_buckets], PYTHON, lambda: PythonBucketSampler(values, BATCH), n=peer_size)


def test_epoch(keys: tuple[int, Keys], size: int, measure: Measure) -> None:
    n_buckets, own = keys
    strategy = Bucketed(own)
    plan = plan_of(strategy, 0)
    checks.check_random_access(plan)
    checks.check_buckets(plan, own)
    epochs = (checks.windows(plan_of(strategy, epoch)) for epoch in count(1))
    measure(EPOCH[n_buckets], OURS, lambda: peers.read(next(epochs)), n=size)


def test_epoch_by_python(keys: tuple[int, Keys], peer_size: int, measure: Measure) -> None:
    n_buckets, own = keys
    sampler = PythonBucketSampler(own[:peer_size].tolist(), BATCH)
    checks.check_cover((np.asarray(batch) for batch in sampler), peer_size)
    measure(EPOCH[n_buckets], PYTHON, lambda: peers.read(iter(sampler)), n=peer_size)


def test_epoch_by_transformers(keys: tuple[int, Keys], peer_size: int, measure: Measure) -> None:
    samplers = pytest.importorskip("transformers.trainer_pt_utils")
    n_buckets, own = keys
    sampler = samplers.LengthGroupedSampler(BATCH, lengths=own[:peer_size].tolist())
    checks.check_cover((np.asarray(rows) for rows in [list(sampler)]), peer_size)
    measure(
        EPOCH[n_buckets],
        "transformers LengthGroupedSampler",
        lambda: peers.read(iter(sampler)),
        n=peer_size,
        note="similar lengths, not one",
    )


def test_first_batch(keys: tuple[int, Keys], size: int, measure: Measure) -> None:
    n_buckets, own = keys
    strategy, epochs = Bucketed(own), count(1)
    assert len(np.unique(own[plan_of(strategy, 0)[0]])) == 1
    measure(FIRST[n_buckets], OURS, lambda: plan_of(strategy, next(epochs))[0], n=size)


@pytest.mark.parametrize("who", ["plan.indices()", OURS])
def test_sampler(who: str, keys: tuple[int, Keys], size: int, measure: Measure) -> None:
    n_buckets, own = keys
    strategy = Bucketed(own)
    sampler = PlanBatchSampler(strategy, batch_size=1024, fetch_factor=16, seed=1, as_array=True)

    def read() -> Iterator[Any]:
        sampler.set_epoch(0)
        return iter(sampler)

    def bare() -> npt.NDArray[np.int64]:
        return strategy.plan(batch_size=1024, fetch_factor=16, seed=1).indices()

    if who == OURS:
        assert np.array_equal(np.concatenate(list(read())), bare())
        measure(SAMPLER[n_buckets], who, lambda: peers.read(read()), n=size)
    else:
        measure(SAMPLER[n_buckets], who, bare, n=size)


def test_gather(size: int, measure: Measure) -> None:
    """Measure what memory allows: NumPy's own gather by an array of random positions."""
    generator = np.random.default_rng(7)
    rows = np.arange(size, dtype=np.int32)
    places = [generator.integers(0, size, 2**14) for _ in range(64)]
    out = np.empty(2**14, dtype=np.int32)

    def gather() -> None:
        for place in places:
            rows.take(place, out=out, mode="clip")

    measure(GATHER, "NumPy", gather, n=size, indices=64 * 2**14)
