"""Composed batches: P classes with K rows each, and mixtures of two strata, beside what users have for them.

Classes are of 256 rows on average, in no order; an epoch is read by fetch windows. Peers:
pytorch-metric-learning's `MPerClassSampler`, Python lists that are shuffled and dealt out, and a blend in
NumPy as large language models use it (the data set that lags most behind its weight comes next, its rows by a
permutation).
"""

from collections.abc import Iterator
from itertools import count, islice

import numpy as np
import numpy.typing as npt
import pytest

from benchmarks import checks, data, peers
from benchmarks.conftest import Measure
from benchmarks.figures import OURS, Work
from benchmarks.python_samplers import tuples_by_lists
from tombola import BlockShuffling, Mixture, PerClass, Plan

P, K = 16, 4
BATCH, FETCH = P * K, 256
CONTROLS = 16
BUILD = Work("PerClass(16 x 4) build, classes of 256 rows", target=40.0)
EPOCH = Work("PerClass(16 x 4) epoch", target=30.0, ratio=1000.0)
MIXTURE = Work("Mixture of two strata, 1 to 3, epoch", target=5.0)
MIXTURE_OF_BLOCKS = Work("the same, in blocks of 16 rows")
MATCHED = Work("Mixture of two strata within 1,000 contexts, epoch")
MIXTURE_BUILD = Work("Mixture of two strata, build")
BLEND = Work("Mixture of two strata by shares, 0.3 and 0.7, epoch")

Labels = npt.NDArray[np.int64]


@pytest.fixture(scope="module")
def labels(size: int) -> Labels:
    return data.tuple_labels(size, 2 * P)


@pytest.fixture(scope="module")
def roles(size: int) -> npt.NDArray[np.int8]:
    return data.control_roles(size)


def windows(strategy: PerClass | Mixture, epoch: int) -> Iterator[npt.NDArray[np.int64]]:
    return checks.windows(plan_of(strategy, epoch))


def plan_of(strategy: PerClass | Mixture, epoch: int) -> Plan:
    return strategy.plan(batch_size=BATCH, fetch_factor=FETCH, seed=1, epoch=epoch)


def per_class(labels: Labels) -> PerClass:
    return PerClass(labels, classes_per_batch=P, rows_per_class=K, few="drop")


def mixture(roles: npt.NDArray[np.int8]) -> Mixture:
    return Mixture(roles, {0: CONTROLS, 1: BATCH - CONTROLS})


def test_build(labels: Labels, size: int, measure: Measure) -> None:
    measure(BUILD, OURS, lambda: plan_of(per_class(labels), 0), n=size)


def test_epoch(labels: Labels, size: int, measure: Measure) -> None:
    strategy = per_class(labels)
    plan = plan_of(strategy, 0)
    checks.check_random_access(plan)
    for k in (0, len(plan) // 2, len(plan) - 1):
        counts = np.unique(labels[plan[k]], return_counts=True)[1]
        assert counts.tolist() == [K] * P
    epochs = (windows(strategy, epoch) for epoch in count(1))
    measure(EPOCH, OURS, lambda: peers.read(next(epochs)), n=size, indices=plan.n_rows, note="with its plan")


def test_epoch_by_metric_learning(labels: Labels, peer_size: int, measure: Measure) -> None:
    samplers = pytest.importorskip("pytorch_metric_learning.samplers")
    taken = BATCH * 20  # each batch costs it a shuffle of all classes
    sampler = samplers.MPerClassSampler(labels[:peer_size], K, batch_size=BATCH, length_before_new_iter=taken)
    rows = list(sampler)
    assert sorted(np.unique(labels[rows[:BATCH]], return_counts=True)[1].tolist()) == [K] * P
    measure(
        EPOCH,
        "MPerClassSampler",
        lambda: peers.read(iter(sampler)),
        n=peer_size,
        indices=taken,
        note="repeats",
    )


def test_epoch_by_python(labels: Labels, peer_size: int, measure: Measure) -> None:
    few = min(peer_size, 50_000)  # a batch costs it all classes
    listed = [label for label in labels[:few].tolist() if np.count_nonzero(labels[:few] == label) >= K][:few]
    taken = sum(map(len, tuples_by_lists(listed, P, K)))
    measure(EPOCH, "Python lists", lambda: peers.read(tuples_by_lists(listed, P, K)), n=few, indices=taken)


@pytest.mark.parametrize("threads", [1, 2])
def test_mixture(threads: int, roles: npt.NDArray[np.int8], size: int, measure: Measure) -> None:
    strategy = mixture(roles)
    plan = plan_of(strategy, 0)
    checks.check_random_access(plan)
    for batch in islice(plan, 3):
        assert np.count_nonzero(roles[batch] == 0) == CONTROLS
    epochs = (windows(strategy, epoch) for epoch in count(1))
    work = MIXTURE if threads == 1 else Work("the mixture with two threads")
    measure(work, OURS, lambda: peers.read(next(epochs)), n=size, indices=plan.n_rows, threads=threads)


def test_mixture_build(roles: npt.NDArray[np.int8], size: int, measure: Measure) -> None:
    measure(MIXTURE_BUILD, OURS, lambda: plan_of(mixture(roles), 0), n=size)


def test_mixture_of_blocks(roles: npt.NDArray[np.int8], size: int, measure: Measure) -> None:
    inner = {0: BlockShuffling(16), 1: BlockShuffling(16)}
    strategy = Mixture(roles, {0: CONTROLS, 1: BATCH - CONTROLS}, strategies=inner)
    plan = plan_of(strategy, 0)
    epochs = (windows(strategy, epoch) for epoch in count(1))
    measure(MIXTURE_OF_BLOCKS, OURS, lambda: peers.read(next(epochs)), n=size, indices=plan.n_rows)


def test_mixture_within_contexts(roles: npt.NDArray[np.int8], size: int, measure: Measure) -> None:
    contexts = np.arange(size) * 7919 % max(2, min(1000, size // 100))
    strategy = Mixture(roles, {0: CONTROLS, 1: BATCH - CONTROLS}, within=contexts)
    plan = plan_of(strategy, 0)
    assert len(np.unique(contexts[plan[0]])) == 1
    epochs = (windows(strategy, epoch) for epoch in count(1))
    measure(MATCHED, OURS, lambda: peers.read(next(epochs)), n=size, indices=plan.n_rows)


@pytest.mark.parametrize("who", [OURS, "blend in NumPy"])
def test_blend(who: str, size: int, peer_size: int, measure: Measure) -> None:
    n = size if who == OURS else peer_size
    first = n // 2
    weights = np.array([0.3, 0.7])
    if who == OURS:
        roles = np.repeat(np.array([0, 1], dtype=np.int8), [first, n - first])
        strategy = Mixture(roles, {0: 0.3, 1: 0.7}, total_size=n)
        plan = plan_of(strategy, 0)
        assert abs(np.count_nonzero(plan.indices() < first) - 0.3 * plan.n_rows) < 1
        epochs = (windows(strategy, epoch) for epoch in count(1))
        measure(BLEND, OURS, lambda: peers.read(next(epochs)), n=n, indices=plan.n_rows)
    else:
        measure(BLEND, who, lambda: peers.read(peers.blend(first, n - first, weights, BATCH * FETCH)), n=n)
