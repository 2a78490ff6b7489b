"""A small convolutional network with two heads, and the loss that leaves out policies that are missing."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .boards import BOARD, MISSING

__all__ = ["BoardNetwork", "board_losses"]


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


def board_losses(model: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the loss, its two parts, and the policy logits.

    The policy's part is the mean cross-entropy over the positions whose policy is there, 0 where none is; the
    value's part is the mean squared error over all.
    """
    logits, value = model(batch["boards"])
    there = batch["policy"] != MISSING
    total = nn.functional.cross_entropy(logits[there], batch["policy"][there], reduction="sum")
    policy_loss = total / there.sum().clamp(min=1)
    value_loss = nn.functional.mse_loss(value, batch["value"])
    parts = {"policy_loss": policy_loss, "value_loss": value_loss}
    return {"loss": policy_loss + value_loss, **parts, "logits": logits}
