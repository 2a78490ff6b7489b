"""The ranker's two scripts in a quick form: what they print, write and log, and bad input in one line."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import run_hyperparameter_search
import train_multifeature_ranker

from tests.examples.running import EXAMPLES, PNG, read_json, run_script

QUICK = ("--use_series_sampler", "--quick_experiment", 0.05, "--max_epochs", 2, "--mlp_hidden_dims", 16, 8)


def batches_of(log: Path) -> list[str]:
    return re.findall(r"epoch \d+, batch \d+: .*", log.read_text(encoding="utf-8"))


@pytest.fixture(name="trained", scope="module")
def fixture_trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    output = tmp_path_factory.mktemp("ranker")
    return output, run_script("train_multifeature_ranker.py", *QUICK, "-o", output)


def test_a_run_writes_what_it_prints(trained: tuple[Path, str]) -> None:
    output, text = trained
    results = read_json(output / "results.json")
    assert [epoch["epoch"] for epoch in results["epochs"]] == [0, 1]
    assert results["options"]["mlp_hidden_dims"] == [16, 8]
    assert f"{results['test_accuracy']:.1%}" in text
    best = results["epochs"][results["best_epoch"]]
    assert results["gap_at_best"] == best["train_accuracy"] - best["validation_accuracy"]
    assert best["validation_accuracy"] == max(epoch["validation_accuracy"] for epoch in results["epochs"])
    assert (output / "training.png").read_bytes().startswith(PNG)
    assert results["split"] in text


def test_the_log_tells_of_every_batch(trained: tuple[Path, str]) -> None:
    output, _ = trained
    results = read_json(output / "results.json")
    lines = batches_of(output / "train.log")
    assert len(lines) == sum(epoch["batches"] for epoch in results["epochs"])
    counted = [re.fullmatch(r".*: (\d+)/(\d+) unique series", line) for line in lines]
    assert all(found and found[1] == found[2] for found in counted)
    overlap = re.findall(r"epoch 1: batch 0 shares (\d+)/\d+ series", (output / "train.log").read_text())
    assert overlap == [str(results["epochs"][1]["first_batch_overlap"])]
    assert results["epochs"][0]["first_batch_overlap"] is None


def test_workers_change_nothing(trained: tuple[Path, str], tmp_path: Path) -> None:
    output, text = trained
    again = run_script("train_multifeature_ranker.py", *QUICK, "--num_workers", 1, "-o", tmp_path)
    assert batches_of(tmp_path / "train.log") == batches_of(output / "train.log")
    assert again.partition("wrote")[0] == text.partition("wrote")[0]


def test_the_ablation_compares_pairs_of_runs(tmp_path: Path) -> None:
    command = ("train_multifeature_ranker.py", *QUICK, "--ablation", "--repeats", 2, "-o", tmp_path)
    text = run_script(*command)
    results = read_json(tmp_path / "ablation.json")
    runs = [results["with_sampler"], results["without_sampler"]]
    for use, of_way in zip((True, False), runs, strict=True):
        assert [run["options"]["use_series_sampler"] for run in of_way] == [use, use]
        assert [run["options"]["seed"] for run in of_way] == [0, 1]
        for run in of_way:
            assert all((epoch["repeated_series"] == 0) == use for epoch in run["epochs"])
    gaps = results["differences"]["train-validation gap, last epoch"]
    expected = [one["gap_at_last"] - other["gap_at_last"] for one, other in zip(*runs, strict=True)]
    assert gaps["by_seed"] == expected
    assert gaps["verdict"] in text
    assert (tmp_path / "ablation.png").read_bytes().startswith(PNG)


def test_the_search_begins_with_the_usual_values(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    command = ("run_hyperparameter_search.py", "--mode", "quick", "--no-use_series_sampler")
    text = run_script(*command, "--n_trials", 3, "--max_epochs", 1, "--n_series", 500, "-o", tmp_path)
    results = read_json(tmp_path / "search.json")
    assert [trial["number"] for trial in results["trials"]] == [0, 1, 2]
    usual = {"lr": 1e-3, "hidden_dims": "256", "dropout": 0.0, "weight_decay": 1e-2, "batch_size": 64}
    assert results["trials"][0]["parameters"] == usual
    accuracies = [trial["validation_accuracy"] for trial in results["trials"]]
    assert results["best_trial"] == accuracies.index(max(accuracies))
    assert results["best_run"]["options"]["use_series_sampler"] is False
    assert f"best trial {results['best_trial']}" in text
    assert (tmp_path / "search.png").read_bytes().startswith(PNG)


def test_the_sampler_is_off_unless_asked_for(tmp_path: Path) -> None:
    text = run_script("train_multifeature_ranker.py", *QUICK[1:], "-o", tmp_path / "random")
    assert "random batches" in text
    for schedule in ("balanced", "round_robin"):
        run_script("train_multifeature_ranker.py", *QUICK, "--schedule", schedule, "-o", tmp_path / schedule)
    random, balanced, in_rounds = (
        (tmp_path / name / "train.log").read_text() for name in ("random", "balanced", "round_robin")
    )
    assert "Using random batches" in random
    assert "Using series-aware batch sampler" in balanced
    assert "unique series, batch size 64" in balanced
    assert batches_of(tmp_path / "balanced" / "train.log") != batches_of(tmp_path / "random" / "train.log")
    assert read_json(tmp_path / "round_robin" / "results.json")["options"]["schedule"] == "round_robin"
    assert in_rounds != balanced


def test_the_quick_search_tries_both_ways(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    command = ("run_hyperparameter_search.py", "--max_epochs", 1, "--n_series", 500, "-o", tmp_path)
    text = run_script(*command)
    for name, use in (("with", True), ("without", False)):
        results = read_json(tmp_path / f"search-{name}-sampler.json")
        assert len(results["trials"]) == 3
        assert results["best_run"]["options"]["use_series_sampler"] is use
        assert (tmp_path / f"search-{name}-sampler.png").read_bytes().startswith(PNG)
    assert "Trials, with the series sampler" in text
    assert "Trials, random batches" in text
    assert re.search(r"┃ +trial +┃ +remark +┃", text)


def write_pairs(path: Path, **changed: Any) -> Path:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"series_id": [f"series {i % 60}" for i in range(400)]})
    for name in ("sharpness", "light"):
        values = rng.normal(size=(2, 400))
        table[f"winner_{name}"], table[f"loser_{name}"] = values[0] + 1, values[1]
    table = table.assign(**changed)
    if path.suffix == ".csv":
        table.to_csv(path, index=False)
    else:
        table.to_parquet(path)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_pairs_of_ones_own(suffix: str, tmp_path: Path) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    pairs = write_pairs(tmp_path / f"pairs{suffix}")
    command = ("train_multifeature_ranker.py", "--use_series_sampler", "--pairs", pairs, "--max_epochs", 8)
    text = run_script(*command, "--batch_size", 16, "-o", tmp_path)
    results = read_json(tmp_path / "results.json")
    assert results["test_accuracy"] > 0.75
    assert results["shared_taste_accuracy"] is None
    assert "shared taste" not in text
    assert all(epoch["repeated_series"] == 0 for epoch in results["epochs"])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"series_id": [None, *["a"] * 399]}, "every pair must have a series_id, but row 0 has none"),
        ({"winner_light": [1.0, np.nan] * 200}, "but winner_light of row 1 is nan"),
        ({"loser_light": "x"}, "features must be finite numbers, but loser_light of row 0 is 'x'"),
        (
            {"winner_dark": 1.0},
            "must have the columns series_id, winner_F and loser_F for each feature F, but lacks",
        ),
    ],
)
def test_pairs_that_are_wrong(
    changed: dict[str, Any], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = write_pairs(tmp_path / "pairs.csv", **changed)
    with pytest.raises(SystemExit) as left:
        train_multifeature_ranker.main(["--pairs", str(pairs), "-o", str(tmp_path)])
    assert left.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--batch_size 0", "argument --batch_size: expected a whole number >= 1, but got '0'"),
        ("--mlp_hidden_dims 64 x", "argument --mlp_hidden_dims: expected a whole number >= 1, but got 'x'"),
        ("--quick_experiment 1.5", "argument --quick_experiment: expected a share in (0, 1]"),
        ("--lr nan", "argument --learning_rate/--lr: expected a finite number > 0, but got 'nan'"),
        ("--dropout 1", "argument --dropout: expected a number in [0, 1), but got '1'"),
        ("--use_sampler", "unrecognized arguments: --use_sampler; '--use_series_sampler' is meant, perhaps"),
        ("--quick_experiment 0.0001", "each of three parts must hold a series, but there are 0 series"),
        ("--lr 1e30 --quick_experiment 0.01", "the loss must stay finite"),
    ],
)
def test_bad_input_is_told_in_one_line(
    arguments: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        train_multifeature_ranker.main([*arguments.split(), "-o", str(tmp_path)])
    assert left.value.code == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"error: {message}")


def test_an_unknown_mode(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        run_hyperparameter_search.main(["--mode", "huge"])
    assert left.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "invalid choice: 'huge'" in lines[0]


def test_the_editor_runs_both_usual_ways() -> None:
    launch = json.loads((EXAMPLES.parent / ".vscode" / "launch.json").read_text(encoding="utf-8"))
    fractions = {}
    for entry in launch["configurations"]:
        program = Path(entry["program"].replace("${workspaceFolder}", str(EXAMPLES.parent)))
        assert program.is_file()
        if program != EXAMPLES / "train_multifeature_ranker.py":
            continue
        options = train_multifeature_ranker.make_parser().parse_args(entry["args"])
        assert options.use_series_sampler == entry["name"].startswith("Series-Aware")
        fractions[entry["name"]] = options.quick_experiment
    assert fractions == {
        "Series-Aware: ranker, all data": 1.0,
        "Series-Aware: ranker, 10% of the data": 0.1,
        "Random batches: ranker, 10% of the data": 0.1,
    }
