"""`tombola experiment`, its options and which section of its file each replaces; `tombola report`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from .arguments import BLOCK_SIZE, Strategies, split_names

__all__ = ["experiment", "report"]


def experiment(
    more: Annotated[
        list[str] | None, typer.Argument(metavar="[STRATEGY]...", help="More of them.", show_default=False)
    ] = None,
    config: Annotated[
        str | None,
        typer.Option("--config", "-c", metavar="FILE", help="YAML file, or default or pilot of the package."),
    ] = None,
    strategy: Strategies = None,
    every: Annotated[bool, typer.Option("--all", help="All six, whatever the file says.")] = False,
    h5ad_dir: Annotated[
        list[str] | None, typer.Option(metavar="FOLDER", help="h5ad files: a folder, file or pattern.")
    ] = None,
    label_dir: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="CSV or JSON files, drug to mechanism.")
    ] = None,
    labels: Annotated[
        list[str] | None, typer.Option("--labels", "-l", metavar="NAMES", help="What to learn, by commas.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the data.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Rows of a batch.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", "--lr", help="Of gradient descent.")
    ] = None,
    log1p: Annotated[
        bool | None, typer.Option("--log1p/--no-log1p", help="Log-normalise: for raw counts.")
    ] = None,
    max_train_cells: Annotated[int | None, typer.Option(help="Train on at most so many rows.")] = None,
    max_test_cells: Annotated[int | None, typer.Option(help="Test on at most so many rows.")] = None,
    seeds: Annotated[
        str | None,
        typer.Option("--seeds", "--seed", metavar="N,N,...", help="Each strategy trains once for each."),
    ] = None,
    fetch_factor: Annotated[int | None, typer.Option(help="Batches that are read at once.")] = None,
    num_workers: Annotated[int | None, typer.Option(help="Processes that read.")] = None,
    block_size: Annotated[str | None, typer.Option(metavar="N|file", help=BLOCK_SIZE)] = None,
    min_count_baseline: Annotated[float | None, typer.Option(help="Added to class counts.")] = None,
    log_interval: Annotated[int | None, typer.Option(help="Batches between records.")] = None,
    test_interval: Annotated[int | None, typer.Option(help="Batches between tests within an epoch.")] = None,
    save_dir: Annotated[
        Path | None, typer.Option("--output", "-o", "--save-dir", metavar="FOLDER", help="Where to write.")
    ] = None,
    print_config: Annotated[
        str | None, typer.Option(metavar="NAME", help="Print default or pilot of the package, and leave.")
    ] = None,
) -> None:
    """Compare ways of choosing batches as a YAML file says, with several seeds; options override the file.

    The same call goes on where one was killed: runs that are done are not repeated.
    """
    if print_config is not None:
        from tombola.experiments.six.settings import packaged_config

        typer.echo(packaged_config(print_config), nl=False)
        return
    from .experiment import run_study_files

    sections: dict[str, dict[str, Any]] = {
        "data": {
            "h5ad_dir": h5ad_dir,
            "label_dir": label_dir,
            "labels": None if labels is None else split_names(labels),
        },
        "training": {
            "epochs": epochs,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "log1p": log1p,
            "max_train_cells": max_train_cells,
            "max_test_cells": max_test_cells,
            "seeds": None if seeds is None else [_number(seed) for seed in split_names([seeds])],
        },
        "scdataset": {"fetch_factor": fetch_factor, "num_workers": num_workers},
        "weights": {"min_count_baseline": min_count_baseline},
        "strategies": {"block_size": block_size},
        "output": {"save_dir": save_dir, "log_interval": log_interval, "test_interval": test_interval},
    }
    given = {
        section: {key: value for key, value in options.items() if value is not None}
        for section, options in sections.items()
    }
    chosen = ["all"] if every else split_names([*(strategy or []), *(more or [])])
    run_study_files(config, given, chosen)


def report(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="What experiment, run or demo wrote.")],
) -> None:
    """Write one HTML page of an experiment, with its pictures inlined, and the pictures as PNG and PDF."""
    from tombola.experiments.six.page import write_page

    page = write_page(folder)
    typer.echo(f"page:     {page}\npictures: {folder / 'figures'}")


def _number(text: str) -> int | str:
    return int(text) if text.isdecimal() else text
