"""Layouts that `tombola repack` can write, beside the file as it was: size, and speed of the loader.

    python -m benchmarks.repack_layouts                   # all layouts, about ten minutes
    python -m benchmarks.repack_layouts gzip-4-8192 raw-8192

The reference file, gzip in chunks of 24,000 values, is written once in each layout. Then layouts take turns,
one window of an epoch each (batches of 64, fetch factor 256, dense), in several rounds; medians of cells/s
are printed, and of cells a second of processor time, which a busy machine disturbs less. Every row of a
window of each is checked before. Files go to TOMBOLA_BENCH_DATA.
"""

import sys
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from statistics import median

import numpy as np

import tombola
from benchmarks.h5ad_data import GENES, make_rows, reference_file
from tombola.repacking import RepackOptions, repack

BATCH, FETCH = 64, 256
ROUNDS = 5
BLOCKS = (1, 16)

LAYOUTS = {
    **{f"gzip-4-{size}": RepackOptions(chunk_values=size) for size in (2_048, 4_096, 8_192, 16_384, 32_768)},
    "gzip-1-8192": RepackOptions(chunk_values=8_192, level=1),
    "gzip-9-8192": RepackOptions(chunk_values=8_192, level=9),
    "gzip-4-8192, no byte shuffle": RepackOptions(chunk_values=8_192, byte_shuffle=False),
    "gzip-4-8192, uint16": RepackOptions(chunk_values=8_192, index_dtype="uint16"),
    "lzf-8192": RepackOptions(chunk_values=8_192, compression="lzf"),
    "zstd-3-8192": RepackOptions(chunk_values=8_192, compression="zstd"),
    "raw-8192": RepackOptions(chunk_values=8_192, compression="none"),
    "raw-8192, uint16": RepackOptions(chunk_values=8_192, compression="none", index_dtype="uint16"),
}
ORIGINAL = "as it was"


def layout_file(name: str) -> Path:
    """Return the path of a layout, which is written if it is not there."""
    original = reference_file("gzip")
    if name == ORIGINAL:
        return original
    path = original.with_name(f"repacked-{name.replace(', ', '-').replace(' ', '-')}.h5ad")
    if not path.exists():
        repack(original, path, options=LAYOUTS[name])
    return path


def make_loader(path: Path, block_size: int, seed: int) -> tombola.Loader:
    strategy = tombola.BlockShuffling(block_size=block_size)
    return tombola.Loader(tombola.H5adSource(path), strategy, BATCH, FETCH, seed=seed, prefetch=0)


def check(path: Path) -> None:
    """Check the rows of one window."""
    for batch in islice(make_loader(path, 16, seed=9), FETCH):
        columns, values = make_rows(batch["row"].numpy())
        expected = np.zeros((len(columns), GENES), dtype=np.float32)
        np.put_along_axis(expected, columns.astype(np.int64), values, axis=1)
        assert np.array_equal(batch["X"].numpy(), expected), path


def speeds(path: Path, block_size: int, seed: int) -> tuple[float, float]:
    """Return cells a second, and a second of processor time; no window is read ahead."""
    loader = make_loader(path, block_size, seed)
    wall, cpu = time.perf_counter(), time.process_time()
    cells = sum(len(batch["row"]) for batch in islice(loader, FETCH))
    return cells / (time.perf_counter() - wall), cells / (time.process_time() - cpu)


def main(names: Sequence[str]) -> None:
    """Measure some layouts and print a table."""
    paths = {name: layout_file(name) for name in [ORIGINAL, *names]}
    for path in paths.values():
        check(path)
    found: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for seed in range(ROUNDS):
        for block_size in BLOCKS:
            for name, path in paths.items():
                found.setdefault((name, block_size), []).append(speeds(path, block_size, seed))
    headings = [f"block {size}: cells/s | a CPU second" for size in BLOCKS]
    print("| layout | MB | " + " | ".join(headings) + " |")
    print("|---|---" + "|---|---" * len(BLOCKS) + "|")
    for name, path in paths.items():
        cells = [f"{median(each):,.0f}" for size in BLOCKS for each in zip(*found[name, size], strict=True)]
        print(f"| {name} | {path.stat().st_size / 1e6:,.0f} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main(sys.argv[1:] or list(LAYOUTS))
