"""Bytes of an HDF5 file that is read without HDF5, see `structure`: pages of it, and texts in its heaps.

Rule: what is not as expected raises `NotPlainError`. Nothing is read beyond the end of the file, and no size
is believed before. Files that somebody writes to are left to HDF5, which knows what is not in them yet.
"""

import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy.typing as npt

from ... import _core
from ..._base.types import IndexArray

__all__ = ["MOST_HEADER", "REFERENCE", "NotPlainError", "PlainFile", "need", "open_plain"]

MOST_HEADER = 1 << 16
"""Bytes of a header, or of a text, that are read."""
REFERENCE = struct.Struct("<IQI")
"""What stands for a text: its size, the address of a collection of texts, and its number in there."""

_PAGE_BITS = 15
_PAGE = 1 << _PAGE_BITS
_NOWHERE = 2**64 - 1
_SUPERBLOCK = struct.Struct("<8s5xBB x4xI 4Q QQI4xQQ")


class NotPlainError(Exception):
    """Something is not as the fast way expects; HDF5 reads the file, and says what is wrong if that is so."""


def need(holds: object) -> None:
    """Raise NotPlainError unless something holds."""
    if not holds:
        raise NotPlainError


@contextmanager
def open_plain(path: Path) -> Iterator["PlainFile"]:
    """Open a file that nobody writes to.

    Raises
    ------
    NotPlainError
        If it cannot be opened, or not be read without HDF5.
    """
    need(not _is_written_here())
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise NotPlainError from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # as HDF5 does: a writer holds it alone
        yield PlainFile(path, descriptor)
    except (OSError, ValueError, IndexError, OverflowError, MemoryError, struct.error) as error:
        raise NotPlainError from error
    finally:
        os.close(descriptor)


def _is_written_here() -> bool:
    """Tell whether HDF5 has a file open in this process that may have changes which are not in it yet."""
    if not h5py.h5f.get_obj_count(h5py.h5f.OBJ_ALL, h5py.h5f.OBJ_FILE):
        return False
    try:
        files = h5py.h5f.get_obj_ids(h5py.h5f.OBJ_ALL, h5py.h5f.OBJ_FILE)
        return any(file.get_intent() != h5py.h5f.ACC_RDONLY for file in files)
    except ValueError:  # another thread has closed one meanwhile
        return True


class PlainFile:
    """A file of the oldest form of the format.

    Parameters
    ----------
    path, descriptor
        Of the open file.

    Attributes
    ----------
    root_address : int
        Where the header of the root group is.
    size : int
        Bytes in the file.
    stamp : tuple
        What the file is: device, number, size, time.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self.descriptor = descriptor
        about = os.fstat(descriptor)
        self.size = about.st_size
        self.stamp = (about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns)
        self._pages: dict[int, bytes] = {}
        self._collections: dict[int, IndexArray] = {}
        found = _SUPERBLOCK.unpack(self.read(0, _SUPERBLOCK.size))
        magic, offsets, lengths, flags, base, _, end, driver, _, header, cached, _, _ = found
        need(magic == b"\x89HDF\r\n\x1a\n" and self.read(8, 5) == bytes(5))
        need((offsets, lengths, flags, base, driver) == (8, 8, 0, 0, _NOWHERE) and end <= self.size)
        need(cached in (0, 1))
        self.root_address: int = header

    def view(self, address: int, size: int) -> tuple[bytes, int]:
        """Give bytes of the file, all of which must be there, within others, and where they begin."""
        number, start = address >> _PAGE_BITS, address & (_PAGE - 1)
        page = self._pages.get(number)
        if page is None:
            need(address < self.size)
            page = self._pages[number] = os.pread(self.descriptor, _PAGE, number << _PAGE_BITS)
        if start + size <= len(page):
            return page, start
        need(address + size <= self.size)
        found = os.pread(self.descriptor, size, address)
        need(len(found) == size)
        return found, 0

    def read(self, address: int, size: int) -> bytes:
        """Read bytes, all of which must be there."""
        page, start = self.view(address, size)
        return page[start : start + size]

    def read_into(self, address: int, out: npt.NDArray[Any]) -> None:
        """Fill an array with bytes, all of which must be there."""
        need(os.preadv(self.descriptor, [out.data.cast("B")], address) == out.nbytes)

    def objects(self, address: int) -> IndexArray:
        """Give where the objects of a collection of text begin, and their bytes, in turns."""
        places = self._collections.get(address)
        if places is None:
            places = _core.heap_objects(self.descriptor, address)
            if places is None:
                raise NotPlainError
            self._collections[address] = places
        return places

    def data_file(self) -> _core.DataFile:
        """Give the file as the core reads it."""
        return _core.DataFile(os.fsencode(self._path.absolute()), descriptor=self.descriptor)

    def text(self, where: bytes, at: int) -> str:
        """Give the text that a reference leads to, which is so far into some bytes."""
        size, address, number = REFERENCE.unpack_from(where, at)
        if size == 0:
            return ""
        places = self.objects(address)
        need(2 * number + 1 < len(places) and size <= MOST_HEADER and size <= places.item(2 * number + 1))
        text = self.read(places.item(2 * number), size)
        need(b"\0" not in text)  # where HDF5 ends a text
        return text.decode()
