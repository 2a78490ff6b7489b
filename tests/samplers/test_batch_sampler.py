"""The batch sampler: batches, ranks, reading ahead, errors; passes and states see `test_epochs.py`."""

import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import BatchSampler

from tombola import (
    BlockShuffling,
    BlockWeightedSampling,
    ClassBalancedSampling,
    PlanBatchSampler,
    Strategy,
    Streaming,
)
from tombola.plans.plan import Plan

N_ROWS = 50
SHUFFLING = BlockShuffling(block_size=4)


def make_sampler(**options: Any) -> PlanBatchSampler:
    return PlanBatchSampler(SHUFFLING, N_ROWS, **{"batch_size": 4, "fetch_factor": 3, "seed": 7, **options})


def planned(epoch: int = 0, **options: Any) -> list[list[int]]:
    """All batches of an epoch, asked of the plan one by one."""
    plan = SHUFFLING.plan(N_ROWS, epoch=epoch, **{"batch_size": 4, "fetch_factor": 3, "seed": 7, **options})
    return [plan[k].tolist() for k in range(len(plan))]


@pytest.mark.parametrize("drop_last", [False, True])
def test_a_pass_is_the_plan(drop_last: bool) -> None:
    sampler = make_sampler(drop_last=drop_last)
    assert isinstance(sampler, BatchSampler)
    assert (sampler.batch_size, sampler.drop_last) == (4, drop_last)
    expected = planned(drop_last=drop_last)
    assert len(sampler) == len(expected) == (12 if drop_last else 13)
    batches = list(sampler)
    assert batches == expected
    assert {type(row) for batch in batches for row in batch} == {int}
    arrays = list(make_sampler(drop_last=drop_last, as_array=True))
    assert {array.dtype for array in arrays} == {np.dtype(np.int64)}
    assert [array.tolist() for array in arrays] == expected


def test_the_inner_sampler_forwards_set_epoch() -> None:
    sampler = make_sampler()
    sampler.sampler.set_epoch(3)
    assert sampler.epoch == 3
    assert len(sampler.sampler) == N_ROWS
    assert list(sampler.sampler) == [row for batch in planned(3) for row in batch]
    assert sampler.epoch == 4  # rows one by one are a pass as well
    assert list(sampler) == planned(4)


@pytest.mark.parametrize("even", ["drop", "pad", "none"])
def test_rows_one_by_one_are_dealt_out_as_batches_are(even: Any) -> None:
    for rank in range(3):
        sampler = make_sampler(rank=rank, world_size=3, even=even)
        expected = [row for batch in make_sampler(rank=rank, world_size=3, even=even) for row in batch]
        assert len(sampler.sampler) == len(expected)
        assert list(sampler.sampler) == expected


@pytest.mark.parametrize("world_size", [1, 2, 3, 5, 14])
@pytest.mark.parametrize("even", ["drop", "pad", "none"])
def test_ranks_take_every_worldth_batch(world_size: int, even: str) -> None:
    batches = planned()
    full, over = divmod(len(batches), world_size)
    if even == "drop" and not full:
        message = (
            r"a batch for each of 14 ranks, but has 13 batches, which even=\"drop\" would leave out: use"
        )
        with pytest.raises(ValueError, match=message):
            make_sampler(rank=0, world_size=world_size)
        return
    for rank in range(world_size):
        expected = batches[rank::world_size]
        if even == "drop":
            expected = expected[:full]
        elif even == "pad" and over and len(expected) == full:
            expected.append(batches[rank - over])
        sampler = make_sampler(rank=rank, world_size=world_size, even=even)
        assert len(sampler) == len(expected)
        assert list(sampler) == expected
        assert sampler.epoch == 1


@pytest.mark.parametrize(("batch_size", "fetch_factor"), [(1, 1), (1, 4), (64, 1), (100, 2)])
def test_far_apart_batches_are_read_right(batch_size: int, fetch_factor: int) -> None:
    """World sizes at which other ranks' rows are skipped, and at which they are read along."""
    options: dict[str, Any] = {"batch_size": batch_size, "fetch_factor": fetch_factor, "seed": 1}
    whole = SHUFFLING.plan(20_011, **options).indices()
    for world_size in (7, 64, 200):
        sampler = PlanBatchSampler(
            SHUFFLING, 20_011, **options, rank=world_size - 1, world_size=world_size, even="none"
        )
        count = 0
        for step, batch in enumerate(sampler):
            start = (step * world_size + world_size - 1) * batch_size
            assert batch == whole[start : start + batch_size].tolist()
            count += 1
        assert count == len(sampler)


class Spied(Streaming):
    """Remembers what is asked of its plans."""

    calls: list[tuple[int, int]]

    def plan(self, *args: Any, **options: Any) -> Plan:
        plan = super().plan(*args, **options)
        calls: list[tuple[int, int]] = []
        object.__setattr__(self, "calls", calls)

        class Spy(Plan):
            def batches(self, start: int = 0, stop: int | None = None) -> Any:
                assert stop is not None
                calls.append((start, stop))
                return plan.batches(start, stop)

        spy = object.__new__(Spy)
        spy.__dict__.update(plan.__dict__)
        return spy


def test_reading_ahead_grows_from_one_window() -> None:
    strategy = Spied()
    sampler = PlanBatchSampler(strategy, 10**6, batch_size=10, fetch_factor=8, as_array=True)
    batches = iter(sampler)
    assert strategy.calls == []
    next(batches)
    assert strategy.calls == [(0, 8)]
    list(batches)
    sizes = [stop - start for start, stop in strategy.calls]
    assert sizes[:4] == [8, 32, 128, 512]
    assert max(sizes) * 10 <= 65_536 < 2 * max(sizes) * 10
    assert all(start % 8 == 0 for start, _ in strategy.calls)


def test_a_resumed_pass_reads_to_the_end_of_its_window_first() -> None:
    strategy = Spied()
    sampler = PlanBatchSampler(strategy, 1000, batch_size=10, fetch_factor=8)
    state = sampler.state_dict()
    state["position"]["spans"] = [[1, 13]]
    sampler.load_state_dict(state)
    assert next(iter(sampler)) == list(range(130, 140))
    assert strategy.calls == [(13, 16)]


def test_ranks_come_from_torch_distributed(monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = make_sampler()
    assert len(sampler) == 13
    sampler = pickle.loads(pickle.dumps(sampler))  # before anything is initialised, nothing is settled
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 1)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 3)
    assert len(sampler) == 4
    assert list(sampler) == planned()[1:12:3]
    assert len(make_sampler(rank=0, world_size=1)) == 13
    copy = pickle.loads(pickle.dumps(sampler))
    monkeypatch.undo()
    assert list(copy) == planned(1)  # it is no rank's any more
    assert len(sampler) == 13


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_helper_of_a_rank_reads_for_it(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 1)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 3)
    content = pickle.dumps(make_sampler())
    monkeypatch.undo()
    with ProcessPoolExecutor(1, get_context(method)) as helper:
        assert helper.submit(list, pickle.loads(content)).result(timeout=60) == planned()
        assert helper.submit(_batches_of, content).result(timeout=60) == planned()[1:12:3]


def _batches_of(content: bytes) -> list[Any]:
    return list(pickle.loads(content))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"batch_size": 0}, ValueError, "batch_size must be an integer >= 1, but is 0"),
        ({"batch_size": 2.0}, TypeError, "batch_size must be an integer >= 1, but is 2.0"),
        ({"fetch_factor": 0}, ValueError, "fetch_factor must be an integer >= 1, but is 0"),
        ({"drop_last": 1}, TypeError, "drop_last must be True or False, but is 1"),
        ({"as_array": "yes"}, TypeError, "as_array must be True or False, but is 'yes'"),
        ({"seed": -1}, ValueError, "seed must be an integer >= 0, but is -1"),
        ({"even": "equal"}, ValueError, 'even must be "drop" or "pad" or "none", but is "equal"'),
        ({"rank": 1}, ValueError, "give both rank and world_size or neither, but got rank=1"),
        ({"rank": 2, "world_size": 2}, ValueError, "rank must be an integer >= 0 and < 2, but is 2"),
        ({"rank": 0, "world_size": 0}, ValueError, "world_size must be an integer >= 1, but is 0"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make_sampler(**options)


@pytest.mark.parametrize("strategy", [Streaming, "streaming", None])
def test_a_strategy_is_needed(strategy: Any) -> None:
    with pytest.raises(TypeError, match=r"strategy must be a Strategy such as BlockShuffling\(\), but is"):
        PlanBatchSampler(strategy, 4, batch_size=2)


def test_rows_must_be_known() -> None:
    with pytest.raises(TypeError, match="n is needed"):
        PlanBatchSampler(SHUFFLING, batch_size=4)
    with pytest.raises(ValueError, match="weights must be as long as the whole, n = 4"):
        PlanBatchSampler(BlockWeightedSampling(np.ones(3)), 4, batch_size=4)
    with pytest.raises(ValueError, match="epoch must be an integer >= 0, but is -1"):
        make_sampler().set_epoch(-1)


@pytest.mark.parametrize(
    ("strategy", "fetch_factor", "said"),
    [
        (
            ClassBalancedSampling(np.arange(1_000) // 900),
            1,
            ["32 rows mixes few blocks (2) of block_size=16"],
        ),
        (BlockShuffling(), 7, ["224 rows mixes few blocks (14) of block_size=16"]),
        (BlockShuffling(bounds=[0, 500, 1_000]), 1, []),
        (BlockShuffling(), 8, []),
        (BlockShuffling(block_size=1), 1, []),
        (BlockShuffling(block_size=400), 32, []),
        (Streaming(), 1, []),
    ],
)
def test_windows_of_few_blocks_are_said_once(
    strategy: Strategy, fetch_factor: int, said: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Not where a window holds all rows, which are then mixed as a whole."""
    caplog.set_level("INFO")
    sampler = PlanBatchSampler(strategy, 1_000, batch_size=32, fetch_factor=fetch_factor)
    for _ in range(2):
        list(sampler)
    assert {record.levelname for record in caplog.records} <= {"WARNING" if fetch_factor == 1 else "INFO"}
    assert len(caplog.messages) == len(said)
    for message, expected in zip(caplog.messages, said, strict=True):
        assert expected in message
        assert message.endswith(
            "set block_size=1 for data in memory, and for files that are read in runs fetch_factor=16 or more"
        )


@pytest.mark.parametrize("even", ["drop", "pad", "none"])
def test_nothing_to_do(even: Any, caplog: pytest.LogCaptureFixture) -> None:
    sampler = PlanBatchSampler(Streaming(), 3, batch_size=4, drop_last=True, rank=1, world_size=2, even=even)
    assert len(sampler) == 0
    for epoch in range(2):
        assert sampler.epoch == epoch
        assert list(sampler) == []
    assert caplog.messages == [
        "PlanBatchSampler: drop_last=True leaves no batch, as there are fewer rows than batch_size=4"
    ]
