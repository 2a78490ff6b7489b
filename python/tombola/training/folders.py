"""One process at a time trains into a folder.

`locked` holds a lock that goes with the process, however that ends: worker processes that outlive it close
what they inherited. Its file says which process that is; `holder` reads it, and `holding` says it.
"""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from .._base.fork import forks, in_forked_child

try:
    import fcntl
except ImportError:  # Windows has none
    fcntl = None  # type: ignore[assignment]

__all__ = ["holder", "holding", "locked"]

_FILE = ".lock"

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)

_held: set[int] = set()
"""Descriptors of lock files, of this process."""


@in_forked_child
def _forget_locks() -> None:
    while _held:
        os.close(_held.pop())


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder's lock; nothing where the file system has no locks.

    Raises
    ------
    BlockingIOError
        If it is held already, by another process or this one.
    OSError
        If the folder cannot be written.
    """
    descriptor = os.open(folder / _FILE, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
    made = forks()
    _held.add(descriptor)
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            _held.discard(descriptor)
            os.close(descriptor)
            raise
    with suppress(OSError):  # the lock holds without a name
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()} {socket.gethostname()}\n".encode())
    try:
        yield
    finally:
        if forks() == made:  # else this is a child, which has closed it
            _held.discard(descriptor)
            os.close(descriptor)


@contextmanager
def holding(output: Path) -> Iterator[None]:
    """Hold the lock of a command's folder for results.

    Raises
    ------
    ValueError
        If another process, or another call of this one, trains into it.
    OSError
        If the folder cannot be written.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(output))
        except BlockingIOError:
            msg = (
                f"{output}: {holder(output)} trains into this folder; wait until it is done, "
                "or name another folder (--output)"
            )
            raise ValueError(msg) from None
        yield


def holder(folder: Path) -> str:
    """Say which process holds a folder's lock, or held it last.

    Returns
    -------
    str
        Such as "process 4711", with its host if that is not this one; "another process" where the file does
        not say it.
    """
    try:
        number, host = (folder / _FILE).read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        return "another process"
    if not number.isdecimal():
        return "another process"
    return f"process {number}" + ("" if host == socket.gethostname() else f" on {host}")
