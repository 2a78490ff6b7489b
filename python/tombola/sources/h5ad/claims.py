"""Sizes that a file claims, held against the bytes that it has, before memory is taken for them.

A damaged shape may claim any size, and chunks that were never written take no room in a file. Lists below
`LARGE` bytes pass.
"""

import os

import h5py

from ... import _core
from .errors import BadFileError

__all__ = ["check_held", "check_scale", "check_texts", "list_of_texts"]

LARGE = 1 << 26
MOST_INFLATED = 10_000
"""Bytes that one byte in the file may stand for where a filter is not known."""
KNKNOWN_FILTERS = {
    h5py.h5z.FILTER_SHUFFLE: 1,
    h5py.h5z.FILTER_FLETCHER32: 1,
    h5py.h5z.FILTER_DEFLATE: 1_032,
    h5py.h5z.FILTER_LZF: 88,
    32004: 255,  # lz4
    32015: 32_768,  # zstd
    32001: 32_768,  # blosc, which may hold zstd
}
"""Those whose format says how much they can give."""


def check_held(source: h5py.Dataset, where: str) -> None:
    """Refuse a dataset without values, and one that claims far more than its bytes in the file can mean.

    O(chunks) for large ones.

    Raises
    ------
    BadFileError
        If it is one of them.
    """
    if source.shape is None:
        msg = f"{where} must hold values, but is a dataset without any (a null dataspace)"
        raise BadFileError(msg)
    size = source.size * source.dtype.itemsize
    if size > LARGE and not source.is_virtual and size > MOST_INFLATED * source.id.get_storage_size():
        held = source.id.get_storage_size()
        msg = f"{where} claims {size:,} bytes in shape {source.shape}, but has {held:,} in the file"
        raise BadFileError(msg)


def check_scale(source: h5py.Dataset, where: str) -> None:
    """Refuse a dataset that claims more than the whole file can mean. O(1).

    Raises
    ------
    BadFileError
        If it does.
    """
    size = source.size * source.dtype.itemsize
    properties = source.id.get_create_plist()
    if size <= LARGE or source.is_virtual or properties.get_external_count() > 0:
        return
    file = source.file
    if file.driver != "sec2":
        return
    times = 1
    for i in range(properties.get_nfilters()):
        times *= KNOWN_FILTERS.get(properties.get_filter(i)[0], MOST_INFLATED)
    held = os.fstat(file.id.get_vfd_handle()).st_size
    if size > times * held:
        msg = f"{where} claims {size:,} bytes in shape {source.shape}, but the whole file has {held:,}"
        raise BadFileError(msg)


def check_texts(source: h5py.Dataset, where: str) -> None:
    """Refuse text whose lengths add up to more than the file has.

    HDF5 takes as much memory as a text is said to need before it looks for it. Where the list is not one
    contiguous one nothing is known; a checksum covers it, if it is compressed by gzip. O(texts).

    Raises
    ------
    BadFileError
        If they do.
    """
    texts = list_of_texts(source)
    found = None if texts is None else _core.overlong_text(*texts)
    if found is not None:
        msg = f"{where}: entry {found[0]} claims {found[1]:,} bytes of text, more than the file can hold"
        raise BadFileError(msg)


def list_of_texts(source: h5py.Dataset) -> tuple[int, int, int] | None:
    """Return descriptor, offset and length of texts of variable length in one list; None of others."""
    try:
        kind = source.id.get_type()
        if not isinstance(kind, h5py.h5t.TypeStringID) or not kind.is_variable_str():
            return None
        offset = source.id.get_offset()
        if offset is None or len(source.shape) != 1:
            return None
        return h5py.h5i.get_file_id(source.id).get_vfd_handle(), offset, source.shape[0]
    except (OSError, RuntimeError, ValueError, TypeError, NotImplementedError):
        return None  # whoever reads it says what is wrong
