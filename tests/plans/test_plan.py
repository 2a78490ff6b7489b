"""Plan: a sequence of batches whose every access agrees with every other."""

import dataclasses
import pickle
from typing import Any

import numpy as np
import pytest

import tombola
from tombola import Plan

WEIGHTS = np.arange(1, 101)
STRATEGIES = {
    "streaming": tombola.Streaming(),
    "windows": tombola.Streaming(shuffle=True),
    "blocks": tombola.BlockShuffling(8),
    "weighted": tombola.BlockWeightedSampling(WEIGHTS, total_size=77),
    "rounds": tombola.BlockWeightedSampling(WEIGHTS, replace=False, sampling_size=30),
    "classes": tombola.ClassBalancedSampling(WEIGHTS % 3, indices=np.arange(10, 100)),
}


@pytest.fixture(params=list(STRATEGIES.values()), ids=list(STRATEGIES))
def plan(request: pytest.FixtureRequest) -> Plan:
    made: Plan = request.param.plan(100, batch_size=7, fetch_factor=3, seed=2, epoch=1)
    return made


def listed(batches: Any) -> list[list[int]]:
    return [batch.tolist() for batch in batches]


def test_every_access_agrees(plan: Plan) -> None:
    count = len(plan)
    batches = listed(plan)
    assert len(batches) == count
    assert listed(plan[k] for k in range(count)) == batches
    assert listed(plan[k - count] for k in range(count)) == batches
    assert [row for batch in batches for row in batch] == plan.indices().tolist()
    assert plan.n_rows == len(plan.indices())
    assert [plan.offset(k) for k in range(count + 1)] == [
        sum(map(len, batches[:k])) for k in range(count + 1)
    ]
    assert listed(reversed(plan)) == batches[::-1]


@pytest.mark.parametrize(
    "chosen",
    [
        slice(None),
        slice(2, 5),
        slice(-3, None),
        slice(5, 2),
        slice(None, None, 2),
        slice(None, None, -1),
        slice(90, 99),
    ],
    ids=str,
)
def test_slices_are_those_of_a_list(plan: Plan, chosen: slice) -> None:
    batches = plan[chosen]
    assert isinstance(batches, list)
    assert listed(batches) == listed(plan)[chosen]


def test_many_batches_by_one_call(plan: Plan) -> None:
    count = len(plan)
    for start, stop in [(0, count), (0, 0), (1, 4), (2, 3), (count, count), (4, count)]:
        rows, offsets = plan.batches(start, stop)
        assert rows.dtype == offsets.dtype == np.int64
        assert len(offsets) == stop - start + 1
        assert offsets[0] == 0
        assert listed(np.split(rows, offsets[1:-1]) if stop > start else []) == listed(plan)[start:stop]
    for asked in (plan.batches(), plan.batches(0)):
        assert asked[0].tolist() == plan.indices().tolist()


def test_iteration_reads_whole_windows_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[int, int]] = []

    class Spy:
        def __init__(self, core: Any) -> None:
            self.core = core

        def __len__(self) -> int:
            return len(self.core)

        def batches(self, start: int, stop: int) -> Any:
            calls.append((start, stop))
            return self.core.batches(start, stop)

    made = tombola.BlockShuffling().plan(200_000, batch_size=10, fetch_factor=30)
    core: Any = Spy(made._core)
    spied = dataclasses.replace(made, _core=core)
    assert listed(spied) == listed(made[:])
    assert len(calls) == 4
    assert all(start % 30 == 0 for start, _ in calls)


def test_iterators_do_not_disturb_each_other(plan: Plan) -> None:
    first, second = iter(plan), iter(plan)
    next(first)
    assert listed(second) == listed(plan)
    assert len(list(first)) == len(plan) - 1


def test_batches_are_arrays_that_the_caller_may_change(plan: Plan) -> None:
    before = plan[0].tolist()
    batch = plan[0]
    batch[:] = -1
    assert plan[0].tolist() == before
    for batch in plan:
        batch[:] = -1
    assert plan[0].tolist() == before


@pytest.mark.parametrize(
    ("ask", "error", "message"),
    [
        (lambda p: p[3], IndexError, "k must lie in [-3, 3) for a plan of 3 batches, but is 3"),
        (lambda p: p[-4], IndexError, "k must lie in [-3, 3) for a plan of 3 batches, but is -4"),
        (
            lambda p: p[2**70],
            ValueError,
            "k must be an integer < 2**63, but is 1180591620717411303424",
        ),
        (lambda p: p[1.0], TypeError, "k must be an integer, but is 1.0"),
        (lambda p: p.batches(0, 4), IndexError, "the batches must lie in [0, 3], but are [0, 4)"),
        (lambda p: p.batches(2, 1), IndexError, "the batches must lie in [0, 3], but are [2, 1)"),
        (lambda p: p.batches(-1), IndexError, "the batches must lie in [0, 3], but are [-1, 3)"),
        (lambda p: p.offset(4), IndexError, "k must lie in [0, 3], but is 4"),
        (lambda p: p.offset(-1), IndexError, "k must lie in [0, 3], but is -1"),
        (lambda p: p.report(max_rows=0), ValueError, "max_rows must be an integer >= 1, but is 0"),
    ],
)
def test_wrong_questions(ask: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        ask(tombola.Streaming().plan(10, batch_size=4))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("n", "drop_last", "sizes"),
    [
        (12, False, [4, 4, 4]),
        (13, False, [4, 4, 4, 1]),
        (13, True, [4, 4, 4]),
        (3, True, []),
        (3, False, [3]),
        (0, False, []),
    ],
)
def test_the_last_batch(n: int, drop_last: bool, sizes: list[int]) -> None:
    made = tombola.BlockShuffling(2).plan(n, batch_size=4, fetch_factor=2, drop_last=drop_last)
    assert [len(batch) for batch in made] == sizes
    assert len(made) == len(sizes)
    assert made.n_rows == sum(sizes)


def test_options_are_kept(plan: Plan) -> None:
    assert (plan.batch_size, plan.fetch_factor, plan.drop_last, plan.seed, plan.epoch) == (7, 3, False, 2, 1)
    assert plan.n == 100
    assert plan.strategy in STRATEGIES.values()
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.seed = 5  # type: ignore[misc]


def test_epochs_and_seeds(plan: Plan) -> None:
    assert listed(plan.at_epoch(1)) == listed(plan)
    other = plan.at_epoch(2)
    assert (other.epoch, other.seed, other.batch_size, other.n) == (2, 2, 7, 100)
    is_shuffled = plan.strategy != tombola.Streaming()
    assert (listed(other) != listed(plan)) == is_shuffled
    swapped = plan.strategy.plan(100, batch_size=7, fetch_factor=3, seed=1, epoch=2)
    assert (listed(swapped) != listed(plan)) == is_shuffled


def test_pickle(plan: Plan) -> None:
    copy = pickle.loads(pickle.dumps(plan))
    assert listed(copy) == listed(plan)
    assert repr(copy) == repr(plan)


def test_short_description() -> None:
    text = "<Plan of BlockShuffling(block_size=8): 100 rows in 15 batches of 7, seed=2, epoch=1>"
    assert repr(STRATEGIES["blocks"].plan(100, batch_size=7, seed=2, epoch=1)) == text


def test_plans_are_the_same_for_any_number_of_threads() -> None:
    before = tombola.get_num_threads()
    try:
        found = []
        for threads in (1, 4, 7):
            tombola.set_num_threads(threads)
            found.append(tombola.BlockShuffling(3).plan(300_001, batch_size=50, fetch_factor=7).indices())
    finally:
        tombola.set_num_threads(before)
    assert all(np.array_equal(rows, found[0]) for rows in found)
