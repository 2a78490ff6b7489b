"""Peers, where they are installed: scDataset by the fastest recipe found for it; annbatch is only named.

scDataset reads X by anndata's own reader of stored matrices with a mask of rows, which is faster than the
ways of its documentation. annbatch (0.3.1) reads no h5ad file, but Zarr stores that it has converted and
shuffled.
"""

import importlib.metadata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

__all__ = ["StoredRows", "installed", "scdataset_batches", "versions"]

PEERS = ("scdataset", "annbatch")
BLOCK_SIZE = 16


def versions() -> dict[str, str]:
    """Return the peers that are installed, with their versions."""
    return {name: version for name in PEERS if (version := installed(name)) is not None}


def installed(name: str) -> str | None:
    """Return the version of a package, or None."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


class StoredRows:
    """X of a file, read by a mask where it is sparse, by row numbers where it is dense."""

    def __init__(self, path: Path, x: str) -> None:
        element = h5py.File(path, "r")[x]
        self._is_sparse = isinstance(element, h5py.Group)
        if self._is_sparse:
            from anndata.io import sparse_dataset

            element = sparse_dataset(element)
        self._x = element

    def __len__(self) -> int:
        return int(self._x.shape[0])

    def fetch(self, rows: Any) -> Any:
        """Read rows, as SciPy's or NumPy's."""
        if not self._is_sparse:
            return self._x[np.asarray(rows)]
        mask = np.zeros(len(self), dtype=bool)
        mask[rows] = True
        return self._x[mask]


def scdataset_batches(path: Path, x: str, *, batch_size: int, fetch_factor: int) -> Iterator[torch.Tensor]:
    """Yield dense batches of one epoch after the other, in blocks of 16, without end."""
    import scdataset

    def finish(rows: Any) -> torch.Tensor:
        return torch.from_numpy(rows.toarray() if hasattr(rows, "toarray") else np.asarray(rows))

    epochs = scdataset.scDataset(
        StoredRows(path, x),
        scdataset.BlockShuffling(block_size=BLOCK_SIZE),
        batch_size=batch_size,
        fetch_factor=fetch_factor,
        fetch_callback=lambda rows, ids: rows.fetch(ids),
        batch_transform=finish,
    )
    while True:
        yield from epochs
