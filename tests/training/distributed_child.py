"""One rank of trainings over gloo, in turn: ``python distributed_child.py RANK WORLD_SIZE PORT JSON``."""

import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

import torch
from torch import distributed, nn
from torch.utils.data import DataLoader, DistributedSampler

from tests.training.course import WIDTH, make_trainer, mean_error, outcome
from tombola import ArraySource, Loader, Streaming


class Broken(Exception):
    pass


def validation(kind: str, n: int) -> Any:
    """Return what shares n rows among the ranks."""
    rows = torch.ones(n, WIDTH)
    if kind == "loader":
        return Loader(ArraySource(rows), Streaming(), 10)
    sampler: Any = DistributedSampler(rows, shuffle=False, drop_last=kind == "dropping")  # type: ignore[arg-type]
    return DataLoader(rows, 10, sampler=sampler)  # type: ignore[arg-type]


def train(rank: int, folder: Path, settings: dict[str, Any]) -> None:
    """Train and keep what came of it as ``outcomeRANK``; of a training that breaks, its error's text."""
    kind = settings.pop("kind")
    fail_at, signal_at = settings.pop("fail_at", None), settings.pop("signal_at", None)
    bad_rank, bad_shard = settings.pop("bad_rank", None), settings.pop("bad_shard", None)
    nan_at, fault_rank = settings.pop("nan_at", None), settings.pop("fault_rank", None)
    if "validate_by" in settings:
        settings["validation"] = validation(*settings.pop("validate_by"))
    fails_to_validate = settings.pop("fails_to_validate", None)
    seen: list[list[float]] = []
    said: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("tombola.training").addHandler(handler)

    def loss(model: nn.Module, batch: Any) -> torch.Tensor:
        if not model.training and rank == fails_to_validate:
            raise Broken("a row that cannot be read")
        if model.training:
            if len(seen) == fail_at:
                raise Broken("a loss that fails")
            if len(seen) == signal_at and rank == 1:
                os.kill(os.getpid(), 15)
            x = batch["X"] if isinstance(batch, dict) else batch[0]
            seen.append(x[:, 0].tolist())
            if len(seen) == nan_at and rank == 1:
                return mean_error(model, batch) * float("nan")
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
    make = trainer._make_loader

    def make_loader(chunk: Any) -> Any:
        if rank == fault_rank:
            raise NameError("name 'undefined' is not defined")
        if rank == 1 and bad_shard in chunk.shards:
            raise ValueError("cut off")
        return make(chunk)

    trainer._make_loader = make_loader
    try:
        result = trainer.fit()
    except Exception as error:
        torch.save({"error": f"{type(error).__name__}: {error}"}, folder / f"outcome{rank}")
        return
    finally:
        logging.getLogger("tombola.training").removeHandler(handler)
    came = {"seen": seen, "said": said, "exit_code": result.exit_code, "skipped": result.skipped}
    torch.save({**outcome(trainer, result), **came}, folder / f"outcome{rank}")


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
