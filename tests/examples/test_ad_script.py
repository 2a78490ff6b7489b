"""The compressed-history example in its quick form, and bad input in one line."""

import math
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
import train_compressed_ad

from compressed_ad.comparison import Comparison
from compressed_ad.histories import HistoryDataset
from tests.examples.ad_config import FILES, committed
from tests.examples.running import EXAMPLES, PNG, read_json, run_script


def test_the_quick_form_measures_both_ways(tmp_path: Path) -> None:
    text = run_script("train_compressed_ad.py", *FILES, "--quick", "-o", tmp_path)
    results = read_json(tmp_path / "comparison.json")
    config = committed().quick()
    assert results["config"] == config.model_dump()
    dataset = HistoryDataset(Path(results["data"]), "train", config)
    depths = dataset.samples["compression_depth"].astype(int)
    real = int(dataset.stage_lengths().sum()) + config.memory_tokens * int(depths.sum())
    (one,), (mixed,) = (results["ways"][way]["runs"] for way in ("bucketed", "mixed"))
    for run in (one, mixed):
        assert run["tokens"]["real"] == config.epochs * real
        assert run["decoder_tokens"] == config.epochs * len(dataset) * (
            config.context_length + config.memory_tokens
        )
        assert run["same_loss"] < 1e-5
        assert run["steps"] == list(range(0, sum(run["epoch_steps"]) + 1, config.evaluate_every))
        assert all(math.isfinite(loss) for loss in run["train_loss"])
        assert len(run["train_loss"]) == sum(run["epoch_steps"])
        assert run["validation_loss"][-1] < run["validation_loss"][0]
        assert 0 < run["kept_mean"] <= run["kept_most"]
        assert run["memory_growth"] <= run["peak_memory"]
    assert one["validation_loss"][0] == mixed["validation_loss"][0]
    counts = np.bincount(depths)
    assert one["epoch_steps"] == [sum(-(-count // config.train_batch_size) for count in counts)] * 2
    assert mixed["epoch_steps"] == [math.ceil(len(dataset) / config.train_batch_size)] * 2
    assert one["tokens"]["dummies"] == 0 < mixed["tokens"]["dummies"]
    share = mixed["tokens"]["dummies"] / sum(mixed["tokens"].values())
    assert results["ways"]["mixed"]["dummy_share"] == [share]
    assert f"{share:.1%}" in text
    assert results["ways"]["mixed"]["steps_to_target"]
    assert (tmp_path / "comparison.png").read_bytes().startswith(PNG)
    logged = (tmp_path / "train-bucketed-0.log").read_text(encoding="utf-8")
    found = re.findall(r"Batch compression depth: (\d+); stage 0: (.*)", logged)
    assert len(found) == sum(one["epoch_steps"])
    assert np.bincount([int(depth) for depth, _ in found]).tolist() == [
        config.epochs * -(-count // config.train_batch_size) for count in counts
    ]
    for depth, shapes in found:
        assert ("cells (" in shapes and "mask (" in shapes) if int(depth) else shapes == "none"
    with h5py.File(results["data"]) as file:
        assert set(file["samples/train"].dtype.names) == {"task", "end", "compression_depth"}


def test_the_target_is_what_both_reach() -> None:
    class Record:
        def __init__(self, *losses: float) -> None:
            self.validation_loss = losses
            self.steps = tuple(range(0, 10 * len(losses), 10))
            self.seconds = tuple(step / 4 for step in self.steps)

    records = {"bucketed": (Record(2.0, 1.2, 1.0),), "mixed": (Record(2.0, 1.5, 1.05, 0.9),)}
    comparison = Comparison(records, None)  # type: ignore[arg-type]
    assert comparison.target(0) == pytest.approx(1.1)
    assert comparison.to_target("bucketed", "steps") == [20.0]
    assert comparison.to_target("mixed", "seconds") == [5.0]
    given = Comparison(records, 0.95)  # type: ignore[arg-type]
    assert given.to_target("bucketed", "steps") == []
    assert given.to_target("mixed", "steps") == [30.0]


def leave(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as left:
        train_compressed_ad.main(arguments)
    assert left.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    return line


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("train_batch_size: 64", "train_batch_size: 0", "train_batch_size: input should be greater than or"),
        (
            "train_batch_size: 64",
            "train_batch_size: many",
            "train_batch_size: input should be a valid integer",
        ),
        (
            "train_batch_size: 64",
            "batch_size_train: 64",
            "unknown key 'batch_size_train'; 'train_batch_size'",
        ),
        (
            "train_batch_size: 64",
            "gamma: 0.9",
            "the key 'gamma' is in config/algorithm/ppo_base.yaml already",
        ),
        ("train_batch_size: 64", "", "the key 'train_batch_size' is missing"),
        ("n_heads: 4", "n_heads: 5", "embedding_dim must be a multiple of n_heads, 5, but is 48"),
        ("context_length: 80", "context_length: 600", "histories must be longer than context_length"),
        ("model: ad_compressed", "- 1", "no valid YAML"),
        ("model: ad_compressed", "model: gpt", "model: input should be 'ad_compressed', but it is 'gpt'"),
    ],
)
def test_a_bad_configuration(
    old: str, new: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (EXAMPLES / FILES[2]).read_text(encoding="utf-8")
    assert old in text
    bad = tmp_path / "model.yaml"
    bad.write_text(text.replace(old, new), encoding="utf-8")
    line = leave([*map(str, FILES[:2]), str(bad), "-o", str(tmp_path)], capsys)
    assert line.startswith("error: ")
    assert message in line
    assert "model.yaml" in line or "multiple" in line or "longer" in line


def test_files_that_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert leave(["config/none.yaml"], capsys) == "error: config/none.yaml: No such file or directory"
    empty = tmp_path / "empty.yaml"
    empty.write_text("", encoding="utf-8")
    line = leave([str(empty)], capsys)
    assert line == f"error: {empty}: expected keys with values, but found nothing"
    assert leave([], capsys).startswith("error: the following arguments are required: config")
