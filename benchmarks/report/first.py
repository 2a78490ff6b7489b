"""The first batch of a new epoch, and the first one after a resume: what a trainer waits for."""

from collections.abc import Callable, Iterable
from itertools import count, islice
from typing import Any

import numpy as np

from benchmarks import data, peers
from benchmarks.python_samplers import PythonBucketSampler, PythonSeriesSampler
from benchmarks.report.plans import BATCH, FETCH, N_BUCKETS
from benchmarks.report.tasks import Call, Task, needed

FIRST_EPOCH = 1


def ours(call: Call) -> Task:
    sampler = _sampler(call)

    def first() -> Any:
        sampler.set_epoch(next(epochs))
        return next(iter(sampler))

    epochs = count(FIRST_EPOCH)
    plan = sampler.strategy.plan(call.n, batch_size=BATCH, fetch_factor=FETCH, seed=1, epoch=FIRST_EPOCH)
    assert first() == plan[0].tolist()
    return _task(first)


def scdataset(call: Call) -> Task:
    return _of_epochs(lambda seed: _scdataset_batches(call.n, seed), call.n)


def torch(call: Call) -> Task:
    needed("torch")
    return _of_epochs(lambda _: peers.random_batches(call.n, BATCH), call.n)


def grain(call: Call) -> Task:
    return _of_epochs(lambda seed: _grain_batches(call.n, seed), call.n)


def series_python(call: Call) -> Task:
    sampler = PythonSeriesSampler(data.series_ids(call.n).tolist(), BATCH)
    return _of_epochs(lambda _: sampler, call.n)


def buckets_python(call: Call) -> Task:
    sampler = PythonBucketSampler(data.bucket_keys(call.n, N_BUCKETS).tolist(), BATCH)
    return _of_epochs(lambda _: sampler, call.n, least=1)


def buckets_transformers(call: Call) -> Task:
    lengths = data.bucket_keys(call.n, N_BUCKETS).tolist()
    sampler = needed("transformers.trainer_pt_utils").LengthGroupedSampler(BATCH, lengths=lengths)
    return _of_epochs(lambda _: [list(islice(iter(sampler), BATCH))], call.n)


def resume(call: Call) -> Task:
    from tombola import Position

    sampler = _sampler(call)
    plan = sampler.strategy.plan(call.n, batch_size=BATCH, fetch_factor=FETCH, seed=1, epoch=0)
    empty = sampler.state_dict()
    places = [number * 7919 % len(plan) for number in range(1, 21)]
    states = [{**empty, "position": Position(0).advanced(1, place).to_dict()} for place in places]
    numbers = count()

    def first() -> Any:
        sampler.load_state_dict(states[next(numbers) % len(states)])
        return next(iter(sampler))

    for place in places:
        assert first() == plan[place].tolist()
    return _task(first, "anywhere")


def resume_torch(call: Call) -> Task:
    needed("torch")
    place = call.n // BATCH // 2

    def first() -> Any:
        return next(islice(peers.random_batches(call.n, BATCH), place, None))

    assert len(first()) == min(BATCH, call.n)
    return _task(first, "replayed to the middle")


def resume_grain(call: Call) -> Task:
    batches = _grain_batches(call.n, 1)
    place = call.n // BATCH // 2
    state = {**batches.get_state(), "next_index": place}
    expected = next(islice(_grain_batches(call.n, 1), place, None)) if call.n <= 10**5 else None

    def first() -> Any:
        batches.set_state(state)
        return next(batches)

    assert expected is None or np.array_equal(first(), expected)
    return _task(first, "in the middle")


def _sampler(call: Call) -> Any:
    import tombola

    strategies: dict[str, Callable[[], tombola.Strategy]] = {
        "blocks": lambda: tombola.BlockShuffling(block_size=16),
        "series": lambda: tombola.SeriesRoundRobin(data.series_ids(call.n)),
        "buckets": lambda: tombola.Bucketed(data.bucket_keys(call.n, N_BUCKETS)),
    }
    strategy = strategies[call.options["strategy"]]()
    return tombola.PlanBatchSampler(strategy, call.n, batch_size=BATCH, fetch_factor=FETCH, seed=1)


def _scdataset_batches(n: int, seed: int) -> Iterable[Any]:
    package = needed("scdataset")
    batches: Iterable[Any] = package.scDataset(
        peers.Identity(n), package.BlockShuffling(16), batch_size=BATCH, fetch_factor=FETCH, seed=seed
    )
    return batches


def _grain_batches(n: int, seed: int) -> Any:
    package = needed("grain")
    options = package.ReadOptions(num_threads=0, prefetch_buffer_size=0)
    shuffled = package.MapDataset.range(n).shuffle(seed=seed).batch(BATCH)
    return iter(shuffled.to_iter_dataset(options))


def _of_epochs(epoch: Callable[[int], Iterable[Any]], n: int, least: int = BATCH) -> Task:
    seeds = count(1)

    def first() -> Any:
        return next(iter(epoch(next(seeds))))

    rows = np.asarray(first())
    assert min(least, n) <= len(np.unique(rows)) == len(rows) <= BATCH
    assert 0 <= rows.min() <= rows.max() < n
    return _task(first)


def _task(first: Callable[[], object], note: str = "") -> Task:
    def run() -> int:
        first()
        return 1

    return Task(run, note=note)
