"""Epochs by two threads beside one, for each kind of plan; a million rows are asked for at once."""

import os
from collections.abc import Callable

import numpy as np
import pytest

import tombola
from benchmarks import data
from benchmarks.conftest import Measure
from benchmarks.figures import OURS, Work
from tombola import Plan

BATCH, FETCH = 64, 256
BATCHES_AT_ONCE = 2**20 // BATCH
KINDS: dict[str, Callable[[int], tombola.Strategy]] = {
    "BlockShuffling(16)": lambda _: tombola.BlockShuffling(block_size=16),
    "BlockShuffling(1)": lambda _: tombola.BlockShuffling(block_size=1),
    "BlockWeightedSampling(16)": lambda n: tombola.BlockWeightedSampling(data.weights(n), block_size=16),
    "ClassBalancedSampling(16)": lambda n: tombola.ClassBalancedSampling(data.class_labels(n), block_size=16),
    "SeriesRoundRobin": lambda n: tombola.SeriesRoundRobin(data.series_ids(n)),
    "Bucketed, 4 buckets": lambda n: tombola.Bucketed(data.bucket_keys(n, 4)),
    "PerClass(16 x 4)": lambda n: tombola.PerClass(
        data.tuple_labels(n, 32), classes_per_batch=16, rows_per_class=4, few="drop"
    ),
    "Mixture of two strata": lambda n: tombola.Mixture(data.control_roles(n), {0: 16, 1: 48}),
}


@pytest.fixture(scope="module", params=list(KINDS))
def kind_and_plan(request: pytest.FixtureRequest, size: int) -> tuple[str, Plan]:
    """A kind of plan, and one of it."""
    strategy = KINDS[request.param](size)
    n = size if request.param.startswith("BlockShuffling") else None
    return request.param, strategy.plan(n, batch_size=BATCH, fetch_factor=FETCH, seed=1, epoch=0)


def read(plan: Plan) -> None:
    for start in range(0, len(plan), BATCHES_AT_ONCE):
        plan.batches(start, min(len(plan), start + BATCHES_AT_ONCE))


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two cores")
@pytest.mark.parametrize("threads", [1, 2])
def test_threads(threads: int, kind_and_plan: tuple[str, Plan], size: int, measure: Measure) -> None:
    kind, plan = kind_and_plan
    some = min(len(plan), 1_000)
    one = plan.batches(0, some)[0]
    tombola.set_num_threads(threads)
    assert np.array_equal(plan.batches(0, some)[0], one)
    work = Work(f"{kind} epoch of a plan that is there, two threads beside one", ratio=1.7)
    who = OURS if threads == 2 else "one thread"
    measure(work, who, lambda: read(plan), n=size, indices=plan.n_rows, threads=threads)
