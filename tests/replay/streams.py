"""Buffers and streams that the tests of the buffer share."""

from typing import Any

import torch

from tombola import BalancedBuffer

WIDTH = 6
CENTRES = torch.randn(5, WIDTH, generator=torch.Generator().manual_seed(9))


def items(start: int, stop: int) -> dict[str, torch.Tensor]:
    """Items of a stream: each is its own number, in every part."""
    numbers = torch.arange(start, stop)
    labels = numbers % 5 * 10
    noise = torch.sin(numbers[:, None] * torch.arange(1, WIDTH + 1))
    return {
        "examples": (numbers[:, None, None] % 251 + torch.zeros(1, 2, 3, dtype=torch.int64)).to(torch.uint8),
        "labels": labels,
        "logits": numbers[:, None].float().repeat(1, 4),
        "features": CENTRES[numbers % 5] + noise,
        "task_labels": numbers % 5 // 2,
    }


def filled(size: int = 50, stop: int = 200, **options: Any) -> BalancedBuffer:
    buffer = BalancedBuffer(size, **options)
    buffer.add_data(**items(0, stop))
    return buffer


def equal(first: tuple[torch.Tensor, ...], second: tuple[torch.Tensor, ...]) -> bool:
    return len(first) == len(second) and all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
