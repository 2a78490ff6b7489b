"""Measuring: the rows are checked first, then settings take turns, whole fetch windows at a time.

A figure is rows over seconds of all its turns, from opening the loader to its last batch; files are in the
page cache after the first. Peers run beside, in the same turns.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tombola import H5adSource, get_num_threads, set_num_threads

from .peers import scdataset_batches, versions
from .settings import OURS, Setting, batches, plain_rows

__all__ = ["Figure", "measure"]

TURNS = 2
CHECKED_ROWS = 64


@dataclass(frozen=True)
class Figure:
    """What came of one setting.

    Parameters
    ----------
    reader
        "tombola", or the name of a peer, with its version.
    setting
        As it is shown.
    threads
        Threads of the core; None of a peer.
    cells_per_second
        Rows a second; None where it was not measured.
    remark
        Why not, or how.
    """

    reader: str
    setting: str
    threads: int | None
    cells_per_second: float | None
    remark: str = ""


def measure(
    paths: Sequence[Path],
    version: str,
    *,
    x: str = "X",
    batch_size: int = 64,
    fetch_factor: int = 256,
    seconds: float = 30.0,
    report: Callable[[int, int], object] | None = None,
) -> tuple[list[Figure], int]:
    """Measure every setting.

    Returns
    -------
    tuple
        The figures, and how many rows of each setting were checked; 0 where the matrix is stored by columns.

    Raises
    ------
    ValueError
        If a row that the loader gives is not what h5py reads.
    """
    source = H5adSource(list(paths), x=x)
    if not len(source):
        msg = f"{paths[0]}: there are no rows to measure with"
        raise ValueError(msg)
    threads = get_num_threads()
    options = {"batch_size": batch_size, "fetch_factor": fetch_factor}
    runs: list[tuple[Figure, int | None, Callable[[], Iterator[Any]]]] = [
        (
            Figure(f"tombola {version}", setting.name, setting.threads or threads, None),
            setting.threads,
            lambda setting=setting: batches(H5adSource(list(paths), x=x), setting, **options),  # type: ignore[misc]
        )
        for setting in OURS
    ]
    found = versions()
    left_out: list[Figure] = []
    if "scdataset" in found:
        figure = Figure(f"scDataset {found['scdataset']}", "block 16", None, None, "rows by a mask, X alone")
        if len(paths) == 1:
            runs.append((figure, None, lambda: scdataset_batches(paths[0], x, **options)))
        else:
            left_out.append(Figure(figure.reader, "block 16", None, None, "measured with one file only"))
    if "annbatch" in found:
        remark = "reads no h5ad files, but Zarr stores of its own"
        left_out.append(Figure(f"annbatch {found['annbatch']}", "", None, None, remark))
    checked = 0
    for setting in OURS:
        checked = _check(source, paths, x, setting, options)
    totals = [[0, 0.0] for _ in runs]
    share = seconds / TURNS / len(runs)
    for turn in range(TURNS):
        for number, (_, limit, start) in enumerate(runs):
            set_num_threads(limit or threads)
            try:
                rows, spent = _timed(start, fetch_factor, share)
            finally:
                set_num_threads(threads)
            totals[number][0] += rows
            totals[number][1] += spent
            if report is not None:
                report(turn * len(runs) + number + 1, TURNS * len(runs))
    figures = [
        Figure(figure.reader, figure.setting, figure.threads, rows / spent, figure.remark)
        for (figure, _, _), (rows, spent) in zip(runs, totals, strict=True)
    ]
    return figures + left_out, checked


def _timed(start: Callable[[], Iterator[Any]], fetch_factor: int, seconds: float) -> tuple[int, float]:
    """Take whole windows until the time is over."""
    begin, rows = time.perf_counter(), 0
    for number, batch in enumerate(start(), start=1):
        rows += len(batch["X"] if isinstance(batch, dict) else batch)
        if number % fetch_factor == 0 and time.perf_counter() - begin >= seconds:
            break
    return rows, time.perf_counter() - begin


def _check(source: H5adSource, paths: Sequence[Path], x: str, setting: Setting, options: Any) -> int:
    """Compare rows of a setting's first batch with what h5py reads."""
    batch = next(batches(source, setting, **options))
    rows = batch["row"].numpy()[:CHECKED_ROWS]
    expected = plain_rows(paths, x, source.file_bounds, rows)
    if expected is None:
        return 0
    differ = (batch["X"].numpy()[:CHECKED_ROWS] != expected).any(axis=1)
    if differ.any():
        row = int(rows[np.argmax(differ)])
        msg = f"{setting.name}: row {row} of {x} is not what h5py reads there"
        raise ValueError(msg)
    return len(rows)
