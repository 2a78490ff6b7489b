"""Random walks of sampler and loader: at every step their rows are those of a model that holds lists.

All ranks of a world walk side by side, each with an object of its own. They open passes, advance some, break
them off, are told epochs, save states, load them as they are or under another number of ranks, are copied and
forked, and are read by worker processes. The model is `tests.property.epoch_model` and, for what comes next,
the few rules that `tombola.passes.epochs` states.
"""

import copy
import json
import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, initialize, invariant, precondition, rule

from tests.property.epoch_model import Point, Readers, Step, begun, shares, steps_from
from tests.property.walks import Length, Walk, lengths, walk
from tombola import (
    ArraySource,
    BlockShuffling,
    BlockWeightedSampling,
    Bucketed,
    DataLoader,
    Loader,
    PlanBatchSampler,
    SeriesRoundRobin,
)
from tombola.passes.schedule import Even
from tombola.strategies.base import Strategy

N_ROWS = 47  # divided by nothing below
MOST_RANKS = 3
VALUES = np.arange(N_ROWS * 2, dtype=np.float32).reshape(N_ROWS, 2)
NUMBERS = np.arange(N_ROWS)
STRATEGIES: list[Strategy] = [
    BlockShuffling(block_size=3),
    BlockWeightedSampling(NUMBERS * 5 % 9 / 2.0, block_size=2, total_size=50),
    SeriesRoundRobin(np.where(NUMBERS % 3 == 0, 8, NUMBERS % 11)),
    Bucketed(NUMBERS**2 % 5),
]


@dataclass(eq=False)
class Pass:
    """Iterators of all ranks, and what they are to hand out; None before the first batch."""

    iterators: list[Any]
    base: Point | None = None
    steps: list[Step] = field(default_factory=list)
    taken: int = 0


@dataclass
class Coming:
    """Which pass comes, as the rules of `tombola.passes.epochs` have it."""

    start: Point
    is_loaded: bool = False
    told: int | None = None
    offset: int = 0


class ReadersWalk(Walk):
    """Ranks of one world, side by side."""

    states = Bundle("states")
    has_children = False

    @initialize(
        kind=st.sampled_from(["sampler", "loader"]),
        strategy=st.sampled_from(STRATEGIES),
        fetch_factor=st.sampled_from([1, 2, 3]),
        drop_last=st.booleans(),
        even=st.sampled_from(["drop", "pad", "none"]),
        prefetch=st.sampled_from([0, 0, 2]),
        world_size=st.integers(1, MOST_RANKS),
    )
    def begin(self, kind: str, even: Even, prefetch: int, world_size: int, **options: Any) -> None:
        self.kind, self.even, self.prefetch, self.options = kind, even, prefetch, options
        self.window = options["fetch_factor"] if kind == "loader" else 1
        self.plans: dict[int, list[list[int]]] = {}
        self.start_world(world_size)

    def start_world(self, world_size: int) -> None:
        self.readers = Readers(world_size)
        self.ranks = [self.make(rank) for rank in range(world_size)]
        self.passes: list[Pass] = []
        self.latest: Pass | None = None
        self.coming = Coming(self.fresh(0))

    def make(self, rank: int) -> Any:
        options = {**self.options, "batch_size": 4, "seed": 5, "even": self.even}
        options |= {"rank": rank, "world_size": self.readers.world_size}
        strategy = options.pop("strategy")
        if self.kind == "sampler":
            return PlanBatchSampler(strategy, N_ROWS, **options)
        return Loader(ArraySource(VALUES), strategy, **options, prefetch=self.prefetch)

    # ------------------------------------------------------------------------------------------------- model

    def planned(self, epoch: int) -> list[list[int]]:
        if epoch not in self.plans:
            options = {**self.options, "batch_size": 4, "seed": 5}
            plan = options.pop("strategy").plan(N_ROWS, **options, epoch=epoch)
            self.plans[epoch] = [plan[k].tolist() for k in range(len(plan))]
        return self.plans[epoch]

    def fresh(self, epoch: int) -> Point:
        return begun(epoch, len(self.planned(epoch)), self.window)

    def shares_of(self, base: Point, steps: list[Step], readers: Readers | None = None) -> list[list[Any]]:
        batches = self.planned(base.epoch)
        numbers = shares(steps, readers or self.readers, len(batches), self.even)
        return [[batches[k] for k in share] for share in numbers]

    def model_begins(self, walked: Pass) -> None:
        if walked.base is None:
            walked.base = self.coming.start
        walked.steps = steps_from(walked.base, self.readers, self.even)
        self.model_began(walked.base)
        self.latest = walked

    def model_began(self, base: Point) -> None:
        if self.coming.told is not None:
            self.coming.offset = base.epoch - self.coming.told
        self.coming = Coming(self.fresh(base.epoch + 1), offset=self.coming.offset)

    def point(self) -> Point:
        """Where the first rank is."""
        walked = self.latest
        if walked is None or walked.taken == len(walked.steps):
            return self.coming.start
        assert walked.base is not None
        return walked.base.advanced(self.readers, walked.taken)

    def model_loads(self, point: Point) -> None:
        is_over = point.readers is not None and not steps_from(point, self.readers, self.even)
        start = self.fresh(point.epoch + 1) if is_over else point
        self.coming = Coming(start, is_loaded=True, told=self.coming.told)
        self.latest = None

    # ------------------------------------------------------------------------------------------------- passes

    @precondition(lambda self: len(self.passes) < 3)
    @rule()
    def open(self) -> None:
        self.passes.append(Pass([iter(reader) for reader in self.ranks]))

    @precondition(lambda self: self.passes)
    @rule(which=st.integers(0, 2), count=st.integers(1, 9))
    def advance(self, which: int, count: int) -> None:
        walked = self.passes[which % len(self.passes)]
        if not walked.steps:
            self.model_begins(walked)
        for _ in range(min(count, len(walked.steps) - walked.taken)):
            self.take(walked)
        if walked.taken == len(walked.steps):
            for iterator in walked.iterators:
                assert next(iterator, None) is None
            self.passes.remove(walked)

    def take(self, walked: Pass) -> None:
        assert walked.base is not None
        step = [walked.steps[walked.taken]]
        expected = self.shares_of(walked.base, step)
        for iterator, batches in zip(walked.iterators, expected, strict=True):
            assert [self.rows(batch) for batch in islice(iterator, 1)] == batches
        walked.taken += 1
        self.latest = walked

    def rows(self, batch: Any) -> list[int]:
        if self.kind == "sampler":
            return list(batch)
        rows: list[int] = batch["row"].tolist()
        assert batch["X"].tolist() == VALUES[rows].tolist()
        return rows

    @precondition(lambda self: self.passes)
    @rule(which=st.integers(0, 2))
    def break_off(self, which: int) -> None:
        walked = self.passes.pop(which % len(self.passes))
        for iterator in walked.iterators:
            iterator.close()
            assert next(iterator, None) is None

    @rule(epoch=st.integers(0, 4))
    def set_epoch(self, epoch: int) -> None:
        for reader in self.ranks:
            reader.set_epoch(epoch)
        coming = self.coming
        offset = 0 if epoch == coming.start.epoch else coming.offset
        if coming.is_loaded:
            offset = coming.start.epoch - epoch
            self.coming = Coming(coming.start, True, epoch, offset)
        else:
            offset = offset if epoch + offset >= 0 else 0
            self.coming = Coming(self.fresh(epoch + offset), False, epoch, offset)
        self.latest = None

    # ------------------------------------------------------------------------------------------------- states

    @rule(target=states)
    def save(self) -> tuple[dict[str, Any], Point]:
        return self.saved()

    def saved(self) -> tuple[dict[str, Any], Point]:
        return json.loads(json.dumps(self.ranks[0].state_dict())), self.point()

    @precondition(lambda self: len(self.passes) < 3)
    @rule(target=states, count=st.integers(1, 9))
    def stop_in_a_pass(self, count: int) -> tuple[dict[str, Any], Point]:
        self.open()
        self.advance(len(self.passes) - 1, count)
        return self.saved()

    @rule(saved=states)
    def load(self, saved: tuple[dict[str, Any], Point]) -> None:
        state, point = saved
        for reader in self.ranks:
            reader.load_state_dict(state)
        self.model_loads(point)

    @rule(saved=states, world_size=st.integers(1, MOST_RANKS))
    def restart(self, saved: tuple[dict[str, Any], Point], world_size: int) -> None:
        self.start_world(world_size)
        self.load(saved)

    @precondition(lambda self: self.passes)
    @rule(saved=states, which=st.integers(0, 2))
    def load_into_iterators(self, saved: tuple[dict[str, Any], Point], which: int) -> None:
        state, point = saved
        if not steps_from(point, self.readers, "none"):
            return
        walked = self.passes[which % len(self.passes)]
        for iterator in walked.iterators:
            iterator.load_state_dict(state)
            assert iterator.state_dict() == state
        self.passes[which % len(self.passes)] = Pass(walked.iterators, point)

    @rule(how=st.sampled_from([copy.deepcopy, lambda reader: pickle.loads(pickle.dumps(reader))]))
    def go_on_with_copies(self, how: Callable[[Any], Any]) -> None:
        self.ranks = [how(reader) for reader in self.ranks]
        self.passes, self.latest = [], None

    # ---------------------------------------------------------------------------------------------- processes

    @precondition(lambda self: self.has_children and not self.prefetch)
    @rule(epoch=st.integers(0, 4))
    def fork(self, epoch: int) -> None:
        """A child goes its own way, from where the parent is; the parent is not concerned."""
        point = self.coming.start
        expected = self.shares_of(point, steps_from(point, self.readers, self.even))
        child = os.fork()
        if child == 0:
            code = 1
            try:
                right = all(
                    [self.rows(batch) for batch in reader] == batches
                    for reader, batches in zip(self.ranks, expected, strict=True)
                )
                self.ranks[0].set_epoch(epoch)
                code = 0 if right else 2
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    @precondition(lambda self: self.has_children and self.kind == "loader")
    @rule(target=states, workers=st.integers(1, 3), count=st.integers(1, 14))
    def read_by_workers(self, workers: int, count: int) -> tuple[dict[str, Any], Point]:
        base, readers = self.coming.start, Readers(self.readers.world_size, workers)
        steps = steps_from(base, readers, self.even)
        count = min(count, len(steps))
        if not count:
            return json.loads(json.dumps(self.ranks[0].state_dict())), self.point()
        saved = []
        for reader, batches in zip(self.ranks, self.shares_of(base, steps[:count], readers), strict=True):
            loader = DataLoader(
                reader,
                batch_size=None,
                num_workers=workers,
                multiprocessing_context="fork",
                prefetch_factor=1,
            )
            iterator = iter(loader)
            assert [self.rows(batch) for batch in islice(iterator, count)] == batches
            saved.append(json.loads(json.dumps(loader.state_dict())))
            del iterator
        self.model_began(base)
        point = self.coming.start if count == len(steps) else base.advanced(readers, count)
        self.restart((saved[0], point), self.readers.world_size)
        return saved[0], point

    # --------------------------------------------------------------------------------------------- invariants

    @invariant()
    def what_is_said_of_the_coming_pass(self) -> None:
        if not hasattr(self, "ranks"):
            return
        base = self.coming.start
        left = self.shares_of(base, steps_from(base, self.readers, self.even))
        whole = self.shares_of(base, steps_from(self.fresh(base.epoch), self.readers, self.even))
        for reader, rest, batches in zip(self.ranks, left, whole, strict=True):
            assert reader.epoch == base.epoch
            assert reader.remaining == len(rest)
            assert len(reader) == len(batches)
        states = [reader.state_dict() for reader in self.ranks]
        assert self.even == "none" or all(state == states[0] for state in states)

    def teardown(self) -> None:
        for walked in getattr(self, "passes", []):
            for iterator in walked.iterators:
                iterator.close()


class WalkWithChildren(ReadersWalk):
    """The same with child processes, which take their time."""

    has_children = True


@lengths(short=(20, 25), long=(2500, 60))
def test_readers(length: Length) -> None:
    walk(ReadersWalk, length)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@lengths(short=(2, 6), long=(75, 40))
def test_readers_and_their_children(length: Length) -> None:
    walk(WalkWithChildren, length)
