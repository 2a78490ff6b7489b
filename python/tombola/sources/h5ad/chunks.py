"""The chunks of a dataset, for the core to read without HDF5: each decoded once a window, on all threads.

HDF5 reads and inflates on one thread, under one lock. So the table of a dataset's chunks (where each lies,
how long it is, which filters it skipped) is read once, and the core reads the file by it; a dataset without
chunks is one of a single chunk. What is not known to be read alike goes through HDF5: other filters than
deflate, lzf, lz4, zstd, blosc, shuffle and fletcher32, streams whose library is not at hand, other numbers
than integers and floats, other drivers. One chunk is compared with what HDF5 reads, as addresses may be
counted from elsewhere than the beginning of the file. Of text of variable length the references to it are
read alike, see `heap`.

A damaged table is refused: HDF5 would give the fill value where it does not find a chunk. A chunk that lies
outside the file, shares bytes with another or is far longer than its values spoils its own rows only.

Complexity: O(chunks) once a process, about a microsecond each; 20 bytes a chunk.
"""

import os
import weakref
from operator import floordiv, lt, mul
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from ... import _core
from .blosc import asked_codec, stream_codec
from .libraries import inflate_functions, zstd_functions

__all__ = ["REFERENCE_BYTES", "chunk_reader", "hides_damage", "reference_reader"]

REFERENCE_BYTES = 16
"""What stands for a text of variable length, where addresses have 8 bytes."""

_FILTERS = {
    h5py.h5z.FILTER_DEFLATE: "deflate",
    h5py.h5z.FILTER_SHUFFLE: "shuffle",
    h5py.h5z.FILTER_FLETCHER32: "fletcher32",
    h5py.h5z.FILTER_LZF: "lzf",
    32001: "blosc",
    32004: "lz4",
    32015: "zstd",
}
_OWN = {"shuffle", "fletcher32", "lzf", "lz4", "blosc", "blosclz"}
"""What the core decodes without a library."""

_SILENT = {32000, 32015}
"""lzf and zstd: their HDF5 filters give arbitrary bytes where a stream is damaged."""

_NOWHERE = 2**64 - 1
_LARGEST_CHUNK = 2**32
_MOST_CHUNKS = 2**26
_MOST_EMPTY = 1024
"""Most chunks for each that was written, and beyond a million: tables take memory."""
_TRIED = 16
"""Chunks of which one must be readable by HDF5."""

Table = tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64], npt.NDArray[np.uint32]]


def chunk_reader(dataset: h5py.Dataset) -> _core.ChunkReader | None:
    """Return what reads the chunks of a dataset as HDF5 does; None where only HDF5 is known to.

    Raises
    ------
    OSError
        If the table cannot be read.
    """
    kind = dataset.dtype
    if kind.kind not in "iuf" or not dataset.id.get_type().equal(h5py.h5t.py_create(kind)):
        return None
    found = _reader(dataset, kind.itemsize)
    return None if found is None else found[1]


def reference_reader(dataset: h5py.Dataset) -> tuple[_core.DataFile, _core.ChunkReader] | None:
    """Return what reads the references of a list of text of variable length, and the file with the text.

    Raises
    ------
    OSError
        If the table cannot be read.
    """
    kind = dataset.id.get_type()
    if dataset.ndim != 1 or not isinstance(kind, h5py.h5t.TypeStringID) or not kind.is_variable_str():
        return None
    return _reader(dataset, REFERENCE_BYTES)


def _reader(dataset: h5py.Dataset, item: int) -> tuple[_core.DataFile, _core.ChunkReader] | None:
    """Return a reader of items of so many bytes."""
    filters = _filters(dataset, item)
    if filters is None or not _is_plain(dataset, item):
        return None
    inflate = inflate_functions()
    zstd = None if {"zstd", "blosc"}.isdisjoint(filters) else zstd_functions()
    at_hand = _OWN | {name for name, found in (("deflate", inflate), ("zstd", zstd)) if found is not None}
    if not at_hand.issuperset(_codecs(filters)):
        return None
    own = _same_file(dataset.file)  # a link may lead to another file than the one that was opened
    table = _one_chunk(dataset) if dataset.chunks is None else _table(dataset, item)
    asked = None if table is None else _codecs_of_first(dataset, own, table, filters)
    if table is None or asked is None or not at_hand.issuperset(asked):
        return None
    addresses, sizes, skipped = table
    is_text = dataset.dtype.kind == "O"
    fill = bytes(item) if is_text else np.asarray(dataset.fillvalue, dtype=dataset.dtype).tobytes()
    width = 1 if dataset.ndim == 1 else dataset.shape[1]
    chunk_rows, *chunk_width = dataset.chunks or dataset.shape
    reader = _core.ChunkReader(
        own,
        rows=dataset.shape[0],
        row_bytes=width * item,
        chunk_rows=chunk_rows,
        chunk_row_bytes=item * (chunk_width[0] if chunk_width else 1),
        item_bytes=item,
        filters=[*filters],
        fill=fill,
        addresses=addresses,
        sizes=sizes,
        skipped=skipped,
        inflate=inflate,
        zstd=zstd,
    )
    return own, reader


def hides_damage(dataset: h5py.Dataset) -> bool:
    """Tell whether HDF5 may give wrong values for a damaged chunk that the core refuses."""
    properties = dataset.id.get_create_plist()
    return any(properties.get_filter(i)[0] in _SILENT for i in range(properties.get_nfilters()))


def _is_plain(dataset: h5py.Dataset, item: int) -> bool:
    """Tell whether values lie where they can be found, and chunks can be listed.

    Where the second axis alone has no limit, HDF5 (2.0) lists chunks under other places than their own.
    """
    if dataset.ndim not in (1, 2) or 0 in dataset.shape or dataset.file.driver != "sec2":
        return False
    properties = dataset.id.get_create_plist()
    if dataset.chunks is None:
        return bool(
            properties.get_layout() == h5py.h5d.CONTIGUOUS
            and properties.get_external_count() == 0
            and dataset.file.userblock_size == 0
        )
    if dataset.ndim == 2 and dataset.maxshape[1] is None and dataset.maxshape[0] is not None:
        return False
    n_chunks = int(np.prod(_grid(dataset), dtype=np.float64))
    if n_chunks > _MOST_CHUNKS or n_chunks > _MOST_EMPTY * (dataset.id.get_num_chunks() + _MOST_EMPTY):
        return False
    if properties.get_nfilters() == 0 and dataset.file.userblock_size != 0:
        return False  # bytes without filters look alike too easily
    chunk_bytes = int(np.prod(dataset.chunks, dtype=np.float64)) * item
    return chunk_bytes <= _LARGEST_CHUNK and hasattr(dataset.id, "chunk_iter")


def _filters(dataset: h5py.Dataset, item: int) -> dict[str, tuple[int, ...]] | None:
    """Return the filters in the order of writing, with their options.

    None if one is not known, or shuffles other items, or there are two codecs. One that does not know its
    items, as that of references, is one that HDF5 skips in every chunk.
    """
    properties = dataset.id.get_create_plist()
    known: dict[str, tuple[int, ...]] = {}
    for i in range(properties.get_nfilters()):
        code, _, values, _ = properties.get_filter(i)
        name = _FILTERS.get(code)
        if name is None or name in known or (name == "shuffle" and values[:1] not in ((item,), ())):
            return None
        known[name] = values
    return known if len(known.keys() - {"shuffle", "fletcher32"}) <= 1 else None


def _codecs(filters: dict[str, tuple[int, ...]]) -> set[str]:
    """Return what a dataset asks for: its filters, and the codec of blosc's streams."""
    return {*filters, *(asked_codec(options) for name, options in filters.items() if name == "blosc")}


def _codecs_of_chunk(filters: dict[str, tuple[int, ...]], mask: int, chunk: bytes) -> set[str]:
    """Return what a chunk says itself: the codec of blosc's streams, if blosc was applied."""
    if not chunk or "blosc" not in filters or mask >> [*filters].index("blosc") & 1:
        return set()
    return {stream_codec(chunk)}


_open: dict[tuple[int, ...], "weakref.ref[_core.DataFile]"] = {}
"""Files that somebody reads here, by what they were when they were opened; all datasets of one share it."""

_pruned_at = [64]
"""How many there may be until those that nobody reads any more are left out."""


def _same_file(file: h5py.File) -> _core.DataFile:
    """Return the file that HDF5 has open, by its name; reads fail if that leads elsewhere."""
    path = os.fsencode(Path(os.fsdecode(file.filename)).absolute())
    own = _core.DataFile(path, descriptor=file.id.get_vfd_handle())
    known = _open.get(own.stamp)
    same = None if known is None else known()
    if same is not None and same.path == own.path:
        return same
    if len(_open) >= _pruned_at[0]:
        for other in [other for other, reference in list(_open.items()) if reference() is None]:
            _open.pop(other, None)
        _pruned_at[0] = max(64, 2 * len(_open))
    _open[own.stamp] = weakref.ref(own)  # without a callback, in which a Ctrl-C could get lost
    return own


def _grid(dataset: h5py.Dataset) -> list[int]:
    return [-(-size // chunk) for size, chunk in zip(dataset.shape, dataset.chunks, strict=True)]


def _table(dataset: h5py.Dataset, item: int) -> Table | None:
    """Return address, size and filter mask of each chunk, row by row of the grid that they form.

    None if one at an edge may have been stored without filters: its mask does not say so, but it is as long
    as a chunk then.

    Raises
    ------
    OSError
        If a chunk is listed where none can be, or two in one place.
    """
    grid, chunks, shape = _grid(dataset), dataset.chunks, dataset.shape
    addresses = np.full(grid, _NOWHERE, dtype=np.uint64)
    sizes, skipped = np.zeros(grid, dtype=np.uint64), np.zeros(grid, dtype=np.uint32)
    has_filters = dataset.id.get_create_plist().get_nfilters() > 0
    full = int(np.prod(chunks)) * item
    strange: list[tuple[int, ...]] = []
    may_be_plain: list[tuple[int, ...]] = []

    def note(chunk: h5py.h5d.StoreInfo) -> None:
        offset = chunk.chunk_offset
        place = tuple(map(floordiv, offset, chunks))
        is_listed = all(map(lt, place, grid)) and tuple(map(mul, place, chunks)) == offset
        if not is_listed or addresses[place] != _NOWHERE:
            strange.append(offset)
            return
        if has_filters and chunk.size == full and not chunk.filter_mask:
            is_edge = any(at + size > end for at, size, end in zip(offset, chunks, shape, strict=True))
            may_be_plain.extend([offset] * is_edge)
        addresses[place], sizes[place], skipped[place] = chunk.byte_offset, chunk.size, chunk.filter_mask

    dataset.id.chunk_iter(note)
    if strange:
        msg = f"its table of chunks has one at {strange[0]} too many, for shape {shape} in chunks of {chunks}"
        raise OSError(msg)
    return None if may_be_plain else (addresses.ravel(), sizes.ravel(), skipped.ravel())


def _one_chunk(dataset: h5py.Dataset) -> Table:
    """Return the table of a dataset that lies in one piece; nowhere if it was never written."""
    offset = dataset.id.get_offset()
    size = 0 if offset is None else dataset.id.get_storage_size()
    address = _NOWHERE if offset is None else offset
    return tuple(  # type: ignore[return-value]
        np.array([value], dtype=kind)
        for value, kind in ((address, np.uint64), (size, np.uint64), (0, np.uint32))
    )


def _codecs_of_first(
    dataset: h5py.Dataset, own: _core.DataFile, table: Table, filters: dict[str, tuple[int, ...]]
) -> set[str] | None:
    """Return what the shortest of the first chunks that HDF5 can read says itself, see `_codecs_of_chunk`.

    Of one whose header is damaged another is asked. Nothing if none is stored. Of a dataset without chunks
    its first row is read. None if it does not lie where the table says. References without chunks are not
    compared: where they lie elsewhere, they lead to no heap.
    """
    addresses, sizes, skipped = table
    stored = np.flatnonzero(addresses != _NOWHERE)
    if not len(stored) or (dataset.chunks is None and dataset.dtype.kind == "O"):
        return set()
    found = None
    for number in sorted(stored[:_TRIED].tolist(), key=lambda number: int(sizes[number])):
        size, address = int(sizes[number]), int(addresses[number])
        if size == 0 or address + size > own.stamp[2]:
            continue  # whoever reads it says so, with the rows
        try:
            if dataset.chunks is None:
                content = dataset[:1].tobytes()
            else:
                places = np.unravel_index(number, _grid(dataset))
                offset = tuple(step * int(place) for step, place in zip(dataset.chunks, places, strict=True))
                _, content = dataset.id.read_direct_chunk(offset)
        except OSError:
            continue
        try:
            is_alike = own.read(address, len(content)) == content
        except (OSError, ValueError):
            return None
        if not is_alike:
            return None
        found = _codecs_of_chunk(filters, int(skipped[number]), content)
        if "unknown" not in found:
            return found
    return found
