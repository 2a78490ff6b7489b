"""The chunks of a dataset, for the core to read without HDF5: each inflated once a window, on all threads.

HDF5 inflates on one thread, under one lock. So the table of a dataset's chunks (where each lies, how long it
is, which filters it skipped) is read once, and the core reads the file by it. What is not known to be read
alike goes through HDF5: other filters than deflate, shuffle and fletcher32, other numbers than integers and
floats, other drivers. The first chunk is compared with what HDF5 reads, as addresses may be counted from
elsewhere than the beginning of the file.

Complexity: O(chunks) once a process, about a microsecond each; 20 bytes a chunk.
"""

import os
import weakref

import h5py
import numpy as np
import numpy.typing as npt

from ... import _core
from .inflate import inflate_functions

__all__ = ["chunk_reader"]

_FILTERS = {
    h5py.h5z.FILTER_DEFLATE: "deflate",
    h5py.h5z.FILTER_SHUFFLE: "shuffle",
    h5py.h5z.FILTER_FLETCHER32: "fletcher32",
}
_NOWHERE = 2**64 - 1
_LARGEST_CHUNK = 2**32
_MOST_CHUNKS = 2**26

Table = tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64], npt.NDArray[np.uint32]]


def chunk_reader(dataset: h5py.Dataset) -> _core.ChunkReader | None:
    """Return what reads the chunks of a dataset as HDF5 does; None where only HDF5 is known to.

    Raises
    ------
    OSError
        If the table cannot be read.
    """
    filters = _filters(dataset)
    if not filters or not _is_plain(dataset):
        return None
    functions = inflate_functions()
    if functions is None and "deflate" in filters:
        return None
    own = _same_file(dataset.file)  # a link may lead to another file than the one that was opened
    if own is None:
        return None
    table = _table(dataset)
    if table is None:
        return None
    addresses, sizes, skipped = table
    if not _is_alike(dataset, own, addresses, sizes):
        return None
    item = dataset.dtype.itemsize
    width, chunk_width = (1, 1) if dataset.ndim == 1 else (dataset.shape[1], dataset.chunks[1])
    return _core.ChunkReader(
        own,
        rows=dataset.shape[0],
        row_bytes=width * item,
        chunk_rows=dataset.chunks[0],
        chunk_row_bytes=chunk_width * item,
        item_bytes=item,
        filters=filters,
        fill=np.asarray(dataset.fillvalue, dtype=dataset.dtype).tobytes(),
        addresses=addresses,
        sizes=sizes,
        skipped=skipped,
        library=functions,
    )


def _is_plain(dataset: h5py.Dataset) -> bool:
    """Tell whether bytes of chunks are values as NumPy has them, and chunks can be listed.

    Where the second axis alone has no limit, HDF5 (2.0) lists chunks under other places than their own.
    """
    if dataset.chunks is None or dataset.ndim not in (1, 2) or 0 in dataset.shape:
        return False
    if dataset.ndim == 2 and dataset.maxshape[1] is None and dataset.maxshape[0] is not None:
        return False
    if int(np.prod(_grid(dataset), dtype=np.float64)) > _MOST_CHUNKS:
        return False
    kind = dataset.dtype
    chunk_bytes = int(np.prod(dataset.chunks, dtype=np.float64)) * kind.itemsize
    return (
        dataset.file.driver == "sec2"
        and kind.kind in "iuf"
        and chunk_bytes <= _LARGEST_CHUNK
        and hasattr(dataset.id, "chunk_iter")
        and bool(dataset.id.get_type().equal(h5py.h5t.py_create(kind)))
    )


def _filters(dataset: h5py.Dataset) -> list[str] | None:
    """Return the filters in the order of writing; None if one is not known."""
    properties = dataset.id.get_create_plist()
    names = []
    for i in range(properties.get_nfilters()):
        code, _, values, _ = properties.get_filter(i)
        name = _FILTERS.get(code)
        if name is None or name in names or (name == "shuffle" and values[:1] != (dataset.dtype.itemsize,)):
            return None
        names.append(name)
    return names


_open: dict[tuple[int, int], "weakref.ref[_core.OpenFile]"] = {}
"""Files that are open here, for as long as somebody reads them; all datasets of a file share one."""


def _identity(descriptor: int) -> tuple[int, int]:
    about = os.fstat(descriptor)
    return about.st_dev, about.st_ino


def _same_file(file: h5py.File) -> _core.OpenFile | None:
    """Return the file that HDF5 has open, open once more; None if its name no longer leads there."""
    identity = _identity(file.id.get_vfd_handle())
    known = _open.get(identity)
    own = None if known is None else known()
    if own is not None:
        return own
    try:
        own = _core.OpenFile(os.open(file.filename, os.O_RDONLY | os.O_CLOEXEC))
    except OSError:
        return None
    if _identity(own.fileno()) != identity:
        return None
    for other in [other for other, reference in list(_open.items()) if reference() is None]:
        _open.pop(other, None)
    _open[identity] = weakref.ref(own)  # without a callback, in which a Ctrl-C could get lost
    return own


def _grid(dataset: h5py.Dataset) -> list[int]:
    return [-(-size // chunk) for size, chunk in zip(dataset.shape, dataset.chunks, strict=True)]


def _table(dataset: h5py.Dataset) -> Table | None:
    """Return address, size and filter mask of each chunk, row by row of the grid that they form.

    None if chunks are listed under places that cannot be theirs, or if one at an edge may have been stored
    without filters: its mask does not say so, but it is as long as a chunk then.
    """
    grid, chunks, shape = _grid(dataset), dataset.chunks, dataset.shape
    addresses = np.full(grid, _NOWHERE, dtype=np.uint64)
    sizes, skipped = np.zeros(grid, dtype=np.uint64), np.zeros(grid, dtype=np.uint32)
    full = int(np.prod(chunks)) * dataset.dtype.itemsize
    strange: list[tuple[int, ...]] = []

    def note(chunk: h5py.h5d.StoreInfo) -> None:
        offset = chunk.chunk_offset
        place = tuple(at // size for at, size in zip(offset, chunks, strict=True))
        if any(at >= size for at, size in zip(place, grid, strict=True)):
            strange.append(place)
            return
        is_edge = any(at + size > end for at, size, end in zip(offset, chunks, shape, strict=True))
        if addresses[place] != _NOWHERE or (is_edge and chunk.size == full and not chunk.filter_mask):
            strange.append(place)
        addresses[place], sizes[place], skipped[place] = chunk.byte_offset, chunk.size, chunk.filter_mask

    dataset.id.chunk_iter(note)
    return None if strange else (addresses.ravel(), sizes.ravel(), skipped.ravel())


def _is_alike(
    dataset: h5py.Dataset,
    own: _core.OpenFile,
    addresses: npt.NDArray[np.uint64],
    sizes: npt.NDArray[np.uint64],
) -> bool:
    """Tell whether the first chunk that is stored lies where the table says."""
    stored = np.flatnonzero(addresses != _NOWHERE)
    if not len(stored):
        return True
    first = int(stored[0])
    places = np.unravel_index(first, _grid(dataset))
    offset = tuple(size * int(place) for size, place in zip(dataset.chunks, places, strict=True))
    _, content = dataset.id.read_direct_chunk(offset)
    return bool(os.pread(own.fileno(), int(sizes[first]), int(addresses[first])) == content)
