"""Who reads h5ad files in epochs of batches of tensors, and whether what they give is what was written."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import scdataset
import torch
from scdataset.transforms import adata_to_mindex

import tombola
from benchmarks.h5ad_data import VALUES, checksums, dense_rows, make_rows
from tombola.experiments.bench.peers import StoredRows

__all__ = [
    "anndata_loader",
    "check_peer",
    "check_rows",
    "documented_scdataset",
    "our_loader",
    "strongest_scdataset",
    "to_tensor",
]

BATCH, FETCH, BLOCK = 64, 256, 16


def to_tensor(rows: Any, dense: bool) -> torch.Tensor:
    """Turn SciPy's rows into what the loader hands out."""
    if dense:
        return torch.from_numpy(rows.toarray())
    return torch.sparse_csr_tensor(
        torch.from_numpy(rows.indptr),
        torch.from_numpy(rows.indices),
        torch.from_numpy(rows.data),
        size=rows.shape,
        check_invariants=False,
    )


class RepeatedRows(StoredRows):
    """Rows that may be asked for more than once, which a mask cannot say: each is read once."""

    def fetch(self, rows: Any) -> Any:
        """Read rows, as SciPy's or NumPy's."""
        distinct, places = np.unique(rows, return_inverse=True)
        return super().fetch(distinct)[places]


def strongest_scdataset(
    path: Path, dense: bool, strategy: Any = None, fetch_factor: int = FETCH, *, repeats: bool = False
) -> Iterable[torch.Tensor]:
    epochs: Iterable[torch.Tensor] = scdataset.scDataset(
        RepeatedRows(path, "X") if repeats else StoredRows(path, "X"),
        strategy or scdataset.BlockShuffling(block_size=BLOCK),
        batch_size=BATCH,
        fetch_factor=fetch_factor,
        fetch_callback=lambda rows, ids: rows.fetch(ids),
        batch_transform=lambda rows: to_tensor(rows, dense),
    )
    return epochs


def documented_scdataset(path: Path, dense: bool) -> Iterable[torch.Tensor]:
    def finish(batch: Any) -> torch.Tensor:
        return torch.from_numpy(batch["X"]) if dense else to_tensor(batch, dense)

    epochs: Iterable[torch.Tensor] = scdataset.scDataset(
        anndata.read_h5ad(path, backed="r"),
        scdataset.BlockShuffling(block_size=BLOCK),
        batch_size=BATCH,
        fetch_factor=FETCH,
        fetch_transform=adata_to_mindex if dense else lambda cells: cells.to_memory().X,
        batch_transform=finish,
    )
    return epochs


def our_loader(
    path: Path,
    dense: bool,
    prefetch: int = 2,
    strategy: tombola.Strategy | None = None,
    fetch_factor: int = FETCH,
) -> tombola.Loader:
    source = tombola.H5adSource(path, x_format="dense" if dense else "csr")
    strategy = strategy or tombola.BlockShuffling(block_size=BLOCK)
    return tombola.Loader(source, strategy, BATCH, fetch_factor=fetch_factor, seed=1, prefetch=prefetch)


def check_rows(x: torch.Tensor, rows: torch.Tensor) -> None:
    """Check every cell of a batch of ours."""
    if x.layout == torch.strided:
        assert np.array_equal(x.numpy(), dense_rows(rows.numpy()))
    else:
        columns, values = make_rows(rows.numpy())
        assert np.array_equal(x.crow_indices().numpy(), np.arange(len(rows) + 1) * VALUES)
        assert np.array_equal(x.col_indices().numpy(), columns.ravel())
        assert np.array_equal(x.values().numpy(), values.ravel())


def check_peer(batches: Iterable[torch.Tensor], cells: int) -> None:
    """Check that each cell comes once, by a checksum over all of its values: peers give no row numbers."""
    found = []
    for x in batches:
        if x.layout == torch.strided:
            columns = torch.nonzero(x)[:, 1].reshape(len(x), VALUES)
            found.append(checksums(columns.numpy(), x.gather(1, columns).numpy()))
        else:
            shape = (x.shape[0], VALUES)
            found.append(checksums(x.col_indices().reshape(shape).numpy(), x.values().reshape(shape).numpy()))
    parts = np.split(np.arange(cells), range(1000, cells, 1000))
    expected = [checksums(*make_rows(part)) for part in parts]
    assert np.array_equal(np.sort(np.concatenate(found)), np.sort(np.concatenate(expected)))


def anndata_loader(path: Path) -> Iterable[torch.Tensor]:
    """Give dense batches by anndata's own loader, which shuffles rows one by one."""
    from anndata.experimental import AnnLoader

    batches = AnnLoader(anndata.read_h5ad(path, backed="r"), batch_size=BATCH, shuffle=True)
    return (batch.X for batch in batches)
