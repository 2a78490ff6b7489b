"""Blocks that follow the file: what their plan costs, and cells/s against how mixed batches are.

Loading is measured on gzip files of chunks of 24 rows, as the reference file has them, and of 61, as HDF5
chooses them for 10^6 cells. Labels are made as those of atlases lie in their files: 14 plates one after the
other, in each of them runs of cells of one label. Rounds go through all settings in turn, so that a machine
whose speed drifts is fair to all; ``--picture`` draws what was measured.
"""

import time
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import tombola
from benchmarks import peers
from benchmarks.blocks_picture import FILE, Point, draw_blocks
from benchmarks.checks import check_cover, check_random_access, windows
from benchmarks.conftest import Measure, pinned
from benchmarks.diversity import make_labels, mean_bits
from benchmarks.figures import OURS, Figures, Work
from benchmarks.h5ad_data import CELLS, VALUES, reference_file
from benchmarks.reading_peers import check_rows

BATCH, FETCH = 64, 256
PLAN = Work("BlockShuffling(bounds) epoch, blocks of 8 to 24 rows")
FIRST = Work("its first batch of a new epoch", unit="ms")
CHUNK_ROWS = (24, 61)
FETCH_FACTORS = (16, 256)
SIZES = (1, 4, 16, 64)
ROUNDS = 3

Codes = npt.NDArray[np.int64]


def make_bounds(n: int) -> Codes:
    """Return bounds of blocks of 8 to 24 rows, 16 in the mean."""
    lengths = np.random.default_rng(1).integers(8, 25, n // 16 + n // 100 + 2)
    ends = np.cumsum(lengths)
    return np.concatenate([[0], ends[ends < n], [n]])


@pytest.mark.parametrize("who", ["block_size=16", OURS])
def test_epoch(who: str, size: int, measure: Measure) -> None:
    ours = tombola.BlockShuffling(bounds=make_bounds(size))
    strategy = ours if who == OURS else tombola.BlockShuffling(block_size=16)
    epochs = count(1)

    def epoch() -> Any:
        return windows(strategy.plan(size, batch_size=BATCH, fetch_factor=FETCH, seed=1, epoch=next(epochs)))

    check_cover(epoch(), size)
    check_random_access(strategy.plan(size, batch_size=BATCH, fetch_factor=FETCH))
    measure(PLAN, who, lambda: peers.read(epoch()), n=size)


@pytest.mark.parametrize("who", ["block_size=16", OURS])
def test_first_batch(who: str, size: int, measure: Measure) -> None:
    ours = tombola.BlockShuffling(bounds=make_bounds(size))
    strategy = ours if who == OURS else tombola.BlockShuffling(block_size=16)
    epochs = count(1)

    def first() -> Codes:
        return strategy.plan(size, batch_size=BATCH, fetch_factor=FETCH, seed=1, epoch=next(epochs))[0]

    assert len(first()) == min(BATCH, size)
    measure(FIRST, who, first, n=size)


def inflations(plan: tombola.Plan, chunk_rows: int) -> float:
    """Return how often a chunk is inflated in the mean: once for each window that holds one of its rows."""
    touched = sum(len(np.unique(rows // chunk_rows)) for rows in windows(plan))
    return touched / (-(-plan.n_rows // chunk_rows))


def strategies(source: tombola.H5adSource) -> dict[str, tombola.Strategy]:
    by_size: dict[str, tombola.Strategy] = {str(b): tombola.BlockShuffling(block_size=b) for b in SIZES}
    return by_size | {FILE: tombola.BlockShuffling(bounds=source.chunk_bounds())}


def cells_a_second(loader: tombola.Loader, seconds: float) -> float:
    """Return the speed of an epoch, or of its beginning where that takes long and holds many windows."""
    window = BATCH * loader.fetch_factor
    stops = 20 * window < len(loader.source)
    rows, start = 0, time.perf_counter()
    for batch in loader:
        rows += len(batch["row"])
        if stops and rows % window == 0 and time.perf_counter() - start > seconds:
            break
    return rows / (time.perf_counter() - start)


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta state")
def test_speed_against_diversity(size: int, figures: Figures, pytestconfig: pytest.Config) -> None:
    cells = CELLS if size >= CELLS else size // 10  # a mere try, which is to be quick
    seconds = float(pytestconfig.getoption("--seconds"))
    labels = make_labels(cells)
    loaders: dict[tuple[int, int, str], tombola.Loader] = {}
    for chunk_rows in CHUNK_ROWS:
        source = tombola.H5adSource(reference_file("gzip", cells, chunk_rows * VALUES), x_format="csr")
        for fetch_factor in FETCH_FACTORS:
            for name, strategy in strategies(source).items():
                loader = tombola.Loader(source, strategy, BATCH, fetch_factor=fetch_factor, seed=1)
                loaders[chunk_rows, fetch_factor, name] = loader
    taken: dict[tuple[int, int, str], list[float]] = {key: [] for key in loaders}
    threads = tombola.get_num_threads()
    with pinned(threads):
        for loader in loaders.values():
            check_cover(windows(loader.plan()), cells)
            batch = next(iter(loader))
            check_rows(batch["X"], batch["row"])
        for _ in range(ROUNDS):
            for key, loader in loaders.items():
                taken[key].append(cells_a_second(loader, seconds))
    points = []
    for (chunk_rows, fetch_factor, name), loader in loaders.items():
        bits = {label: mean_bits(codes, loader.plan()) for label, codes in labels.items()}
        speed = median(taken[chunk_rows, fetch_factor, name])
        points.append(
            Point(chunk_rows=chunk_rows, fetch_factor=fetch_factor, blocks=name, cells=speed, bits=bits)
        )
        work = Work(
            f"gzip chunks of {chunk_rows} rows, fetch factor {fetch_factor}",
            unit="cells/s",
            more_is_better=True,
        )
        parts = [f"{value:.2f} bits of {label}" for label, value in bits.items()]
        note = ", ".join([f"each chunk {inflations(loader.plan(), chunk_rows):.2f} times", *parts])
        who = OURS if name == FILE else f"block_size={name}"
        figures.add(work, who, speed, n=cells, rounds=ROUNDS, note=note)
    drawn: Path | None = pytestconfig.getoption("--picture")
    if drawn is not None:
        title = f"{cells:,} cells of {VALUES:,} values, batches of {BATCH}, {threads} threads"
        draw_blocks(drawn, points, title)
