"""As many passes as a day of training has, in minutes: memory, descriptors, threads and objects do not grow.

A day is 86,400 s at 100 batches a second, 8.64 million batches in passes of about 1,000, cut into 24 hours.
Most passes of an hour are read by batch samplers, the others by a `Loader` over an array and one over h5ad
files, with threads that read ahead; each hour has passes with forked worker processes, too. `set_epoch` comes
before each, a state goes through JSON within each, passes are broken off, and states are loaded into objects
made anew. After each hour the process is looked at; garbage is not collected for that. The first hours, in
which caches are filled, do not count.
"""

import itertools
import json
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tests.large.plates import LABELS, write_plates
from tombola import (
    ArraySource,
    BlockShuffling,
    BlockWeightedSampling,
    Bucketed,
    DataLoader,
    H5adSource,
    Loader,
    Mixture,
    PerClass,
    PlanBatchSampler,
    SeriesRoundRobin,
    Source,
    Strategy,
)

__all__ = ["Usage", "check_growth", "prove_day", "usage"]

DAY = 86_400 * 100
HOURS, FILLING = 24, 6
"""Hours of a day, and those of them that do not count."""
BATCH = 16
GOING_ON = 50
"""Batches that a new reader reads from a state."""
SHARES = {
    "batch samplers": 0.93,
    "loader of an array": 0.05,
    "loader of h5ad files": 0.015,
    "workers": 0.005,
}
"""Of an hour's batches, by who reads them."""
SETTLING = 10.0
"""Seconds for what is ending to end."""
MOST_BYTES, MOST_BLOCKS = 4 << 20, 4_000
"""What may be added from the first hours that count to the last: some 700 bytes a pass, and an object."""

Reader = PlanBatchSampler | Loader | DataLoader


class Usage(NamedTuple):
    """What a process holds."""

    memory: int
    """Bytes in memory."""
    descriptors: int
    threads: int
    children: int
    blocks: int
    """Of Python's allocator."""


def usage() -> Usage:
    """Look at this process."""
    status = dict(
        line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line
    )
    children = Path(f"/proc/self/task/{threading.main_thread().native_id}/children").read_text().split()
    return Usage(
        int(status["VmRSS"].split()[0]) * 1024,
        len(list(Path("/proc/self/fd").iterdir())),
        int(status["Threads"]),
        len(children),
        sys.getallocatedblocks(),
    )


def _settled(seen: list[Usage]) -> Usage:
    """Look at this process, once threads and processes of passes that were broken off have ended."""
    end = time.monotonic() + SETTLING
    while True:
        now = usage()
        more = (
            now.descriptors > before.descriptors
            or now.threads > before.threads
            or now.children > before.children
            for before in seen
        )
        if not any(more) or time.monotonic() > end:
            return now
        time.sleep(0.01)


def check_growth(hours: list[Usage]) -> tuple[int, int]:
    """Compare the last third of the hours that are given with the first, by the least of each.

    Returns
    -------
    tuple
        By how many bytes, and blocks of Python's, the process has grown.

    Raises
    ------
    AssertionError
        If it is more than allowed, or descriptors, threads or children have grown at all.
    """
    third = len(hours) // 3
    first, last = (
        [min(values) for values in zip(*part, strict=True)] for part in (hours[:third], hours[-third:])
    )
    grown = Usage(*(after - before for before, after in zip(first, last, strict=True)))
    assert grown.descriptors <= 0, f"{grown.descriptors} more descriptors are open"
    assert grown.threads <= 0, f"{grown.threads} more threads run"
    assert grown.children <= 0, f"{grown.children} more processes run"
    assert grown.memory <= MOST_BYTES, f"the process has grown by {grown.memory:,} bytes"
    assert grown.blocks <= MOST_BLOCKS, f"there are {grown.blocks:,} more blocks of Python's"
    return grown.memory, grown.blocks


def prove_day(batches: int = DAY, hours: int = HOURS, of_pass: int = 1_000) -> Iterator[tuple[str, str]]:
    """Yield what was found; AssertionError where something grows."""
    generator = random.Random(16)
    with tempfile.TemporaryDirectory() as folder:
        readers = _readers(Path(folder), of_pass * BATCH)
        counts, passes, seen = dict.fromkeys(SHARES, 0), 0, list[Usage]()
        for hour in range(hours):
            for name, kinds in readers.items():
                while counts[name] < round(batches * SHARES[name] * (hour + 1) / hours):
                    kind = kinds[passes % len(kinds)]
                    counts[name] += _read_pass(kind, passes, generator)
                    passes += 1
            seen.append(_settled(seen))
    counted = seen[hours * FILLING // HOURS :]
    grown, blocks = check_growth(counted)
    told = ", ".join(f"{count:,} by {name}" for name, count in counts.items())
    yield f"{sum(counts.values()):,} batches in {passes:,} passes", told
    yield (
        f"memory after each of {hours} hours",
        ", ".join(f"{each.memory / 1e6:.1f}" for each in seen) + " MB",
    )
    yield (
        f"growth over the last {len(counted)} hours, from their first third to the last",
        f"{grown:,} bytes, {MOST_BYTES:,} allowed; {blocks:,} blocks of Python's, {MOST_BLOCKS:,} allowed",
    )
    last = counted[-1]
    yield (
        "open at the end, as at first",
        f"{last.descriptors} descriptors, {last.threads} threads, {last.children} processes",
    )


@dataclass
class _Kind:
    """A reader that lives all day, and what makes another one that its states fit."""

    make: Callable[[], Reader]

    def __post_init__(self) -> None:
        self.reader = self.make()


def _read_pass(kind: _Kind, number: int, generator: random.Random) -> int:
    """Read a pass, two of three to the end; return how many batches.

    After every fifth a new reader reads some more, from where a state says that was saved within the pass.
    """
    reader = kind.reader
    reader.set_epoch(number)
    length = len(reader)
    saved_at = generator.randrange(1, length)
    end = generator.randrange(saved_at, length) if number % 3 == 0 else length
    read, state = 0, ""
    for _ in reader:
        read += 1
        if read == saved_at:
            state = json.dumps(reader.state_dict())
        if read == end:
            break
    assert read == end, f"a pass ended after {read} of {end} batches"
    if number % 5 == 0:
        other = kind.make()
        other.load_state_dict(json.loads(state))
        read += sum(1 for _ in itertools.islice(other, GOING_ON))
    return read


def _readers(folder: Path, n: int) -> dict[str, list[_Kind]]:
    """Return readers of n rows, by the names of `SHARES`."""
    labels = np.random.default_rng(16).integers(0, 50, n)
    strategies = [
        BlockShuffling(16),
        BlockWeightedSampling(labels + 1.0),
        SeriesRoundRobin(np.arange(n) // 4),
        Bucketed(labels),
        Mixture(labels % 2, {0: BATCH // 4, 1: BATCH - BATCH // 4}),
        PerClass(labels, classes_per_batch=BATCH // 2, rows_per_class=2),
    ]
    array = ArraySource(np.zeros((n, 8), dtype=np.float32), label=labels)
    cells = H5adSource(write_plates(folder / "plates", [n // 2, n - n // 2]), obs=list(LABELS))

    def sampler(strategy: Strategy) -> PlanBatchSampler:
        return PlanBatchSampler(strategy, n, batch_size=BATCH)

    def loader(source: Source) -> Loader:
        return Loader(source, BlockShuffling(16), BATCH, 16)

    def by_workers(given: Loader | PlanBatchSampler) -> DataLoader:
        if isinstance(given, Loader):
            return DataLoader(given, batch_size=None, num_workers=2)
        return DataLoader(range(n), batch_sampler=given, num_workers=2)

    return {
        "batch samplers": [_Kind(partial(sampler, strategy)) for strategy in strategies],
        "loader of an array": [_Kind(partial(loader, array))],
        "loader of h5ad files": [_Kind(partial(loader, cells))],
        "workers": [
            _Kind(lambda: by_workers(sampler(strategies[0]))),
            _Kind(lambda: by_workers(loader(cells))),
        ],
    }
