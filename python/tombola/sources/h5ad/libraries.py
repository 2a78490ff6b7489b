"""Functions of libdeflate and libzstd for the core: as installed packages bring them, or the system.

Their C interfaces are stable. The package `deflate` exports libdeflate's beside its own for Python; it is
faster than zlib, and compares checksums as zlib does. libzstd's are exported by the plugin of `hdf5plugin`,
and by the module of `numcodecs`, which comes with anndata. Where none is found, HDF5 inflates.
"""

import ctypes
import ctypes.util
import functools
import importlib.util
import logging
from collections.abc import Iterator, Sequence
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

__all__ = ["Functions", "inflate_functions", "zstd_functions"]

Functions = tuple[int, int, int]
"""Addresses of what makes a decompressor, what frees it, and what decompresses with it."""

_INFLATE = (
    "libdeflate_alloc_decompressor",
    "libdeflate_free_decompressor",
    "libdeflate_zlib_decompress_ex",
)
_ZSTD = ("ZSTD_createDCtx", "ZSTD_freeDCtx", "ZSTD_decompressDCtx")
_logger = logging.getLogger("tombola.sources")


@functools.cache
def inflate_functions() -> Functions | None:
    """Return where libdeflate is, which inflates streams in zlib's frame; None, logged once, if not found."""
    found = _find(_INFLATE, _deflate_libraries())
    if found is None:
        _logger.info("libdeflate was not found, so HDF5 inflates, on one thread: pip install deflate")
    return found


@functools.cache
def zstd_functions() -> Functions | None:
    """Return where libzstd is; None, logged once, if it is not found."""
    found = _find(_ZSTD, _zstd_libraries())
    if found is None:
        _logger.info("libzstd was not found, so HDF5 reads zstd, on one thread: pip install hdf5plugin")
    return found


def _find(names: Sequence[str], libraries: Iterator[str]) -> Functions | None:
    for path in libraries:
        try:
            library = ctypes.CDLL(path)
            functions = [getattr(library, name) for name in names]
        except (OSError, AttributeError):
            continue
        make, free, use = (ctypes.cast(function, ctypes.c_void_p).value for function in functions)
        if make and free and use:
            return make, free, use
    return None


def _deflate_libraries() -> Iterator[str]:
    yield from _modules("deflate", "_deflate")
    yield from _of_the_system("deflate")


def _zstd_libraries() -> Iterator[str]:
    for folder in _folders("hdf5plugin"):
        yield from map(str, (folder / "plugins").glob("libh5zstd.*"))
    yield from _modules("numcodecs", "zstd")
    yield from _of_the_system("zstd")


def _folders(package: str) -> list[Path]:
    """Return where a package lies; nothing is imported, as anything may have that name."""
    found = importlib.util.find_spec(package)
    return [Path(folder) for folder in (found and found.submodule_search_locations) or ()]


def _modules(package: str, module: str) -> Iterator[str]:
    for folder in _folders(package):
        for suffix in EXTENSION_SUFFIXES:
            path = folder / f"{module}{suffix}"
            if path.is_file():
                yield str(path)


def _of_the_system(library: str) -> Iterator[str]:
    name = ctypes.util.find_library(library)
    if name is not None:
        yield name
