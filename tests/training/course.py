"""A small training that draws random numbers everywhere, described once for the tests that interrupt it."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset

from tombola import ArraySource, BlockShuffling, Loader, PlanBatchSampler
from tombola.training import Chunk, MiniEpochTrainer, TrainingResult, load_checkpoint

Kind = Literal["loader", "sampler", "stream", "workers"]
KINDS: tuple[Kind, ...] = ("loader", "sampler", "stream", "workers")
WIDTH = 8
SHARD_ROWS = 30
TIMES = ("seconds", "batches_per_second")

Tensors = dict[str, torch.Tensor]
Policies = list[torch.Tensor | None]


def rows_of(shard: int) -> torch.Tensor:
    return torch.randn(SHARD_ROWS, WIDTH, generator=torch.Generator().manual_seed(shard))


class Augmented(Dataset[torch.Tensor]):
    """Map-style, with noise from the global generators."""

    def __init__(self, shards: tuple[int, ...]) -> None:
        self.rows = torch.cat([rows_of(shard) for shard in shards])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> torch.Tensor:
        return self.rows[row] + 0.1 * torch.randn(WIDTH) + float(np.random.normal()) / 10  # noqa: NPY002


class Stream(IterableDataset[tuple[torch.Tensor, torch.Tensor | None]]):
    """Sequential: each row comes one to three times, with noise, and some without a policy."""

    def __init__(self, shards: tuple[int, ...]) -> None:
        self.shards = shards

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor | None]]:
        for shard in self.shards:
            for number, row in enumerate(rows_of(shard)):
                for _ in range(int(torch.randint(1, 4, ()))):
                    yield row + 0.1 * torch.randn(WIDTH), None if number % 3 else row[:1]


def collate(samples: list[tuple[torch.Tensor, torch.Tensor | None]]) -> tuple[torch.Tensor, Policies]:
    return torch.stack([x for x, _ in samples]), [policy for _, policy in samples]


def make_loader(kind: Kind, chunk: Chunk) -> Any:
    shards = chunk.shards
    ranks: dict[str, Any] = {"rank": chunk.rank, "world_size": chunk.world_size}
    match kind:
        case "loader":
            source = ArraySource(torch.cat([rows_of(shard) for shard in shards]))
            return Loader(source, BlockShuffling(4), 16, 2, seed=chunk.seed, **ranks)
        case "sampler":
            data = Augmented(shards)
            sampler = PlanBatchSampler(BlockShuffling(4), len(data), batch_size=16, seed=chunk.seed, **ranks)
            return DataLoader(data, batch_sampler=sampler)
        case "stream":
            return DataLoader(Stream(shards), 16, collate_fn=collate)
        case "workers":
            return DataLoader(
                Stream(shards), 16, collate_fn=collate, num_workers=1, multiprocessing_context="fork"
            )


def features(batch: Any) -> torch.Tensor:
    x = batch["X"] if isinstance(batch, dict) else batch
    return x if isinstance(x, torch.Tensor) else x[0]


def mean_error(model: nn.Module, batch: Any) -> torch.Tensor:
    x = features(batch)
    error: torch.Tensor = (model(x) - x.mean(1, keepdim=True)).square().mean()
    return error


def make_model(width: int = 16) -> nn.Sequential:
    random.seed(3)
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002
    return nn.Sequential(nn.Linear(WIDTH, width), nn.ReLU(), nn.Dropout(0.2), nn.Linear(width, 1))


def make_trainer(
    folder: Path,
    kind: Kind = "loader",
    *,
    model: nn.Module | None = None,
    loss: Callable[[nn.Module, Any], torch.Tensor] = mean_error,
    **options: Any,
) -> MiniEpochTrainer:
    """10 shards in chunks of 4, 4 and 2, two epochs."""
    model = make_model() if model is None else model
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    settings: dict[str, Any] = {
        "optimizer": optimizer,
        "scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.9),
        "loss": loss,
        "chunk_size": 4,
        "num_epochs": 2,
        "validation": [rows_of(100 + i) for i in range(2)],
        "checkpoints": folder,
        "progress": "none",
        "tensorboard": False,
        **options,
    }
    return MiniEpochTrainer(model, range(10), lambda chunk: make_loader(kind, chunk), **settings)


def trainer_of(
    folder: Path, shards: Any, make_loader: Any, *, model: nn.Module | None = None, **options: Any
) -> MiniEpochTrainer:
    model = make_model() if model is None else model
    settings: dict[str, Any] = {
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.01),
        "loss": mean_error,
        "checkpoints": folder / "checkpoints",
        "progress": "none",
        "tensorboard": False,
        **options,
    }
    return MiniEpochTrainer(model, shards, make_loader, **settings)


def batches_of(chunk: Chunk) -> list[torch.Tensor]:
    return [rows_of(int(shard)) for shard in chunk.shards]


def without_times(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in record.items() if name not in TIMES} for record in history]


def outcome(trainer: MiniEpochTrainer, result: TrainingResult) -> dict[str, Any]:
    """Everything that must be the same, bit for bit, however often training was interrupted."""
    assert result.last_checkpoint is not None
    saved = load_checkpoint(result.last_checkpoint)
    return {
        "model": trainer.model.state_dict(),
        "optimizer": trainer.optimizer.state_dict(),
        "random": saved["random"],
        "scheduler": saved["scheduler"],
        "history": without_times(result.history),
        "batches": result.batches,
        "best": (result.best_value, result.best_checkpoint and result.best_checkpoint.name),
    }


def same(first: Any, second: Any) -> bool:
    """Whether two nested values are equal, tensors bit for bit."""
    if isinstance(first, torch.Tensor):
        return isinstance(second, torch.Tensor) and torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    return bool(first == second)
