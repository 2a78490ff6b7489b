"""Turning values into the bytes of HDF5's chunks, and saying the same of a dataset that gets them.

gzip is encoded here, by libdeflate where its package is there, else by zlib, on all threads; other codecs by
HDF5 itself, in a file in memory, on one thread. Both give chunks that HDF5's own pipeline decodes. O(values).
"""

import importlib.util
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from .. import _core
from .options import RepackOptions

__all__ = ["ChunkEncoder", "Encoded", "check_codec", "create_dataset"]

Encoded = tuple[int, bytes]


def check_codec(options: RepackOptions) -> None:
    """Refuse a codec that is not at hand.

    Raises
    ------
    ValueError
        If it is zstd without hdf5plugin.
    """
    if options.compression == "zstd" and importlib.util.find_spec("hdf5plugin") is None:
        msg = 'compression "zstd" needs hdf5plugin, which is not installed: pip install "tombola[codecs]"'
        raise ValueError(msg)


def filters(options: RepackOptions) -> dict[str, Any]:
    """Return what `h5py.Group.create_dataset` takes for the codec."""
    if options.compression == "none":
        return {}
    if options.compression == "zstd":
        import hdf5plugin

        codec: dict[str, Any] = dict(hdf5plugin.Zstd(clevel=options.chosen_level or 0))
    else:
        codec = {"compression": options.compression, "compression_opts": options.chosen_level}
    return {**codec, "shuffle": options.byte_shuffle}


def create_dataset(
    group: h5py.Group,
    name: str,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    chunks: tuple[int, ...],
    options: RepackOptions,
) -> h5py.Dataset:
    """Make a dataset in chunks; one of one axis can grow, as those of anndata can.

    An empty matrix has no chunks.
    """
    if len(shape) > 1 and 0 in shape:
        return group.create_dataset(name, shape, dtype)
    limit = (None,) if len(shape) == 1 else None
    made = filters(options) if dtype.itemsize > 1 or options.compression == "none" else _bytewise(options)
    return group.create_dataset(name, shape, dtype, chunks=chunks, maxshape=limit, **made)


def _bytewise(options: RepackOptions) -> dict[str, Any]:
    """Return the filters of a type of one byte, which has nothing to shuffle."""
    return {**filters(options), "shuffle": False}


class ChunkEncoder:
    """Encodes chunks of one dataset.

    Parameters
    ----------
    dtype, chunk
        Type of the values, shape of a chunk.
    options
        The codec.
    """

    def __init__(self, dtype: np.dtype[Any], chunk: tuple[int, ...], options: RepackOptions) -> None:
        self.dtype, self.chunk, self._options = dtype, chunk, options

    def encode(self, values: npt.NDArray[Any]) -> list[Encoded]:
        """Return each chunk's mask of filters left out (lzf that would not shrink it) and its bytes.

        Parameters
        ----------
        values
            Whole chunks, one after the other along the first axis.
        """
        values = np.ascontiguousarray(values, dtype=self.dtype)
        if len(values) % self.chunk[0] or values.shape[1:] != self.chunk[1:]:
            msg = f"values must be whole chunks of shape {self.chunk}, but have shape {values.shape}"
            raise ValueError(msg)
        n = len(values) // self.chunk[0]
        if self._options.compression == "none":
            return [(0, part.tobytes()) for part in values.reshape(n, -1)]
        if self._options.compression == "gzip":
            return self._deflated(values.reshape(n, -1).view(np.uint8))
        return self._by_hdf5(values, n)

    def _deflated(self, chunks: npt.NDArray[np.uint8]) -> list[Encoded]:
        level = self._options.chosen_level
        assert level is not None
        compress, size = _compressor(level), self.dtype.itemsize

        def one(chunk: npt.NDArray[np.uint8]) -> Encoded:
            if self._options.byte_shuffle and size > 1:
                chunk = np.ascontiguousarray(chunk.reshape(-1, size).T)
            return 0, bytes(compress(chunk))

        with ThreadPoolExecutor(_core.get_num_threads()) as pool:
            return list(pool.map(one, chunks))

    def _by_hdf5(self, values: npt.NDArray[Any], n: int) -> list[Encoded]:
        with h5py.File("encode", "w", driver="core", backing_store=False) as file:
            dataset = create_dataset(file, "x", values.shape, self.dtype, self.chunk, self._options)
            dataset[...] = values
            file.flush()
            rest = (0,) * (values.ndim - 1)
            return [dataset.id.read_direct_chunk((i * self.chunk[0], *rest)) for i in range(n)]


def _compressor(level: int) -> Callable[[Any], Any]:
    if importlib.util.find_spec("deflate") is not None:
        import deflate

        return lambda chunk: deflate.zlib_compress(chunk, level)
    return lambda chunk: zlib.compress(chunk, level)
