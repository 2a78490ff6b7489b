"""Both comparisons over several seeds, and their picture."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from example_tools import INK, save_figure, show_percent

from .metric import learn_metric
from .plates import learn_drugs

__all__ = ["Results", "compare", "plot"]

Results = dict[str, dict[str, list[tuple[float, float]]]]
"""By task and way, a pair of figures a seed."""


def compare(seeds: Iterable[int], *, epochs: int, steps: int) -> Results:
    """Learn both tasks with random and with composed batches, the same data and weights each."""
    torch.set_num_threads(1)  # what such small models are quickest with
    listed = list(seeds)
    return {
        "plates": {
            way: [learn_drugs(seed, matched=matched, epochs=epochs) for seed in listed]
            for way, matched in (("any plate", False), ("the same plate", True))
        },
        "metric": {
            way: [learn_metric(seed, composed=composed, steps=steps) for seed in listed]
            for way, composed in (("random", False), ("16 classes x 4 rows", True))
        },
    }


def plot(path: Path, results: Results) -> None:
    """Draw each seed's figure on what was held out, and the means."""
    panels = (
        ("plates", 1, "drugs told apart on held-out plates"),
        ("metric", 0, "recall at 1 among held-out classes"),
    )
    with save_figure(path, (8.5, 3.6), "Composed batches beside random ones") as figure:
        for axes, (task, which, title) in zip(figure.subplots(1, 2), panels, strict=True):
            for at, runs in enumerate(results[task].values()):
                values = [run[which] for run in runs]
                axes.scatter(np.full(len(values), at), values, color=f"C{at}", alpha=0.6)
                axes.hlines(np.mean(values), at - 0.25, at + 0.25, color=INK)
                axes.annotate(f"{np.mean(values):.0%}", (at + 0.27, np.mean(values)), va="center", color=INK)
            axes.set_xticks(range(len(results[task])), list(results[task]))
            axes.set_xlim(-0.6, len(results[task]) - 0.3)
            axes.set_ylim(0, 1)
            show_percent(axes.yaxis)
            axes.set_title(title, fontsize=10)
