"""Opening files: 14 plates of many rows with four labels in use, and a thousand small files.

Each round opens them in a new process, first by ours, then by the build before (if TOMBOLA_BENCH_BEFORE names
the folder of its package), then by anndata: backed files as one AnnCollection. That reads all row names, so
it opens at most 10^7 rows. Seconds and peak memory count from after the imports; files are in the page cache.
"""

import os
from pathlib import Path
from statistics import median

import pytest

from benchmarks.figures import OURS, Figures, Work
from benchmarks.opening_data import LABELS, MOST_NAMES, label_sums, plates
from benchmarks.processes import opened

PLATES = 14
SMALL_FILES, SMALL_ROWS = 1_000, 200
MOST_ROUNDS = 5
BEFORE, PEER = "build before", "AnnCollection"
Openers = dict[str, tuple[str, Path | None]]

SCRIPT = f"""
import h5py
from tombola import H5adSource

columns = {list(LABELS)}

def use(paths):
    return H5adSource(paths, obs=columns)

def answer(source):
    return [len(source), *(int(source.obs[name].codes.sum(dtype="int64")) for name in columns)]
"""

PEER_SCRIPT = f"""
import warnings
import anndata
from anndata.experimental import AnnCollection

columns = {list(LABELS)}

def use(paths):
    warnings.simplefilter("ignore")
    files = [anndata.read_h5ad(path, backed="r") for path in paths]
    return AnnCollection(files, join_obs="inner", join_vars="inner")

def answer(collection):
    return [collection.n_obs, *(int(collection.obs[name].cat.codes.sum()) for name in columns)]
"""


def opening_works(what: str, seconds: float | None, megabytes: float | None) -> tuple[Work, Work]:
    """Return the two lines of the table for one kind of files."""
    return Work(f"open {what}", "s", target=seconds), Work(f"open {what}, memory", "MB", target=megabytes)


MANY_ROWS = opening_works("14 files, four labels", 2.5, 700)
MANY_FILES = opening_works("1,000 files of 200 rows, four labels", 1.0, None)


def compare(
    figures: Figures,
    works: tuple[Work, Work],
    who: Openers,
    folder: Path,
    rounds: int,
) -> None:
    """Open the files in turns, check what was read, and add the medians."""
    rows, expected = int(folder.name.rpartition("-")[2]), label_sums(folder)
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in who}
    for _ in range(rounds):
        for name, (script, package) in who.items():
            seconds, megabytes, answer = opened(script, folder, package)
            assert answer == [rows, *expected]
            taken[name].append((seconds, megabytes))
    for name, times in taken.items():
        for work, values in zip(works, zip(*times, strict=True), strict=True):
            figures.add(work, name, median(values), n=rows, rounds=rounds)


def openers(*, peer: bool) -> Openers:
    """Return who opens files: a script each, and the package it shall import."""
    who: Openers = {OURS: (SCRIPT, None)}
    before = os.environ.get("TOMBOLA_BENCH_BEFORE")
    if before:
        who[BEFORE] = (SCRIPT, Path(before))
    if peer:
        who[PEER] = (PEER_SCRIPT, None)
    return who


@pytest.fixture
def rounds(pytestconfig: pytest.Config) -> int:
    """Return how often each opens the files."""
    return max(1, min(MOST_ROUNDS, int(pytestconfig.getoption("--seconds") / 2)))


def test_many_rows(size: int, figures: Figures, rounds: int) -> None:
    compare(figures, MANY_ROWS, openers(peer=size <= MOST_NAMES), plates(PLATES, size), rounds)


def test_many_rows_of_the_peer(peer_size: int, size: int, figures: Figures, rounds: int) -> None:
    rows = min(peer_size, MOST_NAMES)
    if rows == size:
        pytest.skip("measured beside all others")
    works = opening_works(f"14 files of {rows:,} rows in all, four labels", None, None)
    compare(figures, works, openers(peer=True), plates(PLATES, rows), rounds)


def test_many_files(size: int, figures: Figures, rounds: int) -> None:
    files = min(SMALL_FILES, max(1, size // SMALL_ROWS))
    compare(figures, MANY_FILES, openers(peer=True), plates(files, files * SMALL_ROWS), rounds)
