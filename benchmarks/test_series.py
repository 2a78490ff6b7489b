"""Batches of different series: building, epochs, the first batch of a new one, memory, the sampler around it.

A third as many series as rows, ids without any order; lengths vary about three as they do where each row
falls to a series by chance.
"""

import sys
from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from benchmarks import checks, data, peers
from benchmarks.conftest import Measure
from benchmarks.figures import OURS, Figures, Work
from benchmarks.processes import extra_memory
from benchmarks.python_samplers import PythonSeriesSampler
from tombola import Plan, PlanBatchSampler, SeriesRoundRobin

BATCH, FETCH = 64, 256
PYTHON = "Python lists"

BUILD = Work("SeriesRoundRobin build, n / 3 series, dense int64 ids", target=25.0)
ARBITRARY_BUILD = Work("SeriesRoundRobin build, n / 3 series, arbitrary int64 ids")
EPOCH = {
    "balanced": Work("SeriesRoundRobin epoch, balanced", target=12.0),
    "round_robin": Work("SeriesRoundRobin epoch, round_robin"),
}
FIRST = Work("first batch of a new epoch, n / 3 series", unit="ms", target=500.0)
SAMPLER = Work("series: iter(PlanBatchSampler(as_array=True))", ratio=1 / 1.2)
MEMORY = {
    "dense": Work("memory of grouping at its peak, dense int64 ids", unit="bytes/row", target=8.0),
    "arbitrary": Work("memory of grouping at its peak, arbitrary int64 ids", unit="bytes/row", target=16.0),
}

Ids = npt.NDArray[np.int64]


@pytest.fixture(scope="module")
def ids(size: int) -> Ids:
    return data.series_ids(size)


@pytest.fixture(scope="module")
def strategy(ids: Ids) -> SeriesRoundRobin:
    """The strategy that most tests here read."""
    made = SeriesRoundRobin(ids)
    made.plan(batch_size=BATCH)
    return made


def plan_of(strategy: SeriesRoundRobin, epoch: int) -> Plan:
    return strategy.plan(batch_size=BATCH, fetch_factor=FETCH, seed=1, epoch=epoch)


@pytest.mark.parametrize("kind", ["dense", "arbitrary"])
def test_build(kind: str, ids: Ids, size: int, measure: Measure) -> None:
    own = ids if kind == "dense" else ids * 0x9E3779B97F4A7C1
    measure(
        BUILD if kind == "dense" else ARBITRARY_BUILD, OURS, lambda: SeriesRoundRobin(own).describe(), n=size
    )


def test_build_by_python(ids: Ids, peer_size: int, measure: Measure) -> None:
    own = ids[:peer_size].tolist()
    measure(BUILD, PYTHON, lambda: PythonSeriesSampler(own, BATCH), n=peer_size)


@pytest.mark.parametrize("schedule", list(EPOCH))
def test_epoch(schedule: str, ids: Ids, size: int, measure: Measure) -> None:
    strategy = SeriesRoundRobin(ids, schedule=schedule)  # type: ignore[arg-type]
    plan = plan_of(strategy, 0)
    checks.check_random_access(plan)
    if schedule == "balanced":
        checks.check_series(plan, ids)
    epochs = (checks.windows(plan_of(strategy, epoch)) for epoch in count(1))
    measure(EPOCH[schedule], OURS, lambda: peers.read(next(epochs)), n=size, note="with its plan")


@pytest.mark.parametrize("threads", [1, 2])
def test_epoch_of_a_plan(threads: int, strategy: SeriesRoundRobin, size: int, measure: Measure) -> None:
    plan = plan_of(strategy, 0)
    work = Work(f"the same, of a plan that is there, {threads} thread{'s' * (threads > 1)}")
    measure(work, OURS, lambda: peers.read(checks.windows(plan)), n=size, threads=threads)


def test_epoch_by_python(ids: Ids, peer_size: int, measure: Measure) -> None:
    sampler = PythonSeriesSampler(ids[:peer_size].tolist(), BATCH)
    checks.check_cover((np.asarray(batch) for batch in sampler), peer_size)
    measure(EPOCH["round_robin"], PYTHON, lambda: peers.read(iter(sampler)), n=peer_size)


def test_epoch_by_metric_learning(ids: Ids, peer_size: int, measure: Measure) -> None:
    samplers = pytest.importorskip("pytorch_metric_learning.samplers")
    taken = BATCH * 20  # each batch costs it a shuffle of all series
    sampler = samplers.MPerClassSampler(ids[:peer_size], 1, batch_size=BATCH, length_before_new_iter=taken)
    rows = list(sampler)
    assert len({int(ids[row]) for row in rows[:BATCH]}) == BATCH
    measure(
        EPOCH["balanced"],
        "MPerClassSampler",
        lambda: peers.read(iter(sampler)),
        n=peer_size,
        indices=taken,
        note="with repeats",
    )


def test_first_batch(strategy: SeriesRoundRobin, size: int, measure: Measure) -> None:
    epochs = count(1)
    first = plan_of(strategy, 1)[0]
    assert len(first) == min(BATCH, size)
    measure(FIRST, OURS, lambda: plan_of(strategy, next(epochs))[0], n=size)


@pytest.mark.parametrize("who", ["plan.indices()", OURS])
def test_sampler(who: str, strategy: SeriesRoundRobin, size: int, measure: Measure) -> None:
    plan = strategy.plan(batch_size=1024, fetch_factor=16, seed=1)
    sampler = PlanBatchSampler(strategy, batch_size=1024, fetch_factor=16, seed=1, as_array=True)

    def read() -> Iterator[Any]:
        sampler.set_epoch(0)
        return iter(sampler)

    def bare() -> npt.NDArray[np.int64]:
        return strategy.plan(batch_size=1024, fetch_factor=16, seed=1).indices()

    if who == OURS:
        order = plan.indices()
        assert np.array_equal(np.concatenate(list(read())), order)
        measure(SAMPLER, who, lambda: peers.read(read()), n=size)
    else:
        measure(SAMPLER, who, bare, n=size)


SCRIPT = """
import numpy
from tombola import _core
_core.set_num_threads({threads})
n = {n}
ids = numpy.random.default_rng(5).integers(0, n // 3, n)
ids *= {factor}
def use(n):
    return _core.Groups.from_keys(ids[:n])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("kind", "factor"), [("dense", 1), ("arbitrary", 0x9E3779B97F4A7C1)])
def test_memory(kind: str, factor: int, size: int, figures: Figures) -> None:
    megabytes = extra_memory(SCRIPT.format(n=max(size, 100), factor=factor, threads=2), size)
    figures.add(MEMORY[kind], OURS, megabytes * 1e6 / size, n=size, note="two threads")
