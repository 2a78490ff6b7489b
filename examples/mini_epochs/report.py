"""The learning curve with a mark for each mini epoch, and where the training was killed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from example_tools import INK, result_console, save_figure, show_percent

__all__ = ["plot_training", "print_training"]

COLOURS = {"train": "#0072B2", "validation": "#D55E00"}
KILLED = "#CC79A7"
SHOWN = 6

Records = Sequence[Mapping[str, Any]]


def print_training(records: Records) -> None:
    """Print the first and the last mini epochs."""
    table = Table(title=f"{len(records)} mini epochs", title_justify="left")
    for name in ("epoch", "mini epoch", "batches", "train loss", "validation loss", "policy accuracy"):
        table.add_column(name, justify="right")
    half = SHOWN // 2
    shown = [*records] if len(records) <= SHOWN else [*records[:half], None, *records[-half:]]
    for record in shown:
        if record is None:
            table.add_row(*["..."] * 6)
            continue
        losses = [f"{record[key]:.3f}" for key in ("train_loss", "validation_loss")]
        table.add_row(
            str(record["epoch"]),
            f"{record['epoch'] * record['n_chunks'] + record['chunk'] + 1} of {len(records)}",
            f"{record['batches']:,}",
            *losses,
            f"{record['validation_policy_accuracy']:.1%}",
        )
    result_console().print(table)


def plot_training(path: Path, undisturbed: Records, resumed: Records, killed_at: int) -> None:
    """Draw losses and accuracy of both trainings; they coincide where resuming is exact.

    Parameters
    ----------
    path : Path
    undisturbed, resumed : sequence of mapping
        Records of mini epochs.
    killed_at : int
        Batches consumed when the second training was killed.
    """
    title = "Mini epochs over board-game shards: undisturbed, and killed and resumed"
    with save_figure(path, (12, 4.6), title) as figure:
        losses, accuracy = figure.subplots(1, 2)
        for part, colour in COLOURS.items():
            _draw(losses, undisturbed, f"{part}_loss", colour, part)
            _mark(losses, resumed, f"{part}_loss", colour, f"{part}, resumed")
        _draw(accuracy, undisturbed, "validation_policy_accuracy", COLOURS["validation"], "validation")
        _mark(accuracy, resumed, "validation_policy_accuracy", COLOURS["validation"], "validation, resumed")
        for axes in (losses, accuracy):
            axes.axvline(killed_at, color=KILLED, linewidth=1.5, label="killed inside a chunk")
            ends = [r["batches"] for r in undisturbed if r["chunk"] + 1 == r["n_chunks"]]
            for at, end in enumerate(ends):
                label = "end of a full epoch" if at == 0 else None
                axes.axvline(end, color=INK, linestyle=":", linewidth=1, label=label)
            axes.set_xlim(left=0)
            axes.set_xlabel("batches (a mark for each mini epoch)")
            axes.legend(fontsize=9, frameon=True, framealpha=0.9, edgecolor="none")
        losses.set_ylabel("cross-entropy of the policy + squared error of the value")
        losses.set_title("Loss")
        accuracy.set_ylim(0, 1)
        show_percent(accuracy.yaxis)
        accuracy.set_title("Policies named first, of those that are there")


def _draw(axes: Any, records: Records, key: str, colour: str, label: str) -> None:
    axes.plot(
        [r["batches"] for r in records],
        [r[key] for r in records],
        "-",
        color=colour,
        linewidth=1.6,
        label=label,
    )


def _mark(axes: Any, records: Records, key: str, colour: str, label: str) -> None:
    axes.plot(
        [r["batches"] for r in records],
        [r[key] for r in records],
        "o",
        color=colour,
        markerfacecolor="white",
        markersize=5,
        label=label,
    )
