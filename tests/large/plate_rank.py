"""One rank of a training over the files of `plates`, over gloo: ``python -m tests.large.plate_rank JSON``.

Before each step it writes which rows the batch holds, by what was read, into a log of its own: a process that
is killed has said what it was about to learn. Beside it stand the chunks, and how long opening took.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import distributed, nn

from tests.large.plates import COLUMNS, LABELS, numbers_of
from tombola import BlockShuffling, H5adSource, Loader
from tombola.training import Chunk, MiniEpochTrainer

__all__ = ["FETCH_FACTOR", "STRATEGY", "log_path"]

STRATEGY, FETCH_FACTOR = BlockShuffling(64), 16


def log_path(folder: Path, attempt: int, rank: int) -> Path:
    """Return where a rank writes rows, int32, batch after batch."""
    return folder / f"rows_{attempt}_{rank}"


def main(
    paths: list[str],
    folder: Path,
    *,
    attempt: int,
    rank: int,
    port: int,
    batch_size: int,
    chunk_size: int,
    checkpoint_every: int,
) -> int:
    """Train from the newest checkpoint on; return 0 at the end, 75 where a signal stopped it."""
    torch.set_num_threads(1)
    torch.manual_seed(16)
    address = f"tcp://127.0.0.1:{port}"
    distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=2)
    start = time.perf_counter()
    source = H5adSource(paths, obs=list(LABELS))
    opened = {"rows": len(source), "seconds": time.perf_counter() - start}
    (folder / f"opened_{attempt}_{rank}").write_text(json.dumps(opened))

    def make_loader(chunk: Chunk) -> Loader:
        order = [paths.index(str(shard)) for shard in chunk.shards]
        with (folder / f"chunks_{attempt}_{rank}").open("a") as file:
            file.write(json.dumps([chunk.seed, order]) + "\n")
        return Loader(source.files(chunk.shards), STRATEGY, batch_size, FETCH_FACTOR, seed=chunk.seed)

    with log_path(folder, attempt, rank).open("wb", buffering=0) as log:

        def loss(model: nn.Module, batch: dict[str, Any]) -> torch.Tensor:
            log.write(numbers_of(batch).tobytes())
            return nn.functional.cross_entropy(model(torch.log1p(batch["X"])), batch["cell_line"])

        model = nn.Linear(COLUMNS, LABELS["cell_line"])
        trainer = MiniEpochTrainer(
            model,
            source.paths,
            make_loader,
            optimizer=torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9),
            loss=loss,
            chunk_size=chunk_size,
            checkpoints=folder / "checkpoints",
            checkpoint_every=checkpoint_every,
            monitor="train_loss",
            resume="latest",
            progress="none",
            tensorboard=False,
        )
        result = trainer.fit()
    distributed.destroy_process_group()
    return result.exit_code


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    sys.exit(main(given.pop("paths"), Path(given.pop("folder")), **given))
