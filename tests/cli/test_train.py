"""`tombola train`: what it writes, every strategy, going on after signals, bad input in one line."""

import json
import re
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from tests.base.locks import held_elsewhere
from tests.cli.children import signal_at_work
from tests.cli.training_files import make_files, train_yaml
from tombola.cli.app import app

PNG = b"\x89PNG\r\n"


@pytest.fixture(name="plates", scope="module")
def fixture_plates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_files(tmp_path_factory.mktemp("plates"))


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["train", *map(str, arguments)])


def weights_of(output: Path, name: str) -> dict[str, torch.Tensor]:
    model: dict[str, torch.Tensor] = torch.load(output / "checkpoints" / name, weights_only=True)["model"]
    return model


def history_of(output: Path) -> list[dict[str, Any]]:
    lines = (output / "checkpoints" / "history.jsonl").read_text(encoding="utf-8").splitlines()
    timed = ("seconds", "batches_per_second")
    return [{key: value for key, value in json.loads(line).items() if key not in timed} for line in lines]


def test_a_training_writes_what_it_prints(plates: Path, tmp_path: Path) -> None:
    config = train_yaml(tmp_path, plates)
    result = invoke("-c", config, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "5 to train on, 1,440 rows of 30 features" in result.stdout
    assert "validation: 160 rows" in result.stdout
    assert "labels:     drug (6 classes), cell_line (3 classes)" in result.stdout
    history = history_of(tmp_path / "out")
    assert [(record["epoch"], record["chunk"]) for record in history] == [
        (epoch, chunk) for epoch in (0, 1) for chunk in (0, 1, 2)
    ]
    shown = re.findall(r"(\d) +[│|] +(\d) of 6", result.stdout)
    rows = [(str(record["epoch"]), str(at + 1)) for at, record in enumerate(history)]
    assert shown == rows * result.stdout.count("┏")  # the table goes on below, with the same rows
    assert history[-1]["validation_loss"] < history[0]["validation_loss"]
    assert history[-1]["validation_accuracy_cell_line"] > 0.8
    assert f"{history[-1]['validation_macro_f1_drug']:.4f}" in result.stdout
    assert (tmp_path / "out" / "curve.png").read_bytes().startswith(PNG)
    again = invoke("-c", tmp_path / "out" / "config.yaml", "-o", tmp_path / "again")
    assert again.exit_code == 0, again.output
    assert history_of(tmp_path / "again") == history


@pytest.mark.parametrize(
    ("strategy", "options"),
    [
        ("streaming", {}),
        ("streaming_shuffle", {"model": "mlp", "hidden": [8], "dropout": 0.1, "optimizer": "adamw"}),
        ("block_shuffling", {"schedule": "cosine", "chunk_size": "600 rows", "log1p": True}),
        ("block_weighted", {"weights": "weight", "files": "{weighted}", "labels": "line"}),
        ("class_balanced", {"classes": "moa_fine", "total_data": 0.5}),
        ("true_weighted", {"total_data": 0.5}),
        ("random_sampling", {"total_data": 0.5}),
        ("series_round_robin", {"series": "cell_line", "total_data": 100}),
        ("bucketed", {"buckets": "moa_fine", "chunk_size": "1 MB", "validation_fraction": 0}),
    ],
)
def test_every_strategy_trains(strategy: str, options: dict[str, Any], plates: Path, tmp_path: Path) -> None:
    if strategy == "block_weighted":
        options = {**options, "files": str(weighted_file(tmp_path))}
    values = {"strategy": strategy, "epochs": 1, "learning_rate": 0.1, **options}
    result = invoke("-c", train_yaml(tmp_path, plates, **values), "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    history = history_of(tmp_path / "out")
    assert history[-1]["chunk"] + 1 == history[-1]["n_chunks"] == len(history)
    assert ("validation_loss" in history[-1]) == (options.get("validation_fraction") != 0)
    if strategy == "series_round_robin":  # three series: batches of at most 3 rows, 100 rows in all
        assert sum(record["batch"] for record in history) >= 34


def weighted_file(folder: Path) -> Path:
    import anndata
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(0)
    line = rng.integers(0, 2, 200)
    obs = pd.DataFrame(
        {"line": pd.Categorical(np.array(["a", "b"])[line]), "weight": rng.random(200)},
        index=[str(i) for i in range(200)],
    )
    x = rng.random((200, 5), dtype=np.float32)
    x[:, 0] += line
    path = folder / "weighted.h5ad"
    anndata.AnnData(x, obs=obs).write_h5ad(path)
    return path


def test_options_override_the_file(plates: Path, tmp_path: Path) -> None:
    config = train_yaml(tmp_path, plates, batch_size="none", epochs=7)
    options = ["--batch-size", 64, "--epochs", 1, "--chunk-size", "1", "--total-data", "0.5"]
    result = invoke("-c", config, "-o", tmp_path / "out", *options, "--strategy", "streaming")
    assert result.exit_code == 0, result.output
    assert "720 rows" in result.stdout
    assert "streaming, 64 rows" in result.stdout
    assert [record["n_chunks"] for record in history_of(tmp_path / "out")] == [5] * 5


@pytest.fixture(name="undisturbed", scope="module")
def fixture_undisturbed(plates: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a configuration and the output of a training that nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    config = train_yaml(folder, plates, epochs=8, checkpoint_every=4)
    assert invoke("-c", config, "-o", folder / "whole").exit_code == 0
    return config, folder / "whole"


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 75), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_going_on_after_a_signal_changes_nothing(
    number: signal.Signals, code: int, undisturbed: tuple[Path, Path], tmp_path: Path
) -> None:
    config, whole = undisturbed
    broken = tmp_path / "broken"
    arguments = ["train", "-c", str(config), "-o", str(broken)]
    found = signal_at_work(arguments, number, folder=broken, pattern="checkpoint_epoch1_*_batch*.pt")
    assert found == code
    n_broken = len(history_of(broken))
    assert n_broken < 24
    result = invoke("-c", config, "-o", broken, "--resume")
    assert result.exit_code == 0, result.output
    assert history_of(broken) == history_of(whole)
    ours, theirs = (weights_of(folder, "checkpoint_epoch7_chunk4.pt") for folder in (broken, whole))
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_how_steps_are_taken(plates: Path, tmp_path: Path) -> None:
    """The keys reach the trainer, go on exactly, and may not change between."""
    how: dict[str, Any] = {
        "accumulate": 3,
        "clip_grad_norm": 0.5,
        "autocast": "bfloat16",
        "schedule": "cosine",
    }
    config = train_yaml(tmp_path, plates, epochs=1, checkpoint_every=2, **how)
    (tmp_path / "plain").mkdir()
    plain = train_yaml(tmp_path / "plain", plates, epochs=1)
    assert invoke("-c", config, "-o", tmp_path / "out").exit_code == 0
    assert invoke("-c", plain, "-o", tmp_path / "other").exit_code == 0
    assert history_of(tmp_path / "out") != history_of(tmp_path / "other")
    files = sorted((tmp_path / "out" / "checkpoints").glob("*_batch*.pt"))
    within = next(path for path in files if torch.load(path, weights_only=True)["gradients"] is not None)
    whole = history_of(tmp_path / "out")
    result = invoke("-c", config, "-o", tmp_path / "out", "--resume-from", within)
    assert result.exit_code == 0, result.output
    assert history_of(tmp_path / "out") == whole
    config = train_yaml(tmp_path, plates, epochs=2, checkpoint_every=2, **{**how, "clip_grad_norm": 1.0})
    result = invoke("-c", config, "-o", tmp_path / "out", "--resume")
    assert result.exit_code == 2
    assert "options.config.clip_grad_norm was 0.5, now is 1.0" in result.stderr


def test_files_that_come_join_at_the_next_epoch(plates: Path, tmp_path: Path) -> None:
    folder = tmp_path / "plates"
    folder.mkdir()
    first, *rest = sorted(plates.glob("*.h5ad"))
    for path in rest[:3]:
        shutil.copy(path, folder)
    config = train_yaml(tmp_path, folder, chunk_size=1, epochs=1)
    before = invoke("-c", config, "-o", tmp_path / "out")
    assert before.exit_code == 0
    assert "mini epoch: 1 file; 1 full epoch\n" in before.stdout
    shutil.copy(first, folder)
    result = invoke("-c", config, "-o", tmp_path / "out", "--resume", "--epochs", 2)
    assert result.exit_code == 0, result.output
    assert [record["n_chunks"] for record in history_of(tmp_path / "out")] == [3] * 3 + [4] * 4


def test_a_bad_file_is_an_error_or_is_said(plates: Path, tmp_path: Path) -> None:
    folder = tmp_path / "plates"
    shutil.copytree(plates, folder)
    (folder / "broken.h5ad").write_text("no HDF5")
    config = train_yaml(tmp_path, folder, epochs=1)
    result = invoke("-c", config, "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert "broken.h5ad: not an HDF5 file" in result.stderr
    skipping = train_yaml(tmp_path, folder, epochs=1, on_bad_shard="skip")
    result = invoke("-c", skipping, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "broken.h5ad: not an HDF5 file" in result.stderr
    assert "5 to train on" in result.stdout


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        (
            {"bach_size": 3},
            "",
            "unknown key 'bach_size'; 'batch_size' is meant, perhaps\n",
        ),
        ({"Batch-Size": 3}, "", "unknown key 'Batch-Size'; 'batch_size' is meant, perhaps\n"),
        ({"quux": 3}, "", "unknown key 'quux'; known are files, labels, x, "),
        ({"batch_size": 0}, "", "train.yaml, line 1: batch_size must be an integer >= 1, but is 0"),
        ({}, "--batch-size x", "option --batch-size: batch_size must be an integer >= 1, but is 'x'"),
        (
            {"strategy": "best"},
            "",
            "strategy must be one of streaming, streaming_shuffle, block_shuffling, r",
        ),
        (
            {"strategy": "bucketed"},
            "",
            "strategy bucketed goes by an obs column: the key 'buckets' must name",
        ),
        ({"chunk_size": "5 apples"}, "", 'a whole number of files >= 1, a budget such as "50000 rows"'),
        (
            {"total_data": 1.5},
            "",
            "total_data must be a share in (0, 1] or a whole number of rows above 1, b",
        ),
        ({"hidden": [8, 0]}, "", "hidden must be a list of integers >= 1, but hidden[1] is 0"),
        (
            {"monitor": "f1"},
            "",
            "monitor must be one of validation_loss, validation_macro_f1_drug, validatio",
        ),
        ({"device": "quda"}, "", "device must be cpu, cuda, cuda:N, mps or xpu, but is 'quda'"),
        ({"files": "nowhere.h5ad"}, "", "nowhere.h5ad: no such file (named by files)"),
        ({"files": "."}, "", "holds no *.h5ad files"),
        ({"labels": "dose"}, "", "obs has no column 'dose'"),
        ({"validation_fraction": 0.1, "validation_files": "x"}, "", "exclude each other"),
        ({"learning_rate": 0}, "", "learning_rate must be a finite number > 0, but is 0"),
        ({"accumulate": 0}, "", "accumulate must be an integer >= 1, but is 0"),
        ({"accumulate": True}, "", "accumulate must be an integer >= 1, but is True"),
        ({"clip_grad_norm": 0}, "", "clip_grad_norm must be a finite number > 0, but is 0"),
        ({"autocast": "float16"}, "", "autocast must be one of bfloat16, but is 'float16'"),
        ({"on_nonfinite_loss": "skip"}, "", "on_nonfinite_loss must be one of stop, continue, but is 'skip'"),
        ({"learning_rate": 1e38, "clip_grad_norm": 1e38}, "", "the training loss must stay finite, but is "),
        (
            {"weights": "drug", "strategy": "block_weighted"},
            "",
            "'drug' must hold numbers to be the rows' wei",
        ),
        ({}, "--resume", "holds no checkpoint to resume from"),
    ],
)
def test_bad_input_is_one_line(
    values: dict[str, Any], options: str, message: str, plates: Path, tmp_path: Path
) -> None:
    config = train_yaml(tmp_path, plates, **values)
    result = invoke("-c", config, "-o", tmp_path / "out", *options.split())
    assert result.exit_code == 2, result.output
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("error: ")
    assert message in result.stderr


def test_a_training_that_begins_elsewhere_keeps_its_files(plates: Path, tmp_path: Path) -> None:
    """From its first moment on, before there is a checkpoint."""
    config = train_yaml(tmp_path, plates)
    output = tmp_path / "out"
    output.mkdir()
    for name in ("config.yaml", "classifier.json"):
        (output / name).write_text("of another process", encoding="utf-8")
    with held_elsewhere(output):
        result = invoke("-c", config, "-o", output)
    assert result.exit_code == 2
    assert f"{output}: another process trains into this folder; wait until it is done" in result.stderr
    for name in ("config.yaml", "classifier.json"):
        assert (output / name).read_text(encoding="utf-8") == "of another process"


def test_a_folder_is_not_overwritten_and_other_options_are_refused(plates: Path, tmp_path: Path) -> None:
    config = train_yaml(tmp_path, plates, epochs=1)
    assert invoke("-c", config, "-o", tmp_path / "out").exit_code == 0
    result = invoke("-c", config, "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert "holds a training already: --resume goes on with it" in result.stderr
    result = invoke("-c", config, "-o", tmp_path / "out", "--resume", "--lr", 0.5)
    assert result.exit_code == 2
    assert "options.config.learning_rate was 3.0, now is 0.5" in result.stderr
    longer = invoke("-c", config, "-o", tmp_path / "out", "--resume", "--epochs", 2)
    assert longer.exit_code == 0, longer.output
    assert len(history_of(tmp_path / "out")) == 6


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n- b\n", "train.yaml: expected keys with values, but found a list"),
        ("files: [", "train.yaml: no valid YAML"),
        ("files: a\nfiles: b\n", "the key 'files' comes twice"),
        (
            "files: a\n\nepochs: x\nlabels: b\n",
            "train.yaml, line 3: epochs must be an integer >= 1, but is 'x'",
        ),
        (
            "files: a\nlabels: b\nmodel: liner\n",
            "model must be one of linear, mlp, but is 'liner'; 'linear' is",
        ),
        ("files: a\n", "the key 'labels' is missing; it must be a list of obs columns, or one"),
    ],
)
def test_bad_yaml_is_one_line(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    path.write_text(text)
    result = invoke("-c", path)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert message in result.stderr
