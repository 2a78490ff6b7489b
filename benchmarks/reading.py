"""Cells a second out of h5ad files: this build beside another, alternating, an epoch a process.

Run as ``python -m benchmarks.reading``, with ``--before /there/python`` beside the build of that source tree,
with ``--only cold`` for some cases. Files are those of `h5ad_data`, made once into TOMBOLA_BENCH_DATA. An
epoch of this build goes first, every row of it checked. A figure is the median over rounds of
a whole epoch after two that warm up, batches of 64, fetch factor 256, X alone; in cold cases the system is
told to forget the file in front of it. Written as Markdown.
"""

import argparse
import json
import statistics
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from benchmarks.h5ad_data import CHUNK, dense_file, reference_file, small_files
from benchmarks.processes import printed

__all__ = ["main"]

Files = Callable[[], Iterable[Path]]

ROOT = Path(__file__).resolve().parents[1]
DENSE_PART = 10
"""A dense matrix takes as many bytes as a sparse one of so many times as many rows."""

EPOCH = """
import json, os, sys, time
from pathlib import Path
import numpy as np
import tombola
from benchmarks.h5ad_data import GENES, as_scipy, checksums, forget, make_rows

case = json.loads(sys.argv[1])
if case["one_processor"]:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
tombola.set_num_threads(case["threads"])
start = time.perf_counter()
options = {} if case["every"] == 1 else {"vars": [f"var{i}" for i in range(0, GENES, case["every"])]}
source = tombola.H5adSource(case["paths"], x_format=case["form"], **options)
opened = time.perf_counter() - start
if case["block"] == 0:
    strategy = tombola.Streaming()
elif case["block"] < 0:
    strategy = tombola.BlockShuffling(bounds=source.chunk_bounds())
else:
    strategy = tombola.BlockShuffling(block_size=case["block"])
loader = tombola.Loader(source, strategy, 64, fetch_factor=256, seed=1)

def epoch():
    start = time.perf_counter()
    for batch in loader:
        pass
    return len(source) / (time.perf_counter() - start)

if case["check"]:
    seen = np.zeros(len(source), dtype=np.int64)
    for batch in loader:
        rows = batch["row"].numpy()
        seen[rows] += 1
        x = as_scipy(batch["X"]) if case["form"] == "csr" else batch["X"].numpy()
        columns, values = make_rows(rows % case["cells"])
        values = np.where(columns % case["every"], 0, values)
        weights = (np.arange(0, GENES, case["every"], dtype=np.float64) + 1) ** 2
        assert np.array_equal(x @ weights, checksums(columns, values)), "a row is not what was written"
    assert (seen == 1).all(), "a row came twice or not at all"
else:
    epoch()
    epoch()
if case["cold"]:
    for path in case["paths"]:
        forget(Path(path))
print(json.dumps({"cells": epoch(), "opened": opened}))
"""


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    name: str
    files: Files
    """Writes them if they are not there, and names them."""
    form: str
    block: int
    threads: int = 2
    one_processor: bool = False
    cold: bool = False
    cells: int = 10**9
    """Rows after which the files begin again with the same ones."""
    every: int = 1
    """Columns whose number is a multiple of it are picked."""

    def run(self, sources: str, *, check: bool = False) -> dict[str, float]:
        """Run one epoch in a new process, with the package of that source tree."""
        case = {**asdict(self), "files": None, "paths": list(map(str, self.files())), "check": check}
        said = printed(EPOCH, json.dumps(case), paths=[sources, str(ROOT)])
        found: dict[str, float] = json.loads(said)
        return found


def _dense_files(compression: str | None, cells: int) -> list[Path]:
    return [dense_file(compression, cells)]


def _cases(cells: int) -> Iterator[Case]:
    """Say what can be measured; the files are written when a case runs."""

    def reference(compression: str | None, chunk: int = CHUNK) -> Files:
        return lambda: [reference_file(compression, cells, chunk)]

    raw, gzip, large = reference(None), reference("gzip"), reference("gzip", 61_000)
    for form in ("dense", "csr"):
        for stored, files in (("raw", raw), ("gzip", gzip)):
            for block in (16, 1, 0):
                what = f"block {block}" if block else "in order"
                yield Case(f"{stored}, {what}, {form}", files, form, block)
            for one in (False, True):
                name = f"{stored}, block 16, {form}, one {'processor' if one else 'thread'}"
                yield Case(name, files, form, 16, threads=1, one_processor=one)
        yield Case(f"gzip in chunks of 61 rows, block 16, {form}", large, form, 16)
        yield Case(f"gzip in chunks of 61 rows, own blocks, {form}", large, form, -1)
        for stored in ("zstd", "lz4", "blosc", "blosclz"):
            yield Case(f"{stored}, block 16, {form}", reference(stored), form, 16)
            yield Case(f"{stored}, in order, {form}", reference(stored), form, 0)
    for compression in (None, "gzip"):
        wide = partial(_dense_files, compression, max(1, cells // DENSE_PART))
        for block in (16, 0):
            what = f"block {block}" if block else "in order"
            name = f"dense matrix, {compression or 'raw'}, {what}, 2,000 of 20,000 columns"
            yield Case(name, wide, "dense", block, every=10)
    yield Case("raw, block 16, csr, cold cache", raw, "csr", 16, cold=True)
    yield Case("gzip, block 16, csr, cold cache", gzip, "csr", 16, cold=True)
    for block in (16, 1):
        yield Case(f"1,000 files of 200 rows, block {block}, csr", small_files, "csr", block, cells=200)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--before", help="folder that holds the package `tombola` of another build")
    parser.add_argument("--cells", type=int, default=100_000, help="rows of the files; default 100,000")
    parser.add_argument("--rounds", type=int, default=3, help="epochs of each build; default 3")
    parser.add_argument("--only", default="", help="cases whose name holds this text")
    options = parser.parse_args()
    builds = {"this build": str(ROOT / "python")}
    if options.before:
        builds["before"] = options.before
    print(f"| cells/s | {' | '.join(builds)} | ratio |\n|---|{'---|' * (len(builds) + 1)}", flush=True)
    for case in _cases(options.cells):
        if options.only not in case.name:
            continue
        taken: dict[str, list[float]] = {who: [] for who in builds}
        for number in range(options.rounds + 1):
            for who, sources in builds.items():
                if who == "before" and case.block < 0:  # it has no such blocks: what it did with 16
                    continue
                if number:
                    taken[who].append(case.run(sources)["cells"])
                elif who == "this build":
                    case.run(sources, check=True)
        medians = {who: statistics.median(times) for who, times in taken.items() if times}
        shown = [f"{medians[who]:,.0f}" if who in medians else "-" for who in builds]
        ratio = f"{medians['this build'] / medians['before']:.2f}" if len(medians) > 1 else "-"
        print(f"| {case.name} | {' | '.join(shown)} | {ratio} |", flush=True)


if __name__ == "__main__":
    main()
