"""The coming pass: where it starts, kept in this process alone or shared with worker processes.

Rule. Every pass that hands out a batch moves the start to the next epoch. A loaded start wins over
`set_epoch` for its pass; later counts of whoever calls it go on from there, by `offset`, which follows from
what was `told` for a pass that then began elsewhere. Counts of completed passes, which stand still where one
is broken off, are behind by `lag`.

A DataLoader's workers hold copies of what they read, so what they begin is not seen by their parent, nor what
the parent sets by workers that live on. `SharedComing` keeps the record in a small file without a name, whose
descriptor forked and spawned workers inherit. It is read and changed under a lock on that file, which the
system releases if its holder dies, and written in one piece. The workers of one pass find each other by the
process that started them, the set of workers that they belong to, what the DataLoader drew for them, and how
often each was asked: the first to come begins the pass, the others join it. Any other process that was
forked or got a copy goes on with a record of its own, as it was when they parted.
"""

import fcntl
import json
import multiprocessing
import os
import tempfile
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing import context, reduction
from typing import Any

from .._base.fork import ForkLock, before_fork, forks
from .._base.workers import Worker, loader_worker
from .position import Position

__all__ = ["Coming", "ComingPass", "SharedComing", "pass_key"]

_SIZE = 16_384
"""Bytes of a record, so that one write replaces all of it."""

_PASSES_KEPT = 31
_ELSEWHERE = -1
_READ_BY_WORKERS, _NOT_READ = b"w", b"-"

_records: "weakref.WeakSet[SharedComing]" = weakref.WeakSet()


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
    told : int or None
        What `set_epoch` was told since a pass began, with the lag, without the offset.
    by_workers : bool
        Whether worker processes began a pass since the start was last set here.
    joined : dict of str to Position
        Where the passes start that workers began last, by what these have in common.
    """

    start: Position = field(default_factory=lambda: Position(0))
    is_loaded: bool = False
    offset: int = 0
    lag: int | None = None
    told: int | None = None
    by_workers: bool = False
    joined: dict[str, Position] = field(default_factory=dict)

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
        if not is_counted and epoch == self.start.epoch:
            self.offset = 0
        epoch += self.lag
        self.told = epoch
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

    def begin(self, start: Position) -> None:
        """Note that a pass from `start` has handed out a batch."""
        if self.told is not None:
            self.offset, self.told = start.epoch - self.told, None
        self.start, self.is_loaded, self.by_workers = Position(start.epoch + 1), False, False

    def join(self, key: str, start: Position | None) -> Position:
        """Return where a worker's pass starts: at `start` if it has one, else where the others' does."""
        if key not in self.joined:
            kept = list(self.joined.items())[-_PASSES_KEPT:]
            self.joined = {**dict(kept), key: self.start if start is None else start}
            self.begin(self.joined[key])
        self.by_workers = True
        return self.joined[key] if start is None else start


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

    def begin(self, start: Position) -> Callable[[], None]:
        """Note that a pass begins at `start`; returns what takes it back, unless more has happened since."""
        with self.change() as coming:
            before = replace(coming)
            coming.begin(start)
            after = replace(coming)

        def undo() -> None:
            with self.change() as now:
                if now == after:
                    vars(now).update(vars(before))

        return undo

    def mark(self) -> None:
        """Note that a worker hands on a batch."""

    def give_back(self, before: Coming, start: Position) -> None:
        """Give back what workers began at `start`, given the record before, unless more happened since."""
        begun = replace(before)
        begun.begin(start)
        with self.change() as now:
            begun.joined, begun.by_workers = now.joined, now.by_workers
            if now == begun:
                vars(now).update({**vars(before), "joined": now.joined, "by_workers": False})


class SharedComing(ComingPass):
    """The record of one process and its worker processes."""

    def __init__(self) -> None:
        super().__init__()
        self._take(_unnamed_file(), forks())
        self._write(self._coming)

    def _take(self, descriptor: int, made: int) -> None:
        self._lock = ForkLock(reentrant=True)  # a signal handler may ask while it is held
        self._depth = 0
        self._made = made
        self._descriptor = descriptor
        self._closing = weakref.finalize(self, os.close, descriptor)
        self._as_forked: bytes | None = None
        _records.add(self)

    def read(self) -> Coming:
        """Return the record as it is; changes of it are lost."""
        with self._locked(fcntl.LOCK_SH):
            return self._read()

    @contextmanager
    def change(self) -> Iterator[Coming]:
        """Give the record, to be changed; nobody else changes it meanwhile."""
        with self._locked(fcntl.LOCK_EX):
            coming = self._read()
            yield coming
            self._write(coming)

    def mark(self) -> None:
        """Note that a worker hands on a batch, whatever was set since its pass began."""
        if os.pread(self._descriptor, 1, 0) != _READ_BY_WORKERS:
            with self.change() as coming:
                coming.by_workers = True

    @contextmanager
    def _locked(self, kind: int) -> Iterator[None]:
        with self._lock:
            self.own()
            self._depth += 1
            try:
                if self._depth == 1:
                    fcntl.lockf(self._descriptor, kind)
                yield
            finally:
                self._depth -= 1
                if self._depth == 0:
                    fcntl.lockf(self._descriptor, fcntl.LOCK_UN)

    def __getstate__(self) -> dict[str, Any]:
        self.own()
        if context.get_spawning_popen() is not None:  # a child is being started: it may be a worker
            return {"shared": reduction.DupFd(self._descriptor), "record": self._text()}
        return {"record": self._text()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._coming = Coming()
        if "shared" in state:
            self._take(state["shared"].detach(), _ELSEWHERE)
            self._as_forked = state["record"]
        else:
            self._take(_unnamed_file(), forks())
            os.pwrite(self._descriptor, state["record"], 0)

    def own(self) -> None:
        """Go on with a record of one's own in a process that is neither the one that made it nor a worker."""
        if self._made == forks() or loader_worker() is not None:
            return
        text = self._as_forked or self._text()
        self._closing()
        self._take(_unnamed_file(), forks())
        os.pwrite(self._descriptor, text, 0)

    def about_to_fork(self) -> None:
        """Keep the record as it is now: a child that is no worker goes on from there."""
        self.own()
        self._as_forked = self._text()

    def _text(self) -> bytes:
        return os.pread(self._descriptor, _SIZE, 0)

    def _read(self) -> Coming:
        return _from_json(self._text()[1:])

    def _write(self, coming: Coming) -> None:
        flag = _READ_BY_WORKERS if coming.by_workers else _NOT_READ
        os.pwrite(self._descriptor, (flag + _to_json(coming)).ljust(_SIZE), 0)


@before_fork
def _keep_records() -> None:
    for record in list(_records):
        record.about_to_fork()


def pass_key(worker: Worker, passes: int) -> str:
    """Return what the workers of one pass have in common, given how often each was asked for one before."""
    parent = multiprocessing.parent_process()
    numbers = getattr(
        multiprocessing.current_process(), "_identity", ()
    )  # a set of workers is started in turn
    first = numbers[-1] - worker.number if numbers else 0
    return f"{parent.pid if parent else 0} {first} {worker.seed} {passes}"


def _unnamed_file() -> int:
    if hasattr(os, "memfd_create"):  # Linux: in memory, so that no folder needs to be writable
        return os.memfd_create("tombola-pass")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _to_json(coming: Coming) -> bytes:
    record = {**vars(coming), "start": coming.start.to_dict()}
    record["joined"] = {key: start.to_dict() for key, start in coming.joined.items()}
    return json.dumps(record).encode()


def _from_json(text: bytes) -> Coming:
    record = json.loads(text)
    record["start"] = Position.from_dict(record["start"])
    record["joined"] = {key: Position.from_dict(start) for key, start in record["joined"].items()}
    return Coming(**record)
