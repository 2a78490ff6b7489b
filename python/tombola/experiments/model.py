"""The linear model of the experiment: one linear layer, a head for each label column.

The heads share one weight matrix, cut by column, so a batch takes one matrix product. The loss is the sum
of the heads' cross-entropies, unweighted: what a strategy feeds is what the model learns.

Weights begin at zero, and gradient descent moves them in the span of the rows seen, so with more features
than rows the model is the one of small norm, not what it began with. Features are centred and divided by
one number, the typical length of a row, so that one learning rate suits counts, log counts and standardised
values alike.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

__all__ = ["MultiTaskLinear"]


class MultiTaskLinear(nn.Module):
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

    centre: Tensor

    def __init__(
        self, n_features: int, n_classes: Mapping[str, int], *, centre: Tensor, spread: float = 1.0
    ) -> None:
        super().__init__()
        self.register_buffer("centre", centre)
        self.spread = spread
        self.n_classes = dict(n_classes)
        self.linear = nn.Linear(n_features, sum(self.n_classes.values()))
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Return each label's logits, shape (rows, classes), for features of shape (rows, n_features)."""
        logits = self.linear((x - self.centre) / self.spread).split(list(self.n_classes.values()), dim=1)
        return dict(zip(self.n_classes, logits, strict=True))

    def loss(self, x: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """Return the sum over labels of the mean cross-entropy; `targets` are int64 codes, shape (rows,)."""
        logits = self(x)
        losses = [nn.functional.cross_entropy(logits[name], targets[name]) for name in self.n_classes]
        return torch.stack(losses).sum()
