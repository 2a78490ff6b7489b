"""The classifier of several labels: one linear layer, a head for each label, or an MLP below it; its rows.

The heads share one weight matrix, cut by column, so a batch takes one matrix product. The loss is the sum
of the heads' cross-entropies, unweighted: what a strategy feeds is what the model learns.

Weights begin at zero, and gradient descent moves them in the span of the rows seen, so with more features
than rows the model is the one of small norm, not what it began with. Features are centred and divided by
one number, the typical length of a row, so that one learning rate suits counts, log counts and standardised
values alike.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["MultiTaskLinear", "MultiTaskMlp", "log_normalise", "losses_by_label", "sum_of_losses"]

TARGET_SUM = 10_000.0


class _OfStandardisedRows(nn.Module):
    """A model that centres and divides rows first, with the sum of its heads' cross-entropies as loss."""

    centre: Tensor
    spread: Tensor

    def __init__(self, centre: Tensor, spread: float) -> None:
        super().__init__()
        self.register_buffer("centre", centre)
        self.register_buffer("spread", torch.tensor(spread))

    def standardise(self, x: Tensor) -> Tensor:
        """Return rows less the centre, over the spread."""
        return (x - self.centre) / self.spread

    def loss(self, x: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """Return the sum over labels of the mean cross-entropy; `targets` are int64 codes, shape (rows,)."""
        return sum_of_losses(self(x), targets)


class MultiTaskLinear(_OfStandardisedRows):
    """Linear classifiers of several labels on the same features.

    Parameters
    ----------
    n_features : int
        Columns of the input.
    n_classes : mapping of str to int
        Classes of each label.
    centre : Tensor, shape (n_features,)
        What is subtracted from each row: the mean of rows.
    spread : float
        What rows are divided by then: the root mean square of their length.
    """

    def __init__(
        self, n_features: int, n_classes: Mapping[str, int], *, centre: Tensor, spread: float = 1.0
    ) -> None:
        super().__init__(centre, spread)
        self.n_classes = dict(n_classes)
        self.linear = nn.Linear(n_features, sum(self.n_classes.values()))
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Return each label's logits, shape (rows, classes), for features of shape (rows, n_features)."""
        logits = self.linear(self.standardise(x)).split(list(self.n_classes.values()), dim=1)
        return dict(zip(self.n_classes, logits, strict=True))


class MultiTaskMlp(_OfStandardisedRows):
    """Hidden layers with ReLU below `MultiTaskLinear`.

    Parameters
    ----------
    n_features : int
        Columns of the input.
    n_classes : mapping of str to int
        Classes of each label.
    hidden : sequence of int
        Width of each hidden layer.
    dropout : float
        Share of hidden units that a training step leaves out.
    centre, spread
        As in `MultiTaskLinear`.
    """

    def __init__(
        self,
        n_features: int,
        n_classes: Mapping[str, int],
        *,
        hidden: Sequence[int],
        dropout: float = 0.0,
        centre: Tensor,
        spread: float = 1.0,
    ) -> None:
        # A row's features make up a typical length of 1 together; layers expect that of each.
        super().__init__(centre, spread / n_features**0.5)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise((n_features, *hidden)):
            layers += [nn.Linear(inputs, outputs), nn.ReLU(), nn.Dropout(dropout)]
        self.trunk = nn.Sequential(*layers)
        self.heads = MultiTaskLinear(hidden[-1], n_classes, centre=torch.zeros(hidden[-1]))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Return each label's logits, as `MultiTaskLinear` does."""
        logits: dict[str, Tensor] = self.heads(self.trunk(self.standardise(x)))
        return logits


def losses_by_label(logits: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the mean cross-entropy of each label; `targets` are int64 codes, shape (rows,)."""
    return {name: nn.functional.cross_entropy(values, targets[name]) for name, values in logits.items()}


def sum_of_losses(logits: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> Tensor:
    """Return the sum over labels of the mean cross-entropy; `targets` are int64 codes, shape (rows,)."""
    return torch.stack(list(losses_by_label(logits, targets).values())).sum()


def log_normalise(batch: dict[str, Any]) -> dict[str, Any]:
    """Return the batch with rows of ``X`` scaled to the sum 10,000, and log(1 + x) of that."""
    totals = batch["X"].sum(dim=1, keepdim=True).clamp(min=1.0)
    return {**batch, "X": torch.log1p(batch["X"] * (TARGET_SUM / totals))}
