"""The learning curve of a training as a picture: a mark for each mini epoch, a line for each full epoch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..pictures import BLUE, GREEN, INK, ORANGE, PURPLE, RED, SKY, picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_curve"]

TRAIN, VALIDATION = BLUE, RED
LABELS = (BLUE, RED, GREEN, ORANGE, SKY, PURPLE)


def plot_curve(
    path: Path, history: Sequence[Mapping[str, Any]], labels: Sequence[str], *, title: str = ""
) -> None:
    """Draw losses and macro-F1 over the rows seen, atomically.

    Parameters
    ----------
    path : Path
        The suffix says the format, such as ``.png``.
    history : sequence of mapping
        The trainer's records; those of mini epochs are marked.
    labels : sequence of str
    title : str
    """
    scored = any(f"validation_macro_f1_{label}" in record for record in history for label in labels)
    with picture(path, size=(12 if scored else 7, 4.4), title=title, title_size=13) as figure:
        axes = figure.subplots(1, 2 if scored else 1, squeeze=False)[0]
        _draw(
            axes[0],
            history,
            {"train_loss": ("training", TRAIN), "validation_loss": ("validation", VALIDATION)},
        )
        axes[0].set_title("Loss")
        axes[0].set_ylabel("sum over labels of the mean cross-entropy")
        if scored:
            colours = {label: LABELS[at % len(LABELS)] for at, label in enumerate(labels)}
            _draw(
                axes[1],
                history,
                {f"validation_macro_f1_{label}": (label, colours[label]) for label in labels},
            )
            axes[1].set_ylim(0, 1)
            axes[1].set_title("Macro-F1 on the validation rows")


def _draw(axes: "Axes", history: Sequence[Mapping[str, Any]], lines: Mapping[str, tuple[str, str]]) -> None:
    """Draw each figure where records have it, and a vertical line where a full epoch ends."""
    for key, (name, colour) in lines.items():
        points = [(record["batches"], record[key]) for record in history if record.get(key) is not None]
        if points:
            axes.plot(*zip(*points, strict=True), "o-", color=colour, markersize=4, linewidth=1.5, label=name)
    ends = [record for record in history if _ends_epoch(record)]
    for at, record in enumerate(ends):
        label = "end of a full epoch" if at == 0 else None
        axes.axvline(record["batches"], color=INK, linestyle=":", linewidth=1, label=label)
    axes.set_xlim(left=0)
    axes.set_xlabel("batches (a dot for each mini epoch)")
    axes.legend(frameon=True, framealpha=0.9, edgecolor="none")


def _ends_epoch(record: Mapping[str, Any]) -> bool:
    return bool(record["kind"] == "mini_epoch" and record["chunk"] + 1 == record["n_chunks"])
