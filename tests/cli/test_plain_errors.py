"""What is wrong is called what it is: folders, Zarr stores, outputs that cannot be written, keys mistyped."""

from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from tests.cli.training_files import make_files, train_yaml, write_yaml
from tombola._base.files import replacing
from tombola.cli.app import app


@pytest.fixture(name="plates", scope="module")
def fixture_plates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_files(tmp_path_factory.mktemp("plates"))


def fails(*arguments: object) -> str:
    result: Any = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == 2, result.output
    assert result.stderr.count("\n") == 1
    return str(result.stderr)


@pytest.mark.parametrize("command", [("inspect",), ("bench",), ("run", "-l", "drug")])
def test_folders_and_zarr_stores(command: tuple[str, ...], tmp_path: Path) -> None:
    store = tmp_path / "plate.zarr"
    store.mkdir()
    assert "plate.zarr: a Zarr store, not an h5ad file; anndata.read_zarr(" in fails(*command, store)
    said = fails(*command, tmp_path)
    assert f"{tmp_path}: a folder, not an h5ad file, with no h5ad files in it" in said
    assert "no such file" not in said


def test_an_option_of_the_wrong_kind_says_what_came(tmp_path: Path) -> None:
    said = fails("run", tmp_path / "a.h5ad", "-l", "drug", "--batch_size", "many")
    assert said.startswith("error: Invalid value for '--batch-size': ")
    assert said.endswith(", but got 'many'\n")


def test_a_report_of_what_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("strategy,macro_f1_a\nrandom,0.5,1,2\n")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "words").write_text("strategy,macro_f1_a\nrandom,good\n")
    for name, message in (
        ("notes", f"{tmp_path}/notes, line 2: 2 cells are expected, but there are 4"),
        ("bytes", f"{tmp_path}/bytes: no valid CSV: "),
        ("words", f"{tmp_path}/words, row 1: macro_f1_a must be a finite number or empty, but is 'good'"),
    ):
        assert fails("report", tmp_path / name).startswith(f"error: {message}")


def test_a_zarr_store_to_train_on(tmp_path: Path) -> None:
    store = tmp_path / "plate.zarr"
    store.mkdir()
    assert "plate.zarr: a Zarr store, not an h5ad file" in fails("train", "-c", train_yaml(tmp_path, store))


def test_an_output_that_cannot_be_written_is_named(plates: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    config = train_yaml(tmp_path, plates)
    sweep = write_yaml(tmp_path / "sweep.yaml", train="train.yaml", search={"batch_size": [8, 16]})
    plate = next(plates.glob("*.h5ad"))
    for output in (file, file / "inside"):
        for command in (("train", "-c", config), ("sweep", "-c", sweep), ("run", plate, "-l", "drug")):
            said = fails(*command, "-o", output)
            assert said == f"error: {output}: nothing can be written to this output: Not a directory\n"


def test_the_error_of_a_file_is_not_about_its_temporary_name(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    target.mkdir()
    with pytest.raises(IsADirectoryError) as told, replacing(target) as temporary:
        temporary.write_text("")
    assert told.value.filename == str(target)
    assert list(tmp_path.iterdir()) == [target]


def test_a_mistyped_column_or_required_key_names_the_one_that_is_meant(plates: Path, tmp_path: Path) -> None:
    plate = next(plates.glob("*.h5ad"))
    assert fails("run", plate, "-l", "durg").endswith("obs has no column 'durg'; 'drug' is meant, perhaps\n")
    config = write_yaml(tmp_path / "train.yaml", files=str(plates), lables="drug")
    assert fails("train", "-c", config).endswith("unknown key 'lables'; 'labels' is meant, perhaps\n")
    said = fails("run", plate, "-l", "drug", "-s", "block_shufling")
    assert said == "error: unknown strategy 'block_shufling'; 'block_shuffling' is meant, perhaps\n"


def test_typos_name_the_key_that_is_meant(plates: Path, tmp_path: Path) -> None:
    train_yaml(tmp_path, plates)
    for search, message in (
        ({"learning_rat": [1]}, "'learning_rat' cannot be searched; 'learning_rate' is meant, perhaps\n"),
        ({"labels": ["drug"]}, "'labels' cannot be searched; known are x, join, log1p, "),
    ):
        config = write_yaml(tmp_path / "sweep.yaml", train="train.yaml", search=search)
        assert message in fails("sweep", "-c", config)
    config = write_yaml(tmp_path / "sweep.yaml", train="train.yaml", search={"batch_size": [8]}, trails=3)
    assert fails("sweep", "-c", config).endswith("unknown key 'trails'; 'trials' is meant, perhaps\n")


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["train", "-c", "a", "--max_epochs", "3"], "epochs", "3"),
        (["train", "-c", "a", "--lr", "3"], "learning_rate", "3"),
        (["train", "-c", "a", "--mini-epoch-size", "auto"], "chunk_size", "auto"),
        (["train", "-c", "a", "--save_dir", "there"], "output", "there"),
        (["train", "-c", "a", "--batch_size", "3"], "batch_size", "3"),
        (["sweep", "-c", "a", "--n_trials", "3"], "trials", "3"),
        (["experiment", "--max_train_cells", "3"], "max_train_cells", 3),
        (["experiment", "--output", "there"], "save_dir", Path("there")),
        (["run", "a.h5ad", "-l", "drug", "--learning_rate", "2"], "learning_rate", 2.0),
    ],
)
def test_options_by_any_spelling(words: list[str], name: str, value: object) -> None:
    group: Any = get_command(app)
    root = group.make_context("tombola", words[:1])
    context = group.commands[words[0]].make_context(words[0], words[1:], parent=root)
    assert context.params[name] == value
