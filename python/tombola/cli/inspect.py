"""The command `tombola inspect`: what h5ad files hold, and which options suit them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tombola import H5adSource
from tombola._base.checks import check_integer
from tombola._base.console import say, stdout_console
from tombola._base.tables import print_table
from tombola.experiments.block_size import FILE
from tombola.experiments.suggestion import mean_run, suggest
from tombola.labels.categorical import Categorical
from tombola.sources.h5ad.describe import describe_contents
from tombola.sources.h5ad.layout import Contents, read_contents

__all__ = ["inspect_files"]

LISTED_CLASSES = 6


def inspect_files(paths: Sequence[Path], *, batch_size: int = 64) -> None:
    """Print what each file holds, then a suggestion for all of them together.

    Parameters
    ----------
    paths : sequence of Path
    batch_size : int
        Rows of a batch, which the suggestion is for.

    Raises
    ------
    ValueError, OSError
        If the batch size or a file does not do.
    """
    check_integer("batch_size", batch_size, minimum=1)
    console = stdout_console()
    files: list[Mapping[str, Any]] = []
    longest_runs: dict[str, float] = {}
    for path in paths:
        contents = read_contents(path)
        names = contents.matrices
        shown = [name for name in names if name.endswith("/X")] if contents.modalities else names[:1]
        if contents.modalities:
            kind = f"MuData, modalities {', '.join(contents.modalities)}"
            _print_heading(console, path, [("format", kind), ("matrices", ", ".join(names) or "none")])
        elif not shown:
            _print_contents(console, path, contents)
        for x in shown:
            source = H5adSource(path, x=x)
            description = source.describe()
            files += description["files"]
            columns = {name: source.obs[name] for name in source.categories}
            runs = {n: mean_run(c.codes) for n, c in columns.items() if isinstance(c, Categorical)}
            for name, run in runs.items():
                longest_runs[name] = max(run, longest_runs.get(name, 0.0))
            _print_file(console, path, description, runs, names)
    if not files:
        return
    together = {"n_obs": sum(file["n_obs"] for file in files), "files": files}
    suggestion = suggest(together, longest_runs, batch_size=batch_size)
    console.print(f"suggested for batches of {batch_size}", style="bold")
    lines = [
        f"  block size:   {suggestion.block_size} ({suggestion.block_reason})",
        f"  fetch factor: {suggestion.fetch_factor} ({suggestion.fetch_reason})",
    ]
    block_size = str(suggestion.block_size)
    if suggestion.bounds_reason is not None:
        block_size = FILE
        lines.append(f"  faster still: bounds=source.chunk_bounds() ({suggestion.bounds_reason})")
    options = {"batch-size": batch_size, "block-size": block_size, "fetch-factor": suggestion.fetch_factor}
    lines.append(f"  as options:   {' '.join(f'--{name} {value}' for name, value in options.items())}")
    say(console, lines)


def _print_heading(console: Console, path: Path, facts: Sequence[tuple[str, str]]) -> None:
    console.print(str(path), style="bold", soft_wrap=True, markup=False)
    say(console, (f"  {name + ':':<13} {value}" for name, value in facts))


def _print_contents(console: Console, path: Path, contents: Contents) -> None:
    """Print a file without a matrix that can be read."""
    assert contents.obs is not None
    rows = f"{contents.obs.n_obs:,} rows; no matrix that can be read"
    _print_heading(console, path, [("shape", rows), ("format", contents.obs.written_by)])
    print_table(console, _obs_table(describe_contents(contents), {}))
    console.print()


def _print_file(
    console: Console,
    path: Path,
    description: Mapping[str, Any],
    runs: Mapping[str, float],
    matrices: Sequence[str],
) -> None:
    (file,) = description["files"]
    facts = _facts(file)
    _print_heading(console, path, [*_matrices(description["x"], matrices), *facts])
    print_table(console, _obs_table(description["obs"], runs))
    console.print()


def _matrices(shown: str, names: Sequence[str]) -> list[tuple[str, str]]:
    """Return which matrix the rest is about, and the others by where they are: layers, raw, obsm."""
    if any(name.startswith("mod/") for name in names):
        others = ", ".join(name for name in names if name != shown) or "none"
        return [("matrix", f"{shown}; others: {others}")]
    found = [("matrix", shown)]
    for head in ("raw", "layers", "obsm"):
        listed = [name for name in names if name.startswith(f"{head}/")]
        if listed:
            found.append((head, ", ".join(listed)))
    return found


def _facts(file: Mapping[str, Any]) -> list[tuple[str, str]]:
    size = file["bytes_on_disk"]
    chunks = (
        "none, values lie in one piece" if size is not None else "those of other files, which hold the values"
    )
    if file["chunks"] is not None:
        shape = " x ".join(f"{size:,}" for size in file["chunks"])
        chunks = f"{shape} values"
        if file["chunk_rows"] is not None:  # of a matrix stored by columns, chunks hold no rows
            chunks += f", about {file['chunk_rows']:,.1f} rows"
    on_disk = "not known here" if size is None else f"{size:,} bytes"
    if size is not None and file["index_bytes_on_disk"] is not None:
        together = file["bytes_on_disk"] + file["index_bytes_on_disk"]
        on_disk = f"{together:,} bytes: values {file['bytes_on_disk']:,}, indices "
        on_disk += f"{file['index_bytes_on_disk']:,}"
    filters = [file["compression"] or "none", *(["shuffle filter"] if file["shuffle"] else [])]
    return [
        ("shape", f"{file['n_obs']:,} rows x {file['n_vars']:,} columns"),
        ("format", file["format"]),
        ("encoding", f"{file['encoding']} {file['dtype']}"),
        ("values", f"{file['n_values']:,}, {file['mean_row_values']:,.1f} a row"),
        ("chunks", chunks),
        ("compression", ", ".join(filters)),
        ("on disk", on_disk),
    ]


def _obs_table(obs: Mapping[str, Mapping[str, Any]], runs: Mapping[str, float]) -> Table:
    table = Table(title="obs columns", title_justify="left")
    table.add_column("name", no_wrap=True)
    table.add_column("kind")
    for heading in ("classes", "missing", "mean run"):
        table.add_column(heading, justify="right")
    table.add_column("values")
    for name, column in obs.items():
        classes = f"{column['n_classes']:,}" if "n_classes" in column else ""
        run = f"{runs[name]:,.1f}" if name in runs else ""
        missing = f"{column['missing']:,}" if "missing" in column else ""
        cells = (name, column["kind"], classes, missing, run, _values(column))
        table.add_row(*map(escape, cells))
    return table


def _values(column: Mapping[str, Any]) -> str:
    if "error" in column:
        return str(column["error"])
    if "counts" not in column:
        return "" if column["min"] is None else f"{column['min']:g} to {column['max']:g}"
    listed = [f"{name} {count:,}" for name, count in list(column["counts"].items())[:LISTED_CLASSES]]
    rest = column["n_classes"] - len(listed)
    return ", ".join(listed) + (f", and {rest:,} more" if rest > 0 else "")
