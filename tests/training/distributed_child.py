"""One rank of a training over gloo: ``python distributed_child.py RANK WORLD_SIZE PORT FOLDER JSON``."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
from torch import distributed, nn

from tests.training.course import make_trainer, mean_error, outcome


def main(rank: int, world_size: int, port: str, folder: Path, settings: dict[str, Any]) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=port, RANK=str(rank), WORLD_SIZE=str(world_size))
    torch.set_num_threads(1)
    kind = settings.pop("kind")
    fail_at, signal_at = settings.pop("fail_at", None), settings.pop("signal_at", None)
    seen: list[list[float]] = []

    def loss(model: nn.Module, batch: Any) -> torch.Tensor:
        if model.training:
            if len(seen) == fail_at:
                os._exit(3)
            if len(seen) == signal_at and rank == 1:
                os.kill(os.getpid(), 15)
            x = batch["X"] if isinstance(batch, dict) else batch[0]
            seen.append(x[:, 0].tolist())
        return mean_error(model, batch)

    if world_size > 1:
        distributed.init_process_group("gloo")
    trainer = make_trainer(folder, kind, loss=loss, **settings)
    result = trainer.fit()
    found = {**outcome(trainer, result), "seen": seen, "exit_code": result.exit_code}
    if world_size > 1:
        distributed.barrier()
        distributed.destroy_process_group()
    torch.save(found, folder / f"outcome{rank}")


if __name__ == "__main__":
    _, rank, world_size, port, folder, text = sys.argv
    main(int(rank), int(world_size), port, Path(folder), json.loads(text))
