"""A small convolutional network with two heads, and the loss that leaves out policies that are missing."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from .boards import BOARD, MISSING

__all__ = ["BoardNetwork", "board_loss", "policy_accuracy"]


class BoardNetwork(nn.Module):
    """Three layers of 3 x 3 convolutions, a policy over the points and a value in (-1, 1).

    Parameters
    ----------
    channels : int
        Of each layer.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(2, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
        )
        self.policy = nn.Conv2d(channels, 1, 1)
        self.value = nn.Linear(channels, 1)

    def forward(self, boards: Tensor) -> tuple[Tensor, Tensor]:
        """Return policy logits, shape (n, 169), and values, shape (n,)."""
        features = self.trunk(boards)
        logits = self.policy(features).reshape(-1, BOARD * BOARD)
        return logits, torch.tanh(self.value(features.mean(dim=(2, 3)))).squeeze(1)


def board_loss(model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
    """Return the cross-entropy of the policies that are there plus the squared error of all values."""
    logits, value = model(batch["boards"])
    there = batch["policy"] != MISSING
    policy_loss = nn.functional.cross_entropy(logits[there], batch["policy"][there], reduction="sum")
    return policy_loss / there.sum().clamp(min=1) + nn.functional.mse_loss(value, batch["value"])


def policy_accuracy(model: nn.Module, batch: Mapping[str, Tensor]) -> tuple[int, int]:
    """Return how many of the policies that are there the network names first, and how many there are."""
    logits, _ = model(batch["boards"])
    there = batch["policy"] != MISSING
    right = logits[there].argmax(dim=1) == batch["policy"][there]
    return int(right.sum()), int(there.sum())
