"""The coming pass: where it starts, kept in this process alone or shared with worker processes.

Rule. Every pass that hands out a batch moves the start to the next epoch. A loaded start wins over
`set_epoch` for its pass; later counts of whoever calls `set_epoch` go on from there, by `offset`. Counts of
completed passes, which stand still where one is broken off, are behind by `lag`.

A DataLoader's workers hold copies of what they read, so what they begin is not seen by their parent, nor what
the parent sets by workers that live on. `SharedComing` keeps the record in a small file without a name, whose
descriptor forked and spawned workers inherit; changes are made under a lock on it, which the system releases
if its holder dies. The workers of one pass find each other by what the DataLoader drew for them and by how
often each was asked: the first to come begins the pass, the others join it. Any other forked process gets a
record of its own.
"""

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from multiprocessing import context, reduction
from typing import Any

from .._base.fork import ForkLock, forks
from .._base.workers import Worker, loader_worker
from .position import Position

__all__ = ["Coming", "ComingPass", "SharedComing"]


@dataclass
class Coming:
    """What is known of the coming pass.

    Parameters
    ----------
    start : Position
    is_loaded : bool
        Whether it comes from a state and no batch was handed out since.
    offset : int
        What is added to the epochs that `set_epoch` is told.
    lag : int or None
        How far a count of completed passes is behind; None before the first `set_epoch`.
    by_workers : bool
        Whether worker processes began a pass since the start was last set here.
    key : str
        Which pass workers began last.
    joined : list of int
        Which of them did.
    joined_at : Position
        Where that pass starts.
    """

    start: Position = field(default_factory=lambda: Position(0))
    is_loaded: bool = False
    offset: int = 0
    lag: int | None = None
    by_workers: bool = False
    key: str = ""
    joined: list[int] = field(default_factory=list)
    joined_at: Position = field(default_factory=lambda: Position(0))

    def set_epoch(self, epoch: int, *, is_counted: bool = False) -> bool:
        """Let the pass start with an epoch; tells whether a loaded start of another epoch stays instead.

        Parameters
        ----------
        epoch : int
        is_counted : bool
            Whether that is a count of completed passes rather than anybody's wish.
        """
        self.by_workers = False
        if not is_counted or self.lag is None or self.is_loaded:
            self.lag = 0
        elif epoch + self.lag + self.offset == self.start.epoch - 1:
            self.lag += 1  # that epoch was begun
        epoch += self.lag
        if self.is_loaded:
            self.offset = self.start.epoch - epoch
            return self.offset != 0
        if epoch + self.offset < 0:
            self.offset = 0
        self.start = Position(epoch + self.offset)
        return False

    def load(self, start: Position) -> None:
        """Let the pass go on from a position."""
        self.start, self.is_loaded, self.offset, self.by_workers = start, True, 0, False

    def rewind(self, before: "Coming") -> None:
        """Go back to what was known before a pass of which nothing was handed out after all."""
        self.start, self.is_loaded = before.start, before.is_loaded
        self.offset, self.lag, self.by_workers = before.offset, before.lag, before.by_workers

    def begin(self, start: Position) -> None:
        """Note that a pass from `start` has handed out a batch."""
        self.start, self.is_loaded, self.by_workers = Position(start.epoch + 1), False, False

    def join(self, key: str, worker: int, start: Position | None) -> Position:
        """Return where a worker's pass starts: at `start` if it has one, else where the others' does."""
        if key != self.key or worker in self.joined:
            self.key, self.joined = key, []
            self.joined_at = self.start if start is None else start
            self.begin(self.joined_at)
        self.joined.append(worker)
        self.by_workers = True
        return self.joined_at if start is None else start


class ComingPass:
    """The record of one process."""

    def __init__(self) -> None:
        self._coming = Coming()

    def read(self) -> Coming:
        """Return the record as it is; changes of it are lost."""
        return self._coming

    @contextmanager
    def change(self) -> Iterator[Coming]:
        """Give the record, to be changed."""
        yield self._coming


class SharedComing(ComingPass):
    """The record of one process and its worker processes."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = ForkLock()
        self._made = forks()
        self._descriptor = _unnamed_file()
        self._write(self._coming)

    def read(self) -> Coming:
        """Return the record as it is; changes of it are lost."""
        with self._lock:
            self._own()
            return self._read()

    @contextmanager
    def change(self) -> Iterator[Coming]:
        """Give the record, to be changed; nobody else changes it meanwhile."""
        with self._lock:
            self._own()
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX)
            try:
                coming = self._read()
                yield coming
                self._write(coming)
            finally:
                fcntl.lockf(self._descriptor, fcntl.LOCK_UN)

    def __getstate__(self) -> dict[str, Any]:
        if context.get_spawning_popen() is not None:  # a child is being started: it may be a worker
            return {"shared": reduction.DupFd(self._descriptor)}
        return {"record": _to_json(self.read())}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._lock = ForkLock()
        self._made = forks()
        self._coming = Coming()
        if "shared" in state:
            self._descriptor = state["shared"].detach()
            self._made = -1  # made elsewhere: shared with it by workers only
        else:
            self._descriptor = _unnamed_file()
            self._write(_from_json(state["record"]))

    def __del__(self) -> None:
        descriptor = vars(self).get("_descriptor")
        if descriptor is not None:
            os.close(descriptor)

    def _own(self) -> None:
        """Go on with a record of one's own in a process that is neither the one that made it nor a worker."""
        if self._made == forks() or loader_worker() is not None:
            return
        coming = self._read()
        os.close(self._descriptor)
        self._descriptor, self._made = _unnamed_file(), forks()
        self._write(coming)

    def _read(self) -> Coming:
        return _from_json(os.pread(self._descriptor, os.fstat(self._descriptor).st_size, 0))

    def _write(self, coming: Coming) -> None:
        text = _to_json(coming)
        os.pwrite(self._descriptor, text, 0)
        os.ftruncate(self._descriptor, len(text))


def pass_key(worker: Worker, passes: int) -> str:
    """Return what the workers of one pass have in common, given how often each was asked for one before."""
    return f"{worker.seed} {passes}"


def _unnamed_file() -> int:
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _to_json(coming: Coming) -> bytes:
    return json.dumps(
        {**asdict(coming), "start": coming.start.to_dict(), "joined_at": coming.joined_at.to_dict()}
    ).encode()


def _from_json(text: bytes) -> Coming:
    record = json.loads(text)
    record["start"], record["joined_at"] = map(Position.from_dict, (record["start"], record["joined_at"]))
    return Coming(**record)
