"""The structure of an HDF5 file read without HDF5: groups, attributes, where datasets lie.

HDF5 and h5py need some milliseconds to open one h5ad file and look at 21 objects of it, which is most of
opening a thousand small files. What most are written as, the oldest form of the format, which h5py writes if
not told otherwise (superblock 0, object headers of version 1, groups as trees of symbols), is parsed here.

Rule: all that is not exactly as expected raises `NotPlainError`, and the file is read through HDF5, which
says what is wrong with it. Source: HDF5 file format specification, version 3.0.

Complexity: O(bytes of the headers looked at); memory: some pages of the file.
"""

import struct
from functools import cache, lru_cache
from typing import Any, NamedTuple

import h5py
import numpy as np
import numpy.typing as npt

from .plain_chunks import read_chunks
from .plain_file import MOST_HEADER, REFERENCE, NotPlainError, PlainFile, need

__all__ = ["TEXT", "PlainDataset", "PlainObject"]

_MOST_DEPTH, _MOST_BLOCKS = 8, 64
_MOST_NAMES = 1 << 16

_HEADER = struct.Struct("<BxHII")
_MESSAGE = struct.Struct("<HHB3x")
_NODE = struct.Struct("<4sBBHQQ")
_HEAP = struct.Struct("<4sB3xQQQ")
_SYMBOLS = struct.Struct("<4sBxH")
_SYMBOL = struct.Struct("<QQI4x16x")
_TWO = struct.Struct("<QQ")
_ATTRIBUTE_HEAD = struct.Struct("<BBHHH")

_SPACE, _TYPE, _LAYOUT, _FILTERS, _ATTRIBUTE, _MORE, _GROUP = 0x1, 0x3, 0x8, 0xB, 0xC, 0x10, 0x11
_KNOWN = {0x0, _SPACE, _TYPE, 0x4, 0x5, _LAYOUT, _FILTERS, _ATTRIBUTE, 0xE, _MORE, _GROUP, 0x12}
"""Messages that may be there; those without a name are nothing, fill values and times."""


@cache
def _number_types() -> dict[bytes, np.dtype[Any]]:
    """Types of numbers by what the file says of them, as HDF5 itself writes it."""
    kinds = [np.dtype(f"<{kind}{size}") for kind in "iu" for size in (1, 2, 4, 8)]
    kinds += [np.dtype(f"<f{size}") for size in (2, 4, 8)]
    return {_written(h5py.h5t.py_create(kind)): kind for kind in kinds}


@cache
def _text_types() -> set[bytes]:
    """Types of text of variable length: a reference takes 16 bytes in a file, and 8 in memory."""
    made = (h5py.h5t.py_create(h5py.string_dtype(kind), logical=True) for kind in ("utf-8", "ascii"))
    return {one[:4] + struct.pack("<I", REFERENCE.size) + one[8:] for one in map(_written, made)}


def _written(kind: h5py.h5t.TypeID) -> bytes:
    """Give a type as it is in a file, where zeros follow up to a multiple of 8 bytes."""
    return bytes(kind.encode()[2:]).rstrip(b"\0")


TEXT = np.dtype(object)
"""Stands for text of variable length."""


@lru_cache(1024)
def _type_of(message: bytes) -> np.dtype[Any] | None:
    """Return the type that a message means; None if it is neither of numbers nor text of variable length."""
    stripped = message.rstrip(b"\0")
    return TEXT if stripped in _text_types() else _number_types().get(stripped)


@lru_cache(1024)
def _shape_of(message: bytes) -> tuple[int, ...]:
    """Return the shape that a dataspace has; one without values is not expected."""
    version, axes, flags, kind = message[:4]
    start = {1: 8, 2: 4}.get(version, 0)
    need(start and axes <= 32 and flags in (0, 1) and (version == 1 or kind == (1 if axes else 0)))
    return struct.unpack_from(f"<{axes}Q", message, start)


class PlainDataset(NamedTuple):
    """Where the values of a dataset lie.

    Parameters
    ----------
    shape, dtype
        As h5py has them; text of variable length is of dtype object.
    address, size
        Where values that lie in one piece begin, and how many bytes they are; an address of None for others.
    is_filtered
        Whether values pass through filters.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    address: int | None
    size: int
    is_filtered: bool


class PlainObject:
    """A group or a dataset.

    Parameters
    ----------
    file, address
        Where its header is.
    """

    def __init__(self, file: PlainFile, address: int) -> None:
        self.file = file
        self._messages: dict[int, bytes] = {}
        self._written: list[bytes] = []
        self._attributes: dict[bytes, tuple[bytes, int]] | None = None
        self._members: dict[str, int] | None = None
        self._dataset: PlainDataset | None = None
        page, at = file.view(address, _HEADER.size + 4)
        version, count, _, size = _HEADER.unpack_from(page, at)
        need(version == 1)
        blocks = [(address + _HEADER.size + 4, size)]
        for start, length in blocks:  # grows on the way
            need(length <= MOST_HEADER and len(blocks) <= _MOST_BLOCKS)
            count -= self._read_block(start, length, blocks)
        need(count == 0)

    def _read_block(self, start: int, length: int, blocks: list[tuple[int, int]]) -> int:
        """Take messages, and where more of them are; returns how many there were."""
        block, at = self.file.view(start, length)
        end, count = at + length, 0
        while at < end:
            if end - at < _MESSAGE.size:
                raise NotPlainError
            kind, size, flags = _MESSAGE.unpack_from(block, at)
            at += _MESSAGE.size
            stop = at + size
            if kind not in _KNOWN or flags & ~1 or size & 7 or stop > end:
                raise NotPlainError
            if kind == _ATTRIBUTE:
                self._written.append(block[at:stop])
            elif kind == _MORE:
                blocks.append(_TWO.unpack_from(block, at))
                need(size >= _TWO.size)
            elif kind:
                need(kind not in self._messages)
                self._messages[kind] = block[at:stop]
            count += 1
            at = stop
        return count

    @property
    def is_group(self) -> bool:
        """Whether this is a group, and no dataset."""
        return _GROUP in self._messages

    @property
    def names(self) -> dict[str, int]:
        """Names of what is in a group, and where."""
        if self._members is None:
            need(self.is_group and _LAYOUT not in self._messages)
            tree, heap = _TWO.unpack_from(self._messages[_GROUP])
            magic, version, size, _, address = _HEAP.unpack(self.file.read(heap, _HEAP.size))
            need(magic == b"HEAP" and version == 0 and size <= 1 << 24)
            self._members = {}
            self._list(tree, self.file.read(address, size), None)
        return self._members

    def child(self, name: str) -> "PlainObject":
        """Give what is in a group under a name."""
        address = self.names.get(name)
        if address is None:
            raise NotPlainError
        return PlainObject(self.file, address)

    def _list(self, address: int, texts: bytes, level: int | None) -> None:
        file, members = self.file, self._members
        assert members is not None
        page, at = file.view(address, _NODE.size)
        magic, kind, own, used, _, _ = _NODE.unpack_from(page, at)
        need(
            magic == b"TREE" and kind == 0 and own == (own if level is None else level) and own < _MOST_DEPTH
        )
        for below in struct.unpack(f"<{2 * used + 1}Q", file.read(address + _NODE.size, 16 * used + 8))[1::2]:
            if own:
                self._list(below, texts, own - 1)
                continue
            page, at = file.view(below, _SYMBOLS.size)
            magic, version, n = _SYMBOLS.unpack_from(page, at)
            need(magic == b"SNOD" and version == 1)
            symbols = file.read(below + _SYMBOLS.size, n * _SYMBOL.size)
            for start, header, cached in _SYMBOL.iter_unpack(symbols):
                end = texts.find(b"\0", start)
                need(cached in (0, 1) and end > start)
                name = texts[start:end].decode()
                need(name not in members and len(members) < _MOST_NAMES)
                members[name] = header

    def attribute(self, name: str) -> Any:
        """Give an attribute, None if it is not there: a text, a list of texts, or an array of integers."""
        found = self._named().get(name.encode())
        if found is None:
            return None
        message, at = found
        shape, dtype = _attribute_type(message[:at])
        size = 1
        for axis in shape:
            size *= axis
        if size == 0:
            return []
        if dtype is None or len(shape) > 1 or size > MOST_HEADER:
            raise NotPlainError
        if dtype is TEXT:
            need(len(message) - at >= REFERENCE.size * size)
            texts = [self.file.text(message, at + REFERENCE.size * i) for i in range(size)]
            return texts if size > 1 else texts[0]  # as of R's writers
        need(dtype.kind in "iu" and shape)
        return np.frombuffer(message, dtype, size, at)

    def has_attribute(self, name: str) -> bool:
        """Tell whether there is such an attribute."""
        return name.encode() in self._named()

    def _named(self) -> dict[bytes, tuple[bytes, int]]:
        """Return attributes by name, and where the value of each begins."""
        if self._attributes is None:
            self._attributes = {}
            for message in self._written:
                name, at = _attribute_name(message)
                need(name not in self._attributes)
                self._attributes[name] = (message, at)
        return self._attributes

    def dataset(self) -> PlainDataset:
        """Say where the values of a dataset lie."""
        if self._dataset is None:
            self._dataset = self._find_values()
        return self._dataset

    def _find_values(self) -> PlainDataset:
        found = self._messages
        need(_GROUP not in found and _SPACE in found and _TYPE in found and _LAYOUT in found)
        layout, dtype = found[_LAYOUT], _type_of(found[_TYPE])
        if dtype is None or layout[0] != 3:
            raise NotPlainError
        address, size = None, 0
        if layout[1] == 1:
            address, size = _TWO.unpack_from(layout, 2)
        else:
            need(layout[1] == 2)
        return PlainDataset(_shape_of(found[_SPACE]), dtype, address, size, _FILTERS in found)

    def values(self, most: int) -> npt.NDArray[Any]:
        """Read numbers on one axis that take at most so many bytes."""
        kind = self.dataset().dtype
        need(kind is not TEXT)
        return np.frombuffer(self.content(kind.itemsize, most), kind)

    def content(self, item: int, most: int) -> bytearray:
        """Read the items of so many bytes of a list that takes at most so many."""
        found = self.dataset()
        need(len(found.shape) == 1 and found.shape[0] * item <= most)
        size = found.shape[0] * item
        if size == 0:
            return bytearray()
        if found.address is None:
            return read_chunks(
                self.file, self._messages[_LAYOUT], self._messages.get(_FILTERS), found.shape[0], item
            )
        need(found.size == size and not found.is_filtered)
        return bytearray(self.file.read(found.address, size))


def _attribute_name(message: bytes) -> tuple[bytes, int]:
    """Return the name of an attribute, and where its value begins."""
    version, flags, name, kind, space = _ATTRIBUTE_HEAD.unpack_from(message)
    if version == 1:
        start, at = 8, 8 + (name + 7 & ~7) + (kind + 7 & ~7) + (space + 7 & ~7)
    else:
        need(version == 3 and flags == 0)
        start, at = 9, 9 + name + kind + space
    need(0 < name and at <= len(message) and message[start + name - 1] == 0)
    return message[start : start + name - 1], at


@lru_cache(1024)
def _attribute_type(head: bytes) -> tuple[tuple[int, ...], np.dtype[Any] | None]:
    """Return shape and type that an attribute says in front of its value."""
    version, _, name, kind, space = _ATTRIBUTE_HEAD.unpack_from(head)
    at = 9 + name if version == 3 else 8 + (name + 7 & ~7)
    between = kind if version == 3 else kind + 7 & ~7
    return _shape_of(head[at + between : at + between + space]), _type_of(head[at : at + kind])
