"""Epochs of an h5ad file, from the file to batches of torch tensors: raw and gzip, dense and sparse.

Each round of ours follows one round of the best peer, so that a machine whose speed drifts is fair to both;
scDataset's documented way is slower and runs once. What counts is a whole epoch in cells/s: batches of 64,
blocks of 16, fetch factor 256, X alone, two cores.
"""

import time
from collections.abc import Iterable
from statistics import median
from typing import Any

import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.conftest import pinned
from benchmarks.figures import OURS, Figures, Work
from benchmarks.h5ad_data import CELLS, reference_file
from benchmarks.reading_peers import (
    check_peer,
    check_rows,
    documented_scdataset,
    our_loader,
    strongest_scdataset,
)

FILES: dict[str, str | None] = {"raw": None, "gzip": "gzip"}
RATIOS = {"raw": 1.5, "gzip": 1.0}
MOST_ROUNDS = 7


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
