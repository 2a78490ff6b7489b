"""Cells a second after `tombola repack --shuffle` beside annbatch on its own shuffled Zarr store.

annbatch asks for Python 3.12, so it may live in an environment of its own:

    python3.12 -m venv there && there/bin/pip install "annbatch[zarrs]" h5py hdf5plugin scipy
    python -m benchmarks.beside_annbatch --annbatch there/bin/python

Both make their layout of the reference file once. An epoch of each then takes turns, in new processes:
batches of 64, 16,384 rows at once, stretches of 512 rows, which are annbatch's defaults but for the batch, of
which it takes 1. Its batches stay SciPy's matrices, or arrays made of them; ours are tensors of torch. The
first epoch of each is checked: every cell comes once, as it was written. Warm cache, two threads, medians.
"""

import argparse
import json
import os
import statistics
import sys
from pathlib import Path

from benchmarks.h5ad_data import reference_file
from benchmarks.processes import printed
from tombola.repacking import RepackOptions, repack

ROOT = Path(__file__).resolve().parents[1]
LAYOUTS = {
    "gzip (default)": RepackOptions(shuffle=True),
    "zstd": RepackOptions(shuffle=True, compression="zstd"),
    "raw": RepackOptions(shuffle=True, compression="none"),
}

EPOCH = """
import json, sys, time
import numpy as np
from benchmarks.h5ad_data import GENES, as_scipy, checksums, make_rows

case = json.loads(sys.argv[1])

if case["who"] == "annbatch":
    import anndata, annbatch, zarr
    zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"})
    def load(group):
        return anndata.AnnData(X=anndata.io.sparse_dataset(group["X"]))
    def batches():
        loader = annbatch.Loader(batch_size=64, chunk_size=512, preload_nchunks=32, shuffle=True)
        collection = annbatch.DatasetCollection(zarr.open(case["path"], mode="r"))
        for batch in loader.use_collection(collection, load_adata=load):
            yield batch["X"].toarray() if case["form"] == "dense" else batch["X"]
else:
    import tombola
    tombola.set_num_threads(2)
    source = tombola.H5adSource(case["path"], x_format=case["form"])
    loader = tombola.Loader(source, tombola.BlockShuffling(512), 64, fetch_factor=256, seed=1)
    def batches():
        for batch in loader:
            yield batch["X"]

def epoch():
    start, cells = time.perf_counter(), 0
    for x in batches():
        cells += x.shape[0]
    return cells / (time.perf_counter() - start)

def multiplied(x, weights):
    if getattr(x, "is_sparse_csr", False):
        x = as_scipy(x)
    return (x.numpy() if hasattr(x, "numpy") else x) @ weights

if case["check"]:
    weights = (np.arange(GENES, dtype=np.float64) + 1) ** 2
    seen = np.sort(np.concatenate([multiplied(x, weights) for x in batches()]))
    made = [
        checksums(*make_rows(np.arange(at, min(at + 10_000, case["cells"]))))
        for at in range(0, case["cells"], 10_000)
    ]
    assert np.array_equal(seen, np.sort(np.concatenate(made))), "cells are lost or wrong"
else:
    epoch()
print(json.dumps(epoch()))
"""
STORE = """
import sys
import annbatch, zarr
zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"})
annbatch.DatasetCollection(sys.argv[2]).add_adatas([sys.argv[1]])
"""


def call(python: str, code: str, *arguments: str) -> str:
    """Run code by this Python or another one; return what it prints."""
    own = os.environ.get("PYTHONPATH") if python == sys.executable else None
    return printed(code, *arguments, python=python, paths=[str(ROOT), *([own] if own else [])])


def zarr_store(python: str, original: Path) -> Path:
    """Return annbatch's shuffled store of a file, with its defaults; it is written if it is not there."""
    path = original.with_name(f"annbatch-{original.stem}.zarr")
    if not path.exists():
        call(python, STORE, str(original), str(path))
    return path


def repacked_file(original: Path, name: str) -> Path:
    path = original.with_name(f"shuffled-{original.stem}-{name.partition(' ')[0]}.h5ad")
    if not path.exists():
        repack(original, path, options=LAYOUTS[name])
    return path


def size_of(path: Path) -> int:
    parts = path.rglob("*") if path.is_dir() else [path]
    return sum(part.stat().st_size for part in parts if part.is_file())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cells", type=int, default=100_000, help="rows of the file; default 100,000")
    parser.add_argument("--rounds", type=int, default=3, help="epochs of each; default 3")
    parser.add_argument(
        "--annbatch", default=sys.executable, help="the Python that has annbatch; default: this one"
    )
    options = parser.parse_args()
    original = reference_file("gzip", options.cells)
    paths = {"annbatch": zarr_store(options.annbatch, original)}
    paths |= {name: repacked_file(original, name) for name in LAYOUTS}
    for form in ("csr", "dense"):
        taken: dict[str, list[float]] = {name: [] for name in paths}
        for number in range(options.rounds + 1):
            for name, path in paths.items():
                who = name if name == "annbatch" else "tombola"
                case = {
                    "who": who,
                    "path": str(path),
                    "form": form,
                    "cells": options.cells,
                    "check": number == 0,
                }
                python = options.annbatch if who == "annbatch" else sys.executable
                cells = float(json.loads(call(python, EPOCH, json.dumps(case))))
                if number:
                    taken[name].append(cells)
        peer = statistics.median(taken["annbatch"])
        print(f"| {form} | MB | cells/s | ratio |\n|---|---|---|---|")
        for name, times in taken.items():
            median = statistics.median(times)
            megabytes = size_of(paths[name]) / 1e6
            print(f"| {name} | {megabytes:.0f} | {median:,.0f} | {median / peer:.2f} |", flush=True)


if __name__ == "__main__":
    main()
