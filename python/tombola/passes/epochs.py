"""Which pass comes next and how far it is: the state that the batch sampler and the loader share.

Rules, said here once for both:

- Making an iterator changes nothing; its pass begins with its first ``next`` and is complete when its last
  batch is handed out. Live iterators are independent.
- Every pass that handed out a batch is an epoch: the next pass is the next epoch, whether this one was
  completed or broken off. One whose first batch failed is none. Threads begin passes of an epoch each.
- `set_epoch` sets the epoch of the coming pass. A loaded state is the coming pass and stays it, whatever
  epoch a trainer sets before that pass, which is said once; later epochs are counted from there.
- The length is that of a whole epoch, `remaining` that of the coming pass.
- The state is that of the iterator which advanced last, and of the coming pass where none did since the last
  ``load_state_dict`` or ``set_epoch``. A batch counts as consumed when it is handed out to those who train.
  Where that cannot be known, a state is refused.
- Ranks that are not given are those of torch.distributed, unless the one who asks deals out batches himself.

Complexity: O(1) a batch; a state costs O(1) once the strategy has its fingerprint.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, SupportsIndex, cast, get_args

from .._base.checks import check_bool, check_choice, check_integer
from .._base.fork import ForkLock
from .._base.workers import loader_worker
from ..plans.plan import Plan
from ..strategies.base import Strategy
from .callers import Caller, find_caller, is_asked_by, is_counted, is_resumed_by_lightning
from .coming import Coming, ComingPass, SharedComing, pass_key
from .dealing import (
    check_dealer,
    check_enough,
    check_ranks_are_free,
    check_same_ranks,
    check_whole,
    named_start,
    state_of_workers,
    unknown_state,
)
from .position import Position
from .progress import Claim, Progress
from .ranks import Told, distributed_ranks, given_ranks, tell, told_ranks
from .readers import Readers
from .remarks import Remarks
from .schedule import Even, Schedule, Share
from .states import make_state, read_state

__all__ = ["Epochs"]


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
    name : str
        What messages call the object whose passes these are.

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
        name: str,
    ) -> None:
        given: object = strategy
        if not isinstance(given, Strategy):
            message = f"strategy must be a Strategy such as BlockShuffling(), but is {strategy!r}"
            raise TypeError(message)
        self.name = name
        self.strategy = strategy
        self.options: dict[str, Any] = {
            "batch_size": check_integer("batch_size", batch_size, minimum=1),
            "fetch_factor": check_integer("fetch_factor", fetch_factor, minimum=1),
            "drop_last": check_bool("drop_last", drop_last),
        }
        self.seed = check_integer("seed", seed)
        self.even = cast("Even", check_choice("even", even, get_args(Even)))
        self.n = n
        self._window_batches: int = self.options["fetch_factor"] if by_window else 1
        self._ranks = given_ranks(rank, world_size)
        self._is_shared = by_window  # with worker processes
        self.beginning = ForkLock(reentrant=True)  # held while a pass begins, so that no other begins there
        self._told: Told | None = None  # by the process that this is a copy from
        self.record: ComingPass = SharedComing() if by_window else ComingPass()
        self.latest: Progress | None = None  # the pass that advanced last
        self.readers = Readers()
        self._passes = 0  # begun by this process as a worker
        self._start_here: Position | None = None  # a state that this process loaded as a worker
        self.remarks = Remarks(name)
        self._fingerprint: str | None = None
        self._plan: Plan | None = None
        self.steps()  # says at once what does not fit

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what the other process makes anew, and tell it what it could not find out."""
        caller, ranks = find_caller(self), self._known_ranks()
        if self._is_shared:
            self.remarks.skipped(caller)
        start = named_start(caller, self.coming(), None)
        if start is not None:
            with self.record.change() as coming:
                coming.start = start
        told = tell(None if ranks is None else self._dealt(caller))
        return {**self.__dict__, "latest": None, "_plan": None, "_passes": 0, "_told": told}

    def ranks(self) -> tuple[int, int]:
        """Return (rank, world size)."""
        return self._known_ranks() or (0, 1)

    def _known_ranks(self) -> tuple[int, int] | None:
        return self._ranks or distributed_ranks() or told_ranks(self._told)

    @property
    def promised_size(self) -> int | None:
        """Rows of all batches but the last; None where they differ."""
        varies = self.strategy.sizes_vary(drop_last=self.options["drop_last"])
        return None if varies else int(self.options["batch_size"])

    @property
    def start(self) -> Position:
        """Where the coming pass starts."""
        return self._settled().read().start

    @property
    def epoch(self) -> int:
        """Epoch of the coming pass."""
        return self.start.epoch

    def set_epoch(self, epoch: SupportsIndex, *, name: object = None) -> None:
        """Set the epoch of the coming pass, unless that is a loaded one; of the DataLoader of this name."""
        number = check_integer("epoch", epoch)
        with self._settled(is_followed=True).change() as coming:
            is_overruled = coming.set_epoch(number, is_counted=is_counted())
        self.remarks.late(self.latest, number)
        self._restart(name, number)
        if is_overruled:
            self.remarks.overruled(coming.start.epoch, number)

    def steps(self) -> int:
        """Return the number of batches of this rank in a whole epoch, the coming one."""
        return self._steps(Position(self.epoch))

    def remaining(self, position: Position | None = None) -> int:
        """Return how many batches of this rank are left in the coming pass, or from a position on."""
        return self._steps(position or self.start)

    def share(self) -> tuple[Plan, Share]:
        """Return the plan of the coming epoch, and the share of it that is this rank's."""
        epoch, (rank, world_size) = self.epoch, self._dealing()
        share = self._schedule(epoch).share(Position(epoch), world_size=world_size, rank=rank, even=self.even)
        return self.plan(epoch), share

    def _steps(self, position: Position, *, first_rank: bool = False) -> int:
        """Return what this rank, or the first one, which has the most, takes from a position on."""
        rank, world_size = self._dealing()
        rank = 0 if first_rank else rank
        schedule = self._schedule(position.epoch)
        check_enough(schedule, world_size, self.even)
        if schedule.n_batches == 0 and self.options["drop_last"]:
            self.remarks.empty(self.options["batch_size"])
        return schedule.steps(position, world_size=world_size, rank=rank, even=self.even)

    def plan(self, epoch: int) -> Plan:
        """Return the plan of an epoch; the last one asked for is kept."""
        plan = self._plan
        if plan is None or plan.epoch != epoch:
            plan = self.strategy.plan(self.n, **self.options, seed=self.seed, epoch=epoch)
            self._plan = plan
        return plan

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the iterator that advanced last, or of the coming pass.

        Raises
        ------
        RuntimeError
            If it cannot be known what was handed out.
        """
        coming, latest = self._settled().read(), self.latest
        if coming.by_workers and loader_worker() is None:
            raise state_of_workers(self.name)
        if latest is None:
            return self.describe(coming.start)
        if latest.unknown and not is_asked_by("torchdata"):  # at the end of its pass, too: the last ones
            raise unknown_state(self.name, latest.unknown)
        return self.describe(coming.start if latest.is_complete() else latest.position())

    def state_at(self, position: Position) -> dict[str, Any]:
        """Return the state in which `position` is consumed; ValueError where the epoch is not as long."""
        self._schedule(position.epoch).remaining(position)
        return self.describe(position)

    def load_state_dict(self, state: Mapping[str, Any], *, name: object = None) -> None:
        """Let the coming pass, of the DataLoader of this name, start where `state` says."""
        position = self.read(state)
        if is_resumed_by_lightning():
            check_same_ranks(position, self.ranks()[1], self.name)
        self.load(position, name=name)

    def load(self, position: Position, *, name: object = None) -> None:
        """Let the coming pass start at a position; at the next epoch, if it leaves no rank anything."""
        is_over = position.spans and not self._steps(position, first_rank=True)
        position = Position(position.epoch + 1) if is_over else position
        if self._is_shared and loader_worker() is not None:  # each worker has a place of its own
            self._start_here = position
            return self._restart(name)
        with self.record.change() as coming:
            coming.load(position)
        self._restart(name)

    def coming(self) -> Coming:
        """Return what is known of the coming pass."""
        return replace(self._settled().read())

    def describe(self, position: Position) -> dict[str, Any]:
        """Return `position` as a state that JSON can hold."""
        return make_state(json.loads(self._fingerprint_json()), self.seed, position)

    def read(self, state: Mapping[str, Any]) -> Position:
        """Return the position that `state` holds; ValueError as `read_state` says."""
        position = read_state(state, json.loads(self._fingerprint_json()), self.seed)
        self._schedule(position.epoch).remaining(position)
        return position

    def begin(self, asked: object, start: Position | None) -> tuple[Progress, Plan, Share]:
        """Begin a pass of `asked`, a sampler or loader: from `start`, or where the coming one starts."""
        caller = find_caller(asked)
        self._settled(is_followed=True)
        check_whole(caller, self.name)
        if self._is_shared:
            self.remarks.skipped(caller)
        start = named_start(caller, self.coming(), start)
        rank, world_size = self._dealt(caller)
        worker = loader_worker() if self._is_shared else None
        here, self._start_here = self._start_here, None
        start = here if start is None else start
        workers, number = (1, 0) if worker is None else (worker.workers, worker.number)
        if worker is not None:
            self._passes += 1
            with self.record.change() as coming:
                position = coming.join(pass_key(worker, self._passes), start)
        else:
            position = self.start if start is None else start
        plan = self.plan(position.epoch)
        schedule = self._schedule(position.epoch)
        check_enough(schedule, world_size, self.even)
        if self.even == "drop":
            self.remarks.dropped(schedule, world_size)
        share = schedule.share(
            position, world_size=world_size, rank=rank, even=self.even, workers=workers, worker=number
        )
        progress = Progress(
            start=position,
            world_size=world_size,
            workers=workers,
            total=len(share),
            is_worker=worker is not None,
            caller=caller,
        )
        return progress, plan, share

    def _dealing(self) -> tuple[int, int]:
        """Return rank and world size for whoever asks how much there is."""
        rank, world_size = self.ranks()
        caller = find_caller(self) if world_size > 1 else None
        if caller is None or not caller.dealer:
            return rank, world_size
        check_dealer(caller, self.name, varies=self.promised_size is None)
        return 0, 1

    def _dealt(self, caller: Caller) -> tuple[int, int]:
        """Return rank and world size of a pass, given who asks."""
        ranks = self.ranks()
        if caller.dealer:
            check_dealer(caller, self.name, varies=self.promised_size is None)
        if ranks[1] == 1 or not caller.dealer:
            return ranks
        check_ranks_are_free(caller, self._ranks)
        self.remarks.dealt_out(caller.dealer)
        return 0, 1

    def claim(self, progress: Progress) -> None:
        """Note that a pass begins: the next epoch is the coming one, until the pass is taken back."""
        before, self.latest = self.latest, progress
        progress.claim = Claim(before, None if progress.is_worker else self.record.begin(progress.start))
        if before is not None:
            before.claim = None

    def take_back(self, progress: Progress) -> None:
        """Make a pass none, unless more has happened since."""
        claim, progress.claim = progress.claim, None
        if claim is not None and claim.undo is not None:
            claim.undo()
        if claim is not None and self.latest is progress:
            before = claim.before
            self.latest = None if before is None or before.is_forgotten() else before

    def _settled(self, *, is_followed: bool = False) -> ComingPass:
        """Return the record; a last pass that handed out nothing and never will is taken back."""
        if self.latest is not None and self.latest.is_nothing(is_followed=is_followed):
            self.take_back(self.latest)
        return self.record

    def note(self, start: Position) -> None:
        """Note in a worker process that a pass is resumed from `start`."""
        if self._is_shared and loader_worker() is not None:
            with self.record.change() as coming:
                coming.begin(start)
                coming.by_workers = True

    def _restart(self, name: object, epoch: int | None = None) -> None:
        self.readers.set(name, epoch, self.latest)
        self.latest = None

    def _schedule(self, epoch: int) -> Schedule:
        return Schedule(len(self.plan(epoch)), self._window_batches)

    def _fingerprint_json(self) -> str:
        if self._fingerprint is None:
            options = {**self.options, "window_batches": self._window_batches}
            own = self.strategy.fingerprint(self.n, batch_size=self.options["batch_size"])
            self._fingerprint = json.dumps({**own, **options})
        return self._fingerprint
