"""SIGKILL at random moments, inside checkpoint writing and inside a chunk, changes nothing.

The short form kills a few times; ``pytest -m kills`` kills 50 times and more for each way of going on.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.training.course import Kind, same, without_times
from tests.training.kills import Kills, run_to_the_end, train_killed

ENOUGH = 50
AT_ONCE = 10
"""Kills of one training, which then runs to its end: kills in quick succession leave no time to get on."""


def check(folder: Path, found: Any, expected: Any) -> None:
    assert same(found, expected)
    lines = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    assert without_times(lines) == expected["history"]
    assert not list(folder.glob("*.damaged"))
    assert not list(folder.glob(".*.partial*"))


@pytest.mark.parametrize("kind", ["loader", "stream"])
def test_a_few_kills(tmp_path: Path, kind: Kind) -> None:
    expected = run_to_the_end(tmp_path / "undisturbed", kind)
    kills = Kills()
    found = train_killed(tmp_path / "killed", kind, kills, seed=1, most=6)
    check(tmp_path / "killed", found, expected)
    assert kills.total >= 3
    assert kills.while_writing >= 1
    assert kills.within_chunk >= 1


@pytest.mark.kills
@pytest.mark.parametrize("kind", ["loader", "sampler", "stream", "workers"])
def test_fifty_kills(tmp_path: Path, kind: Kind) -> None:
    expected = run_to_the_end(tmp_path / "undisturbed", kind)
    kills = Kills()
    for seed in range(ENOUGH):
        folder = tmp_path / str(seed)
        check(folder, train_killed(folder, kind, kills, seed, most=AT_ONCE), expected)
        if kills.total >= ENOUGH:
            break
    print(f"{kind}: {kills}")
    assert kills.total >= ENOUGH
    assert kills.while_writing >= 5
    assert kills.within_chunk >= 5
