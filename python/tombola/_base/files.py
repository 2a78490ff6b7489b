"""Files that are whole or not there, whatever happens while they are written.

Rule: write to a hidden temporary name in the target's folder, flush, fsync, rename over the target, fsync the
folder. A rename within a folder is atomic (POSIX), so a reader, a second run at the same time, and whoever
comes after a crash or a power cut see the old file or the new one. What killed runs left behind under
temporary names is removed by `remove_leftovers`.
"""

import csv
import errno
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

__all__ = [
    "check_output_file",
    "is_full_disk",
    "make_output",
    "remove_leftovers",
    "replacing",
    "sync_folder",
    "unwritable",
    "write_csv",
    "write_json",
    "write_whole",
]

_MARK = ".partial"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to; on leaving without an exception it becomes `path`.

    The temporary name keeps the suffix, which some writers go by, and bears the process's id.

    Raises
    ------
    OSError
        If the folder cannot be made, or the file cannot be written out or renamed; `path` is then as it was.
        The error names `path`, not the temporary file.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path)) from None
    except OSError as error:
        error.filename = str(path)
        raise
    with _replacing(path) as temporary:
        yield temporary


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{_MARK}{path.suffix}")
    try:
        yield temporary
        _sync(temporary)
        temporary.replace(path)
    except BaseException as error:
        with suppress(OSError):  # of a folder that is none, say: the error at hand says so
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename in (temporary, str(temporary)):
            error.filename, error.filename2 = str(path), None
        raise
    sync_folder(path.parent)


def make_output(folder: Path, *inside: str) -> Path:
    """Make a folder for results and one inside of it, which is returned.

    Raises
    ------
    OSError
        If they cannot be made, or nothing can be written there; it names the folder for results.
    """
    path = folder.joinpath(*inside)
    _make_writable(path, folder)
    return path


def check_output_file(path: Path) -> None:
    """See that a file can be written, and make its folder, before what comes into it is computed.

    Raises
    ------
    OSError
        If it cannot, or is a folder; it names the file.
    """
    if path.is_dir():
        raise unwritable(path, IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)))
    _make_writable(path.parent, path)


def _make_writable(folder: Path, output: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise unwritable(output, error) from error


def unwritable(output: Path, error: OSError) -> OSError:
    """Return the error that says that nothing can be written to an output, by its name, and why."""
    why = os.strerror(errno.ENOTDIR) if isinstance(error, FileExistsError) else error.strerror
    return OSError(error.errno, f"nothing can be written to this output: {why}", str(output))


def write_whole(path: Path, write: Callable[[Any], object]) -> None:
    """Let `write` write to a binary file that becomes `path`.

    Raises
    ------
    OSError
        If it cannot be written, as the system says it: torch's writer would replace the error by its own.
        Of a folder that is gone, too: it is not made anew.
    """
    with _replacing(path) as temporary, temporary.open("wb") as file:
        watched = _Watched(file)
        try:
            write(watched)
        except Exception as error:
            if watched.error is not None:
                raise watched.error from error
            raise


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a mapping as indented JSON; NaN is refused with ValueError, as JSON has none."""
    text = json.dumps(value, indent=2, allow_nan=False)
    with replacing(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def write_csv(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows of one set of keys, with the first row's keys as header."""
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def remove_leftovers(folder: Path) -> list[str]:
    """Remove temporary files that killed runs left in a folder; their names are returned."""
    found = sorted(folder.glob(f".*{_MARK}*"))
    for path in found:
        path.unlink(missing_ok=True)
    return [path.name for path in found]


def sync_folder(folder: Path) -> None:
    """Let renames in a folder last; nothing where folders cannot be opened."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_full_disk(error: OSError) -> bool:
    """Tell whether there is no space left, or no quota."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _Watched:
    """A file whose write errors are kept."""

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
