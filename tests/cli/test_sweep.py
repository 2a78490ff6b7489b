"""`tombola sweep`: one call, a kill in between, pruning, what it writes, bad input in one line."""

import csv
import errno
import signal
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from typer.testing import CliRunner

from tests.base.locks import held_elsewhere
from tests.cli.children import signal_at_work
from tests.cli.training_files import make_files, train_yaml, write_yaml
from tombola.cli.app import app
from tombola.experiments.sweep import read_sweep_config, run_sweep
from tombola.training import TrainingError

PNG = b"\x89PNG\r\n"
SEARCH: dict[str, Any] = {
    "learning_rate": {"low": 0.03, "high": 10.0, "log": True},
    "batch_size": [16, 32],
    "strategy": ["streaming", "block_shuffling"],
    "block_size": {"low": 1, "high": 32},
    "fetch_factor": [2, 8],
    "chunk_size": [1, 2],
    "total_data": 0.5,
}


@pytest.fixture(name="config", scope="module")
def fixture_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sweep")
    train_yaml(folder, make_files(folder), monitor="validation_macro_f1_drug", epochs=3)
    return write_yaml(folder / "sweep.yaml", train="train.yaml", search=SEARCH, trials=8)


@pytest.fixture(name="whole", scope="module")
def fixture_whole(config: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    output = tmp_path_factory.mktemp("whole")
    result = CliRunner().invoke(app, ["sweep", "-c", str(config), "-o", str(output)])
    assert result.exit_code == 0, result.output
    return output, result.stdout


def trials_of(output: Path) -> list[dict[str, str]]:
    with (output / "trials.csv").open(newline="", encoding="utf-8") as file:
        return [
            {key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)
        ]


def test_a_sweep_writes_what_it_prints(whole: tuple[Path, str], tmp_path: Path) -> None:
    output, text = whole
    trials = trials_of(output)
    assert [trial["trial"] for trial in trials] == [str(i) for i in range(8)]
    complete = [trial for trial in trials if trial["state"] == "complete"]
    best = max(complete, key=lambda trial: float(trial["validation_macro_f1_drug"]))
    assert f"{float(best['validation_macro_f1_drug']):.4f}" in text
    assert {trial["total_data"] for trial in trials} == {"0.5"}
    assert (output / "sweep.png").read_bytes().startswith(PNG)
    values = yaml.safe_load((output / "best.yaml").read_text())
    for key in ("learning_rate", "batch_size", "block_size", "strategy"):
        assert str(values[key]) == best[key]
    result = CliRunner().invoke(app, ["train", "-c", str(output / "best.yaml"), "-o", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert f"best validation_macro_f1_drug {float(best['validation_macro_f1_drug']):.4f}" in result.stdout


def test_bad_trials_end_at_a_mini_epoch(whole: tuple[Path, str]) -> None:
    trials = trials_of(whole[0])
    pruned = [trial for trial in trials if trial["state"] == "pruned"]
    assert pruned
    for trial in pruned:
        planned = 3 * (5 if trial["chunk_size"] == "1" else 3)
        assert 0 < int(trial["mini_epochs"]) < planned
        history = whole[0] / "trials" / f"trial_{int(trial['trial']):03d}" / "checkpoints" / "history.jsonl"
        assert len(history.read_text().splitlines()) == int(trial["mini_epochs"])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_sweep_goes_on_to_the_same_trials(
    number: signal.Signals, config: Path, whole: tuple[Path, str], tmp_path: Path
) -> None:
    arguments = ["sweep", "-c", str(config), "-o", str(tmp_path)]
    pattern = "trials/trial_002/checkpoints/*.pt"
    code = signal_at_work(arguments, number, folder=tmp_path, pattern=pattern)
    assert code == (75 if number == signal.SIGTERM else -signal.SIGKILL)
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "1 trial(s) of a process that was killed were tried again" in result.stderr
    assert trials_of(tmp_path) == trials_of(whole[0])
    study = optuna.load_study(study_name="tombola", storage=f"sqlite:///{tmp_path / 'study.db'}")
    states = [trial.state.name for trial in study.trials]
    assert states.count("FAIL") == 1
    assert len(states) == 9


def test_more_trials_later_and_another_plan_refused(
    config: Path, whole: tuple[Path, str], tmp_path: Path
) -> None:
    options = ["sweep", "-c", str(config), "-o", str(tmp_path)]
    assert CliRunner().invoke(app, [*options, "--trials", "1"]).exit_code == 0
    assert CliRunner().invoke(app, [*options, "--trials", "2"]).exit_code == 0
    assert trials_of(tmp_path) == trials_of(whole[0])[:2]
    result = CliRunner().invoke(app, [*options, "--epochs", "1"])
    assert result.exit_code == 2
    assert "holds a sweep of another plan: epochs was 3, is 1" in result.stderr


def test_one_process_at_a_time(config: Path, tmp_path: Path) -> None:
    with held_elsewhere(tmp_path):
        result = CliRunner().invoke(app, ["sweep", "-c", str(config), "-o", str(tmp_path)])
    assert result.exit_code == 2
    assert "another process is at this sweep" in result.stderr


def test_three_failures_in_a_row_end_it(config: Path, tmp_path: Path) -> None:
    plan = read_sweep_config(config, {"output": tmp_path}, {"total_data": 2})
    with pytest.raises(
        ValueError, match=r"^3 trials in a row failed; the last: label column 'drug' must have"
    ):
        run_sweep(plan)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"search": {}}, "search must be a mapping of keys of train.yaml to values or to {low, high, log}"),
        ({"search": {"lr": [1]}}, "'lr' cannot be searched; known are x, join"),
        ({"search": {"files": ["a"]}}, "'files' cannot be searched"),
        (
            {"search": {"batch_size": [0]}},
            "sweep.yaml, line 2: search: batch_size must be an integer >= 1, b",
        ),
        ({"search": {"batch_size": []}}, "batch_size must be a value, a list of values or {low, high, log}"),
        (
            {"search": {"learning_rate": {"low": 1, "high": 1}}},
            "must have low < high, but low is 1 and high 1",
        ),
        ({"search": {"learning_rate": {"low": 1}}}, "the key 'learning_rate.high' is missing"),
        ({"search": {"strategy": {"low": 1, "high": 2}}}, "strategy holds no numbers"),
        ({"search": {"strategy": ["blok_shuffling"]}}, "sweep.yaml, line 2: search: strategy must be one of"),
        (
            {"search": {"strategy": ["blok_shuffling"]}},
            "'blok_shuffling'; 'block_shuffling' is meant, perhaps",
        ),
        ({"search": {"strategy": ["streaming", "bucketed"]}}, "the key 'buckets' must name it"),
        ({"trials": 0}, "trials must be an integer >= 1, but is 0"),
        ({"pruner": "hyper"}, "pruner must be one of median, none, but is 'hyper'"),
        ({"train": "nowhere.yaml"}, "nowhere.yaml: No such file or directory"),
        ({"tirals": 3}, "unknown key 'tirals'; 'trials' is meant, perhaps"),
    ],
)
def test_bad_input_is_one_line(values: dict[str, Any], message: str, config: Path, tmp_path: Path) -> None:
    usual = {"train": str(config.parent / "train.yaml"), "search": {"batch_size": [8, 16]}}
    path = write_yaml(tmp_path / "sweep.yaml", **{**usual, **values})
    result = CliRunner().invoke(app, ["sweep", "-c", str(path), "-o", str(tmp_path / "out")])
    assert result.exit_code == 2, result.output
    assert result.stderr.count("\n") == 1
    assert message in result.stderr


@pytest.mark.parametrize(
    ("problem", "is_a_failed_trial"),
    [
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (MemoryError(), True),
        (OSError(errno.EIO, "Input/output error"), True),
        (OSError(errno.ENOSPC, "No space left on device"), False),
        (RuntimeError("an error nobody foresaw"), False),
    ],
)
def test_errors_of_the_options_are_failed_trials(
    problem: Exception, is_a_failed_trial: bool, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others end the sweep, and the trial is tried again by the next call."""

    def fail(*arguments: object, **options: object) -> None:
        if isinstance(problem, OSError):
            raise TrainingError("a checkpoint") from problem
        raise problem

    plan = read_sweep_config(config, {"output": tmp_path, "trials": 1})
    with monkeypatch.context() as patched:
        patched.setattr("tombola.experiments.sweep.study.run_training", fail)
        if is_a_failed_trial:
            outcome = run_sweep(plan)
            assert [trial.state for trial in outcome.trials] == ["failed"]
            return
        with pytest.raises(type(problem) if isinstance(problem, RuntimeError) else TrainingError):
            run_sweep(plan)
    outcome = run_sweep(plan)
    assert outcome.retried == 1
    assert [trial.state for trial in outcome.trials] == ["complete"]


def test_a_signal_between_trials_ends_the_sweep(config: Path, tmp_path: Path) -> None:
    plan = read_sweep_config(config, {"output": tmp_path})
    outcome = run_sweep(plan, on_trial=lambda trial, planned: signal.raise_signal(signal.SIGTERM))
    assert outcome.interrupted
    assert [trial.state for trial in outcome.trials] == ["complete"]
