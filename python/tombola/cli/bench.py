"""The command `tombola bench`: cells a second from h5ad files, for a few settings and beside peers."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import h5py
from rich.table import Table

from tombola import H5adSource, __version__, get_num_threads
from tombola._base.checks import check_integer, check_number
from tombola._base.console import make_bars, say, stdout_console
from tombola._base.files import check_output_file, write_json
from tombola._base.tables import print_table
from tombola.experiments.bench import Figure, measure
from tombola.sources.h5ad.chunks import chunk_reader

__all__ = ["bench_files"]


def bench_files(
    paths: Sequence[Path],
    *,
    x: str = "X",
    batch_size: int = 64,
    fetch_factor: int = 256,
    seconds: float = 30.0,
    json: Path | None = None,
) -> None:
    """Measure, and print a table.

    Parameters
    ----------
    paths : sequence of Path
    x : str
        The matrix.
    batch_size, fetch_factor : int
        Of all settings.
    seconds : float
        How long all settings take together, about.
    json : Path, optional
        File for the figures.

    Raises
    ------
    ValueError, OSError
        If an option or a file does not do, or a row is not what h5py reads.
    """
    check_integer("batch_size", batch_size, minimum=1)
    check_integer("fetch_factor", fetch_factor, minimum=1)
    check_number("seconds", seconds, above=True)
    source = H5adSource(list(paths), x=x)
    if json is not None:
        check_output_file(json)
    ways = _ways([*source.paths], x)
    with make_bars() as bars:
        task = bars.add_task("measuring", total=None, note="")
        figures, checked = measure(
            paths,
            __version__,
            x=x,
            batch_size=batch_size,
            fetch_factor=fetch_factor,
            seconds=seconds,
            report=lambda done, total: bars.update(task, completed=done, total=total),
        )
    console = stdout_console()
    say(
        console,
        [
            f"files:   {len(paths)}, {len(source):,} rows x {source.n_vars:,} columns of {x}, read {ways}",
            f"batches: {batch_size} rows, dense, fetch windows of {batch_size * fetch_factor:,} rows; "
            f"{get_num_threads()} threads",
            f"checked: {_checked(checked)}",
        ],
    )
    print_table(console, _table(figures), keys=2)
    if json is not None:
        write_json(
            json,
            {
                "files": [str(path) for path in paths],
                "x": x,
                "read": ways,
                "batch_size": batch_size,
                "fetch_factor": fetch_factor,
                "checked_rows": checked,
                "figures": [asdict(figure) for figure in figures],
            },
        )


def _checked(rows: int) -> str:
    if not rows:
        return "nothing, as the matrix is stored by columns"
    return f"the first {rows} rows of each setting are what h5py reads"


def _ways(paths: Sequence[Path], x: str) -> str:
    """Say whether the core reads the chunks, or HDF5."""
    native = 0
    for path in paths:
        with h5py.File(path, "r") as file:
            element = file.get(x)
            values = element.get("data") if isinstance(element, h5py.Group) else element
            native += isinstance(values, h5py.Dataset) and chunk_reader(values) is not None
    if native == len(paths):
        return "by the core"
    return "through HDF5" if not native else f"by the core ({native} files) and through HDF5"


def _table(figures: Sequence[Figure]) -> Table:
    table = Table(title="cells a second", title_justify="left")
    for heading in ("reader", "rows"):
        table.add_column(heading, no_wrap=True)
    for heading in ("threads", "cells/s"):
        table.add_column(heading, justify="right")
    table.add_column("remark", min_width=12)
    for figure in figures:
        threads = "" if figure.threads is None else str(figure.threads)
        speed = "" if figure.cells_per_second is None else f"{figure.cells_per_second:,.0f}"
        table.add_row(figure.reader, figure.setting, threads, speed, figure.remark)
    return table
