"""2,000 of 20,000 columns, totals of 10,000 and log1p: where rows are read, beside the same on each batch.

All read by tombola's loader, so that only the work differs: batches of 64, blocks of 16, fetch factor 256,
two windows read ahead, one thread beside that of the loader. On batches the work is done in the order that
costs least: totals, columns, then the rest on these alone. Peers take turns with ours; cells/s count.
"""

import importlib
import importlib.util
import time
from collections.abc import Callable, Iterable
from statistics import median
from typing import Any

import anndata
import numpy as np
import numpy.typing as npt
import pytest
import scipy.sparse as sp
import torch
from pytest_benchmark.fixture import BenchmarkFixture

import tombola
from benchmarks.conftest import pinned
from benchmarks.figures import OURS, Figures, Work
from benchmarks.h5ad_data import GENES, dense_file, dense_rows, reference_file

BATCH, FETCH, BLOCK = 64, 256, 16
TARGET = 10_000.0
PICKED = np.arange(0, GENES, 10)
NAMES = [f"var{i}" for i in PICKED]
MOST_ROUNDS = 5
MOST_CELLS, MOST_DENSE = 20_000, 4_000
SHARE = 32
"""Of `--size`: a cell costs as much here as many rows elsewhere."""

Batch = dict[str, Any]
OnBatch = Callable[[Batch], torch.Tensor]


def formula(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """The answer, in float64."""
    x = dense_rows(rows).astype(np.float64)
    return np.asarray(np.log1p(x[:, PICKED] * (TARGET / x.sum(axis=1, keepdims=True))))


def by_torch(batch: Batch) -> torch.Tensor:
    x: torch.Tensor = batch["X"]
    factor = TARGET / x.sum(dim=1, keepdim=True)
    return x[:, torch.from_numpy(PICKED)].mul_(factor).log1p_()


def by_numpy(batch: Batch) -> torch.Tensor:
    x = batch["X"].numpy()
    factor = np.float32(TARGET) / x.sum(axis=1, keepdims=True)
    return torch.from_numpy(np.log1p(x[:, PICKED] * factor))


def as_scipy(x: torch.Tensor) -> Any:
    parts = (x.values().numpy(), x.col_indices().numpy(), x.crow_indices().numpy())
    return sp.csr_matrix(parts, shape=(x.shape[0], x.shape[1]))


def picked_by_scipy(x: torch.Tensor) -> Any:
    rows = as_scipy(x)
    factor = np.float32(TARGET) / np.asarray(rows.sum(axis=1)).ravel()
    rows = rows[:, PICKED]
    rows.data *= np.repeat(factor, np.diff(rows.indptr))
    np.log1p(rows.data, out=rows.data)
    return rows


def by_scipy(batch: Batch) -> torch.Tensor:
    return torch.from_numpy(picked_by_scipy(batch["X"]).toarray())


def as_sparse_tensor(rows: Any) -> torch.Tensor:
    indptr, indices, data = (torch.from_numpy(part) for part in (rows.indptr, rows.indices, rows.data))
    return torch.sparse_csr_tensor(indptr, indices, data, size=rows.shape, check_invariants=False)


def by_scipy_sparse(batch: Batch) -> torch.Tensor:
    return as_sparse_tensor(picked_by_scipy(batch["X"]))


def by_scanpy(batch: Batch) -> torch.Tensor:
    scanpy: Any = importlib.import_module("scanpy")
    data = anndata.AnnData(as_scipy(batch["X"]))
    scanpy.pp.normalize_total(data, target_sum=TARGET)
    data = data[:, PICKED].copy()
    scanpy.pp.log1p(data)
    return torch.from_numpy(data.X.toarray())


def loader(path: Any, x_format: Any, on_batch: OnBatch | None, **options: Any) -> tombola.Loader:
    source = tombola.H5adSource(path, x_format=x_format, **options)
    return tombola.Loader(
        source,
        tombola.BlockShuffling(block_size=BLOCK),
        BATCH,
        fetch_factor=FETCH,
        seed=1,
        batch_transform=None if on_batch is None else lambda batch: {**batch, "X": on_batch(batch)},
    )


def fused(path: Any, x_format: Any) -> tombola.Loader:
    return loader(path, x_format, None, vars=NAMES, normalize_total=TARGET, log1p=True)


def check(epoch: Iterable[Batch], cells: int) -> None:
    """Check every cell; each comes once."""
    seen = []
    for batch in epoch:
        x = batch["X"] if batch["X"].layout == torch.strided else batch["X"].to_dense()
        seen.append(batch["row"].numpy())
        np.testing.assert_allclose(x.numpy(), formula(seen[-1]), rtol=2e-6)
    assert np.array_equal(np.sort(np.concatenate(seen)), np.arange(cells))


def seconds(epoch: Iterable[Batch]) -> float:
    start = time.perf_counter()
    for _ in epoch:
        pass
    return time.perf_counter() - start


def compare(
    name: str,
    ours: tombola.Loader,
    peers: dict[str, tombola.Loader],
    cells: int,
    figures: Figures,
    benchmark: BenchmarkFixture,
    most_seconds: float,
) -> None:
    work = Work(f"{name}: 2,000 columns, total, log1p", unit="cells/s", ratio=1.0, more_is_better=True)
    taken: dict[str, list[float]] = {who: [] for who in peers}

    def one_round_of_the_others() -> None:
        for who, epoch in peers.items():
            taken[who].append(seconds(epoch))

    with pinned(1):
        for epoch in (ours, *peers.values()):
            check(epoch, cells)
        once = sum(seconds(epoch) for epoch in peers.values())
        rounds = max(1, min(MOST_ROUNDS, int(most_seconds / once)))
        rounds -= 1 - rounds % 2
        run: Any = benchmark.pedantic
        benchmark.group = work.name
        run(lambda: seconds(ours), setup=one_round_of_the_others, rounds=rounds)
    for who, times in taken.items():
        figures.add(work, who, cells / median(times), n=cells, rounds=len(times))
    stats: Any = benchmark.stats
    if stats is not None:
        figures.add(work, OURS, cells / stats.stats.median, n=cells, rounds=rounds)


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta state")
@pytest.mark.parametrize("form", ["dense", "csr"])
@pytest.mark.parametrize("stored", ["raw", "gzip"])
def test_sparse_files(
    stored: str,
    form: str,
    size: int,
    benchmark: BenchmarkFixture,
    figures: Figures,
    pytestconfig: pytest.Config,
) -> None:
    cells = min(size // SHARE, MOST_CELLS)
    path = reference_file(None if stored == "raw" else stored, cells)
    if form == "csr":
        peers = {"SciPy on batches": loader(path, "csr", by_scipy_sparse)}
    else:
        peers = {
            "torch on batches": loader(path, "dense", by_torch),
            "NumPy on batches": loader(path, "dense", by_numpy),
            "SciPy on batches": loader(path, "csr", by_scipy),
        }
        if importlib.util.find_spec("scanpy") is not None:
            peers["scanpy on batches"] = loader(path, "csr", by_scanpy)
    most = float(pytestconfig.getoption("--seconds"))
    compare(f"sparse {stored}, {form} batches", fused(path, form), peers, cells, figures, benchmark, most)


@pytest.mark.parametrize("stored", ["raw", "gzip"])
def test_dense_files(
    stored: str, size: int, benchmark: BenchmarkFixture, figures: Figures, pytestconfig: pytest.Config
) -> None:
    cells = min(size // (10 * SHARE), MOST_DENSE)
    path = dense_file(None if stored == "raw" else stored, cells)
    peers = {
        "torch on batches": loader(path, "dense", by_torch),
        "NumPy on batches": loader(path, "dense", by_numpy),
    }
    most = float(pytestconfig.getoption("--seconds"))
    compare(f"dense {stored}", fused(path, "dense"), peers, cells, figures, benchmark, most)
