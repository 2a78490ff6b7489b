"""What passes over an epoch hand out, plainly: every batch that is left is held in lists.

A `Point` lies between two steps of training; from it readers take windows in turn. Where workers read, each
rank asks its own in turn, so a step of all readers is as many steps of the ranks as there are workers.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from tombola.passes.schedule import Even

__all__ = ["Left", "Point", "Readers", "Step", "begun", "shares", "steps_from"]

Step = list[int]
"""The batches of ranks 0, 1, ..."""


class Readers(NamedTuple):
    world_size: int
    workers: int = 1


@dataclass(frozen=True)
class Left:
    """Batches of broken-off groups, and windows that nobody has touched."""

    carry: list[int]
    windows: list[list[int]]

    def batches(self) -> list[int]:
        return self.carry + [batch for window in self.windows for batch in window]


@dataclass(frozen=True)
class Point:
    """So many steps after `left`, all of them by `readers`."""

    epoch: int
    left: Left
    window_batches: int
    readers: Readers | None = None
    steps: int = 0

    def now(self) -> Left:
        """Return what is left at this point."""
        if self.readers is None or not self.steps:
            return self.left
        return list(_simulated(self.left, self.window_batches, self.readers))[self.steps - 1][1]

    def advanced(self, readers: Readers, steps: int) -> "Point":
        """Return the point after steps by these readers, who go on if they were the last."""
        if not steps:
            return self
        if self.readers == readers:
            return replace(self, steps=self.steps + steps)
        return Point(self.epoch, self.now(), self.window_batches, readers, steps)


def begun(epoch: int, n_batches: int, window_batches: int) -> Point:
    """Return the begin of an epoch."""
    batches = list(range(n_batches))
    windows = [batches[i : i + window_batches] for i in range(0, n_batches, window_batches)]
    return Point(epoch, Left([], windows), window_batches)


def steps_from(point: Point, readers: Readers, even: Even) -> list[Step]:
    """Return the steps to the end of the epoch; the last one may be short where `even` says so."""
    if point.readers == readers:
        found = list(_simulated(point.left, point.window_batches, readers))[point.steps :]
    else:
        found = list(_simulated(point.now(), point.window_batches, readers))
    steps = [step for step, _ in found]
    if even == "drop" and steps and len(steps[-1]) < readers.world_size:
        steps.pop()
    return steps


def shares(steps: list[Step], readers: Readers, n_batches: int, even: Even) -> list[list[int]]:
    """Return the batches of each rank."""
    found: list[list[int]] = [[] for _ in range(readers.world_size)]
    for step in steps:
        missing = range(readers.world_size - len(step)) if even == "pad" else ()
        for rank, batch in enumerate(step + [i % n_batches for i in missing]):
            found[rank].append(batch)
    return found


def _simulated(left: Left, window_batches: int, readers: Readers) -> Iterator[tuple[Step, Left]]:
    """Yield each step and what it leaves."""
    carry, windows = list(left.carry), list(left.windows)
    world_size, many = readers.world_size, readers.world_size * readers.workers
    while len(carry) >= many:
        for _ in range(readers.workers):
            step, carry = carry[:world_size], carry[world_size:]
            yield step, Left(carry, windows)
    while len(windows) >= many and all(len(window) == window_batches for window in windows[:many]):
        group, windows = [list(window) for window in windows[:many]], windows[many:]
        for _ in range(window_batches):
            for first in range(0, many, world_size):
                step = [window.pop(0) for window in group[first : first + world_size]]
                yield step, Left(carry + [batch for window in group for batch in window], windows)
    items = Left(carry, windows).batches()
    while items:
        step, items = items[:world_size], items[world_size:]
        untouched = [window for window in windows if set(window) <= set(items)]
        touched = [batch for batch in items if not any(batch in window for window in untouched)]
        yield step, Left(touched, untouched)
