"""Positions and schedules against a simulation that holds every batch of the epoch in lists."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, groupby, zip_longest
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tombola.passes.position import Position
from tombola.passes.schedule import Even, Schedule

EVEN: tuple[Even, ...] = ("drop", "pad", "none")


@dataclass
class Left:
    """What is left of an epoch: batches of broken-off groups and whole windows."""

    carry: list[int]
    windows: list[list[int]]


def start(n_batches: int, window_batches: int) -> Left:
    return Left(
        [], [list(range(n_batches))[i : i + window_batches] for i in range(0, n_batches, window_batches)]
    )


def simulate(left: Left, window_batches: int, world_size: int) -> Iterator[tuple[list[int], Left]]:
    """Yield every step (batches of ranks 0, 1, ...; the last one may be short) and what it leaves."""
    carry, windows = list(left.carry), list(left.windows)
    while len(carry) >= world_size:
        step, carry = carry[:world_size], carry[world_size:]
        yield step, Left(carry, windows)
    while len(windows) >= world_size and all(len(w) == window_batches for w in windows[:world_size]):
        group, windows = windows[:world_size], windows[world_size:]
        for s in range(window_batches):
            broken = [batch for window in group for batch in window[s + 1 :]]
            yield [window[s] for window in group], Left(carry + broken, windows)
    items = carry + [batch for window in windows for batch in window]
    while items:
        step, items = items[:world_size], items[world_size:]
        untouched = [window for window in windows if set(window) <= set(items)]
        touched = [batch for batch in items if not any(batch in window for window in untouched)]
        yield step, Left(touched, untouched)


def rank_batches(steps: list[list[int]], n_batches: int, world_size: int, rank: int, even: Even) -> list[int]:
    """The batches of one rank, with the last incomplete step treated by `even`."""
    taken = []
    for step in steps:
        if len(step) < world_size and even == "drop":
            continue
        if rank < len(step):
            taken.append(step[rank])
        elif even == "pad":
            taken.append((rank - len(step)) % n_batches)
    return taken


@dataclass(frozen=True)
class Case:
    """An epoch, and world sizes with the share of what is left that each takes, in thousandths."""

    n_batches: int
    window_batches: int
    history: tuple[tuple[int, int], ...]


cases = st.builds(
    Case,
    st.integers(0, 60),
    st.integers(1, 7),
    st.lists(st.tuples(st.integers(1, 6), st.integers(0, 1000)), max_size=4).map(tuple),
)


def replay(case: Case) -> tuple[Position, Left, list[list[int]]]:
    """Take the steps of the history in the simulation; neighbours of one world size are one run.

    Returns the position, what is left, and the steps that the same ranks would take next.
    """
    position, left, coming = Position(0), start(case.n_batches, case.window_batches), list[list[int]]()
    for world_size, group in groupby(case.history, key=lambda run: run[0]):
        if position.spans and position.spans[-1][0] == world_size:
            break  # the run between was empty, so these two are one: not what is simulated here
        steps = list(simulate(left, case.window_batches, world_size))
        taken = 0
        for _, share in group:
            taken += (len(steps) - taken) * share // 1000
        position = position.advanced(world_size, taken)
        if taken:
            left = steps[taken - 1][1]
            coming = [step for step, _ in steps[taken:]]
    return position, left, coming


@given(cases, st.integers(1, 6), st.sampled_from(EVEN))
@example(Case(11, 2, ((2, 600),)), 1, "drop")
@example(Case(3, 4, ()), 5, "pad")
@example(Case(30, 4, ((3, 500), (2, 100))), 4, "none")
@example(Case(30, 4, ((3, 300), (2, 500))), 2, "none")
def test_equals_the_simulation(case: Case, world_size: int, even: Even) -> None:
    position, left, steps = replay(case)
    schedule = Schedule(case.n_batches, case.window_batches)
    rest = left.carry + [batch for window in left.windows for batch in window]
    assert schedule.remaining(position) == len(rest)
    if not position.spans or position.spans[-1][0] != world_size:
        steps = [step for step, _ in simulate(left, case.window_batches, world_size)]
    for rank in range(world_size):
        expected = rank_batches(steps, case.n_batches, world_size, rank, even)
        share = schedule.share(position, world_size=world_size, rank=rank, even=even)
        assert list(share) == expected
        assert (
            len(share)
            == len(expected)
            == schedule.steps(position, world_size=world_size, rank=rank, even=even)
        )
        assert [share[step] for step in range(-len(share), len(share))] == expected * 2
        for first in range(len(share) + 1):
            assert [batch for run in share.runs(first) for batch in run] == expected[first:]


@given(st.integers(0, 60), st.integers(1, 7), st.integers(1, 6), st.sampled_from(EVEN), st.data())
def test_resuming_under_the_same_world_size_changes_nothing(
    n_batches: int, window_batches: int, world_size: int, even: Even, data: st.DataObject
) -> None:
    schedule = Schedule(n_batches, window_batches)
    for rank in range(world_size):
        whole = list(schedule.share(Position(4), world_size=world_size, rank=rank, even=even))
        cut = data.draw(st.integers(0, len(whole)))
        position = Position(4).advanced(world_size, cut)
        assert list(schedule.share(position, world_size=world_size, rank=rank, even=even)) == whole[cut:]


@given(cases, st.integers(1, 6))
def test_what_is_left_is_delivered_exactly_once(case: Case, world_size: int) -> None:
    position, left, _ = replay(case)
    rest = sorted(left.carry + [batch for window in left.windows for batch in window])
    schedule = Schedule(case.n_batches, case.window_batches)
    shares = {
        even: [
            list(schedule.share(position, world_size=world_size, rank=rank, even=even))
            for rank in range(world_size)
        ]
        for even in EVEN
    }
    assert sorted(chain(*shares["none"])) == rest
    for even in ("drop", "pad"):
        assert len(set(map(len, shares[even]))) == 1
    dropped = list(chain(*shares["drop"]))
    assert len(set(dropped)) == len(dropped) > len(rest) - world_size
    assert set(dropped) <= set(rest)
    for kept, padded in zip(shares["none"], shares["pad"], strict=True):
        assert padded[: len(kept)] == kept
        assert len(padded) <= len(kept) + 1
        assert len(padded) == -(-len(rest) // world_size)


@given(
    cases,
    st.integers(1, 4),
    st.integers(1, 4),
    st.sampled_from(EVEN),
)
def test_workers_share_what_their_rank_has(case: Case, world_size: int, workers: int, even: Even) -> None:
    position, _, _ = replay(case)
    schedule = Schedule(case.n_batches, case.window_batches)
    alone, together = [], []
    for rank in range(world_size):
        own = schedule.share(position, world_size=world_size, rank=rank, even=even)
        parts = [
            list(
                schedule.share(
                    position, world_size=world_size, rank=rank, even=even, workers=workers, worker=worker
                )
            )
            for worker in range(workers)
        ]
        assert sum(map(len, parts)) == len(own)
        alone += list(own)
        together += list(chain(*parts))
    if even == "none":
        assert sorted(together) == sorted(alone)
    elif even == "drop":
        assert len(set(together)) == len(together)


@pytest.mark.parametrize("n_batches", [10**15, 10**15 + 7])
@pytest.mark.parametrize("window_batches", [1, 16])
def test_size_does_not_matter(n_batches: int, window_batches: int) -> None:
    schedule = Schedule(n_batches, window_batches)
    position = Position(0).advanced(3, 10**14).advanced(8, 5)
    left = n_batches - 3 * 10**14 - 40
    assert schedule.remaining(position) == left
    share = schedule.share(position, world_size=4, rank=1)
    assert len(share) == left // 4
    assert share[-1] == share[len(share) - 1]
    assert next(share.runs())[0] == share[0]
    batches = {schedule.share(position, world_size=4, rank=rank)[10**9] for rank in range(4)}
    assert len(batches) == 4


@pytest.mark.parametrize(("n_batches", "world_size", "steps"), [(18, 2, 10), (0, 1, 1), (5, 4, 3), (5, 8, 2)])
def test_more_steps_than_the_epoch_has_are_refused(n_batches: int, world_size: int, steps: int) -> None:
    with pytest.raises(ValueError, match=f"holds {steps} steps of world size {world_size} where an epoch of"):
        Schedule(n_batches).remaining(Position(0).advanced(world_size, steps))
    Schedule(n_batches).remaining(Position(0).advanced(world_size, steps - 1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"even": "equal"}, 'even must be "drop" or "pad" or "none", but is "equal"'),
        ({"world_size": 0}, "world_size must be an integer >= 1, but is 0"),
        ({"world_size": 2, "rank": 2}, "rank must be an integer >= 0 and < 2, but is 2"),
        ({"rank": -1}, "rank must be an integer >= 0, but is -1"),
        ({"worker": 1}, "worker must be an integer >= 0 and < 1, but is 1"),
    ],
)
def test_bad_arguments_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Schedule(10).share(Position(0), **options)
    with pytest.raises(ValueError, match="window_batches must be an integer >= 1, but is 0"):
        Schedule(10, 0)
    with pytest.raises(IndexError, match=r"step must be in \[-10, 10\), but got 10"):
        Schedule(10).share(Position(0))[10]


def taken_in_turn(schedule: Schedule, position: Position, ranks: int, workers: int) -> list[list[int]]:
    """The batches of each rank, as its worker processes give them: in turn, as long as they have some."""
    delivered = []
    for rank in range(ranks):
        shares = [
            list(
                schedule.share(
                    position, world_size=ranks, rank=rank, even="none", workers=workers, worker=worker
                )
            )
            for worker in range(workers)
        ]
        turns = zip_longest(*shares)
        delivered.append([batch for turn in turns for batch in turn if batch is not None])
    return delivered


@given(
    st.integers(0, 60),
    st.integers(1, 7),
    st.integers(1, 3),
    st.integers(1, 4),
    st.integers(0, 1000),
    st.integers(1, 3),
    st.integers(1, 4),
)
@example(30, 4, 1, 3, 400, 1, 2)
@example(30, 4, 2, 3, 500, 2, 3)
def test_worker_processes_go_on_from_any_batch(
    n_batches: int, window_batches: int, ranks: int, workers: int, share: int, later: int, later_workers: int
) -> None:
    """However many batches each rank has taken, the same workers go on in order, others take all the rest."""
    schedule = Schedule(n_batches, window_batches)
    whole = taken_in_turn(schedule, Position(0), ranks, workers)
    assert sorted(chain(*whole)) == list(range(n_batches))
    count = len(whole[-1]) * share // 1000  # batches of each rank
    steps, more = divmod(count, workers)
    position = Position(0).advanced(ranks, steps, workers=workers, more=more)
    left = [batches[count:] for batches in whole]
    assert schedule.remaining(position) == sum(map(len, left))
    assert taken_in_turn(schedule, position, ranks, workers) == left
    for further in range(len(left[-1])):
        steps, more = divmod(further, workers)
        again = position.advanced(ranks, steps, workers=workers, more=more)
        assert taken_in_turn(schedule, again, ranks, workers) == [batches[further:] for batches in left]
    others = taken_in_turn(schedule, position, later, later_workers)
    assert sorted(chain(*others)) == sorted(chain(*left))


def test_windows_that_are_begun_come_in_order() -> None:
    """Three readers took a batch of their windows, the first one two; two take what is left of them."""
    position = Position(0).advanced(1, 1, workers=3, more=1)
    schedule = Schedule(n_batches=12, window_batches=3)
    assert [list(schedule.share(position, world_size=2, rank=rank)) for rank in range(2)] == [
        [2, 5, 8, 10],
        [4, 7, 9, 11],
    ]
