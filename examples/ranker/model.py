"""A pairwise ranker: an MLP scores an image, and the better image of a pair is to have the higher score.

The loss is that of Burges et al., "Learning to rank using gradient descent" (2005): the logistic loss of the
difference of two scores.
"""

from collections.abc import Sequence

import torch
from torch import nn

__all__ = ["Ranker"]


class Ranker(nn.Module):
    """Scores of images.

    Parameters
    ----------
    n_features : int
    hidden_dims : sequence of int
        Widths of the hidden layers.
    dropout : float
        After each hidden layer.
    """

    def __init__(self, n_features: int, hidden_dims: Sequence[int], dropout: float = 0.0) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width_in, width in zip([n_features, *hidden_dims], hidden_dims, strict=False):
            layers += [nn.Linear(width_in, width), nn.ReLU(), nn.Dropout(dropout)]
        self.layers = nn.Sequential(*layers, nn.Linear([n_features, *hidden_dims][-1], 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the score of each image; (..., n_features) gives (...)."""
        scores: torch.Tensor = self.layers(images).squeeze(-1)
        return scores

    def margin(self, winner: torch.Tensor, loser: torch.Tensor) -> torch.Tensor:
        """Return by how much the winners score higher, by one pass over both."""
        scores = self(torch.stack([winner, loser]))
        margin: torch.Tensor = scores[0] - scores[1]
        return margin
