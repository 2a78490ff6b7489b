"""The continual example's two scripts in a quick form: what they print and write; bad input in one line."""

from pathlib import Path

import compare_balanced_sampling
import continual_digits
import pytest

from continual.settings import RunOptions
from continual.training import run
from tests.examples.running import PNG, read_json, run_script

FAST = ("--quick", "--epochs", 1, "--buffer_size", 20)


def test_a_run_writes_what_it_prints(tmp_path: Path) -> None:
    text = run_script("continual_digits.py", *FAST, "--experiment_id", "first", "-o", tmp_path)
    record = read_json(tmp_path / "first.json")
    assert record["experiment_id"] == "first"
    assert record["options"]["learner"]["use_balanced_sampling"] is True
    assert record["options"]["learner"]["buffer_size"] == 20 == sum(record["stored"])
    assert f"final accuracy: {record['final_accuracy']:.1%}" in text
    assert f"forgetting: {record['forgetting']:.1%}" in text
    for name in ("first.png", "first-buffer.png"):
        assert (tmp_path / name).read_bytes().startswith(PNG)
    assert len(record["tasks"]) == 5
    log = (tmp_path / "first.log").read_text(encoding="utf-8")
    assert "task 4, classes" in log
    assert log.count("\nscore over mean, 50%") == 5 == log.count("\ngroup     items")
    last = record["buffer_scores"][4]
    assert sum(group["items"] for group in last["group_table"].values()) == 20
    assert "no better than guessing" not in text


def test_all_of_the_buffer_can_be_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = (
        "--quick --n_epochs 1 --use_balanced_sampling 1 --balance_schedule cosine --balance_weight 0 "
        "--balance_end 0.75 --balance_steps 3 --threshold_quantile 0.2 0.6 1 --temporal_weight -0.5 "
        "--half_life 300 --difficulty_weight 0.5 --uncertainty_weight 0.25 --task_weights 2 1 0.5 "
        "--alpha 0.3 --beta 1 --seed 3 --experiment_id all"
    )
    with pytest.raises(SystemExit) as left:
        continual_digits.main([*arguments.split(), "-o", str(tmp_path)])
    assert left.value.code == 0
    capsys.readouterr()
    record = read_json(tmp_path / "all.json")
    last = record["buffer_scores"][4]
    assert [level["balance_weight"] for level in last["levels"]] == [0.75] * 3
    groups = [level["groups"] for level in last["levels"]]
    assert 1 <= groups[0] < groups[1] < groups[2] == 10
    parts = last["score_parts"]
    assert list(parts) == ["prototype", "temporal", "difficulty", "uncertainty", "task"]
    assert (parts["task"]["0.0"], parts["task"]["1.0"]) == (0.5, 2.0)
    learner = record["options"]["learner"]
    assert (learner["alpha"], learner["beta"], learner["buffer_size"], learner["sm_weight"]) == (
        0.3,
        1,
        200,
        0.01,
    )


@pytest.mark.parametrize(
    ("arguments", "used"),
    [
        ("", True),
        ("--use_balanced_sampling", True),
        ("--use_balanced_sampling 1", True),
        ("--use_balanced_sampling 0", False),
        ("--use_balanced_sampling=0", False),
        ("--no-use_balanced_sampling", False),
    ],
)
def test_the_switch_takes_a_number_too(arguments: str, used: bool) -> None:
    assert continual_digits.make_parser().parse_args(arguments.split()).use_balanced_sampling is used


def test_what_learned_nothing_is_called_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Too little was done, in one epoch, at so low a rate of learning."""
    with pytest.raises(SystemExit) as left:
        continual_digits.main(["--quick", "--epochs", "1", "--lr", "1e-9", "-o", str(tmp_path)])
    assert left.value.code == 0
    text = capsys.readouterr().out
    assert "no better than guessing (10.0%): too few samples or epochs to learn from" in text


def test_a_quick_run_learns() -> None:
    record = run(RunOptions(quick=True))
    assert record.final_accuracy > 3 * record.chance


def test_both_data_sets_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = (*FAST, "--no-variants", "--balance_weights", 0, "--experiment_id", "both", "-o", tmp_path)
    with pytest.raises(SystemExit) as left:
        compare_balanced_sampling.main(list(map(str, command)))
    assert left.value.code == 0
    text = capsys.readouterr().out
    results = read_json(tmp_path / "both.json")
    for dataset in ("digits", "superclasses"):
        ways = results["datasets"][dataset]["ways"]
        assert list(ways) == ["uniform", "balanced", "balanced, weight 0"]
        found = results["datasets"][dataset]["less_uniform"]["balanced"]["final accuracy"]
        pairs = zip(ways["balanced"]["final accuracy"], ways["uniform"]["final accuracy"], strict=True)
        assert found["by_seed"] == [one - other for one, other in pairs]
        assert f"{dataset}: mean ± standard error of 2 seeds" in text
        for slug, way in (("uniform", "uniform"), ("balanced-weight-0", "balanced, weight 0")):
            for seed in (0, 1):
                record = read_json(tmp_path / "both" / f"{dataset}-{slug}-{seed}.json")
                assert record["options"]["learner"]["seed"] == seed
                assert record["final_accuracy"] == ways[way]["final accuracy"][seed]
    assert (tmp_path / "both.png").read_bytes().startswith(PNG)


def leave(script: str, arguments: str, output: Path, capsys: pytest.CaptureFixture[str]) -> str:
    main = continual_digits.main if script == "run" else compare_balanced_sampling.main
    with pytest.raises(SystemExit) as left:
        main([*arguments.split(), "-o", str(output)])
    assert left.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        ("run", "--buffer_size 0", "argument --buffer_size: expected a whole number >= 1, but got '0'"),
        ("run", "--balance_weight -1", "argument --balance_weight: expected a finite number >= 0, but got"),
        ("run", "--sim_lr nan", "argument --sim_lr: expected a finite number > 0, but got 'nan'"),
        ("run", "--sm_weight x", "argument --sm_weight: expected a finite number >= 0, but got 'x'"),
        ("run", "--threshold_quantile 2", "argument --threshold_quantile: expected a share in (0, 1]"),
        ("run", "--experiment_id ../x", "argument --experiment_id: expected letters, digits, '.', '_' and"),
        (
            "run",
            "--use_balanced_sampling 2",
            "argument --use_balanced_sampling: expected 1 or 0, but got '2'",
        ),
        (
            "run",
            "--dataset seq-cifar100",
            "seq-cifar100 is read from a folder, but none is given: --data DIR",
        ),
        (
            "run",
            "--dataset seq-cifar100 --data /nowhere",
            "/nowhere must hold train, test and meta of CIFAR-100",
        ),
        (
            "run",
            "--threshold_quantile 0.9 0.5",
            "--threshold_quantile must rise from level to level, but is 0.9",
        ),
        ("run", "--balance_end 1", "--balance_end needs --balance_schedule linear or cosine, but that is"),
        ("run", "--quick --device nowhere", "device must be there, such as cpu"),
        ("run", "--dataset mnist", "argument --dataset: invalid choice: 'mnist'"),
        ("run", "--quick --lr 1e30", "features must stay finite, but found"),
        ("compare", "--repeats 0", "argument --repeats: expected a whole number >= 1, but got '0'"),
        ("compare", "--balance_weights 1 inf", "argument --balance_weights: expected a finite number >= 0"),
        ("compare", "--datasets digits cifar", "argument --datasets: invalid choice: 'cifar'"),
        ("compare", "--quick --lr 1e30", "features must stay finite, but found"),
    ],
)
def test_bad_input_is_told_in_one_line(
    script: str, arguments: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert leave(script, arguments, tmp_path, capsys).startswith(f"error: {message}")


def test_a_folder_that_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "file"
    file.write_text("", encoding="utf-8")
    line = leave("run", "--quick", file / "below", capsys)
    assert line == f"error: {file / 'below'}: nothing can be written to this output: Not a directory"
