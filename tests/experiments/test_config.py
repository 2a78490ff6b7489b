"""Options that are refused, and warnings where they do not suit the data."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tombola.experiments import ExperimentConfig, ExperimentData, open_data
from tombola.experiments.h5ad_writer import Categorical, Csr, write_h5ad
from tombola.experiments.six.config import enough_epochs, find_misfits, window_factor

SUITED = ExperimentConfig(batch_size=8, fetch_factor=2, min_count_baseline=10.0)


def data(folder: Path, values: str = "logs", shares: tuple[int, ...] = (60, 20)) -> ExperimentData:
    """Give two training files of as many rows as `shares` sums up to, of so many classes, and a test file."""
    codes = np.repeat(np.arange(len(shares)), shares)
    x = np.arange(len(codes) * 5, dtype=np.float32).reshape(-1, 5) % 13
    x = {"logs": np.log1p(x), "counts": x, "few": x % 3, "signed": x - 6}[values]
    paths = [folder / f"{name}.h5ad" for name in ("a", "b", "test")]
    for path in paths:
        write_h5ad(
            path,
            Csr.from_dense(x),
            {"drug": Categorical(codes, [f"d{c}" for c in range(len(shares))])},
            obs_names=[str(i) for i in range(len(codes))],
            var_names=list("vwxyz"),
        )
    return open_data(paths, ["drug"], holdout_files=paths[2:])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs must be an integer >= 1, but is 0"),
        ({"batch_size": 0}, "batch_size must be an integer >= 1, but is 0"),
        ({"fetch_factor": -1}, "fetch_factor must be an integer >= 1, but is -1"),
        (
            {"block_size": 0},
            "block_size must be an integer >= 1, or file for blocks that follow .*, but is 0",
        ),
        ({"seed": -1}, "seed must be an integer >= 0, but is -1"),
        ({"learning_rate": 0.0}, "learning_rate must be a finite number > 0, but is 0"),
        ({"learning_rate": float("inf")}, "learning_rate must be a finite number > 0, but is inf"),
        ({"min_count_baseline": -1.0}, "min_count_baseline must be a finite number >= 0, but is -1"),
        ({"strategies": ("best",)}, "unknown strategy 'best'"),
    ],
)
def test_options_are_checked(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SUITED, **changes)


@pytest.mark.parametrize("name", ["epochs", "batch_size", "fetch_factor", "seed"])
def test_numbers_of_rows_are_integers(name: str) -> None:
    changes: dict[str, Any] = {name: 2.0}
    with pytest.raises(TypeError, match=rf"^{name} must be an integer >= [01], but is 2\.0$"):
        dataclasses.replace(SUITED, **changes)


@pytest.mark.parametrize("given", [2.0, None, True])
def test_blocks_are_so_many_rows_or_follow_the_file(given: Any) -> None:
    with pytest.raises(TypeError, match=rf"^block_size must be an integer >= 1, or file .*, but is {given}$"):
        dataclasses.replace(SUITED, block_size=given)
    assert dataclasses.replace(SUITED, block_size="file").block_size == "file"


@pytest.mark.parametrize("name", ["learning_rate", "min_count_baseline"])
def test_texts_are_no_numbers(name: str) -> None:
    changes: dict[str, Any] = {name: "1"}
    with pytest.raises(TypeError, match=rf"^{name} must be a finite number >=? 0, but is '1'$"):
        dataclasses.replace(SUITED, **changes)


def test_the_fields_defaults_stay() -> None:
    config = ExperimentConfig()
    assert (config.batch_size, config.fetch_factor, config.min_count_baseline) == (64, 256, 1000.0)
    assert config.window == 64 * 256


def test_nothing_is_said_where_options_suit(tmp_path: Path) -> None:
    assert find_misfits(SUITED, data(tmp_path)) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fetch_factor": 11}, "8 x 11 = 88 rows holds more than half of the 160 training rows"),
        ({"fetch_factor": 11}, "streaming_shuffle and block_shuffling become a full shuffle, read at once ("),
        (
            {"fetch_factor": 11, "strategies": ("random", "block_shuffling")},
            ": block_shuffling becomes a full shuffle, read at once (",
        ),
        ({"fetch_factor": 11, "strategies": ("random",)}, "160 training rows: they are read at once ("),
        ({"fetch_factor": 11}, "(--fetch-factor 1 gives a window of 8 rows)"),
        ({"batch_size": 81}, "the batch size of 81 is more than half of the 160 training rows"),
        ({"min_count_baseline": 1000.0}, "40 to 120 rows, so the largest weight is only 1.08 times"),
        ({"min_count_baseline": 1000.0}, "class_balanced and class_balanced_rows balance little"),
        ({"min_count_baseline": 1000.0, "strategies": ("class_balanced",)}, "class_balanced balances little"),
        ({"min_count_baseline": 1000.0}, "(--min-count-baseline 80 is the median count)"),
    ],
)
def test_what_makes_no_sense_is_said(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    (said,) = find_misfits(dataclasses.replace(SUITED, **changes), data(tmp_path))
    assert message in said


def test_a_window_larger_than_a_file_is_said(tmp_path: Path) -> None:
    three = data(tmp_path)
    folder = tmp_path / "more"
    folder.mkdir()
    small = data(folder, shares=(9, 3)).source.paths[0]
    many = open_data([*three.source.paths, small], ["drug"], holdout_files=[three.source.paths[2]])
    (said,) = find_misfits(SUITED, many)
    assert "the fetch window of 8 x 2 = 16 rows is larger than the smallest file (12 training rows)" in said


def test_flat_weights_matter_to_weighted_strategies_only(tmp_path: Path) -> None:
    config = dataclasses.replace(SUITED, min_count_baseline=1000.0, strategies=("random",))
    assert find_misfits(config, data(tmp_path)) == []


def test_flat_weights_are_no_fault_where_classes_are_balanced(tmp_path: Path) -> None:
    config = dataclasses.replace(SUITED, min_count_baseline=1000.0)
    assert find_misfits(config, data(tmp_path, shares=(40, 40))) == []


@pytest.mark.parametrize(
    ("values", "is_said"), [("counts", True), ("logs", False), ("few", False), ("signed", False)]
)
def test_raw_counts_are_said(tmp_path: Path, values: str, is_said: bool) -> None:
    said = find_misfits(SUITED, data(tmp_path, values))
    assert [("X looks like raw counts (whole numbers up to 12" in text) for text in said] == [True] * is_said
    assert find_misfits(dataclasses.replace(SUITED, log1p=True), data(tmp_path, values)) == []


@pytest.mark.parametrize(
    ("n_train", "batch_size", "epochs"), [(560, 64, 23), (12_800, 64, 1), (12_736, 64, 2), (1, 64, 200)]
)
def test_enough_epochs(n_train: int, batch_size: int, epochs: int) -> None:
    assert enough_epochs(n_train, batch_size) == epochs


@pytest.mark.parametrize(("n_rows", "factor"), [(1200, 18), (64, 1), (127, 1), (128, 2), (3, 1)])
def test_windows_are_at_most_so_many_rows(n_rows: int, factor: int) -> None:
    assert window_factor(n_rows, 64) == factor
