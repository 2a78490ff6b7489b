"""The application: its commands and options, and what a user sees when something is wrong.

Bad input, in the arguments or in the files, gives one line on stderr and exit code 2; Ctrl-C gives exit code
130. With TOMBOLA_DEBUG=1 errors keep their traceback. The commands' work is in modules that are imported when
they are called, so that help comes at once.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from tombola import __version__
from tombola.strategies.names import DEFAULT_BASELINE, EXPERIMENT, TRAIN

__all__ = ["app", "main"]

BAD_INPUT = 2
INTERRUPTED = 130


class OneLineErrors(TyperGroup):
    """A group of commands that says what is wrong in one line."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run, and leave with the exit code."""
        try:
            code = super().main(
                args,
                prog_name,
                complete_var,
                standalone_mode=False,
                windows_expand_args=windows_expand_args,
                **extra,
            )
        except Exception as error:
            usage = getattr(error, "format_message", None)  # of an error in the arguments
            message = usage() if usage is not None else _input_error(error)
            if message is None or (usage is None and os.environ.get("TOMBOLA_DEBUG")):
                raise
            code = _say_error(str(message))
        except KeyboardInterrupt:
            code = INTERRUPTED
        code = code if isinstance(code, int) else 0
        if code == INTERRUPTED:
            typer.echo("interrupted; what is written is whole", err=True)
        return sys.exit(code) if standalone_mode else code


def _input_error(error: Exception) -> str | None:
    """Return the message of an error that comes of bad input; None of any other, which is a fault of ours."""
    if isinstance(error, BrokenPipeError):
        return None
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, ValueError | OSError):
        return str(error)
    if isinstance(error, KeyError):
        from tombola.sources import H5adError

        return str(error) if isinstance(error, H5adError) else None
    if isinstance(error, RuntimeError) and "tombola.training" in sys.modules:
        from tombola.training import TrainingError

        return str(error) if isinstance(error, TrainingError) else None
    return None


def _say_error(message: str) -> int:
    typer.echo(f"error: {' '.join(message.split())}", err=True)
    return BAD_INPUT


app = typer.Typer(
    name="tombola",
    cls=OneLineErrors,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
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


Output = Annotated[Path, typer.Option("--output", "-o", help="Folder for tables, records and the picture.")]
Seed = Annotated[int, typer.Option(help="Seed of the order and of the split.")]
Strategies = Annotated[
    list[str] | None,
    typer.Option(
        "--strategy",
        "-s",
        metavar="NAME",
        help=f"{', '.join(EXPERIMENT)}, or all. Several by commas, or by giving the option again.",
    ),
]


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

    run_demo(output=output, strategies=_split(strategy or ["all"]), seed=seed, cache=cache)


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
    block_size: Annotated[int, typer.Option(help="Consecutive rows that stay together.")] = 16,
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
        labels=_split(labels),
        holdout_files=holdout_files or [],
        holdout_fraction=holdout_fraction,
        strategies=_split(strategy or ["all"]),
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


@app.command()
def inspect(
    paths: Annotated[list[Path], typer.Argument(metavar="FILE...", help="h5ad files.")],
    batch_size: Annotated[int, typer.Option(help="Batch size that the suggestions are for.")] = 64,
) -> None:
    """Show what h5ad files hold, and suggest a block size and a fetch factor."""
    from .inspect import inspect_files

    inspect_files(paths, batch_size=batch_size)


Config = Annotated[Path, typer.Option("--config", "-c", help="YAML file; its keys are in the README.")]
TotalData = Annotated[
    str | None, typer.Option(metavar="AMOUNT", help="Share of the rows (at most 1), or number of rows.")
]
ChunkSize = Annotated[
    str | None,
    typer.Option(metavar="SIZE", help='Of a mini epoch: files, or a budget: "50000 rows", "2 GB".'),
]
Epochs = Annotated[str | None, typer.Option(metavar="N", help="Full passes over all files.")]
TrainOutput = Annotated[str | None, typer.Option("--output", "-o", metavar="FOLDER", help="Where to write.")]


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
    block_size: Annotated[str | None, typer.Option(metavar="N", help="Rows that stay together.")] = None,
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


def _split(names: Sequence[str]) -> list[str]:
    return [part.strip() for name in names for part in name.split(",") if part.strip()]


def main() -> NoReturn:
    """Run the command `tombola`."""
    sys.exit(app())
