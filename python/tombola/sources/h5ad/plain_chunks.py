"""Small lists in chunks, not compressed or by gzip, read without HDF5: see `structure`.

Rule: chunks are listed by a tree (version 1); each must be there once, at the place of its number, as long as
all are, and have passed all filters. Any other list is left to HDF5. Nothing is inflated beyond the length of
a chunk. Complexity: O(items).
"""

import struct
import zlib
from collections.abc import Callable

import numpy as np

from .plain_file import NotPlainError, PlainFile, need

__all__ = ["read_chunks"]

_MOST_CHUNKS = 1 << 12
_MOST_DEPTH = 8
_NODE = struct.Struct("<4sBBHQQ")
_ENTRY = struct.Struct("<IIQQQ")
_KEY_BYTES = 24
_LAYOUT = struct.Struct("<BBBQII")
_DEFLATE, _SHUFFLE = 1, 2

_Step = Callable[[bytes, int], bytes]
"""Undoes a filter of a chunk, which has so many bytes in the end."""


def read_chunks(file: PlainFile, layout: bytes, filters: bytes | None, count: int, item: int) -> bytearray:
    """Read all items of a list.

    Parameters
    ----------
    file, layout, filters
        The file, and what the header of the dataset says of its layout and its filters.
    count, item
        How many items there are, more than none, and the bytes of one.

    Raises
    ------
    NotPlainError
        If it is not as expected.
    """
    version, kind, axes, address, length, stored = _LAYOUT.unpack_from(layout)
    need((version, kind, axes, stored) == (3, 2, 2, item) and length > 0)
    steps = [] if filters is None else _steps(filters, item)
    n_chunks = -(-count // length)
    need(n_chunks <= _MOST_CHUNKS and (n_chunks - 1) * length < count)
    out = bytearray(count * item)
    size = length * item
    seen = 0
    for held, mask, first, where in _chunks(file, address, None):
        need(mask == 0 and first == seen * length and seen < n_chunks)
        seen += 1
        chunk = file.read(where, held)
        for step in steps:
            chunk = step(chunk, size)
        need(len(chunk) == size)
        start = first * item
        part = min(size, len(out) - start)
        out[start : start + part] = chunk[:part]
    need(seen == n_chunks)
    return out


def _chunks(file: PlainFile, address: int, level: int | None) -> list[tuple[int, int, int, int]]:
    """List chunks in their order: bytes, filters that were skipped, first item, and where each lies."""
    magic, kind, own, used, _, _ = _NODE.unpack(file.read(address, _NODE.size))
    need(magic == b"TREE" and kind == 1 and level in (None, own) and own < _MOST_DEPTH)
    entries = file.read(address + _NODE.size, used * _ENTRY.size + _KEY_BYTES)
    found: list[tuple[int, int, int, int]] = []
    for held, mask, first, rest, below in _ENTRY.iter_unpack(entries[: used * _ENTRY.size]):
        need(rest == 0)
        found += _chunks(file, below, own - 1) if own else [(held, mask, first, below)]
        need(len(found) <= _MOST_CHUNKS)
    return found


def _steps(filters: bytes, item: int) -> list[_Step]:
    """Return what undoes filters, in this order: gzip, or shuffling and gzip."""
    version, count = filters[:2]
    need(version == 1 and count in (1, 2))
    steps: list[_Step] = []
    at = 8
    for _ in range(count):
        code, name, _, values = struct.unpack_from("<4H", filters, at)
        at += 8 + -(-name // 8) * 8
        options = struct.unpack_from(f"<{values}I", filters, at)
        at += 4 * (values + values % 2)
        if code == _SHUFFLE and options == (item,) and not steps:
            steps.append(_unshuffle(item))
        elif code == _DEFLATE and _inflate not in steps:
            steps.append(_inflate)
        else:
            raise NotPlainError
    need(steps[-1] is _inflate)
    return steps[::-1]


def _inflate(chunk: bytes, size: int) -> bytes:
    stream = zlib.decompressobj()
    try:
        found = stream.decompress(chunk, size + 1)
    except zlib.error as error:
        raise NotPlainError from error
    need(stream.eof and not stream.unused_data)
    return found


def _unshuffle(item: int) -> _Step:
    def undo(chunk: bytes, size: int) -> bytes:
        need(len(chunk) == size)
        return np.frombuffer(chunk, np.uint8).reshape(item, -1).T.tobytes()

    return undo
