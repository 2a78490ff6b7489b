"""`tombola demo` and `tombola run`: what they print and write, and bad input in one line."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.cli.children import listen_to_ctrl_c
from tombola import __version__
from tombola.cli import demo as demo_module
from tombola.cli.app import app
from tombola.experiments import PlateDesign, make_plates

SMALL = PlateDesign(
    n_plates=3, cells_per_plate=300, n_genes=50, n_cell_lines=3, n_drugs=6, n_moa_broad=2, n_moa_fine=3
)


@pytest.fixture(name="plates", scope="module")
def fixture_plates(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return make_plates(tmp_path_factory.mktemp("plates"), SMALL)


def test_version_and_help() -> None:
    runner = CliRunner()
    assert runner.invoke(app, ["--version"]).stdout == f"tombola {__version__}\n"
    text = runner.invoke(app, ["--help"]).stdout
    for command in ("demo", "run", "inspect", "train", "sweep"):
        assert command in text


def test_demo_prints_its_options_and_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demo_module.run_demo(output=tmp_path / "out", cache=tmp_path / "cache", design=SMALL)
    text = capsys.readouterr().out
    assert "at most a tenth of a plate of 300" in text
    assert "the median count of label combinations" in text
    for name in (
        "streaming",
        "streaming_shuffle",
        "block_shuffling",
        "random",
        "class_balanced",
        "class_balanced_rows",
    ):
        assert f"│ {name} " in text
    assert "majority class" in text
    assert (tmp_path / "out" / "summary.csv").exists()
    assert (tmp_path / "out" / "comparison.png").exists()
    assert len(list((tmp_path / "out" / "runs").glob("*.json"))) == 6


def test_run_on_files_of_the_user(plates: list[Path], tmp_path: Path) -> None:
    arguments = ["run", *map(str, plates), "--labels", "drug,cell_line", "--holdout-files", str(plates[-1])]
    options = ["-s", "random,weighted_block", "--epochs", "2", "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(app, arguments + options)
    assert result.exit_code == 0, result.output
    assert "majority class" in result.stdout
    assert "warning: the fetch window of 64 x 256 = 16,384 rows" in result.stderr
    assert "warning: the baseline of 1000 flattens" in result.stderr


def test_the_real_file_is_learnt(data_dir: Path, tmp_path: Path) -> None:
    path = data_dir / "pbmc68k_reduced.h5ad"
    result = CliRunner().invoke(
        app, ["run", str(path), "-l", "bulk_labels,phase", "-s", "random", "-o", str(tmp_path)]
    )
    assert result.exit_code == 0, result.output
    rows = [line.split(",") for line in (tmp_path / "summary.csv").read_text(encoding="utf-8").splitlines()]
    column = {name: i for i, name in enumerate(rows[0])}
    trained, baseline = rows[1], rows[2]
    assert baseline[0] == "majority_class"
    for label, margin in (("bulk_labels", 0.4), ("phase", 0.05)):
        at = column[f"macro_f1_{label}"]
        assert float(trained[at]) > float(baseline[at]) + margin


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "missing.h5ad", "-l", "drug"], "missing.h5ad"),
        (["run", "{plate}", "-l", "dose"], "dose"),
        (
            ["run", "{plate}", "-l", "drug", "--batch-size", "0"],
            "batch_size must be an integer >= 1",
        ),
        (["run", "{plate}", "-l", "drug", "-s", "best"], "best"),
        (["run", "{plate}", "-l", "drug", "--holdout-fraction", "1.5"], "1.5"),
        (["run", "{plate}", "-l", "drug", "--lr", "nan"], "learning_rate must be a finite number > 0"),
        (["run", "{text}", "-l", "drug"], "text.h5ad"),
        (["demo", "-s", "best"], "best"),
        (["train"], "--config"),
        (["run", "{plate}"], "--labels"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str], message: str, plates: list[Path], tmp_path: Path
) -> None:
    text = tmp_path / "text.h5ad"
    text.write_text("this is no HDF5 file")
    output = [] if arguments[0] == "train" else ["-o", str(tmp_path / "out")]
    filled = [part.format(plate=plates[0], text=text) for part in arguments]
    result = CliRunner().invoke(app, filled + output)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.stderr


def test_ctrl_c_leaves_no_broken_file(plates: list[Path], tmp_path: Path) -> None:
    output = tmp_path / "out"
    command = [sys.executable, "-m", "tombola.cli", "run", *map(str, plates), "-l", "drug", "-o", str(output)]
    environment = {**os.environ, "MPLBACKEND": "Agg"}
    with subprocess.Popen(
        [*command, "--epochs", "200"],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env=environment,
        preexec_fn=listen_to_ctrl_c,
    ) as process:
        deadline = time.monotonic() + 60
        while not output.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    # A shell sees 130 in either case: CPython dies by the signal where it hit code run by exec().
    assert process.returncode in {130, -signal.SIGINT}, errors.decode()
    assert b"Traceback" not in errors
    assert not list(output.rglob("*.partial*"))
