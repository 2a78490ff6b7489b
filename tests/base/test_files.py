"""Files appear whole or not at all, whatever breaks their writing off."""

import csv
import json
from pathlib import Path

import pytest

from tombola._base.files import replacing, write_csv, write_json


def test_the_file_appears_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "new" / "result.json"
    with replacing(path) as temporary:
        temporary.write_text("whole")
        assert temporary.suffix == ".json"
        assert not path.exists()
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_broken_off_writing_leaves_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "result.txt"
    path.write_text("old")
    with pytest.raises(error), replacing(path) as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_breaking_off_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="early"), replacing(tmp_path / "a.txt"):
        raise RuntimeError("early")
    assert list(tmp_path.iterdir()) == []


def test_json_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"scores": [0.5, None], "name": "weiß"})
    assert json.loads(path.read_text(encoding="utf-8")) == {"scores": [0.5, None], "name": "weiß"}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"score": float("nan")})
    assert json.loads(path.read_text(encoding="utf-8"))["scores"] == [0.5, None]


def test_csv_is_read_back(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"strategy": "a, b", "seconds": 1.5}, {"strategy": "c", "seconds": ""}]
    write_csv(tmp_path / "a.csv", rows)
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.DictReader(file)) == [
            {"strategy": "a, b", "seconds": "1.5"},
            {"strategy": "c", "seconds": ""},
        ]
