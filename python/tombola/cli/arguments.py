"""Arguments and options that several commands have."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from tombola.strategies.names import EXPERIMENT

__all__ = [
    "BLOCK_SIZE",
    "ChunkSize",
    "Config",
    "Epochs",
    "Files",
    "Output",
    "Seed",
    "Strategies",
    "TotalData",
    "TrainOutput",
    "split_names",
]

Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="h5ad files.")]
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
BLOCK_SIZE = "Consecutive rows that stay together; file: blocks that follow the chunks of the files."
Config = Annotated[Path, typer.Option("--config", "-c", help="YAML file; its keys are in docs/training.md.")]
TotalData = Annotated[
    str | None, typer.Option(metavar="AMOUNT", help="Share of the rows (at most 1), or number of rows.")
]
ChunkSize = Annotated[
    str | None,
    typer.Option(metavar="SIZE", help='Of a mini epoch: files, or a budget: "50000 rows", "2 GB"; or auto.'),
]
Epochs = Annotated[str | None, typer.Option(metavar="N", help="Full passes over all files.")]
TrainOutput = Annotated[str | None, typer.Option("--output", "-o", metavar="FOLDER", help="Where to write.")]


def split_names(names: Sequence[str]) -> list[str]:
    """Return the names of all options, which commas separate."""
    return [part.strip() for name in names for part in name.split(",") if part.strip()]
