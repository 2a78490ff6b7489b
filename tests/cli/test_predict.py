"""`tombola predict` and `load_classifier`: labels as the training knows them, whole files, plain errors."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from tests.cli.training_files import make_files, train_yaml
from tombola import H5adSource
from tombola.cli.app import app
from tombola.training import CheckpointError, load_classifier


@pytest.fixture(name="plates", scope="module")
def fixture_plates(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return sorted(make_files(tmp_path_factory.mktemp("plates")).glob("*.h5ad"))


@pytest.fixture(name="trained", scope="module")
def fixture_trained(plates: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    config = train_yaml(folder, plates[0].parent, epochs=3, validation_files=str(plates[4]))
    result = invoke("train", "-c", config, "-o", folder / "run")
    assert result.exit_code == 0, result.output
    return folder / "run"


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(app, list(map(str, arguments)))


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_rows_get_their_labels_in_order(trained: Path, plates: list[Path], tmp_path: Path) -> None:
    output = tmp_path / "labels.csv"
    result = invoke("predict", "--checkpoint", trained, plates[4], plates[0], "--output", output)
    assert result.exit_code == 0, result.output
    assert "drug (6 classes), cell_line (3 classes)" in result.stdout
    assert "files:      2, 640 rows" in result.stdout
    rows = rows_of(output)
    assert list(rows[0]) == ["file", "row", "name", *with_probability("drug"), *with_probability("cell_line")]
    assert [row["row"] for row in rows] == [*map(str, range(320)), *map(str, range(320))]
    assert [row["file"] for row in rows] == [str(plates[4])] * 320 + [str(plates[0])] * 320
    cells = anndata.read_h5ad(plates[4])
    assert [row["name"] for row in rows[:320]] == list(cells.obs_names)
    told = np.array([row["cell_line"] for row in rows[:320]])
    accuracy = float(np.mean(told == cells.obs["cell_line"].astype(str).to_numpy()))
    history = (trained / "checkpoints" / "history.jsonl").read_text(encoding="utf-8").splitlines()
    best = min(map(json.loads, history), key=lambda record: float(record["validation_loss"]))
    assert accuracy == pytest.approx(best["validation_accuracy_cell_line"], abs=1e-6)
    assert all(1 / 6 - 1e-6 <= float(row["drug_probability"]) <= 1 for row in rows)


def with_probability(label: str) -> list[str]:
    return [label, f"{label}_probability"]


def test_genes_are_picked_by_name(trained: Path, plates: list[Path], tmp_path: Path) -> None:
    """Those of a file may come in another order, and with others among them."""
    cells = anndata.read_h5ad(plates[1])
    more = anndata.concat([cells, with_names(cells, "other")], axis=1, merge="first")
    path = tmp_path / "more.h5ad"
    more[:, ::-1].copy().write_h5ad(path)
    for name, file in (("a", plates[1]), ("b", path)):
        assert invoke("predict", "-c", trained, file, "-o", tmp_path / f"{name}.csv").exit_code == 0
    a, b = (rows_of(tmp_path / f"{name}.csv") for name in "ab")
    assert [{**row, "file": ""} for row in a] == [{**row, "file": ""} for row in b]


def with_names(cells: Any, prefix: str) -> Any:
    other = cells.copy()
    other.var_names = [f"{prefix}_{name}" for name in cells.var_names]
    return other


def test_a_classifier_in_code(trained: Path, plates: list[Path]) -> None:
    classifier = load_classifier(trained)
    assert classifier.labels == ("drug", "cell_line")
    source = H5adSource(plates[4])
    told = classifier.predict(source.read(np.arange(320))["X"])["cell_line"]
    truth = np.asarray(source.obs["cell_line"])
    assert np.mean(told == truth) > 0.8
    assert classifier.probabilities(torch.zeros(2, 30))["drug"].shape == (2, 6)
    with pytest.raises(ValueError, match=r"x must have the shape \(rows, 30\), but has 2 x 31"):
        classifier.predict(torch.zeros(2, 31))
    odd = torch.zeros(3, 30)
    odd[1, 7] = torch.nan
    with pytest.raises(ValueError, match="x must be finite, but row 1 gives no probabilities"):
        classifier.predict(odd)
    assert classifier.probabilities(odd)["drug"][1].isnan().all()


def test_the_best_checkpoint_counts_and_any_can_be_named(trained: Path, tmp_path: Path) -> None:
    """What is monitored says which is the best, not which is the newest."""
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    files = sorted((run / "checkpoints").glob("*.pt"), key=lambda path: path.stat().st_mtime_ns)
    history = run / "checkpoints" / "history.jsonl"
    records = [json.loads(line) for line in history.read_text(encoding="utf-8").splitlines()]
    first = files[0].name
    for record in records:
        name = f"checkpoint_epoch{record['epoch']}_chunk{record['chunk_start']}.pt"
        record["validation_loss"] = 0.1 if name == first else 0.5
    history.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    assert load_classifier(run).checkpoint == files[0]
    assert load_classifier(run / "checkpoints").checkpoint == files[0]
    assert load_classifier(files[-1]).checkpoint == files[-1]
    files[0].write_bytes(b"damaged")
    assert load_classifier(run).checkpoint == files[-1]


@pytest.mark.parametrize("line", [b"[]", b"null", b'{"kind": "mini_epoch"}', b"\xff", b'{"ki'])
def test_a_history_that_was_cut_says_what_it_has(line: bytes, trained: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    history = run / "checkpoints" / "history.jsonl"
    history.write_bytes(history.read_bytes() + line)
    assert load_classifier(run).checkpoint.name == load_classifier(trained).checkpoint.name
    history.write_bytes(line)
    assert load_classifier(run).checkpoint.name == "checkpoint_epoch2_chunk2.pt"


def test_without_validation_the_best_is_that_of_the_training(plates: list[Path], tmp_path: Path) -> None:
    """As the training's own record has it, here by a loss that rises at the end."""
    config = train_yaml(tmp_path, plates[0].parent, validation_fraction=0.0, epochs=1, keep_last=9)
    assert invoke("train", "-c", config, "-o", tmp_path / "run").exit_code == 0
    history = tmp_path / "run" / "checkpoints" / "history.jsonl"
    records = [json.loads(line) for line in history.read_text(encoding="utf-8").splitlines()]
    for at, record in enumerate(records):
        record["train_loss"] = abs(at - 1.0)
    history.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    name = f"checkpoint_epoch0_chunk{records[1]['chunk_start']}.pt"
    assert load_classifier(tmp_path / "run").checkpoint.name == name


def test_an_mlp_on_raw_counts(plates: list[Path], tmp_path: Path) -> None:
    options: dict[str, Any] = {"model": "mlp", "hidden": [8], "log1p": True, "epochs": 1, "labels": "drug"}
    config = train_yaml(tmp_path, plates[0].parent, learning_rate=0.1, **options)
    assert invoke("train", "-c", config, "-o", tmp_path / "run").exit_code == 0
    classifier = load_classifier(tmp_path / "run")
    assert classifier.log1p
    assert classifier.options == {"model": "mlp", "hidden": [8], "dropout": 0.0}
    x = torch.tensor(anndata.read_h5ad(plates[0]).X[:9].toarray())
    scaled = torch.log1p(x * (10_000 / x.sum(dim=1, keepdim=True).clamp(min=1)))
    torch.testing.assert_close(
        classifier.probabilities(x)["drug"], classifier.model(scaled)["drug"].softmax(dim=1).detach()
    )


def test_what_does_not_do_is_one_line(trained: Path, plates: list[Path], tmp_path: Path) -> None:
    cells = anndata.read_h5ad(plates[0])
    fewer = tmp_path / "fewer.h5ad"
    cells[:, :28].copy().write_h5ad(fewer)
    damaged = Path(shutil.copytree(trained, tmp_path / "damaged"))
    (damaged / "classifier.json").write_text("{")
    short = Path(shutil.copytree(trained, tmp_path / "short"))
    (short / "classifier.json").write_text('{"format": "tombola.classifier", "version": 1}')
    odd = cells.copy()
    odd.X = odd.X.toarray()
    odd.X[300, 3] = np.nan
    odd.write_h5ad(tmp_path / "odd.h5ad")
    older = Path(shutil.copytree(trained, tmp_path / "older"))
    (older / "classifier.json").unlink()
    other = Path(shutil.copytree(trained, tmp_path / "other"))
    said = json.loads((other / "classifier.json").read_text(encoding="utf-8"))
    said["classes"]["drug"].reverse()
    (other / "classifier.json").write_text(json.dumps(said), encoding="utf-8")
    (tmp_path / "file").write_text("")
    link = tmp_path / "link"
    link.symlink_to(tmp_path, target_is_directory=True)
    labels = tmp_path / "labels.csv"
    cases: list[tuple[Path, Path, Path, str]] = [
        (trained, fewer, labels, "fewer.h5ad: X must have the 30 features that the classifier was tra"),
        (trained, fewer, labels, "on, but lacks 2 of them, the first is"),
        (trained, tmp_path / "none.h5ad", labels, "none.h5ad: no such file (named by FILE)"),
        (tmp_path / "none", plates[0], labels, "none: no such folder of a run, nor a checkpoint"),
        (tmp_path, plates[0], labels, "no output of tombola train, for it holds no classifier.json"),
        (tmp_path / "file", plates[0], labels, "file: no checkpoint of tombola train, for its run holds no"),
        (older, plates[0], labels, "tombola train --resume writes it"),
        (damaged, plates[0], labels, "classifier.json is damaged"),
        (short, plates[0], labels, "classifier.json must be of tombola.classifier, version 1, but is"),
        (
            trained,
            tmp_path / "odd.h5ad",
            labels,
            "odd.h5ad: row 300 of X gives no probabilities: it hol",
        ),
        (other, plates[0], labels, "classes or features differ"),
        (trained, plates[0], plates[0], "is one of the files to read"),
        (
            trained,
            plates[0],
            tmp_path / "file" / "a.csv",
            "a.csv: nothing can be written to this output: Not",
        ),
        (trained, plates[0], tmp_path, f"{tmp_path}: nothing can be written to this output: Is a directory"),
        (trained, plates[0], link, "link: nothing can be written to this output: Is a directory"),
    ]
    for checkpoint, file, output, message in cases:
        result = invoke("predict", "--checkpoint", checkpoint, file, "--output", output)
        assert result.exit_code == 2, message
        assert result.stderr.count("\n") == 1
        assert message in result.stderr
        assert not labels.exists()
    assert [path.name for path in tmp_path.iterdir() if ".partial" in path.name] == []
    with pytest.raises(CheckpointError):
        load_classifier(tmp_path)


def test_a_run_of_before_gets_its_classes_when_it_goes_on(
    trained: Path, plates: list[Path], tmp_path: Path
) -> None:
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    before = (run / "classifier.json").read_text(encoding="utf-8")
    (run / "classifier.json").unlink()
    result = invoke("train", "-c", trained / "config.yaml", "-o", run, "--resume")
    assert result.exit_code == 0, result.output
    assert (run / "classifier.json").read_text(encoding="utf-8") == before
