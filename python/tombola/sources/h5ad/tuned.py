"""Opening an HDF5 dataset with a chunk cache that fits reading rows in file order."""

import h5py
import numpy as np

__all__ = ["open_tuned"]

MIN_CACHE_BYTES = 1 << 20
MAX_CACHE_BYTES = 1 << 26


def open_tuned(file: h5py.File, name: str) -> tuple[h5py.Dataset, int | None]:
    """Open a dataset with a chunk cache that fits reading rows in file order.

    The cache holds one band of chunks, that is all chunks of one row, up to `MAX_CACHE_BYTES`. Where a
    chunk is stored as it is and holds whole rows there is no cache: HDF5 then reads straight into the
    caller's array instead of copying whole chunks first.

    Returns
    -------
    tuple
        The dataset, and the rows of a chunk where chunks pass through the cache as a whole.
    """
    cache_bytes, n_across, chunk_rows = _chunk_cache(file[name])
    # HDF5 takes the settings of the first opening for as long as the dataset is open anywhere, so it must be
    # closed by now.
    access = h5py.h5p.create(h5py.h5p.DATASET_ACCESS)
    access.set_chunk_cache(max(521, 2 * n_across + 1), cache_bytes, 1.0)
    return h5py.Dataset(h5py.h5d.open(file.id, name.encode(), access)), chunk_rows


def _chunk_cache(dataset: h5py.Dataset) -> tuple[int, int, int | None]:
    """Size of the cache in bytes, chunks that a row touches, rows of a chunk if it is read as a whole."""
    if dataset.chunks is None:
        return 0, 1, None
    across = [-(-size // chunk) for size, chunk in zip(dataset.shape[1:], dataset.chunks[1:], strict=True)]
    n_across = int(np.prod(across, dtype=np.int64))
    band_bytes = n_across * int(np.prod(dataset.chunks, dtype=np.int64)) * dataset.dtype.itemsize
    if n_across == 1 and dataset.id.get_create_plist().get_nfilters() == 0:
        return 0, n_across, None
    cache_bytes = min(max(band_bytes, MIN_CACHE_BYTES), MAX_CACHE_BYTES)
    return cache_bytes, n_across, int(dataset.chunks[0])
