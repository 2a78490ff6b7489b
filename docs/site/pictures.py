"""The pictures in docs/choosing.md: which rows land in which batch, one for each strategy.

``python -m docs.site.pictures`` draws them anew. Each file says in its metadata which batches it shows, so
that a test can tell whether it is that of the plan below.
"""

from pathlib import Path

import numpy as np

import tombola
from tombola import Plan

FOLDER = Path(__file__).resolve().parents[1] / "plans"
NOTE = "Description"
CLASSES = np.repeat(["rare", "common", "frequent"], [12, 84, 144])
"""The label of each of 240 rows, in the order of their file."""
SERIES = np.repeat([f"series {i}" for i in range(7)], 12)
LENGTHS = np.random.default_rng(0).permutation(np.repeat([10, 20, 40], 80))
ROWS = len(CLASSES)

PICTURES: dict[str, tuple[Plan, object]] = {
    "streaming": (tombola.Streaming().plan(ROWS, batch_size=16, fetch_factor=4), CLASSES),
    "streaming-shuffle": (tombola.Streaming(shuffle=True).plan(ROWS, batch_size=16, fetch_factor=4), CLASSES),
    "block-shuffling": (tombola.BlockShuffling(8).plan(ROWS, batch_size=16, fetch_factor=4), CLASSES),
    "full-shuffle": (tombola.BlockShuffling(1).plan(ROWS, batch_size=16, fetch_factor=4), CLASSES),
    "weighted": (
        tombola.BlockWeightedSampling(np.linspace(0, 1, ROWS), 4).plan(batch_size=16, fetch_factor=4),
        CLASSES,
    ),
    "class-balanced": (
        tombola.ClassBalancedSampling(CLASSES, 4, min_count_baseline=0).plan(batch_size=16, fetch_factor=4),
        None,
    ),
    "series": (tombola.SeriesRoundRobin(SERIES).plan(batch_size=7), SERIES),
    "bucketed": (tombola.Bucketed(LENGTHS).plan(batch_size=16), LENGTHS),
    "per-class": (tombola.PerClass(np.arange(ROWS) // 40, rows_per_class=4).plan(batch_size=16), None),
    "mixture": (
        tombola.Mixture(CLASSES, {"rare": 4, "common": 4, "frequent": 8}).plan(batch_size=16),
        None,
    ),
}
"""Name of the file to the plan that it shows, and the labels that colour it."""


def batches_shown(plan: Plan) -> str:
    """Return a short text that tells the batches of a plan from others."""
    rows, offsets = plan.batches()
    hashes = (int(np.bitwise_xor.reduce((a + 1) * np.arange(1, len(a) + 1) ** 2)) for a in (rows, offsets))
    return f"{len(plan)} batches " + " ".join(f"{value:x}" for value in hashes)


def draw() -> None:
    """Write all pictures."""
    FOLDER.mkdir(exist_ok=True)
    for name, (plan, labels) in PICTURES.items():
        figure, _ = plan.plot(labels)
        note = {NOTE: batches_shown(plan), "Software": None}
        figure.savefig(FOLDER / f"{name}.png", dpi=90, metadata=note)


if __name__ == "__main__":
    draw()
