"""What is trained, see `tombola.training.multi_task`, and how its input is scaled and its threads are set."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from tombola.training.multi_task import (
    MultiTaskLinear,
    MultiTaskMlp,
    log_normalise,
    losses_by_label,
    sum_of_losses,
)

__all__ = [
    "LINEAR_THREADS",
    "MOMENTUM",
    "PROBED_ROWS",
    "MultiTaskLinear",
    "MultiTaskMlp",
    "log_normalise",
    "losses_by_label",
    "sum_of_losses",
    "torch_threads",
    "typical_row",
]

LINEAR_THREADS = 1
"""A linear model's steps are too small to share; the other cores read."""
MOMENTUM = 0.9
"""Of gradient descent."""
PROBED_ROWS = 1_024
"""About as many training rows say what a typical row is."""


def typical_row(batches: Iterable[Tensor], n_features: int) -> tuple[Tensor, float]:
    """Return the mean of rows and the root mean square of their distance from it, 1 where that is 0.

    Parameters
    ----------
    batches : iterable of Tensor, each of shape (rows, n_features)
        At least one row in all.
    n_features : int
    """
    total = torch.zeros(n_features, dtype=torch.float64)
    squares, n_rows = 0.0, 0
    for batch in batches:
        rows = batch.double()
        total += rows.sum(dim=0)
        squares += float(rows.square().sum())
        n_rows += len(rows)
    centre = total / n_rows
    spread = max(0.0, squares / n_rows - float(centre.square().sum())) ** 0.5
    return centre.float(), spread or 1.0


@contextmanager
def torch_threads(n: int) -> Iterator[None]:
    """Let torch compute with n threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)
