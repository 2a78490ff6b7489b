"""Two ranks over gloo: equal steps, rows or whole shards, signals, going on with two ranks and with one."""

import json
import os
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.course import rows_of, same

ROOT = Path(__file__).resolve().parents[2]
EXACT = ("model", "optimizer", "random", "history", "batches")


def run(folder: Path, world_size: int, *, codes: int = 0, **settings: Any) -> list[dict[str, Any]]:
    """Train with so many ranks and return what came of each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.training.distributed_child"]
    text = json.dumps({"resume": "latest", **settings})
    ranks = [
        subprocess.Popen(
            [*command, str(rank), str(world_size), port, str(folder), text], cwd=ROOT, env=environment
        )
        for rank in range(world_size)
    ]
    assert [rank.wait(timeout=120) for rank in ranks] == [codes] * world_size
    if codes:
        return []
    return [torch.load(folder / f"outcome{rank}", weights_only=True) for rank in range(world_size)]


def rows_seen(found: list[dict[str, Any]]) -> Counter[float]:
    return Counter(value for of_rank in found for batch in of_rank["seen"] for value in batch)


def all_rows() -> Counter[float]:
    return Counter(value for shard in range(10) for value in rows_of(shard)[:, 0].tolist())


@pytest.mark.parametrize(("kind", "distribute"), [("loader", "rows"), ("stream", "shards")])
def test_going_on_with_as_many_ranks_is_exact(tmp_path: Path, kind: str, distribute: str) -> None:
    settings: dict[str, Any] = {"kind": kind, "distribute": distribute, "checkpoint_every": 3}
    whole = run(tmp_path / "whole", 2, **settings)
    assert same(whole[0]["model"], whole[1]["model"])
    assert len(whole[0]["seen"]) == len(whole[1]["seen"]) == whole[0]["batches"]
    assert not same(whole[0]["seen"], whole[1]["seen"])
    run(tmp_path / "broken", 2, codes=3, fail_at=8, **settings)
    found = run(tmp_path / "broken", 2, **settings)
    for rank in range(2):
        assert all(same(found[rank][name], whole[rank][name]) for name in EXACT)


def test_going_on_with_one_rank_delivers_each_row_once(tmp_path: Path) -> None:
    """In one epoch, half of it by two ranks; `even="drop"` leaves nothing out here, as one rank ends it."""
    settings: dict[str, Any] = {"kind": "loader", "chunk_size": 10, "num_epochs": 1}
    two = run(tmp_path, 2, max_batches=4, **settings)
    one = run(tmp_path, 1, **settings)
    assert [len(of_rank["seen"]) for of_rank in (*two, *one)] == [4, 4, 11]
    assert rows_seen([*two, *one]) == all_rows()


def test_whole_shards_go_on_with_one_rank_at_a_chunk(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"kind": "stream", "distribute": "shards", "num_epochs": 1, "keep_last": 9}
    two = run(tmp_path, 2, max_batches=12, checkpoint_every=3, **settings)
    one = run(tmp_path, 1, **settings)[0]
    assert two[0]["batches"] == 12
    assert [record["chunk"] for record in one["history"]] == [0, 1, 2]
    assert list(tmp_path.glob("*_batch*.pt.unused"))


def test_a_signal_to_one_rank_stops_all_and_going_on_is_exact(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", 2, kind="loader")
    stopped = run(tmp_path / "stopped", 2, kind="loader", signal_at=3)
    assert [found["exit_code"] for found in stopped] == [75, 75]
    assert stopped[0]["batches"] == stopped[1]["batches"] < whole[0]["batches"]
    found = run(tmp_path / "stopped", 2, kind="loader")
    assert all(same(found[0][name], whole[0][name]) for name in EXACT)
