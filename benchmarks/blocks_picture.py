"""The picture of docs/h5ad.md: cells/s against how mixed batches are, for blocks of several sizes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tombola.experiments.pictures import BLUE, INK, ORANGE, picture

__all__ = ["FILE", "Point", "draw_blocks"]

COLOURS = {16: ORANGE, 256: BLUE}
FILE = "file"
LABELS = {"label": "bits of label a batch", "plate": "bits of plate a batch"}


@dataclass(frozen=True, kw_only=True)
class Point:
    """How fast an epoch is, and how mixed its batches are.

    Parameters
    ----------
    chunk_rows : int
        Rows of a chunk of the file.
    fetch_factor : int
    blocks : str
        Rows of a block, or "file" for bounds that follow the chunks.
    cells : float
        Cells a second.
    bits : dict of str to float
        Mean entropy of each of `LABELS` in a batch.
    """

    chunk_rows: int
    fetch_factor: int
    blocks: str
    cells: float
    bits: dict[str, float]


def draw_blocks(path: Path, points: Sequence[Point], title: str) -> None:
    """Draw a panel for each file and label; a line a fetch factor, a star for the file's own blocks."""
    files = sorted({point.chunk_rows for point in points})
    with picture(path, size=(8.6, 6.4), title=title, title_size=12, dpi=80) as figure:
        axes = figure.subplots(len(LABELS), len(files), sharey="row", sharex="row", squeeze=False)
        for row, (label, text) in zip(axes, LABELS.items(), strict=True):
            for axis, chunk_rows in zip(row, files, strict=True):
                for fetch_factor, colour in COLOURS.items():
                    line = [p for p in points if (p.chunk_rows, p.fetch_factor) == (chunk_rows, fetch_factor)]
                    bits, cells = [p.bits[label] for p in line], [p.cells for p in line]
                    of_size = [i for i, point in enumerate(line) if point.blocks != FILE]
                    axis.plot(
                        [bits[i] for i in of_size],
                        [cells[i] for i in of_size],
                        "o-",
                        color=colour,
                        lw=1,
                        ms=5,
                        label=f"fetch factor {fetch_factor}",
                    )
                    own = [i for i, point in enumerate(line) if point.blocks == FILE]
                    axis.plot([bits[i] for i in own], [cells[i] for i in own], "*", color=colour, ms=12)
                    for point, x, y in zip(line, bits, cells, strict=True):
                        axis.annotate(
                            point.blocks,
                            (x, y),
                            textcoords="offset points",
                            xytext=(6, 3),
                            fontsize=8,
                            color=INK,
                        )
                axis.set_yscale("log")
                axis.set_xlabel(text)
                if label == "label":
                    axis.set_title(f"gzip chunks of {chunk_rows} rows")
            row[0].set_ylabel("cells/s")
        axes[0][0].legend(loc="lower left")
