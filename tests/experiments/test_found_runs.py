"""Runs that a folder holds: taken for done only where options, rows and classes are those of now."""

import dataclasses
import json
from pathlib import Path

import pytest

from tombola.experiments import ExperimentConfig, ExperimentData, PlateDesign, make_plates, open_data
from tombola.experiments.labels import Label
from tombola.experiments.six.evaluation import test_model as evaluate
from tombola.experiments.six.runner import Silent, run_experiment
from tombola.experiments.six.study import Study, run_study

DESIGN = PlateDesign(
    n_plates=2, cells_per_plate=60, n_genes=20, n_cell_lines=2, n_drugs=3, n_moa_broad=2, n_moa_fine=3
)
CONFIG = ExperimentConfig(strategies=("random",), batch_size=16, fetch_factor=1, log_interval=2)
RUN = Path("runs") / "random-seed0.json"


def study(data: ExperimentData, output: Path, config: ExperimentConfig = CONFIG) -> Study:
    return run_study(data, config, [0], output, reporter=Silent())


@pytest.fixture(name="data", scope="module")
def fixture_data(tmp_path_factory: pytest.TempPathFactory) -> ExperimentData:
    paths = list(make_plates(tmp_path_factory.mktemp("plates"), DESIGN))
    return open_data(paths, ["drug"], holdout_files=[paths[-1]])


@pytest.fixture(name="output")
def fixture_output(data: ExperimentData, tmp_path: Path) -> Path:
    assert study(data, tmp_path).runs[0].is_new
    assert not study(data, tmp_path).runs[0].is_new
    return tmp_path


def with_codes(data: ExperimentData, shift: int, rows: slice) -> ExperimentData:
    (label,) = data.labels
    codes = label.codes.copy()
    codes[rows] = (codes[rows] + shift) % len(label.classes)
    return dataclasses.replace(data, labels=(Label(label.name, label.classes, codes),))


@pytest.mark.parametrize("rows", [slice(5, 6), slice(-1, None)], ids=["a training row", "a test row"])
def test_rows_of_other_classes_are_other_data(data: ExperimentData, output: Path, rows: slice) -> None:
    """Neither the files' sizes nor the classes say so: a mapping of the same classes may have changed."""
    with pytest.raises(ValueError, match=r"holds runs with rows_and_classes .* name another folder"):
        study(with_codes(data, 1, rows), output)


def test_a_run_of_other_options_is_not_taken_where_the_folder_does_not_say(
    data: ExperimentData, output: Path
) -> None:
    (output / "experiment.json").unlink()
    with pytest.raises(ValueError, match=r"random-seed0.json: a run of other options or data; remove it"):
        study(data, output, dataclasses.replace(CONFIG, epochs=2))


@pytest.mark.parametrize("text", ["[]", "3", "{", '{"tasks": [], "strategy": ""}', "\xff"])
def test_what_is_no_run_is_named(data: ExperimentData, output: Path, text: str) -> None:
    (output / RUN).write_bytes(text.encode("latin1"))
    with pytest.raises(ValueError, match=r"random-seed0.json: no record of a run"):
        study(data, output)


@pytest.mark.parametrize("text", ["[]", "null", "{", "\xff", '{"options": 3}'])
def test_what_says_nothing_of_the_folder_is_named(data: ExperimentData, output: Path, text: str) -> None:
    (output / "experiment.json").write_bytes(text.encode("latin1"))
    with pytest.raises(ValueError, match=r"experiment.json: (no valid JSON|an object)|holds runs with"):
        study(data, output)


def test_a_single_run_of_all_does_not_write_over_an_experiment(data: ExperimentData, output: Path) -> None:
    kept = (output / "summary.csv").read_bytes()
    with pytest.raises(ValueError, match="holds runs of tombola experiment; name another folder"):
        run_experiment(data, CONFIG, output)
    assert (output / "summary.csv").read_bytes() == kept


def test_test_rows_that_are_not_finite_are_named(
    data: ExperimentData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def evaluate_nan(model: object, data: ExperimentData, config: ExperimentConfig) -> object:
        for parameter in model.parameters():  # type: ignore[attr-defined]
            parameter.data.fill_(float("nan"))
        return evaluate(model, data, config)  # type: ignore[arg-type]

    monkeypatch.setattr("tombola.experiments.six.training.test_model", evaluate_nan)
    with pytest.raises(ValueError, match="loss of 'drug' on the test rows must stay finite, but is nan: X"):
        study(data, tmp_path)
    assert not (tmp_path / RUN).exists()
    lines = (tmp_path / RUN).with_suffix(".jsonl").read_text(encoding="utf-8").splitlines()
    assert all(json.loads(line)["kind"] == "interval" for line in lines)
