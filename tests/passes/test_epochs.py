"""Passes, epochs and states, by the batch sampler; the loader shares the code, see `test_loader.py`."""

import json
import pickle
from itertools import islice
from typing import Any

import numpy as np
import pytest

from tombola import BlockShuffling, BlockWeightedSampling, PlanBatchSampler, Position, Streaming
from tombola.strategies.base import Strategy

N_ROWS = 50
SHUFFLING = BlockShuffling(block_size=4)


def make_sampler(**options: Any) -> PlanBatchSampler:
    return PlanBatchSampler(SHUFFLING, N_ROWS, **{"batch_size": 4, "fetch_factor": 3, "seed": 7, **options})


def planned(epoch: int = 0, **options: Any) -> list[list[int]]:
    """All batches of an epoch, asked of the plan one by one."""
    plan = SHUFFLING.plan(N_ROWS, epoch=epoch, **{"batch_size": 4, "fetch_factor": 3, "seed": 7, **options})
    return [plan[k].tolist() for k in range(len(plan))]


def test_every_completed_pass_advances_the_epoch() -> None:
    sampler = make_sampler()
    for epoch in range(3):
        assert sampler.epoch == epoch
        assert list(sampler) == planned(epoch)


def test_iter_changes_nothing_before_the_first_next() -> None:
    sampler = make_sampler()
    state = sampler.state_dict()
    iterators = [iter(sampler), iter(sampler)]
    assert sampler.state_dict() == state == iterators[0].state_dict()
    sampler.set_epoch(2)
    assert next(iterators[1]) == planned(2)[0]


def test_a_broken_pass_is_an_epoch() -> None:
    sampler = make_sampler()
    list(sampler)
    for epoch in (1, 2):
        batches = iter(sampler)
        assert sampler.epoch == epoch
        assert [next(batches) for _ in range(5)] == planned(epoch)[:5]
        assert sampler.epoch == epoch + 1
    assert list(sampler) == planned(3)
    iter(sampler).close()  # handed out nothing
    assert list(sampler) == planned(4)


@pytest.mark.parametrize(
    "take",
    [
        lambda sampler: list(islice(sampler, len(sampler))),
        lambda sampler: [batch for batch, _ in zip(sampler, range(len(sampler)), strict=False)],
        lambda sampler: [next(it) for it in [iter(sampler)] for _ in range(len(sampler))],
    ],
    ids=["islice", "zip", "next"],
)
def test_passes_of_exactly_their_length_are_complete(take: Any) -> None:
    sampler = make_sampler()
    for epoch in range(3):
        assert take(sampler) == planned(epoch)
        assert sampler.state_dict()["position"] == {"epoch": epoch + 1, "spans": []}


def test_an_exhausted_iterator_stays_so_and_counts_once() -> None:
    sampler = make_sampler()
    batches = iter(sampler)
    list(batches)
    for _ in range(3):
        with pytest.raises(StopIteration):
            next(batches)
    assert sampler.epoch == 1


def test_a_closed_iterator_completes_nothing() -> None:
    sampler = make_sampler()
    batches = iter(sampler)
    next(batches)
    batches.close()
    assert list(batches) == []
    assert sampler.state_dict()["position"] == {"epoch": 0, "spans": [[1, 1]]}
    unused = iter(sampler)
    unused.close()
    assert list(unused) == []
    assert sampler.epoch == 1


def test_live_iterators_are_independent() -> None:
    sampler = make_sampler()
    first, second = iter(sampler), iter(sampler)
    taken: tuple[list[list[int]], list[list[int]]] = ([], [])
    for _ in range(5):
        taken[0].append(next(first))
        taken[1].append(next(second))
        taken[1].append(next(second))
    assert sampler.state_dict() == second.state_dict() != first.state_dict()
    taken[1].extend(second)
    assert sampler.epoch == 2
    third = iter(sampler)
    assert next(third) == planned(2)[0]
    taken[0].extend(first)
    assert taken == (planned(0), planned(1))
    assert sampler.epoch == 3
    assert list(third) == planned(2)[1:]
    assert sampler.epoch == 3


def test_set_epoch_sets_the_coming_pass() -> None:
    sampler = make_sampler()
    running = iter(sampler)
    next(running)
    sampler.set_epoch(5)
    assert list(running) == planned(0)[1:]
    assert sampler.epoch == 5
    assert sampler.state_dict()["position"] == {"epoch": 5, "spans": []}
    assert list(sampler) == planned(5)
    assert sampler.epoch == 6
    running = iter(sampler)
    next(running)
    sampler.set_epoch(6)  # the user asks for this very epoch next
    list(running)
    assert sampler.epoch == 6


@pytest.mark.parametrize("step", range(14))
def test_resume_at_every_step(step: int) -> None:
    saving = make_sampler()
    list(saving)
    batches = iter(saving)
    for _ in range(step):
        next(batches)
    state = json.loads(json.dumps(saving.state_dict()))
    at_the_end = {**state, "position": {"epoch": 1, "spans": [[1, 13]]}}  # a point of its own pass
    assert batches.state_dict() == (at_the_end if step == 13 else state)
    sampler = make_sampler()
    sampler.load_state_dict(state)
    epoch = 2 if step == 13 else 1
    assert sampler.epoch == epoch
    assert len(sampler) == 13
    assert sampler.remaining == (13 - step or 13)
    assert sampler.state_dict() == state
    assert list(sampler) == planned(epoch)[step % 13 :]
    assert len(sampler) == sampler.remaining == 13
    assert list(sampler) == planned(epoch + 1)


def test_a_state_after_the_pass_resumes_to_the_next_epoch() -> None:
    saving = make_sampler()
    batches = iter(saving)
    list(batches)
    for state in (saving.state_dict(), batches.state_dict()):
        sampler = make_sampler()
        sampler.load_state_dict(state)
        assert list(sampler) == planned(1)


def test_a_state_outlives_its_iterator() -> None:
    sampler = make_sampler()
    for step, _ in enumerate(sampler):
        if step == 4:
            break
    assert sampler.state_dict()["position"] == {"epoch": 0, "spans": [[1, 5]]}


def stopped(epoch: int, step: int) -> dict[str, Any]:
    """The state of a sampler that was stopped there."""
    saving = make_sampler()
    saving.set_epoch(epoch)
    for _ in islice(saving, step):
        pass
    state: dict[str, Any] = json.loads(json.dumps(saving.state_dict()))
    return state


@pytest.mark.parametrize("count", [0, 3, 8])
def test_a_loaded_state_wins_over_a_counter(count: int, caplog: pytest.LogCaptureFixture) -> None:
    """Trainers count passes from 0 after a restart, or go on: the state wins, later counts follow it."""
    (sampler := make_sampler()).load_state_dict(stopped(3, 9))
    caplog.clear()
    for later in range(3):
        for _ in range(2):  # some trainers say it twice
            sampler.set_epoch(count + later)
        assert sampler.epoch == 3 + later
        assert list(sampler) == planned(3 + later)[9 if later == 0 else 0 :]
    said = [record.message for record in caplog.records]
    assert len(said) == (count != 3)
    assert all("a state of epoch 3 was loaded" in text and f"set_epoch({count})" in text for text in said)


def test_counts_that_begin_again_are_taken_as_they_are() -> None:
    sampler = make_sampler()
    sampler.load_state_dict(stopped(1, 9))
    sampler.set_epoch(5)
    assert list(sampler) == planned(1)[9:]
    sampler.set_epoch(6)
    assert list(sampler) == planned(2)
    sampler.set_epoch(0)
    assert list(sampler) == planned(0)
    sampler.set_epoch(1)
    assert list(sampler) == planned(1)


def test_a_loaded_state_is_one_pass() -> None:
    sampler = make_sampler()
    sampler.load_state_dict(stopped(0, 9))
    assert next(iter(sampler)) == planned(0)[9]
    sampler.set_epoch(0)
    assert list(sampler) == planned(0)
    sampler.load_state_dict(stopped(0, 9))
    sampler.load_state_dict(stopped(2, 4))
    assert list(sampler) == planned(2)[4:]


def test_iterators_load_states_of_their_own() -> None:
    sampler = make_sampler()
    batches = iter(sampler)
    for _ in range(6):
        next(batches)
    state = batches.state_dict()
    other = iter(sampler)
    other.load_state_dict(state)
    assert other.state_dict() == state
    assert list(other) == planned(0)[6:]
    assert sampler.epoch == 1
    batches.load_state_dict(state)
    assert list(batches) == planned(0)[6:]


def test_a_state_is_small_and_a_fresh_copy() -> None:
    weights = np.arange(1.0, 10_001.0)
    sampler = PlanBatchSampler(BlockWeightedSampling(weights), batch_size=10)
    state = sampler.state_dict()
    assert set(state) == {"version", "fingerprint", "seed", "position"}
    batches = iter(sampler)
    for _ in range(500):
        next(batches)
    assert len(json.dumps(sampler.state_dict())) < 1000
    for value in state.values():
        if isinstance(value, dict):
            value.clear()
    assert sampler.state_dict()["position"] == {"epoch": 0, "spans": [[1, 500]]}
    assert sampler.state_dict()["fingerprint"]["batch_size"] == 10


@pytest.mark.parametrize(
    ("strategy", "n", "options", "message"),
    [
        (SHUFFLING, N_ROWS, {"batch_size": 5}, "batch_size was 4, now is 5"),
        (SHUFFLING, N_ROWS, {"fetch_factor": 2}, "fetch_factor was 3, now is 2"),
        (SHUFFLING, N_ROWS, {"drop_last": True}, "drop_last was False, now is True"),
        (SHUFFLING, N_ROWS, {"seed": 8}, "seed was 7, now is 8"),
        (SHUFFLING, N_ROWS + 1, {}, "rows was 50, now is 51"),
        (BlockShuffling(8), N_ROWS, {}, "block_size was 4, now is 8"),
        (Streaming(), N_ROWS, {}, "strategy was 'BlockShuffling', now is 'Streaming'"),
        (BlockShuffling(4, indices=np.arange(N_ROWS)), N_ROWS, {}, "indices was None, now is '"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_another_configuration_is_refused(
    strategy: Strategy, n: int, options: dict[str, Any], message: str
) -> None:
    state = make_sampler().state_dict()
    sampler = PlanBatchSampler(strategy, n, **{"batch_size": 4, "fetch_factor": 3, "seed": 7, **options})
    with pytest.raises(ValueError, match=message):
        sampler.load_state_dict(state)
    with pytest.raises(ValueError, match=message):
        iter(sampler).load_state_dict(state)
    assert (
        next(iter(sampler))
        == strategy.plan(n, **{"batch_size": 4, "fetch_factor": 3, "seed": 7, **options})[0].tolist()
    )


def test_changed_weights_are_refused() -> None:
    weights = np.ones(N_ROWS)
    state = PlanBatchSampler(BlockWeightedSampling(weights), batch_size=4).state_dict()
    weights = weights.copy()
    weights[17] = 2
    with pytest.raises(ValueError, match=r"weights was '[0-9a-f]+', now is '[0-9a-f]+'"):
        PlanBatchSampler(BlockWeightedSampling(weights), batch_size=4).load_state_dict(state)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "expected a state of version 1, but got version 2"),
        ({"position": {"epoch": 0}}, "a position is "),
        ({"position": {"epoch": 0, "spans": [[1, 14]]}}, "14 steps of world size 1 where an epoch of 13"),
        ({"fingerprint": None}, "a state has the keys version, fingerprint, seed, position, but got"),
        ({"more": 1}, "a state has the keys version, fingerprint, seed, position, but got"),
    ],
)
def test_a_strange_state_is_refused(change: dict[str, Any], message: str) -> None:
    sampler = make_sampler()
    with pytest.raises(ValueError, match=message):
        sampler.load_state_dict({**sampler.state_dict(), **change})
    nothing: Any
    for nothing in ({}, [], None):
        with pytest.raises(ValueError, match="a state has the keys"):
            sampler.load_state_dict(nothing)


def test_a_copy_has_the_coming_pass() -> None:
    sampler = make_sampler()
    batches = iter(sampler)
    for _ in range(3):
        next(batches)
    sampler.load_state_dict(batches.state_dict())
    next(batches)
    copy = pickle.loads(pickle.dumps(sampler))
    assert copy.state_dict()["position"] == {"epoch": 0, "spans": [[1, 3]]}
    assert list(copy) == planned()[3:]


def test_the_state_at_a_position_is_that_of_an_iterator_there() -> None:
    sampler, ahead = make_sampler(), make_sampler()
    batches = iter(sampler)
    reading_ahead = iter(ahead)
    for _ in range(9):
        next(reading_ahead)
    for steps in range(6):
        assert ahead.state_at(Position(0).advanced(1, steps)) == sampler.state_dict()
        next(batches)
    with pytest.raises(ValueError, match="an epoch of 13 batches has 13 left"):
        sampler.state_at(Position(0).advanced(1, 14))


@pytest.mark.parametrize(("n_rows", "level"), [(20, "WARNING"), (2_004, "INFO"), (16, None)])
def test_what_drop_leaves_out_is_said_once(
    n_rows: int, level: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    sampler = PlanBatchSampler(Streaming(), n_rows, batch_size=4, rank=0, world_size=2)
    for _ in range(2):
        list(sampler)
    said = [(record.levelname, record.message) for record in caplog.records]
    batches = -(-n_rows // 4)
    expected = (
        f'PlanBatchSampler: 2 ranks share {batches} batches, of which even="drop" leaves out 1 at the end'
    )
    assert [name for name, _ in said] == ([level] if level else [])
    assert all(text.startswith(expected) for _, text in said)
