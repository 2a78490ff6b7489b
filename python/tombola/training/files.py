"""Files that are whole or not there, whatever happens while they are written.

Rule: write to a hidden temporary name in the target's folder, flush, fsync, rename over the target, fsync the
folder. A rename within a folder is atomic (POSIX), so after a crash or a power cut the target is the old file
or the new one. What killed runs left behind under temporary names is removed by `remove_leftovers`.

One process at a time writes to a folder: `locked` holds a lock that goes with the process, however that ends:
worker processes that outlive it close what they inherited.
"""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

try:
    import fcntl
except ImportError:  # Windows has none
    fcntl = None  # type: ignore[assignment]

__all__ = ["is_full_disk", "locked", "remove_leftovers", "write_whole"]

_ENDING = ".partial"
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


class _Watched:
    """A file whose write errors are kept: torch's writer replaces them by its own."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            return self._file.write(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self._file.flush()


def write_whole(path: Path, write: Callable[[Any], object]) -> None:
    """Let `write` write to a binary file that becomes `path`.

    Raises
    ------
    OSError
        If it cannot be written; `path` is then as it was, and no temporary file is left.
    """
    temporary = path.with_name(f".{path.name}{_ENDING}")
    try:
        with temporary.open("wb") as file:
            watched = _Watched(file)
            try:
                write(watched)
            except Exception as error:
                if watched.error is not None:
                    raise watched.error from error
                raise
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Let renames in a folder last; nothing where folders cannot be opened, as on Windows."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path) -> list[str]:
    """Remove temporary files that killed runs left in a folder; their names are returned."""
    found = sorted(folder.glob(f".*{_ENDING}"))
    for path in found:
        path.unlink(missing_ok=True)
    return [path.name for path in found]


_held: set[int] = set()
"""Descriptors of lock files, of this process."""


def _forget_locks() -> None:
    while _held:
        os.close(_held.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_locks)


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
    descriptor = os.open(folder / ".lock", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
    owner = os.getpid()
    _held.add(descriptor)
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            _held.discard(descriptor)
            os.close(descriptor)
            raise
    try:
        yield
    finally:
        if os.getpid() == owner:  # else this is a child, which has closed it
            _held.discard(descriptor)
            os.close(descriptor)


def is_full_disk(error: OSError) -> bool:
    """Tell whether there is no space left, or no quota."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)
