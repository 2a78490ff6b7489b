"""Train the network over shards with `tombola.training.MiniEpochTrainer`; the dataset only gives samples.

The dataset has no random access, so a training that goes on inside a chunk replays the chunk from its start,
with the random numbers of then, and skips what was consumed.
"""

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torchmetrics.aggregation import MeanMetric

from tombola.training import Chunk, MiniEpochTrainer, TrainingResult

from .boards import MISSING
from .dataset import BoardDataset, collate
from .network import BoardNetwork, board_losses

__all__ = ["Settings", "train"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to train.

    Parameters
    ----------
    chunk_size : int
        Shards of a mini epoch.
    epochs, batch_size, channels : int
    learning_rate : float
    n_validation : int
        Shards, the last ones, that validate.
    checkpoint_every : int
        Batches between checkpoints within a mini epoch.
    seed : int
    """

    chunk_size: int = 20
    epochs: int = 2
    batch_size: int = 128
    channels: int = 16
    learning_rate: float = 3e-3
    n_validation: int = 20
    checkpoint_every: int = 10
    seed: int = 0


def train(
    paths: Sequence[Path],
    settings: Settings,
    output: Path,
    *,
    die_after: int | None = None,
    progress: bool = True,
) -> tuple[BoardNetwork, TrainingResult]:
    """Train, or go on where checkpoints in `output` end.

    Parameters
    ----------
    paths : sequence of Path
    settings : Settings
    output : Path
        Folder of the checkpoints and the history.
    die_after : int, optional
        Kill this process by SIGKILL after so many batches, as a crash would.
    progress : bool
        Whether to show it.
    """
    torch.manual_seed(settings.seed)
    model = BoardNetwork(settings.channels)
    training, validation = paths[: -settings.n_validation], paths[-settings.n_validation :]

    def make_loader(chunk: Chunk) -> DataLoader[Any]:
        dataset = BoardDataset(chunk.shards, augment=True)
        return DataLoader(dataset, batch_size=settings.batch_size, collate_fn=collate)

    steps = 0

    def step(network: torch.nn.Module, batch: Mapping[str, Tensor]) -> Mapping[str, Any]:
        nonlocal steps
        if network.training:
            steps += 1
            if die_after is not None and steps > die_after:
                os.kill(os.getpid(), signal.SIGKILL)
        return board_losses(network, batch)

    trainer = MiniEpochTrainer(
        model,
        training,
        make_loader,
        optimizer=torch.optim.Adam(model.parameters(), lr=settings.learning_rate),
        step=step,
        chunk_size=settings.chunk_size,
        num_epochs=settings.epochs,
        seed=settings.seed,
        validation=DataLoader(
            BoardDataset(validation, augment=False), batch_size=settings.batch_size, collate_fn=collate
        ),
        metrics={"policy_accuracy": MeanMetric()},
        update_metrics=_count_right,
        checkpoints=output,
        checkpoint_every=settings.checkpoint_every,
        resume="latest",
        tensorboard=False,
        progress="auto" if progress else "none",
    )
    return model, trainer.fit()


def _count_right(metrics: Mapping[str, Any], batch: Mapping[str, Tensor], output: Mapping[str, Any]) -> None:
    there = batch["policy"] != MISSING
    right = output["logits"][there].argmax(dim=1) == batch["policy"][there]
    metrics["policy_accuracy"].update(right.float())


def mini_epoch_records(result: TrainingResult) -> Iterator[dict[str, Any]]:
    """Give the history's records of mini epochs."""
    return (record for record in result.history if record["kind"] == "mini_epoch")
