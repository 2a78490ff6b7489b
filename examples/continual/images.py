"""For images: a residual network as continual learners use it on CIFAR-100, and how images are augmented.

The network is the narrow ResNet-18 of Lopez-Paz and Ranzato, "Gradient Episodic Memory for Continual
Learning" (2017), after He et al. (2016), with GELU. Augmenting is a random crop out of the image with a
border of 4, and a flip of every other image.
"""

import torch
from torch import nn

__all__ = ["ResidualBackbone", "crop_and_flip"]

BORDER = 4


class ResidualBlock(nn.Module):
    """Two convolutions beside a way around them.

    Parameters
    ----------
    inside, outside : int
        Channels that come in and go out.
    stride : int
    """

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.convolved = nn.Sequential(
            nn.Conv2d(inside, outside, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(outside),
            nn.GELU(),
            nn.Conv2d(outside, outside, 3, padding=1, bias=False),
            nn.BatchNorm2d(outside),
        )
        self.around = nn.Sequential()
        if stride != 1 or inside != outside:
            self.around = nn.Sequential(
                nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside)
            )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return images of other channels, smaller by the stride."""
        return nn.functional.gelu(self.convolved(images) + self.around(images))


class ResidualBackbone(nn.Module):
    """Images to features: (n, channels, height, width) gives (n, 8 * width).

    Parameters
    ----------
    channels : int
        Of an image.
    width : int
        Channels of the first stage; each of the three others has twice as many as the one before.
    """

    def __init__(self, channels: int, width: int = 20) -> None:
        super().__init__()
        self.num_feats = 8 * width
        blocks: list[nn.Module] = []
        inside = width
        for stage in range(4):
            outside = width * 2**stage
            blocks += [ResidualBlock(inside, outside, 2 if stage else 1), ResidualBlock(outside, outside, 1)]
            inside = outside
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.GELU(),
            *blocks,
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return features."""
        features: torch.Tensor = self.layers(images)
        return features


def crop_and_flip(images: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Return images, one or many, each moved by up to `BORDER` pixels, black beyond, and flipped or not."""
    many = images.reshape(-1, *images.shape[-3:])
    count, channels, height, width = many.shape
    moves = torch.randint(0, 2 * BORDER + 1, (count, 2), generator=random)
    flipped = torch.rand(count, generator=random) < 0.5
    across = torch.arange(width).expand(count, width)
    across = torch.where(flipped[:, None], across.flip(1), across) + moves[:, 1:]
    down = torch.arange(height) + moves[:, :1]
    framed = nn.functional.pad(many, (BORDER,) * 4)
    place = torch.arange(count)[:, None, None, None], torch.arange(channels)[:, None, None]
    return framed[(*place, down[:, None, :, None], across[:, None, None, :])].reshape(images.shape)
