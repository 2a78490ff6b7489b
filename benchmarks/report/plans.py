"""Orders and epochs, ours and the peers'; one thread, batches of 64, fetch windows of 256 of them.

Peers are used in the form that is best for them, as `benchmarks.peers` says.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import count, islice
from typing import Any

import numpy as np

import tombola
from benchmarks import checks, data, peers
from benchmarks.python_samplers import PythonBucketSampler, PythonSeriesSampler, tuples_by_lists
from benchmarks.report.tasks import Call, Task, counted, needed
from tombola.plans.plan import Plan

BATCH, FETCH = 64, 256
WINDOW = BATCH * FETCH
P, K = 16, 4
N_BUCKETS = 100
SHARES = np.array([0.3, 0.7])
CONTROLS = 16


def epochs_of(strategy: tombola.Strategy, n: int | None = None) -> Iterator[Plan]:
    """Yield the plans of one epoch after the other."""
    for epoch in count(1):
        yield strategy.plan(n, batch_size=BATCH, fetch_factor=FETCH, seed=1, epoch=epoch)


def our_epochs(strategy: tombola.Strategy, n: int | None = None, *, indices: int = 0, note: str = "") -> Task:
    """Return the task of planning and reading an epoch by whole windows."""
    plans = epochs_of(strategy, n)
    first = next(plans)
    checks.check_random_access(first)
    return Task(counted(lambda: peers.read(checks.windows(next(plans))), indices or first.n_rows), note=note)


def covered(epoch: Callable[[], Iterable[Any]], n: int, note: str = "") -> Task:
    """Return the task of an epoch that must hold every row once."""
    checks.check_cover((np.asarray(rows) for rows in epoch()), n)
    return Task(counted(lambda: peers.read(iter(epoch())), n), note=note)


# ---------------------------------------------------------------------------------------- full shuffles


def permutation(call: Call) -> Task:
    checks.check_permutation(tombola.permutation(call.n, seed=1), call.n)
    return Task(counted(lambda: tombola.permutation(call.n, seed=1), call.n))


def permutation_numpy(call: Call) -> Task:
    generator = np.random.default_rng(1)
    checks.check_permutation(generator.permutation(call.n), call.n)
    return Task(counted(lambda: generator.permutation(call.n), call.n))


def permutation_torch(call: Call) -> Task:
    torch = needed("torch")
    generator = torch.Generator().manual_seed(1)
    checks.check_permutation(torch.randperm(call.n, generator=generator).numpy(), call.n)
    return Task(counted(lambda: torch.randperm(call.n, generator=generator), call.n))


def random_access(call: Call) -> Task:
    order = tombola.RandomPermutation(call.n, key=1)
    bounds = [(start, min(start + WINDOW, call.n)) for start in range(0, call.n, WINDOW)]
    return covered(lambda: (order.fill(start, stop) for start, stop in bounds), call.n)


def shuffle_torch(call: Call) -> Task:
    needed("torch")
    return covered(lambda: peers.random_batches(call.n, BATCH), call.n, "lists of 64")


def shuffle_grain(call: Call) -> Task:
    grain = needed("grain")
    seeds = count(1)

    def epoch() -> Any:
        shuffled = grain.MapDataset.range(call.n).shuffle(seed=next(seeds)).batch(BATCH)
        options = grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)
        return shuffled.to_iter_dataset(options)

    return covered(epoch, call.n, "arrays of 64")


def blocks(call: Call) -> Task:
    strategy = tombola.BlockShuffling(block_size=call.options["block_size"])
    first = next(epochs_of(strategy, call.n))
    checks.check_cover(checks.windows(first), call.n)
    checks.check_blocks(first, call.options["block_size"])
    return our_epochs(strategy, call.n)


def blocks_scdataset(call: Call) -> Task:
    block_size = call.options["block_size"]
    strategy = needed("scdataset").BlockShuffling(block_size=block_size)
    return covered(lambda: peers.scdataset_windows(strategy, call.n, WINDOW, permute=block_size > 1), call.n)


# --------------------------------------------------------------------------------------------- weights


def weighted(call: Call) -> Task:
    own = data.weights(call.n).astype(call.options.get("dtype", "float32"))
    draw = call.options.get("draw", "stratified")
    strategy = tombola.BlockWeightedSampling(own, block_size=16, draw=draw)
    counts = checks.row_counts(checks.windows(next(epochs_of(strategy))), call.n)
    check = checks.check_stratified if draw == "stratified" else checks.check_independent
    check(counts, own)
    return our_epochs(strategy)


def weighted_scdataset(call: Call) -> Task:
    own = data.weights(call.n)
    strategy = needed("scdataset").BlockWeightedSampling(weights=own, block_size=16)
    return _drawn(lambda: peers.scdataset_windows(strategy, call.n, WINDOW), own)


def weighted_torch(call: Call) -> Task:
    own = data.weights(call.n)
    tensor = needed("torch").from_numpy(own)
    return _drawn(lambda: peers.weighted_batches(tensor, BATCH), own, "lists of 64")


def weighted_build(call: Call) -> Task:
    own = data.weights(call.n)
    return Task(counted(lambda: tombola.BlockWeightedSampling(own, block_size=16), call.n))


def rounds(call: Call) -> Task:
    """Draw a sixteenth of the rows without replacement, ever anew until all came."""
    own, drawn = data.weights(call.n), call.n // 16
    strategy = tombola.BlockWeightedSampling(
        own, block_size=16, total_size=call.n, replace=False, sampling_size=drawn
    )
    counts = checks.row_counts(checks.windows(next(epochs_of(strategy))), call.n)
    assert int(counts.sum(dtype=np.int64)) == call.n
    assert int(counts.max()) <= -(-call.n // drawn)
    return our_epochs(strategy)


def classes(call: Call) -> Task:
    labels = data.class_labels(call.n)
    strategy = tombola.ClassBalancedSampling(labels, block_size=16)
    counts = checks.row_counts(checks.windows(next(epochs_of(strategy))), call.n)
    checks.check_stratified(counts, _class_weights(labels))
    return our_epochs(strategy)


def classes_scdataset(call: Call) -> Task:
    labels = data.class_labels(call.n)
    strategy = needed("scdataset").ClassBalancedSampling(labels, block_size=16)
    return _drawn(lambda: peers.scdataset_windows(strategy, call.n, WINDOW), _class_weights(labels))


def _class_weights(labels: Any) -> Any:
    return (1.0 / np.maximum(np.bincount(labels, minlength=data.N_CLASSES), 1))[labels]


def _drawn(epoch: Callable[[], Iterator[Any]], weights: Any, note: str = "") -> Task:
    n = len(weights)
    checks.check_independent(checks.row_counts(map(np.asarray, epoch()), n), weights)
    return Task(counted(lambda: peers.read(epoch()), n), note=note)


# ---------------------------------------------------------------------------------------------- groups


def series(call: Call) -> Task:
    ids = data.series_ids(call.n)
    schedule = call.options.get("schedule", "balanced")
    strategy = tombola.SeriesRoundRobin(ids, schedule=schedule)
    first = next(epochs_of(strategy))
    if schedule == "balanced":
        checks.check_series(first, ids)
    if not call.options.get("with_plan", True):
        return Task(counted(lambda: peers.read(checks.windows(first)), call.n))
    return our_epochs(strategy)


def series_python(call: Call) -> Task:
    sampler = PythonSeriesSampler(data.series_ids(call.n).tolist(), BATCH)
    return covered(lambda: sampler, call.n, "one row of each series by turns")


def series_metric_learning(call: Call) -> Task:
    ids = data.series_ids(call.n)
    return _metric_learning(ids, 1, BATCH * 20)


def series_build(call: Call) -> Task:
    ids = data.series_ids(call.n).astype(call.options.get("dtype", "int64"))
    return Task(counted(lambda: tombola.SeriesRoundRobin(ids).describe(), call.n))


def buckets(call: Call) -> Task:
    keys = data.bucket_keys(call.n, N_BUCKETS)
    strategy = tombola.Bucketed(keys)
    checks.check_buckets(next(epochs_of(strategy)), keys)
    return our_epochs(strategy)


def buckets_python(call: Call) -> Task:
    sampler = PythonBucketSampler(data.bucket_keys(call.n, N_BUCKETS).tolist(), BATCH)
    return covered(lambda: sampler, call.n)


def buckets_transformers(call: Call) -> Task:
    samplers = needed("transformers.trainer_pt_utils")
    lengths = data.bucket_keys(call.n, N_BUCKETS).tolist()
    sampler = samplers.LengthGroupedSampler(BATCH, lengths=lengths)
    checks.check_cover((np.asarray(rows) for rows in [list(sampler)]), call.n)
    return Task(counted(lambda: peers.read(iter(sampler)), call.n), note="similar lengths, not one")


def buckets_lhotse(call: Call) -> Task:
    lhotse, sampling = needed("lhotse"), needed("lhotse.dataset.sampling")
    lengths = data.bucket_keys(call.n, N_BUCKETS).tolist()
    cuts = lhotse.CutSet.from_cuts(
        lhotse.MonoCut(id=str(row), start=0, duration=length + 1.0, channel=0)
        for row, length in enumerate(lengths)
    )
    seeds = count(1)

    def epoch() -> Any:
        return sampling.DynamicBucketingSampler(
            cuts, max_cuts=BATCH, num_buckets=30, shuffle=True, drop_last=False, seed=next(seeds)
        )

    rows = [int(cut.id) for batch in epoch() for cut in batch]
    assert sorted(rows) == list(range(call.n))
    return Task(counted(lambda: peers.read(iter(epoch())), call.n), note="cuts, 30 buckets of near lengths")


# -------------------------------------------------------------------------------------------- composed


def tuples(call: Call) -> Task:
    labels = data.tuple_labels(call.n, 2 * P)
    strategy = tombola.PerClass(labels, classes_per_batch=P, rows_per_class=K, few="drop")
    plan = next(epochs_of(strategy))
    for k in (0, len(plan) // 2, len(plan) - 1):
        assert np.unique(labels[plan[k]], return_counts=True)[1].tolist() == [K] * P
    return our_epochs(strategy)


def tuples_metric_learning(call: Call) -> Task:
    return _metric_learning(data.tuple_labels(call.n, 2 * P), K, BATCH * 20)


def _metric_learning(labels: Any, each: int, taken: int) -> Task:
    samplers = needed("pytorch_metric_learning.samplers")
    sampler = samplers.MPerClassSampler(labels, each, batch_size=BATCH, length_before_new_iter=taken)
    rows = list(sampler)
    counts = np.unique(labels[rows[:BATCH]], return_counts=True)[1]
    assert counts.tolist() == [each] * (BATCH // each)
    return Task(
        counted(lambda: peers.read(iter(sampler)), taken), note="with repeats; each batch costs all classes"
    )


def tuples_python(call: Call) -> Task:
    labels = data.tuple_labels(call.n, 2 * P).tolist()
    taken = sum(map(len, tuples_by_lists(labels, P, K)))
    return Task(
        counted(lambda: peers.read(tuples_by_lists(labels, P, K)), taken), note="each batch costs all classes"
    )


def mixture(call: Call) -> Task:
    """Mix by counts, as it is counted by valgrind."""
    roles = data.control_roles(call.n)
    strategy = tombola.Mixture(roles, {0: CONTROLS, 1: BATCH - CONTROLS})
    for batch in islice(next(epochs_of(strategy)), 3):
        assert np.count_nonzero(roles[batch] == 0) == CONTROLS
    return our_epochs(strategy)


def shares(call: Call) -> Task:
    first = call.n // 2
    roles = np.repeat(np.array([0, 1], dtype=np.int8), [first, call.n - first])
    strategy = tombola.Mixture(roles, {0: SHARES[0], 1: SHARES[1]}, total_size=call.n)
    plan = next(epochs_of(strategy))
    drawn = sum(int(np.count_nonzero(rows < first)) for rows in checks.windows(plan))
    assert abs(drawn - SHARES[0] * plan.n_rows) < 1
    return our_epochs(strategy)


def shares_numpy(call: Call) -> Task:
    first = call.n // 2

    def epoch() -> Iterator[Any]:
        return peers.blend(first, call.n - first, SHARES, WINDOW)

    drawn = sum(int(np.count_nonzero(rows < first)) for rows in epoch())
    assert abs(drawn - SHARES[0] * call.n) <= 1
    return Task(counted(lambda: peers.read(epoch()), call.n))
