"""Plates and labels as they lie in files of atlases, and how mixed batches are by them."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

__all__ = ["make_labels", "mean_bits"]

N_PLATES, N_LABELS, RUN = 14, 40, 200

Codes = npt.NDArray[np.int64]


def make_labels(cells: int) -> dict[str, Codes]:
    """Return plates, one after the other, and labels in runs of geometric length within them."""
    rng = np.random.default_rng(2)
    lengths = rng.geometric(1 / RUN, cells)
    runs = np.repeat(rng.integers(0, N_LABELS, cells), lengths)[:cells]
    return {"plate": np.arange(cells) * N_PLATES // cells, "label": runs}


def mean_bits(codes: Codes, batches: Iterable[npt.ArrayLike]) -> float:
    """Return the mean entropy of codes in a batch, as `Plan.report` has it."""
    bits = []
    for batch in batches:
        rows = np.asarray(batch, dtype=np.int64)
        shares = np.bincount(codes[rows]) / len(rows)
        shares = shares[shares > 0]
        bits.append(float(-(shares * np.log2(shares)).sum()))
    return float(np.mean(bits))
