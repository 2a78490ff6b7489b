"""libdeflate's functions for the core: as the package `deflate` brings them, else as the system does.

libdeflate is faster than zlib, and compares checksums as zlib does. Its C interface is stable; the package
exports it beside its own for Python. Where neither is found, HDF5 inflates.
"""

import ctypes
import ctypes.util
import functools
import importlib.util
import logging
from collections.abc import Iterator
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

__all__ = ["Inflate", "inflate_functions"]

Inflate = tuple[int, int, int]
"""Addresses of what makes a decompressor, what frees it, and what inflates a stream in zlib's frame."""

_NAMES = (
    "libdeflate_alloc_decompressor",
    "libdeflate_free_decompressor",
    "libdeflate_zlib_decompress_ex",
)
_logger = logging.getLogger("tombola.sources")


@functools.cache
def inflate_functions() -> Inflate | None:
    """Return where libdeflate is; None, which is logged once, if it is not found."""
    for name in _libraries():
        try:
            library = ctypes.CDLL(name)
            functions = [getattr(library, function) for function in _NAMES]
        except (OSError, AttributeError):
            continue
        make, free, inflate = (ctypes.cast(function, ctypes.c_void_p).value for function in functions)
        if make and free and inflate:
            return make, free, inflate
    _logger.info("libdeflate was not found, so HDF5 inflates, on one thread: pip install deflate")
    return None


def _libraries() -> Iterator[str]:
    found = importlib.util.find_spec("deflate")  # nothing is imported: anything may have that name
    for folder in (found and found.submodule_search_locations) or ():
        for suffix in EXTENSION_SUFFIXES:
            module = Path(folder) / f"_deflate{suffix}"
            if module.is_file():
                yield str(module)
    name = ctypes.util.find_library("deflate")
    if name is not None:
        yield name
