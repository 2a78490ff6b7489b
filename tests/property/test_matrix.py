"""The matrix of invariants: every strategy x drop_last x fetch_factor x indices x even x (W, W') x reader.

A new strategy joins by one line in `STRATEGIES`. Whatever is said of plans, samplers and loaders as such is
tested here; what one strategy alone promises is tested beside it.
"""

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tombola import (
    ArraySource,
    BlockShuffling,
    BlockWeightedSampling,
    Bucketed,
    ClassBalancedSampling,
    Loader,
    Mixture,
    PerClass,
    PlanBatchSampler,
    SeriesRoundRobin,
    Streaming,
)
from tombola.passes.schedule import Even
from tombola.plans.plan import Plan
from tombola.strategies.base import Strategy

Rows = npt.NDArray[np.int64]
Batch = tuple[int, ...]

N_ROWS = 47  # divided by no batch size, block size or world size used here
BATCH_SIZE = 4
SEED = 11
EVEN: tuple[Even, ...] = ("drop", "pad", "none")
WORLD_SIZES = ((1, 3), (3, 1), (2, 3), (4, 4), (2, 16))
SUBSET = np.flatnonzero(np.arange(N_ROWS) * 7 % 5 > 0)
WEIGHTS = np.arange(N_ROWS) * 5 % 9 / 2.0  # some are 0
LABELS = np.arange(N_ROWS) ** 2 % 5
SERIES = np.where(np.arange(N_ROWS) % 3 == 0, 8, np.arange(N_ROWS) % 11)  # one makes small batches
BOUNDS = np.array([0, 1, 9, 10, 11, 14, 30, 33, 40, N_ROWS])
LENGTHS = np.arange(N_ROWS) * 13 % 17

STRATA = np.arange(N_ROWS) * 5 % 7 // 3
PARITY = np.arange(N_ROWS) % 2
HALVES = np.arange(N_ROWS) // 4 % 2

ONCE, DRAWN, GROUPED = "every row once", "drawn by weight", "every row once, batches of unequal size"
TUPLES = "two rows of each of two classes a batch, no row twice, as many full batches as there can be"
MIXED = "full batches, in which rows alike come equally often or once more"


def growing_shares(batch: int) -> dict[int, float]:
    return {0: 1, 1: 1, 2: batch}


@dataclass(frozen=True)
class Case:
    """A strategy in one corner of the matrix."""

    strategy: Strategy
    promise: str
    fetch_factor: int
    drop_last: bool

    @property
    def options(self) -> dict[str, Any]:
        return {
            "batch_size": BATCH_SIZE,
            "fetch_factor": self.fetch_factor,
            "drop_last": self.drop_last,
            "seed": SEED,
        }

    def plan(self, epoch: int) -> Plan:
        return self.strategy.plan(N_ROWS, **self.options, epoch=epoch)

    def batches(self, epoch: int) -> list[Batch]:
        plan = self.plan(epoch)
        return [tuple(plan[k].tolist()) for k in range(len(plan))]

    @property
    def population(self) -> Rows:
        return np.arange(N_ROWS) if self.strategy.indices is None else SUBSET

    @property
    def positions(self) -> int:
        """Rows or draws of an epoch before anything is dropped."""
        return getattr(self.strategy, "total_size", None) or len(self.population)


STRATEGIES: dict[str, tuple[Callable[[Any], Strategy], str]] = {
    "streaming": (lambda rows: Streaming(indices=rows), ONCE),
    "streaming-shuffled": (lambda rows: Streaming(shuffle=True, indices=rows), ONCE),
    "blocks-1": (lambda rows: BlockShuffling(block_size=1, indices=rows), ONCE),
    "blocks-3": (lambda rows: BlockShuffling(block_size=3, indices=rows), ONCE),
    "blocks-between-bounds": (lambda rows: BlockShuffling(bounds=BOUNDS, indices=rows), ONCE),
    "equal": (lambda rows: BlockWeightedSampling(block_size=3, indices=rows), DRAWN),
    "stratified": (lambda rows: BlockWeightedSampling(WEIGHTS, block_size=3, indices=rows), DRAWN),
    "iid": (
        lambda rows: BlockWeightedSampling(WEIGHTS, block_size=3, total_size=61, draw="iid", indices=rows),
        DRAWN,
    ),
    "rounds": (
        lambda rows: BlockWeightedSampling(
            WEIGHTS, block_size=3, total_size=61, replace=False, sampling_size=19, indices=rows
        ),
        DRAWN,
    ),
    "balanced": (lambda rows: ClassBalancedSampling(LABELS, block_size=3, indices=rows), DRAWN),
    "series": (lambda rows: SeriesRoundRobin(SERIES, indices=rows), GROUPED),
    "series-two-each": (lambda rows: SeriesRoundRobin(SERIES, per_series=2, indices=rows), GROUPED),
    "series-in-order": (lambda rows: SeriesRoundRobin(SERIES, shuffle=False, indices=rows), GROUPED),
    "series-in-rounds": (lambda rows: SeriesRoundRobin(SERIES, schedule="round_robin", indices=rows), ONCE),
    "buckets": (lambda rows: Bucketed(LABELS, indices=rows), GROUPED),
    "buckets-boundaries": (lambda rows: Bucketed(LENGTHS, boundaries=[5, 9], indices=rows), GROUPED),
    "buckets-quantiles": (lambda rows: Bucketed(LENGTHS, n_buckets=4, indices=rows), GROUPED),
    "buckets-tokens": (
        lambda rows: Bucketed(LENGTHS, boundaries=[5, 9], max_tokens=24, indices=rows),
        GROUPED,
    ),
    "per-class": (lambda rows: PerClass(SERIES, rows_per_class=2, few="drop", indices=rows), TUPLES),
    "mixture-by-schedule": (
        lambda rows: Mixture(
            STRATA,
            growing_shares,
            strategies={1: Streaming(shuffle=True), 2: BlockShuffling(3)},
            total_size=21,
            indices=rows,
        ),
        MIXED,
    ),
    "mixture-of-conditions": (
        lambda rows: Mixture(
            STRATA,
            {0: 0.3, 1: 0.2, 2: 0.5},
            within=PARITY,
            per_condition=HALVES,
            controls=0,
            total_size=25,
            indices=rows,
        ),
        MIXED,
    ),
}


@pytest.fixture(params=[False, True], ids=["all", "indices"])
def indices(request: pytest.FixtureRequest) -> Rows | None:
    return SUBSET if request.param else None


@pytest.fixture(params=STRATEGIES)
def case(request: pytest.FixtureRequest, indices: Rows | None, fetch_factor: int, drop_last: bool) -> Case:
    make, promise = STRATEGIES[request.param]
    return Case(make(indices), promise, fetch_factor, drop_last)


corner = pytest.mark.parametrize(
    ("fetch_factor", "drop_last"),
    [
        pytest.param(
            fetch_factor, drop_last, id=f"fetch{fetch_factor}-{'drop_last' if drop_last else 'keep_last'}"
        )
        for fetch_factor, drop_last in itertools.product((1, 3, 20), (False, True))
    ],
)


@corner
def test_rows_are_those_promised(case: Case) -> None:
    plan = case.plan(epoch=1)
    rows = plan.indices()
    assert plan.n_rows == len(rows)
    assert np.isin(rows, case.population).all()
    if case.promise in {ONCE, DRAWN}:
        assert len(rows) == (case.positions // BATCH_SIZE * BATCH_SIZE if case.drop_last else case.positions)
    if case.promise in {ONCE, GROUPED}:
        assert len(set(rows.tolist())) == len(rows)
        if not case.drop_last:
            assert sorted(rows.tolist()) == case.population.tolist()
        elif not isinstance(case.strategy, Bucketed) or case.strategy.max_tokens is None:
            assert {len(batch) for batch in plan} == {BATCH_SIZE}
    elif case.promise == TUPLES:
        assert len(set(rows.tolist())) == len(rows)
        labels = np.asarray(case.strategy.labels)  # type: ignore[attr-defined]
        assert all(set(Counter(labels[batch].tolist()).values()) == {2} for batch in plan)
        tuples = np.bincount(labels[case.population]) // 2
        bound = next(t for t in itertools.count() if np.minimum(tuples, t + 1).sum() < 2 * (t + 1))
        assert [len(batch) for batch in plan] == [BATCH_SIZE] * bound
    elif case.promise == MIXED:
        assert {len(batch) for batch in plan} == {BATCH_SIZE}
        came = np.bincount(np.concatenate([case.plan(epoch=0).indices(), rows]), minlength=N_ROWS)
        alike = (STRATA * 2 + PARITY) * 2 + HALVES
        for kind in set(alike[case.population].tolist()):
            times = came[case.population[alike[case.population] == kind]]
            assert times.max() - times.min() <= 1
    elif isinstance(case.strategy, BlockWeightedSampling) and case.strategy.weights is not None:
        assert (WEIGHTS[rows] > 0).all()


@corner
def test_random_access_equals_iteration(case: Case) -> None:
    plan = case.plan(epoch=1)
    whole = plan.indices()
    count = len(plan)
    offsets = [plan.offset(k) for k in range(count + 1)]
    assert offsets[0] == 0
    assert offsets[-1] == len(whole)
    batches = [plan[k].tolist() for k in range(count)]
    assert batches == [whole[a:b].tolist() for a, b in itertools.pairwise(offsets)]
    assert [batch.tolist() for batch in plan] == batches
    assert [plan[k - count].tolist() for k in range(count)] == batches
    assert [batch.tolist() for batch in plan[2:7]] == batches[2:7]
    assert [batch.tolist() for batch in plan[::-3]] == batches[::-3]
    for start, stop in itertools.combinations(range(0, count + 1, 2), 2):
        rows, found = plan.batches(start, stop)
        assert rows.tolist() == whole[offsets[start] : offsets[stop]].tolist()
        assert found.tolist() == [offset - offsets[start] for offset in offsets[start : stop + 1]]


@corner
def test_epochs_and_seeds_decide(case: Case) -> None:
    assert case.batches(2) == case.batches(2)
    if getattr(case.strategy, "shuffle", True):
        assert case.batches(2) != case.batches(3)
        other = case.strategy.plan(N_ROWS, **{**case.options, "seed": SEED + 1}, epoch=2)
        assert other.indices().tolist() != case.plan(2).indices().tolist()


SOURCE = ArraySource(np.zeros((N_ROWS, 1), dtype=np.float32))


def make_sampler(case: Case, **options: Any) -> PlanBatchSampler:
    return PlanBatchSampler(case.strategy, N_ROWS, **case.options, **options)


def make_loader(case: Case, **options: Any) -> Loader:
    return Loader(SOURCE, case.strategy, **case.options, **options, prefetch=0)


def deliver(batches: Any) -> Iterator[Batch]:
    for batch in batches:
        yield tuple(batch["row"].tolist() if isinstance(batch, dict) else batch)


@corner
@pytest.mark.parametrize("make", [make_sampler, make_loader], ids=["sampler", "loader"])
def test_ranks_share_an_epoch(case: Case, make: Callable[..., Any]) -> None:
    epoch = case.batches(0)
    for even, world_size in itertools.product(EVEN, (1, 2, 3, 16)):
        if even == "drop" and len(epoch) < world_size:
            with pytest.raises(ValueError, match=f"a batch for each of {world_size} ranks, but has"):
                make(case, rank=0, world_size=world_size, even=even)
            continue
        readers = [make(case, rank=rank, world_size=world_size, even=even) for rank in range(world_size)]
        shares = [list(deliver(reader)) for reader in readers]
        assert_shares(shares, Counter(epoch), epoch, even)
        for reader, share in zip(readers, shares, strict=True):
            assert reader.epoch == 1
            reader.set_epoch(0)
            assert len(reader) == len(share)


@corner
@pytest.mark.parametrize("make", [make_sampler, make_loader], ids=["sampler", "loader"])
def test_resume_at_every_step_under_any_world_size(case: Case, make: Callable[..., Any]) -> None:
    epoch, following = case.batches(1), case.batches(2)
    for even, (before, after) in itertools.product(EVEN, WORLD_SIZES):
        if even == "drop" and len(epoch) < after:
            continue  # refused, as is tested above
        undisturbed = [make(case, rank=rank, world_size=before, even=even) for rank in range(before)]
        for reader in undisturbed:
            reader.set_epoch(1)
        runs = [iter(reader) for reader in undisturbed]
        left = Counter(epoch)
        resumed = [make(case, rank=rank, world_size=after, even=even) for rank in range(after)]
        for step in range(len(undisturbed[0]) + 1):
            if step:
                left -= Counter(batch for run in runs for batch in itertools.islice(deliver(run), 1))
            state = json.loads(json.dumps(undisturbed[0].state_dict()))
            is_over = step == len(undisturbed[0]) or (even == "drop" and left.total() < after)
            shares = []
            for reader in resumed:
                reader.load_state_dict(state)
                assert reader.epoch == (2 if is_over else 1)
                announced = reader.remaining
                shares.append(list(deliver(reader)))
                assert announced == len(shares[-1])
                assert reader.epoch == (3 if is_over else 2)
            if is_over:
                assert_shares(shares, Counter(following), following, even)
            else:
                assert_shares(shares, left, epoch, even)


def assert_shares(shares: list[list[Batch]], left: Counter[Batch], epoch: list[Batch], even: Even) -> None:
    """All that is left comes exactly once, up to `even` at the end."""
    delivered = Counter(itertools.chain(*shares))
    lengths = set(map(len, shares))
    over = left.total() % len(shares)
    if even == "none":
        assert delivered == left
        assert max(lengths) - min(lengths) <= 1
        return
    assert len(lengths) == 1
    if even == "drop":
        assert delivered <= left
        assert (left - delivered).total() == over
    else:
        repeated = [epoch[i % len(epoch)] for i in range(-over % len(shares) if over else 0)]
        assert delivered == left + Counter(repeated)
