"""Which batches of an epoch a rank takes, from any position on.

Rule. An epoch is batches 0 .. n_batches - 1, in windows of `window_batches` (1 for the batch sampler, the
fetch factor for the loader). What is left of it is a state: *carry*, batches of broken-off groups in order,
and the next untouched window. Under world size W the steps from a state are

1. the carry, W batches a step, as far as it fills whole steps;
2. whole groups of W full windows: rank r takes window ``next + g * W + r`` of group g, a batch a step;
3. the rest, batch by batch: what the carry left over, then all batches of the windows that fill no group. The
   last incomplete step follows `even`.

For ``window_batches = 1`` this is: batch k belongs to rank k mod W. Worker processes that read for W ranks
share as W times as many ranks would, only that `even` still concerns W batches. Within a step readers take
their batches in turn, so a step may be begun; the same readers then go on with the reader whose turn it is.

Complexity: O(world_size) a pair of the history, in time and memory, whatever the number of batches.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from .._base.checks import check_choice, check_integer
from .position import Position, Taken

__all__ = ["Even", "Schedule", "Share"]

Even = Literal["drop", "pad", "none"]
"""What ranks do with the last step of an epoch if it has fewer batches than ranks."""


class _Left(NamedTuple):
    """What is left of an epoch: ranges of batches in order, then every window from `window` on."""

    carry: tuple[range, ...]
    window: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """How the batches of one epoch are dealt out to ranks.

    Parameters
    ----------
    n_batches : int
        Batches of the epoch.
    window_batches : int
        Batches of a window, which one rank takes as a whole.

    Examples
    --------
    >>> schedule = Schedule(n_batches=11, window_batches=2)
    >>> [list(schedule.share(Position(0), world_size=2, rank=rank)) for rank in range(2)]
    [[0, 1, 4, 5, 8], [2, 3, 6, 7, 9]]
    >>> list(schedule.share(Position(0).advanced(2, 3)))  # three steps by two ranks, the rest by one
    [5, 7, 8, 9, 10]
    """

    n_batches: int
    window_batches: int = 1

    def __post_init__(self) -> None:
        check_integer("n_batches", self.n_batches)
        check_integer("window_batches", self.window_batches, minimum=1)

    def remaining(self, position: Position) -> int:
        """Return how many batches of the epoch `position` leaves."""
        return self._left(self._after(position))

    def steps(self, position: Position, *, world_size: int = 1, rank: int = 0, even: Even = "drop") -> int:
        """Return how many steps `rank` of `world_size` has from `position` to the end of the epoch."""
        return len(self.share(position, world_size=world_size, rank=rank, even=even))

    def share(
        self,
        position: Position,
        *,
        world_size: int = 1,
        rank: int = 0,
        even: Even = "drop",
        workers: int = 1,
        worker: int = 0,
    ) -> "Share":
        """Return the batches that `rank` of `world_size` takes from `position` to the end of the epoch.

        Parameters
        ----------
        position : Position
            What is consumed; its epoch is not looked at.
        world_size, rank : int
            The ranks that go on, and which of them is asked for.
        even : {"drop", "pad", "none"}
            The last step, where it has fewer batches than ranks: nobody takes it, the missing ranks repeat
            the first batches of the epoch, or the first ranks alone take it.
        workers, worker : int
            Reader processes of each rank, and which of them is asked for. They share as
            ``world_size * workers`` ranks would, but `even` still concerns fewer than `world_size` batches.

        Raises
        ------
        TypeError, ValueError
            If an argument is of a wrong type or out of range, or `position` takes more steps than an epoch of
            this length has.
        """
        check_choice("even", even, get_args(Even))
        check_integer("world_size", world_size, minimum=1)
        check_integer("workers", workers, minimum=1)
        check_integer("rank", rank, limit=world_size)
        check_integer("worker", worker, limit=workers)
        readers = world_size * workers
        state = self._after(position)
        latest = Taken(*position.spans[-1]) if position.spans else Taken(0, 0)
        done = 0
        if (latest.world_size, latest.workers) == (world_size, workers):
            # The same readers go on: their groups are those of the undisturbed run. The worker whose turn it
            # is comes first.
            state = self._after(Position(position.epoch, position.spans[:-1]))
            worker = (worker + latest.more) % workers
            done = latest.steps + (worker < latest.more)
        reader = worker * world_size + rank
        steps, over = divmod(self._left(state), readers)
        whole = over // world_size * world_size
        last = {"drop": whole, "none": over, "pad": whole + world_size if over > whole else over}[even]
        return Share(self, state, readers, reader, done, steps + (reader < last))

    def _after(self, position: Position) -> _Left:
        state = _Left((), 0)
        for span in position.spans:
            world_size, steps, workers, more = Taken(*span)
            left, batches = self._left(state), steps * workers + more
            if batches * world_size >= left + world_size * workers:
                message = (
                    f"the position holds {batches} steps of world size {world_size} where an epoch of "
                    f"{self.n_batches} batches has {-(-left // world_size)} left"
                )
                raise ValueError(message)
            state = self._advance(state, world_size * workers, steps, more * world_size)
        return state

    def _advance(self, state: _Left, readers: int, steps: int, more: int) -> _Left:
        """Return the state after `steps` steps of so many readers: the three phases, in closed form.

        The first `more` readers have taken one batch more.
        """
        size = self.window_batches
        carried = _total(state.carry)
        if steps < carried // readers or (steps == carried // readers and not more):
            return _Left(_without(state.carry, steps * readers + more), state.window)
        steps -= carried // readers
        tail = _without(state.carry, carried // readers * readers)
        groups = self._groups(state, readers)
        if steps < groups * size:
            done, into = divmod(steps, size)
            window = state.window + done * readers
            if not into and not more:
                return _Left(tail, window)
            broken = (
                range((window + reader) * size + into + (reader < more), (window + reader + 1) * size)
                for reader in range(readers)
            )
            return _Left((*tail, *filter(None, broken)), window + readers)
        consumed = (steps - groups * size) * readers + more
        window = state.window + groups * readers
        if consumed <= _total(tail):
            return _Left(_without(tail, consumed), window)
        batch = min(window * size + consumed - _total(tail), self.n_batches)
        window = -(-batch // size)
        touched = range(batch, min(window * size, self.n_batches))
        return _Left((touched,) if touched else (), window)

    def _groups(self, state: _Left, world_size: int) -> int:
        return max(self.n_batches // self.window_batches - state.window, 0) // world_size

    def _left(self, state: _Left) -> int:
        return _total(state.carry) + max(self.n_batches - state.window * self.window_batches, 0)


class Share:
    """The batch numbers that one rank takes, step by step: a sequence computed on access.

    Made by `Schedule.share`. An element costs O(world_size), whatever the step.
    """

    __slots__ = (
        "_group_steps",
        "_head",
        "_rank",
        "_rest",
        "_schedule",
        "_start",
        "_stop",
        "_window",
        "_world_size",
    )

    def __init__(
        self, schedule: Schedule, state: _Left, world_size: int, rank: int, start: int, stop: int
    ) -> None:
        carried = _total(state.carry) // world_size * world_size
        groups = schedule._groups(state, world_size)
        first = (state.window + groups * world_size) * schedule.window_batches
        rest = (range(first, schedule.n_batches),) if first < schedule.n_batches else ()
        self._schedule, self._world_size, self._rank = schedule, world_size, rank
        self._start, self._stop = min(start, stop), stop
        self._window, self._group_steps = state.window, groups * schedule.window_batches
        self._head = _first(state.carry, carried)
        self._rest = (*_without(state.carry, carried), *rest)

    def __len__(self) -> int:
        return self._stop - self._start

    def __getitem__(self, step: int) -> int:
        """Return the batch taken in step `step`; a negative one counts from the end."""
        steps = len(self)
        if not -steps <= step < steps:
            message = f"step must be in [{-steps}, {steps}), but got {step}"
            raise IndexError(message)
        return next(self.runs(step + steps if step < 0 else step))[0]

    def __iter__(self) -> Iterator[int]:
        for run in self.runs():
            yield from run

    def runs(self, start: int = 0) -> Iterator[range]:
        """Yield the batches from step `start` on as ranges.

        Where windows of several batches are dealt out, no range leaves its window unless it strides over
        batches of others. There are O(world_size) ranges and one a window.
        """
        start += self._start
        head_steps = _total(self._head) // self._world_size
        yield from _strided(self._head, self._rank, self._world_size, start, head_steps)
        start = max(start - head_steps, 0)
        yield from self._group_runs(start)
        start = max(start - self._group_steps, 0)
        steps = self._stop - head_steps - self._group_steps
        own = -(-(_total(self._rest) - self._rank) // self._world_size)
        yield from _strided(self._rest, self._rank, self._world_size, start, min(steps, own))
        if own < steps and start < steps:
            batch = (self._rank - _total(self._rest)) % self._world_size % self._schedule.n_batches
            yield range(batch, batch + 1)

    def _group_runs(self, start: int) -> Iterator[range]:
        size, world_size = self._schedule.window_batches, self._world_size
        first = self._window + self._rank
        if size == 1:
            run = range(first, first + self._group_steps * world_size, world_size)[start:]
            if run:
                yield run
            return
        for group in range(start // size, self._group_steps // size):
            window = first + group * world_size
            yield range(window * size + max(start - group * size, 0), (window + 1) * size)


def _strided(parts: Iterable[range], first: int, stride: int, start: int, stop: int) -> Iterator[range]:
    """Yield items ``first + t * stride``, start <= t < stop, of the concatenated `parts`, as ranges."""
    item, end, base = first + start * stride, first + stop * stride, 0
    for part in parts:
        if item >= end:
            return
        run = part[item - base : end - base : stride]
        if run:
            yield run
            item += len(run) * stride
        base += len(part)


def _total(parts: Iterable[range]) -> int:
    return sum(map(len, parts))


def _first(parts: Iterable[range], count: int) -> tuple[range, ...]:
    """Return the first `count` items of the concatenated `parts`."""
    kept = []
    for part in parts:
        if count <= 0:
            break
        kept.append(part[:count])
        count -= len(part)
    return tuple(kept)


def _without(parts: Iterable[range], count: int) -> tuple[range, ...]:
    """Return the concatenated `parts` without their first `count` items."""
    kept = []
    for part in parts:
        if count < len(part):
            kept.append(part[max(count, 0) :])
        count -= len(part)
    return tuple(kept)
