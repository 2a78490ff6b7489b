"""The example of composed batches in its quick form: what it prints and writes, and what comes out."""

from pathlib import Path

import compose_batches
import pytest
from composed.plates import SHARES, _batches, make_plates

from tests.examples.running import PNG, read_json, run_script


def test_a_quick_run(tmp_path: Path) -> None:
    text = run_script("compose_batches.py", "--quick", "-o", tmp_path)
    record = read_json(tmp_path / "composed.json")
    assert record["seeds"] == [0, 1]
    assert "the same plate" in text
    assert "16 classes x 4 rows" in text
    random, composed = record["metric"].values()
    assert all(run[1] < 12 for run in random)
    assert all(run[1] == 64 for run in composed)
    assert (tmp_path / "composed.png").read_bytes().startswith(PNG)


def test_matched_batches_are_of_one_plate() -> None:
    train, _ = make_plates(0)
    for batch in _batches(train, matched=True, seed=0):
        assert len(set(train.plate[batch["row"].numpy()])) == 1
        assert (batch["drug"] < 0).tolist() == [True] * SHARES["control"] + [False] * SHARES["treated"]


def test_bad_input_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        compose_batches.main(["--repeats", "0", "-o", str(tmp_path)])
    assert left.value.code == 2
    assert capsys.readouterr().err.startswith("error: argument --repeats: expected a whole number >= 1")
