"""What two threads can do with the bytes of the reference files, and no more: the limit of reading in order.

    pip install isal
    python -m benchmarks.reading_limits

Chunks of X/data and X/indices, warm in the system's cache, are copied where the file is raw, or inflated by
ISA-L where it is gzip, each thread every second one; nothing is gathered, converted or handed out. Cells/s,
the median of rounds, beside `python -m benchmarks.reading --only "in order"` of the same hour.
"""

import argparse
import mmap
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from isal import isal_zlib

from benchmarks.h5ad_data import reference_file

NAMES = ("X/data", "X/indices")
Stretch = tuple[int, int]


def stretches(path: Path) -> tuple[list[Stretch], int]:
    """Return where the chunks of the values lie, first byte and size, and the bytes of the largest."""
    found: list[Stretch] = []
    largest = 0
    with h5py.File(path, "r") as file:
        for name in NAMES:
            dataset = file[name]
            largest = max(largest, int(np.prod(dataset.chunks)) * dataset.dtype.itemsize)
            for i in range(dataset.id.get_num_chunks()):
                info = dataset.id.get_chunk_info(i)
                found.append((info.byte_offset, info.size))
    return sorted(found), largest


def copy(view: memoryview, room: memoryview) -> None:
    """Copy without the GIL, as NumPy does."""
    np.copyto(np.frombuffer(room, np.uint8)[: len(view)], np.frombuffer(view, np.uint8))


def inflate(view: memoryview, room: memoryview) -> None:
    isal_zlib.decompress(view, bufsize=len(room))


def read_all(path: Path, work: Callable[[Any, Any], None], threads: int) -> float:
    """Return the seconds that it takes."""
    chunks, largest = stretches(path)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        view = memoryview(content)

        def run(first: int) -> None:
            room = memoryview(bytearray(largest))
            for at, size in chunks[first::threads]:
                work(view[at : at + size], room)

        with ThreadPoolExecutor(threads) as pool:
            start = time.perf_counter()
            list(pool.map(run, range(threads)))
            seconds = time.perf_counter() - start
        view.release()
    return seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cells", type=int, default=100_000, help="rows of the files; default 100,000")
    parser.add_argument("--rounds", type=int, default=5, help="times that each is read; default 5")
    options = parser.parse_args()
    print("| limit, cells/s | one thread | two threads |\n|---|---|---|")
    for name, compression, work in (("raw, copied", None, copy), ("gzip, inflated", "gzip", inflate)):
        path = reference_file(compression, options.cells)
        shown = []
        for threads in (1, 2):
            times = [read_all(path, work, threads) for _ in range(options.rounds + 1)][1:]
            shown.append(f"{options.cells / statistics.median(times):,.0f}")
        print(f"| {name} | {' | '.join(shown)} |", flush=True)


if __name__ == "__main__":
    main()
