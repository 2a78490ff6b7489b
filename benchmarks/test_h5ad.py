"""Epochs of an h5ad file, from the file to batches of torch tensors: raw and gzip, dense and sparse.

Each round of ours follows one round of the best peer, so that a machine whose speed drifts is fair to both;
scDataset's documented way is slower and runs once. What counts is a whole epoch in cells/s: batches of 64,
blocks of 16, fetch factor 256, X alone, two cores.
"""

import time
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

import anndata
import numpy as np
import pytest
import scdataset
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from scdataset.transforms import adata_to_mindex

import tombola
from benchmarks.conftest import pinned
from benchmarks.figures import OURS, Figures, Work
from benchmarks.h5ad_data import CELLS, VALUES, checksums, dense_rows, make_rows, reference_file
from tombola.experiments.bench.peers import StoredRows

BATCH, FETCH, BLOCK = 64, 256, 16
FILES: dict[str, str | None] = {"raw": None, "gzip": "gzip"}
RATIOS = {"raw": 1.5, "gzip": 1.0}
MOST_ROUNDS = 7


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


def strongest_scdataset(path: Path, dense: bool) -> Iterable[torch.Tensor]:
    epochs: Iterable[torch.Tensor] = scdataset.scDataset(
        StoredRows(path, "X"),
        scdataset.BlockShuffling(block_size=BLOCK),
        batch_size=BATCH,
        fetch_factor=FETCH,
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


def our_loader(path: Path, dense: bool, prefetch: int = 2) -> tombola.Loader:
    source = tombola.H5adSource(path, x_format="dense" if dense else "csr")
    strategy = tombola.BlockShuffling(block_size=BLOCK)
    return tombola.Loader(source, strategy, BATCH, fetch_factor=FETCH, seed=1, prefetch=prefetch)


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


def seconds(epoch: Iterable[Any]) -> float:
    start = time.perf_counter()
    for _ in epoch:
        pass
    return time.perf_counter() - start


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta state")
@pytest.mark.parametrize("form", ["dense", "sparse"])
@pytest.mark.parametrize("stored", FILES)
def test_epoch(
    stored: str,
    form: str,
    size: int,
    benchmark: BenchmarkFixture,
    figures: Figures,
    pytestconfig: pytest.Config,
) -> None:
    cells, dense = min(size, CELLS), form == "dense"
    path = reference_file(FILES[stored], cells)
    peers = {
        "scDataset": strongest_scdataset(path, dense),
        "scDataset as documented": documented_scdataset(path, dense),
    }
    loader = our_loader(path, dense)
    unprefetched = our_loader(path, dense, prefetch=0)
    work = Work(f"h5ad {stored} {form}", unit="cells/s", ratio=RATIOS[stored], more_is_better=True)
    taken: dict[str, list[float]] = {who: [] for who in (*peers, "unprefetched")}

    def one_round_of_the_others() -> None:
        taken["scDataset"].append(seconds(peers["scDataset"]))
        taken["unprefetched"].append(seconds(unprefetched))

    with pinned(1):
        rows = []
        for batch in loader:
            check_rows(batch["X"], batch["row"])
            rows.append(batch["row"])
        assert np.array_equal(np.sort(torch.cat(rows).numpy()), np.arange(cells))
        for epoch in peers.values():
            check_peer(epoch, cells)
        taken["scDataset as documented"].append(seconds(peers["scDataset as documented"]))
        once = seconds(peers["scDataset"])
        rounds = max(1, min(MOST_ROUNDS, int(float(pytestconfig.getoption("--seconds")) / once)))
        rounds -= 1 - rounds % 2
        run: Any = benchmark.pedantic
        benchmark.group = work.name
        run(lambda: seconds(loader), setup=one_round_of_the_others, rounds=rounds)
    for who in peers:
        figures.add(work, who, cells / median(taken[who]), n=cells, rounds=len(taken[who]))
    stats: Any = benchmark.stats
    if stats is not None:
        note = f"without prefetching {cells / median(taken['unprefetched']):,.0f}"
        figures.add(work, OURS, cells / stats.stats.median, n=cells, rounds=rounds, note=note)
