"""Two ways to make batches of histories of unequal depth.

``bucketed``: `tombola.BucketSampler` makes batches of one depth, `tombola.collate_compressed_batch` pads
inside each stage. ``mixed``: any samples, and each padded to the deepest of its batch with dummy stages of no
steps, which the model computes and throws away. Every sample comes once an epoch in both.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch.utils.data import DataLoader

from tombola import BucketSampler, collate_compressed_batch

from .histories import HistoryDataset, Item

__all__ = ["WAYS", "EncoderTokens", "collate_mixed_batch", "count_tokens", "describe_batch", "make_loader"]

WAYS = ("bucketed", "mixed")

Batch = dict[str, Any]


def make_loader(way: str, dataset: HistoryDataset, batch_size: int, seed: int) -> DataLoader[Batch]:
    """Return the loader of training batches; every pass over it is a new epoch."""
    if way == "bucketed":
        sampler = BucketSampler(dataset, batch_size, seed=seed)
        return DataLoader(dataset, batch_sampler=sampler, collate_fn=collate_compressed_batch)
    random = torch.Generator().manual_seed(seed)
    return DataLoader(dataset, batch_size, shuffle=True, generator=random, collate_fn=collate_mixed_batch)


def collate_mixed_batch(batch: Sequence[Item]) -> Batch:
    """Return items of any depths as a batch of the deepest: the others get stages of no steps."""
    deepest = max(item["num_compression_stages"] for item in batch)
    return collate_compressed_batch([_deepen(item, deepest) for item in batch])


def _deepen(item: Item, depth: int) -> Item:
    nothing = {name: values[:0] for name, values in item["context"].items()}
    dummies = [nothing] * (depth - item["num_compression_stages"])
    return {
        **item,
        "num_compression_stages": depth,
        "compression_stages": [*item["compression_stages"], *dummies],
    }


@dataclass
class EncoderTokens:
    """Tokens that an encoder computes: of real steps, of padding inside real stages, of dummy stages.

    A stage's memory tokens count with it: they are real in a real stage, dummies in a dummy one.
    """

    real: int = 0
    padding: int = 0
    dummies: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.real + self.padding + self.dummies

    def add(self, other: "EncoderTokens") -> None:
        """Add those of another batch."""
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))


def describe_batch(batch: Batch) -> str:
    """Return the compression depth of a batch, and the shapes of its first stage, as one line."""
    stages = batch["compression_stages"]
    shapes = (f"{name} {tuple(values.shape)}" for name, values in (stages[0] if stages else {}).items())
    return f"Batch compression depth: {len(stages)}; stage 0: {', '.join(shapes) or 'none'}"


def count_tokens(batch: Batch, memory_tokens: int) -> EncoderTokens:
    """Count the tokens of a batch."""
    tokens = EncoderTokens()
    for stage in batch["compression_stages"]:
        lengths: torch.Tensor = stage["lengths"]
        longest = stage["mask"].shape[1]
        real = int((lengths > 0).sum())
        steps = int(lengths.sum())
        tokens.real += steps + real * memory_tokens
        tokens.padding += real * longest - steps
        tokens.dummies += (len(lengths) - real) * (longest + memory_tokens)
    return tokens
