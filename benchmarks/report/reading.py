"""Epochs of the reference h5ad file and of shuffled copies of it: cells a second, warm and cold."""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.annbatch_peer import annbatch_batches, zarr_store
from benchmarks.h5ad_data import reference_file
from benchmarks.report.epochs import epochs
from benchmarks.report.tasks import Call, Task, needed

STRETCH = 512
BATCH, SPEED_FETCH, QUALITY_FETCH = 64, 256, 16


def original(call: Call) -> Path:
    """Return the file that a call reads."""
    stored = call.options.get("stored", "gzip")
    return reference_file(None if stored == "raw" else stored, call.n)


def ours(call: Call) -> Task:
    from benchmarks.reading_peers import our_loader

    path = original(call)
    loader = our_loader(path, _dense(call), fetch_factor=_fetch(call), strategy=_strategy(call, path))
    repeats = call.options.get("strategy") in ("weighted", "balanced", "tuples", "mixture")
    window = BATCH * _fetch(call)
    return epochs(call, path, lambda: (batch["X"] for batch in loader), window=window, repeats=repeats)


def ours_shuffled(call: Call) -> Task:
    import tombola
    from benchmarks.beside_annbatch import repacked_file
    from benchmarks.reading_peers import our_loader

    path = repacked_file(original(call), "zstd")
    loader = our_loader(path, _dense(call), strategy=tombola.BlockShuffling(STRETCH))
    window, note = BATCH * SPEED_FETCH, "written by repack, zstd"
    return epochs(call, path, lambda: (batch["X"] for batch in loader), window=window, note=note)


def scdataset(call: Call) -> Task:
    package = needed("scdataset")
    from benchmarks.reading_peers import strongest_scdataset

    path, name = original(call), call.options.get("strategy", "blocks of 16")
    if name == "balanced":
        from benchmarks.diversity import make_labels

        strategy = package.ClassBalancedSampling(make_labels(call.n)["label"], block_size=16)
    elif name == "in order":
        strategy = package.Streaming()
    else:
        strategy = package.BlockShuffling(block_size=_block_size(name))
    repeats = name == "balanced"
    batches = strongest_scdataset(path, _dense(call), strategy, _fetch(call), repeats=repeats)
    return epochs(call, path, lambda: batches, window=BATCH * _fetch(call), repeats=repeats)


def anndata(call: Call) -> Task:
    needed("anndata.experimental")
    from benchmarks.reading_peers import anndata_loader

    path = original(call)
    note = "dense batches; rows one by one"
    return epochs(call, path, lambda: anndata_loader(path), window=BATCH, note=note)


def annbatch(call: Call) -> Task:
    needed("annbatch")
    path = zarr_store(original(call))
    form = call.options.get("form", "csr")
    window, note = BATCH * SPEED_FETCH, "its own Zarr store, SciPy's matrices"
    return epochs(call, path, lambda: annbatch_batches(path, form), window=window, note=note)


def _dense(call: Call) -> bool:
    return bool(call.options.get("form", "csr") == "dense")


def _fetch(call: Call) -> int:
    return QUALITY_FETCH if call.options.get("bits") else SPEED_FETCH


def _block_size(name: str) -> int:
    return int(name.removeprefix("blocks of "))


def _strategy(call: Call, path: Path) -> Any:
    import tombola
    from benchmarks import data
    from benchmarks.diversity import make_labels

    name, labels = call.options.get("strategy", "blocks of 16"), make_labels(call.n)
    match name:
        case "in order":
            return tombola.Streaming()
        case "blocks of the file":
            return tombola.BlockShuffling(bounds=tombola.H5adSource(path).chunk_bounds())
        case "weighted":
            return tombola.BlockWeightedSampling(data.weights(call.n), block_size=16)
        case "balanced":
            return tombola.ClassBalancedSampling(labels["label"], block_size=16)
        case "series":
            return tombola.SeriesRoundRobin(data.series_ids(call.n))
        case "buckets":
            return tombola.Bucketed(labels["label"])
        case "tuples":
            p = min(4, int(np.count_nonzero(np.bincount(labels["label"]) >= 16)))
            return tombola.PerClass(labels["label"], classes_per_batch=p, rows_per_class=16, few="drop")
        case "mixture":
            return tombola.Mixture((labels["plate"] >= 7).astype(np.int8), {0: 16, 1: 48})
        case _:
            return tombola.BlockShuffling(block_size=_block_size(name))
