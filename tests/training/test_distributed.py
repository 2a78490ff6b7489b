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
from tests.training.distributed_child import train

ROOT = Path(__file__).resolve().parents[2]
EXACT = ("model", "optimizer", "random", "history", "batches")

Job = tuple[Path, dict[str, Any]]
Found = list[dict[str, Any]]


def run_on_two(*jobs: Job) -> list[Found]:
    """Train each job with two ranks, one job after another, and return what came of each rank."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.training.distributed_child"]
    text = json.dumps([(str(folder), {"resume": "latest", **settings}) for folder, settings in jobs])
    ranks = [
        subprocess.Popen([*command, str(rank), "2", port, text], cwd=ROOT, env=environment)
        for rank in range(2)
    ]
    assert [rank.wait(timeout=120) for rank in ranks] == [0, 0]
    return [outcomes(folder, 2) for folder, _ in jobs]


def run_on_one(folder: Path, **settings: Any) -> Found:
    train(0, folder, {"resume": "latest", **settings})
    return outcomes(folder, 1)


def outcomes(folder: Path, world_size: int) -> Found:
    return [torch.load(folder / f"outcome{rank}", weights_only=True) for rank in range(world_size)]


def rows_seen(found: Found) -> Counter[float]:
    return Counter(value for of_rank in found for batch in of_rank["seen"] for value in batch)


def all_rows() -> Counter[float]:
    return Counter(value for shard in range(10) for value in rows_of(shard)[:, 0].tolist())


@pytest.mark.parametrize(("kind", "distribute"), [("loader", "rows"), ("stream", "shards")])
def test_going_on_with_as_many_ranks_is_exact(tmp_path: Path, kind: str, distribute: str) -> None:
    settings: dict[str, Any] = {"kind": kind, "distribute": distribute, "checkpoint_every": 3}
    whole, broken = (tmp_path / "whole", settings), (tmp_path / "broken", settings)
    jobs = [whole, (broken[0], {**settings, "fail_at": 8}), broken]
    undisturbed, _, found = run_on_two(*jobs)
    assert same(undisturbed[0]["model"], undisturbed[1]["model"])
    assert len(undisturbed[0]["seen"]) == len(undisturbed[1]["seen"]) == undisturbed[0]["batches"]
    assert not same(undisturbed[0]["seen"], undisturbed[1]["seen"])
    assert len(found[0]["seen"]) < undisturbed[0]["batches"] - 5
    for rank in range(2):
        assert all(same(found[rank][name], undisturbed[rank][name]) for name in EXACT)


def test_a_signal_or_an_error_of_one_rank_is_that_of_all(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"kind": "loader"}
    jobs = [(tmp_path / "whole", settings), (tmp_path / "bad", {**settings, "bad_rank": 1})]
    jobs += [(tmp_path / "stopped", {**settings, "signal_at": 3})]
    jobs += [(tmp_path / "fewer", {**settings, "config": "fewer"})]
    whole, failed, stopped, fewer = run_on_two(*jobs)
    for of_rank in fewer:
        assert of_rank["error"] == "ShardError: rank 1 does not list the shard 9, but the first rank does"
    for of_rank in failed:
        assert of_rank["error"].startswith("ShardError: the loader failed in epoch 0, chunk from shard 0 on")
        assert "the disk is on fire" in of_rank["error"]
    assert [of_rank["exit_code"] for of_rank in stopped] == [75, 75]
    assert stopped[0]["batches"] == stopped[1]["batches"] < whole[0]["batches"]
    (found,) = run_on_two((tmp_path / "stopped", settings))
    assert all(same(found[0][name], whole[0][name]) for name in EXACT)


def test_going_on_with_one_rank_delivers_each_row_once(tmp_path: Path) -> None:
    """In one epoch, half of it by two ranks; `even="drop"` leaves nothing out here, as one rank ends it."""
    settings: dict[str, Any] = {"kind": "loader", "chunk_size": 10, "num_epochs": 1}
    (two,) = run_on_two((tmp_path, {**settings, "max_batches": 4}))
    one = run_on_one(tmp_path, **settings)
    assert [len(of_rank["seen"]) for of_rank in (*two, *one)] == [4, 4, 11]
    assert rows_seen([*two, *one]) == all_rows()


def test_whole_shards_go_on_with_another_number_of_ranks(tmp_path: Path) -> None:
    """With fewer at the last whole chunk; with more, chunks of fewer shards than ranks are joined."""
    settings: dict[str, Any] = {"kind": "stream", "distribute": "shards", "num_epochs": 1, "keep_last": 9}
    fewer, more = tmp_path / "fewer", tmp_path / "more"
    single = {**settings, "chunk_size": 1}
    run_on_one(more, **single, max_batches=12)
    two, joined = run_on_two((fewer, {**settings, "max_batches": 12, "checkpoint_every": 3}), (more, single))
    one = run_on_one(fewer, **settings)[0]
    assert two[0]["batches"] == 12
    assert [record["chunk"] for record in one["history"]] == [0, 1, 2]
    assert list(fewer.glob("*_batch*.pt.unused"))
    chunks = [(record["chunk"], record["n_chunks"]) for record in joined[0]["history"]]
    assert chunks[0] == (0, 10)
    assert [chunk for chunk, _ in chunks] == list(range(len(chunks)))
    assert all(len(of_rank["seen"]) for of_rank in joined)
