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
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
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
    by_memory = (tmp_path / "auto", {**settings, "chunk_size": "auto", "num_epochs": 1})
    jobs = [whole, (broken[0], {**settings, "fail_at": 8}), broken, by_memory]
    undisturbed, _, found, auto = run_on_two(*jobs)
    assert same(undisturbed[0]["model"], undisturbed[1]["model"])
    assert len(undisturbed[0]["seen"]) == len(undisturbed[1]["seen"]) == undisturbed[0]["batches"]
    assert not same(undisturbed[0]["seen"], undisturbed[1]["seen"])
    assert len(found[0]["seen"]) < undisturbed[0]["batches"] - 5
    for rank in range(2):
        assert all(same(found[rank][name], undisturbed[rank][name]) for name in EXACT)
    assert auto[0]["batches"] == auto[1]["batches"] == len(auto[1]["seen"])
    if kind == "loader":
        assert rows_seen(auto) == all_rows()


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


def test_going_on_within_an_accumulation_is_exact(tmp_path: Path) -> None:
    """With as many ranks bit for bit; with one, each row is still delivered once, into the same gradients."""
    settings: dict[str, Any] = {
        "kind": "loader",
        "checkpoint_every": 1,
        "accumulate": 3,
        "clip_grad_norm": 0.1,
    }
    whole, broken = (tmp_path / "whole", settings), (tmp_path / "broken", settings)
    undisturbed, _, found = run_on_two(whole, (broken[0], {**settings, "fail_at": 8}), broken)
    assert same(undisturbed[0]["model"], undisturbed[1]["model"])
    assert len(found[0]["seen"]) < undisturbed[0]["batches"] - 5
    for rank in range(2):
        assert all(same(found[rank][name], undisturbed[rank][name]) for name in EXACT)
    single = {**settings, "chunk_size": 10, "num_epochs": 1}
    (two,) = run_on_two((tmp_path / "fewer", {**single, "max_batches": 4}))
    one = run_on_one(tmp_path / "fewer", **single)
    assert rows_seen([*two, *one]) == all_rows()


def test_a_bad_loss_shard_or_code_of_one_rank_is_that_of_all(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"kind": "loader", "on_bad_shard": "skip"}
    jobs = [(tmp_path / "nan", {**settings, "nan_at": 3}), (tmp_path / "bad", {**settings, "bad_shard": 7})]
    jobs += [(tmp_path / "code", {**settings, "fault_rank": 1})]
    jobs += [(tmp_path / "validation", {**settings, "fails_to_validate": 1})]
    not_finite, bad, code, validation = run_on_two(*jobs)
    assert [of_rank["error"] for of_rank in validation] == [
        "TrainingError: validation failed on rank 1: Broken: a row that cannot be read",
        "Broken: a row that cannot be read",
    ]
    for of_rank in not_finite:
        assert of_rank["error"].startswith(
            "NonFiniteLossError: the training loss must stay finite, but is nan"
        )
        assert ", batch 2 of the chunk, from 0: rows " in of_rank["error"]
    assert not list((tmp_path / "nan").glob("*.pt"))
    for of_rank in bad:
        assert {entry["shard"] for entry in of_rank["skipped"]} == {"7"}
    assert same(bad[0]["model"], bad[1]["model"])
    assert code[1]["error"] == "NameError: name 'undefined' is not defined"
    assert code[0]["error"].startswith("TrainingError: the loader of another rank failed in epoch 0, chunk")
    assert code[0]["error"].endswith("NameError: name 'undefined' is not defined")


def test_nothing_is_left_out_of_validation_in_silence(tmp_path: Path) -> None:
    cases = [("loader", 2_010), ("loader", 2_000), ("dropping", 11), ("padding", 11)]
    settings: dict[str, Any] = {"kind": "loader", "num_epochs": 1}
    jobs = [(tmp_path / f"{kind}{n}", {**settings, "validate_by": (kind, n)}) for kind, n in cases]
    said = [
        [[line for line in of_rank["said"] if "valid" in line] for of_rank in job]
        for job in run_on_two(*jobs)
    ]
    cure = 'which 2 ranks cannot share evenly: give it even="none" or even="pad" (a DistributedSampler '
    assert [[len(lines) for lines in job] for job in said] == [[1, 0], [0, 0], [1, 0], [0, 0]]
    assert said[0][0][0].startswith(f"validation leaves out 1 of its 201 batches, {cure}")
    assert said[2][0][0].startswith(f"validation leaves out 1 of its 11 rows, {cure}")


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
