"""Which pass comes next and how far it is: the state that the batch sampler and the loader share.

Rules, said here once for both:

- Making an iterator changes nothing; its pass begins with its first ``next``. Live iterators are independent.
- A completed pass makes the next epoch the coming one. A pass that is broken off leaves the coming pass as it
  was: the same epoch anew, or from the loaded position on.
- `set_epoch` sets the epoch of the coming pass; a loaded position of that very epoch stays, since trainers
  call ``set_epoch`` after they have loaded a checkpoint.
- The state is that of the iterator which advanced last, and of the coming pass where none did since the last
  ``load_state_dict``, ``set_epoch`` or completed pass. A batch counts as consumed when it is handed out.

Complexity: O(1) a batch; a state costs O(1) once the strategy has its fingerprint.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, SupportsIndex, TypeVar, cast, get_args

from .._base.checks import check_bool, check_choice, check_integer
from ..strategies.base import Strategy
from .position import Position
from .schedule import Even, Schedule, Share

if TYPE_CHECKING:
    from ..plans.plan import Plan

__all__ = ["Epochs", "PassIterator"]

STATE_VERSION = 1
_STATE_KEYS = ("version", "fingerprint", "seed", "position")

T = TypeVar("T")


class Epochs:
    """The passes over the batches of a strategy by one rank.

    Parameters
    ----------
    strategy : Strategy
        Gives the plan of each epoch.
    n : int or None
        Rows, as `Strategy.plan` takes it.
    by_window : bool
        Whether a rank takes whole fetch windows rather than batches, see `tombola.passes.schedule`.
    rank, world_size : int or None
        Both or neither; without them torch.distributed is asked at the beginning of each pass.

    The other parameters are those of `tombola.PlanBatchSampler`.

    Raises
    ------
    TypeError, ValueError
        If an option is of a wrong type, out of range, or does not fit the strategy.
    """

    def __init__(
        self,
        strategy: Strategy,
        n: int | None,
        *,
        batch_size: int,
        fetch_factor: int,
        drop_last: bool,
        seed: int,
        by_window: bool,
        rank: SupportsIndex | None,
        world_size: SupportsIndex | None,
        even: Even,
    ) -> None:
        _check_strategy(strategy)
        self.strategy = strategy
        self.options: dict[str, Any] = {
            "batch_size": check_integer("batch_size", batch_size, minimum=1),
            "fetch_factor": check_integer("fetch_factor", fetch_factor, minimum=1),
            "drop_last": check_bool("drop_last", drop_last),
        }
        self.seed = check_integer("seed", seed)
        self.even = cast("Even", check_choice("even", even, get_args(Even)))
        self._n = n
        self._window_batches: int = self.options["fetch_factor"] if by_window else 1
        self._ranks = _given_ranks(rank, world_size)
        self.start = Position(0)
        self.latest: _Progress | None = None  # the pass that advanced last
        self._generation = 0
        self._fingerprint: str | None = None
        self._plan: Plan | None = None
        self.steps()  # says at once what does not fit

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what the other process makes anew, and settle a rank that it could not find out."""
        return {**self.__dict__, "_ranks": self._known_ranks(), "latest": None, "_plan": None}

    def ranks(self) -> tuple[int, int]:
        """Return (rank, world size)."""
        return self._known_ranks() or (0, 1)

    def _known_ranks(self) -> tuple[int, int] | None:
        return _distributed_ranks() if self._ranks is None else self._ranks

    @property
    def epoch(self) -> int:
        """Epoch of the coming pass."""
        return self.start.epoch

    def set_epoch(self, epoch: SupportsIndex) -> None:
        """Set the epoch of the coming pass."""
        position = Position(check_integer("epoch", epoch))
        if position.epoch != self.start.epoch:
            self.start = position
        self._restart()

    def steps(self) -> int:
        """Return the number of batches of this rank in the coming pass."""
        rank, world_size = self.ranks()
        schedule = self._schedule(self.start.epoch)
        return schedule.steps(self.start, world_size=world_size, rank=rank, even=self.even)

    def plan(self, epoch: int) -> "Plan":
        """Return the plan of an epoch; the last one asked for is kept."""
        plan = self._plan
        if plan is None or plan.epoch != epoch:
            plan = self.strategy.plan(self._n, **self.options, seed=self.seed, epoch=epoch)
            self._plan = plan
        return plan

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the iterator that advanced last, or of the coming pass."""
        return self.describe(self.start if self.latest is None else self.latest.position())

    def state_at(self, position: Position) -> dict[str, Any]:
        """Return the state in which `position` is consumed; ValueError where the epoch is not as long."""
        self._schedule(position.epoch).remaining(position)
        return self.describe(position)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the coming pass start where `state` says."""
        self.start = self.read(state)
        self._restart()

    def describe(self, position: Position) -> dict[str, Any]:
        """Return `position` as a state that JSON can hold."""
        return {
            "version": STATE_VERSION,
            "fingerprint": json.loads(self._fingerprint_json()),
            "seed": self.seed,
            "position": position.to_dict(),
        }

    def read(self, state: Mapping[str, Any]) -> Position:
        """Return the position that `state` holds.

        Raises
        ------
        ValueError
            If `state` is none, or was saved under a configuration with other batches; it names what differs.
        """
        if not _is_state(state):
            message = f"a state has the keys {', '.join(_STATE_KEYS)}, but got {state!r}"
            raise ValueError(message)
        if state["version"] != STATE_VERSION:
            message = f"expected a state of version {STATE_VERSION}, but got version {state['version']!r}"
            raise ValueError(message)
        own = {**json.loads(self._fingerprint_json()), "seed": self.seed}
        saved = {**state["fingerprint"], "seed": state["seed"]}
        missing = "not there"
        differing = [
            f"{name} was {saved.get(name, missing)!r}, now is {own.get(name, missing)!r}"
            for name in {**saved, **own}
            if name not in saved or name not in own or saved[name] != own[name]
        ]
        if differing:
            message = f"the state was saved under another configuration: {'; '.join(differing)}"
            raise ValueError(message)
        position = Position.from_dict(state["position"])
        self._schedule(position.epoch).remaining(position)
        return position

    def begin(self, start: Position | None, workers: int, worker: int) -> "tuple[_Progress, Plan, Share]":
        """Begin a pass from `start`, or from where the coming one starts."""
        position = self.start if start is None else start
        rank, world_size = self.ranks()
        plan = self.plan(position.epoch)
        share = self._schedule(position.epoch).share(
            position, world_size=world_size, rank=rank, even=self.even, workers=workers, worker=worker
        )
        return _Progress(position, world_size * workers, self._generation), plan, share

    def finish(self, progress: "_Progress") -> None:
        """Make the next epoch the coming one, unless it was set since `progress` began."""
        if progress.generation == self._generation:
            self.start = progress.position()
            self._restart()
        elif self.latest is progress:
            self.latest = None

    def _restart(self) -> None:
        self.latest = None
        self._generation += 1

    def _schedule(self, epoch: int) -> Schedule:
        return Schedule(len(self.plan(epoch)), self._window_batches)

    def _fingerprint_json(self) -> str:
        if self._fingerprint is None:
            options = {**self.options, "window_batches": self._window_batches}
            self._fingerprint = json.dumps({**self.strategy.fingerprint(self._n), **options})
        return self._fingerprint


def _check_strategy(strategy: object) -> None:
    if not isinstance(strategy, Strategy):
        message = f"strategy must be a Strategy such as BlockShuffling(), but is {strategy!r}"
        raise TypeError(message)


def _is_state(state: object) -> bool:
    if not isinstance(state, Mapping) or set(state) != set(_STATE_KEYS):
        return False
    return isinstance(state["fingerprint"], Mapping)


def _given_ranks(rank: SupportsIndex | None, world_size: SupportsIndex | None) -> tuple[int, int] | None:
    if rank is None and world_size is None:
        return None
    if rank is None or world_size is None:
        message = f"give both rank and world_size or neither, but got rank={rank} and world_size={world_size}"
        raise ValueError(message)
    world_size = check_integer("world_size", world_size, minimum=1)
    return check_integer("rank", rank, limit=world_size), world_size


def _distributed_ranks() -> tuple[int, int] | None:
    # Nobody has initialised what nobody has imported, and importing it is slow.
    distributed = sys.modules.get("torch.distributed")
    if distributed is None or not (distributed.is_available() and distributed.is_initialized()):
        return None
    return int(distributed.get_rank()), int(distributed.get_world_size())


class _Progress:
    """How far one pass is. Light, so that holding it keeps neither rows nor threads of its iterator alive."""

    __slots__ = ("finished", "generation", "readers", "start", "steps")

    def __init__(self, start: Position, readers: int, generation: int) -> None:
        self.start, self.readers, self.generation = start, readers, generation
        self.steps = 0
        self.finished = False

    def position(self) -> Position:
        if self.finished:
            return Position(self.start.epoch + 1)
        return self.start.advanced(self.readers, self.steps)


class PassIterator(Iterator[T], Generic[T]):
    """One pass: hands out what `read` gives for the plan and the share of it that is left, and counts.

    Parameters
    ----------
    epochs : Epochs
        Where the pass starts, and whom to tell how far it is.
    read : callable
        ``read(plan, share)`` iterates over the batches of the share, in order.
    reader : callable, optional
        Gives (workers, worker) when the pass begins: the reader processes of this rank, and which asks.
    """

    def __init__(
        self,
        epochs: Epochs,
        read: "Callable[[Plan, Share], Iterator[T]]",
        reader: Callable[[], tuple[int, int]] = lambda: (1, 0),
    ) -> None:
        self._epochs, self._read, self._reader = epochs, read, reader
        self._start: Position | None = None
        self._progress: _Progress | None = None
        self._batches: Iterator[T] = iter(())
        self._over = False

    def __next__(self) -> T:
        progress = self._progress
        if progress is None:
            progress = self._begin()
        try:
            for batch in self._batches:
                progress.steps += 1
                self._epochs.latest = progress
                return batch
        except BaseException:
            self._over = True  # what comes after an error is no completed pass
            raise
        self._finish(progress)
        raise StopIteration

    def state_dict(self) -> dict[str, Any]:
        """Return the state of this pass."""
        progress = self._progress
        if progress is not None:
            return self._epochs.describe(progress.position())
        return self._epochs.describe(self._epochs.start if self._start is None else self._start)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let this pass go on where `state` says; others are not concerned."""
        start = self._epochs.read(state)
        self.close()
        self._start, self._progress, self._over = start, None, False

    def close(self) -> None:
        """Break the pass off: no more batches come, and what reads ahead is stopped."""
        close = getattr(self._batches, "close", None)
        self._batches, self._over = iter(()), True
        if close is not None:
            close()

    def _begin(self) -> "_Progress":
        if self._over:
            raise StopIteration
        self._progress, plan, share = self._epochs.begin(self._start, *self._reader())
        self._batches = self._read(plan, share)
        return self._progress

    def _finish(self, progress: "_Progress") -> None:
        if not self._over:
            self._over = progress.finished = True
            self._batches = iter(())
            self._epochs.finish(progress)
