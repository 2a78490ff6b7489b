"""The encoded chunks of all datasets in one file that only grows, so that a killed run can go on.

An HDF5 file that was being written when its process died is often lost. So chunks go here first: their bytes
one after the other into one file, an entry for each (dataset, mask, size) into another. `commit` syncs both
and gives the state to keep; what lies behind the last state is cut off when the log is opened again, and a
checksum tells whether what lies before is as it was. O(bytes).
"""

import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .encode import Encoded

__all__ = ["ChunkLog", "LogState", "StaleError", "file_checksum", "write_all"]

ENTRY = np.dtype([("dataset", "<u4"), ("mask", "<u4"), ("size", "<u8")])
_READ_BYTES = 1 << 24


class StaleError(ValueError):
    """What a killed run left is not what it says."""


class LogState(NamedTuple):
    """How far a log is: its bytes, its entries, and the checksums of both."""

    n_bytes: int = 0
    n_entries: int = 0
    checksum: int = 0
    entries_checksum: int = 0


class ChunkLog:
    """A log, opened where a state says that it ends.

    Parameters
    ----------
    folder
        Where its two files lie.
    state
        Of the last commit.

    Raises
    ------
    StaleError
        If the files are not as they were at that commit.
    """

    def __init__(self, folder: Path, state: LogState) -> None:
        self._paths = (folder / "chunks", folder / "entries")
        self.state = state
        for path, size, checksum in (
            (self._paths[0], state.n_bytes, state.checksum),
            (self._paths[1], state.n_entries * ENTRY.itemsize, state.entries_checksum),
        ):
            with path.open("ab"):
                pass
            if file_checksum(path, size) != checksum:
                msg = f"{path}: not as it was when it was last synced"
                raise StaleError(msg)
            os.truncate(path, size)
        self._chunks, self._entries = (path.open("ab", buffering=0) for path in self._paths)

    def append(self, dataset: int, encoded: Sequence[Encoded]) -> None:
        """Add chunks of a dataset, which follow those that it has."""
        entries = np.array([(dataset, mask, len(content)) for mask, content in encoded], dtype=ENTRY)
        content = b"".join(content for _, content in encoded)
        write_all(self._chunks, content)
        write_all(self._entries, entries.tobytes())
        self.state = LogState(
            self.state.n_bytes + len(content),
            self.state.n_entries + len(entries),
            zlib.crc32(content, self.state.checksum),
            zlib.crc32(entries.tobytes(), self.state.entries_checksum),
        )

    def commit(self) -> LogState:
        """Let everything so far last, and return the state of it."""
        for file in (self._chunks, self._entries):
            os.fsync(file.fileno())
        return self.state

    def close(self) -> None:
        """Close the files."""
        self._chunks.close()
        self._entries.close()

    def __iter__(self) -> Iterator[tuple[int, int, bytes]]:
        """Yield dataset, mask and bytes of each chunk, in the order of writing."""
        with self._paths[0].open("rb") as chunks, self._paths[1].open("rb") as file:
            left = self.state.n_entries
            while left:
                entries = np.fromfile(file, ENTRY, min(left, 1 << 16))
                if not len(entries):
                    msg = f"{self._paths[1]}: it ends {left:,} entries early"
                    raise OSError(msg)
                left -= len(entries)
                for dataset, mask, size in entries.tolist():
                    content = chunks.read(size)
                    if len(content) != size:
                        msg = f"{self._paths[0]}: it ends within a chunk"
                        raise OSError(msg)
                    yield dataset, mask, content


def write_all(file: Any, content: Any) -> None:
    """Write all bytes to an unbuffered file, which may take less at a time."""
    view = memoryview(content).cast("B")
    while len(view):
        view = view[file.write(view) :]


def file_checksum(path: Path, size: int) -> int | None:
    """Return the checksum of a file's beginning; None if it is shorter."""
    found = 0
    with path.open("rb") as file:
        while size:
            part = file.read(min(size, _READ_BYTES))
            if not part:
                return None
            found = zlib.crc32(part, found)
            size -= len(part)
    return found
