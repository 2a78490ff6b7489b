"""One rank of trainings over gloo, in turn: ``python distributed_child.py RANK WORLD_SIZE PORT JSON``."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
from torch import distributed, nn

from tests.training.course import make_trainer, mean_error, outcome


class Broken(Exception):
    pass


def train(rank: int, folder: Path, settings: dict[str, Any]) -> None:
    """Train and keep what came of it as ``outcomeRANK``; of a training that breaks, its error's text."""
    kind = settings.pop("kind")
    fail_at, signal_at = settings.pop("fail_at", None), settings.pop("signal_at", None)
    bad_rank = settings.pop("bad_rank", None)
    seen: list[list[float]] = []

    def loss(model: nn.Module, batch: Any) -> torch.Tensor:
        if model.training:
            if len(seen) == fail_at:
                raise Broken("a loss that fails")
            if len(seen) == signal_at and rank == 1:
                os.kill(os.getpid(), 15)
            x = batch["X"] if isinstance(batch, dict) else batch[0]
            seen.append(x[:, 0].tolist())
        return mean_error(model, batch)

    trainer = make_trainer(folder, kind, loss=loss, **settings)
    if settings.get("config") == "fewer" and rank == 1:
        trainer._shards = range(9)
    if rank == bad_rank:
        make_batches = trainer._make_loader

        def fail(chunk: Any) -> Any:
            iterator = iter(make_batches(chunk))
            yield next(iterator)
            raise OSError("the disk is on fire")

        trainer._make_loader = fail
    try:
        result = trainer.fit()
    except Exception as error:
        torch.save({"error": f"{type(error).__name__}: {error}"}, folder / f"outcome{rank}")
        return
    torch.save(
        {**outcome(trainer, result), "seen": seen, "exit_code": result.exit_code}, folder / f"outcome{rank}"
    )


def main(rank: int, world_size: int, port: str, jobs: list[tuple[str, dict[str, Any]]]) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=port, RANK=str(rank), WORLD_SIZE=str(world_size))
    torch.set_num_threads(1)
    distributed.init_process_group("gloo")
    for folder, settings in jobs:
        train(rank, Path(folder), settings)
        distributed.barrier()
    distributed.destroy_process_group()


if __name__ == "__main__":
    _, rank, world_size, port, text = sys.argv
    main(int(rank), int(world_size), port, json.loads(text))
