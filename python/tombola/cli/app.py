"""The application: its commands and options, and what a user sees when something is wrong.

Hyphens and underscores in the names of options are alike, and some words are (`option_names`). Bad input, in
the arguments or in the files, gives one line on stderr, see `errors`. The commands' work is in modules that
are imported when they are called, so that help comes at once.
"""

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from tombola import __version__
from tombola._base.option_names import option_word
from tombola.repacking.options import CODECS, DEFAULT_CHUNK_VALUES, INDEX_DTYPES
from tombola.strategies.names import DEFAULT_BASELINE, TRAIN

from .arguments import (
    BLOCK_SIZE,
    ChunkSize,
    Config,
    Epochs,
    Files,
    Output,
    Seed,
    Strategies,
    TotalData,
    TrainOutput,
    split_names,
)
from .errors import OneLineErrors
from .studies import experiment, report

__all__ = ["app", "main"]

app = typer.Typer(
    name="tombola",
    cls=OneLineErrors,
    pretty_exceptions_enable=False,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "token_normalize_func": option_word,
    },
    help="A sampling engine for PyTorch training: which rows form which batch, fast and reproducibly.",
)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"tombola {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def demo(
    output: Output = Path("tombola-demo"),
    strategy: Strategies = None,
    seed: Seed = 0,
    cache: Annotated[
        Path | None, typer.Option(help="Folder for the data made.", show_default="the user's cache folder")
    ] = None,
) -> None:
    """Make a small multi-plate data set and compare six ways of choosing batches on it."""
    from .demo import run_demo

    run_demo(output=output, strategies=split_names(strategy or ["all"]), seed=seed, cache=cache)


@app.command()
def run(
    paths: Annotated[list[Path], typer.Argument(metavar="FILE...", help="h5ad files, read as one data set.")],
    labels: Annotated[
        list[str],
        typer.Option("--labels", "-l", metavar="COLUMNS", help="obs columns to learn, separated by commas."),
    ],
    holdout_files: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="File to test on; give the option again for more."),
    ] = None,
    holdout_fraction: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE", help="Share of all rows to test on, at random.", show_default="0.2 without files"
        ),
    ] = None,
    strategy: Strategies = None,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the data.", show_default="enough for 200 steps")
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Rows of a batch.")] = 64,
    fetch_factor: Annotated[int, typer.Option(help="Batches that are read at once: the fetch window.")] = 256,
    block_size: Annotated[str, typer.Option(metavar="N|file", help=BLOCK_SIZE)] = "16",
    min_count_baseline: Annotated[
        float, typer.Option(help="Added to class counts before they become weights.")
    ] = DEFAULT_BASELINE,
    learning_rate: Annotated[
        float,
        typer.Option(
            "--learning-rate", "--lr", help="Of gradient descent, on rows scaled to a typical length of 1."
        ),
    ] = 3.0,
    log1p: Annotated[
        bool, typer.Option("--log1p", help="Scale rows to 10,000 and take log(1 + x): for raw counts.")
    ] = False,
    join: Annotated[
        str, typer.Option(help="Where files differ in var names: exact refuses, inner keeps the common ones.")
    ] = "exact",
    seed: Seed = 0,
    output: Output = Path("tombola-run"),
) -> None:
    """Compare ways of choosing batches on your own h5ad files."""
    from .run import RunOptions, run_files

    options = RunOptions(
        labels=split_names(labels),
        holdout_files=holdout_files or [],
        holdout_fraction=holdout_fraction,
        strategies=split_names(strategy or ["all"]),
        epochs=epochs,
        batch_size=batch_size,
        fetch_factor=fetch_factor,
        block_size=block_size,
        min_count_baseline=min_count_baseline,
        learning_rate=learning_rate,
        log1p=log1p,
        join=join,
        seed=seed,
    )
    run_files(paths, options, output)


app.command()(experiment)
app.command()(report)


@app.command()
def inspect(
    paths: Files,
    batch_size: Annotated[int, typer.Option(help="Batch size that the suggestions are for.")] = 64,
) -> None:
    """Show what h5ad files hold, and suggest a block size and a fetch factor."""
    from .inspect import inspect_files

    inspect_files(paths, batch_size=batch_size)


@app.command()
def train(
    config: Config,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the newest checkpoint.")] = False,
    resume_from: Annotated[Path | None, typer.Option(metavar="FILE", help="Go on from this one.")] = None,
    total_data: TotalData = None,
    chunk_size: ChunkSize = None,
    epochs: Epochs = None,
    strategy: Annotated[
        str | None,
        typer.Option(
            "--strategy",
            "-s",
            metavar="NAME",
            help=f"{', '.join([*TRAIN][:-1])} or {[*TRAIN][-1]}.",
        ),
    ] = None,
    batch_size: Annotated[str | None, typer.Option(metavar="N", help="Rows of a batch.")] = None,
    fetch_factor: Annotated[str | None, typer.Option(metavar="N", help="Batches read at once.")] = None,
    block_size: Annotated[str | None, typer.Option(metavar="N|file", help=BLOCK_SIZE)] = None,
    learning_rate: Annotated[
        str | None, typer.Option("--learning-rate", "--lr", metavar="RATE", help="Of the optimizer.")
    ] = None,
    checkpoint_every: Annotated[
        str | None, typer.Option(metavar="N", help="Save after so many batches of a mini epoch, too.")
    ] = None,
    validate_every: Annotated[
        str | None, typer.Option(metavar="N", help="Validate after so many batches, too.")
    ] = None,
    patience: Annotated[
        str | None, typer.Option(metavar="N", help="Stop after so many validations without a better one.")
    ] = None,
    seed: Annotated[str | None, typer.Option(metavar="N", help="Of everything.")] = None,
    device: Annotated[str | None, typer.Option(metavar="NAME", help="Of torch, such as cpu or cuda.")] = None,
    output: TrainOutput = None,
) -> None:
    """Train a classifier of obs labels over many h5ad files, in mini epochs; options override the file.

    SIGTERM and SIGUSR1 save and leave with exit code 75; --resume goes on exactly there.
    """
    from .train import train_files

    overrides = {
        "total_data": total_data,
        "chunk_size": chunk_size,
        "epochs": epochs,
        "strategy": strategy,
        "batch_size": batch_size,
        "fetch_factor": fetch_factor,
        "block_size": block_size,
        "learning_rate": learning_rate,
        "checkpoint_every": checkpoint_every,
        "validate_every": validate_every,
        "patience": patience,
        "seed": seed,
        "device": device,
        "output": output,
    }
    raise typer.Exit(train_files(config, overrides, resume=resume, resume_from=resume_from))


@app.command()
def predict(
    paths: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="h5ad files, folders of them or patterns.")
    ],
    checkpoint: Annotated[
        Path,
        typer.Option("--checkpoint", "-c", metavar="RUN", help="Output of train, or a checkpoint in it."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="CSV file to write.")] = Path(
        "labels.csv"
    ),
    batch_size: Annotated[int, typer.Option(help="Rows that the model sees at once.")] = 256,
    device: Annotated[str | None, typer.Option(metavar="NAME", help="Of torch, such as cpu or cuda.")] = None,
) -> None:
    """Tell the labels of the rows of h5ad files by a classifier that train trained."""
    from .predict import predict_and_print

    predict_and_print(checkpoint, paths, output, batch_size=batch_size, device=device)


@app.command()
def sweep(
    config: Config,
    trials: Annotated[str | None, typer.Option(metavar="N", help="Trials in all, earlier ones too.")] = None,
    total_data: TotalData = None,
    chunk_size: ChunkSize = None,
    epochs: Epochs = None,
    output: TrainOutput = None,
    storage: Annotated[
        str | None, typer.Option(metavar="URL", help="Of Optuna.", show_default="SQLite in the output folder")
    ] = None,
) -> None:
    """Search the options of `tombola train` with Optuna; the same call goes on where one was killed."""
    from .sweep import sweep_files

    own = {"trials": trials, "output": output, "storage": storage}
    of_training = {"total_data": total_data, "chunk_size": chunk_size, "epochs": epochs}
    raise typer.Exit(sweep_files(config, own, of_training))


@app.command()
def bench(
    paths: Files,
    x: Annotated[str, typer.Option(metavar="NAME", help="The matrix.")] = "X",
    batch_size: Annotated[int, typer.Option(help="Rows of a batch.")] = 64,
    fetch_factor: Annotated[int, typer.Option(help="Batches that are read at once.")] = 256,
    seconds: Annotated[float, typer.Option(help="How long all of it takes, about.")] = 30.0,
    json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the figures there, too.")
    ] = None,
) -> None:
    """Measure cells a second from h5ad files: tombola's settings, and peers that are installed."""
    from .bench import bench_files

    bench_files(paths, x=x, batch_size=batch_size, fetch_factor=fetch_factor, seconds=seconds, json=json)


@app.command()
def repack(
    paths: Annotated[
        list[Path], typer.Argument(metavar="IN... OUT", help="h5ad files, the last one written.")
    ],
    shuffle: Annotated[
        bool, typer.Option("--shuffle", help="Permute the rows; a column of obs keeps where they were.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the permutation.")] = 0,
    row_column: Annotated[str, typer.Option(metavar="NAME", help="That column.")] = "original_row",
    chunk_values: Annotated[int, typer.Option(help="Values of a chunk.")] = DEFAULT_CHUNK_VALUES,
    compression: Annotated[str, typer.Option(metavar="CODEC", help=f"{', '.join(CODECS)}.")] = "gzip",
    level: Annotated[int | None, typer.Option(help="Of gzip or zstd.", show_default="gzip 4, zstd 3")] = None,
    index_dtype: Annotated[
        str, typer.Option(metavar="TYPE", help=f"Of column indices: {', '.join(INDEX_DTYPES)}.")
    ] = "auto",
    memory: Annotated[str, typer.Option(metavar="SIZE", help="For windows of rows.")] = "512 MB",
    verify: Annotated[bool, typer.Option(help="Compare every row with the inputs.")] = True,
    force: Annotated[bool, typer.Option("--force", help="Replace OUT if it exists.")] = False,
) -> None:
    """Write h5ad files anew in a layout that loads fast and that every reader of h5ad reads.

    The same call goes on where one was killed.
    """
    from tombola.repacking import RepackOptions

    from .repack import parse_memory, repack_files

    if len(paths) < 2:
        msg = "repack takes files to read and one to write, but got one path only"
        raise typer.BadParameter(msg)
    options = RepackOptions(
        shuffle=shuffle,
        seed=seed,
        row_column=row_column,
        chunk_values=chunk_values,
        compression=compression,
        level=level,
        index_dtype=index_dtype,
        memory=parse_memory(memory),
        verify=verify,
        force=force,
    )
    repack_files(paths[:-1], paths[-1], options)


def main() -> NoReturn:
    """Run the command `tombola`."""
    sys.exit(app())
