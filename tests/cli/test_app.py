"""The application: quick help, one line for what a user got wrong, a traceback for what we did."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from tests.cli.children import listen_to_ctrl_c
from tombola.cli import demo as demo_module
from tombola.cli import inspect as inspect_module
from tombola.cli.app import app
from tombola.cli.cache import cache_folder
from tombola.experiments import PlateDesign
from tombola.experiments.h5ad_writer import Categorical, Csr, write_h5ad


@pytest.fixture(name="file")
def fixture_file(tmp_path: Path) -> Path:
    path = tmp_path / "cells.h5ad"
    counts = np.random.default_rng(1).poisson(4.0, (90, 6)).astype(np.float32)
    write_h5ad(
        path,
        Csr.from_dense(counts),
        {"drug": Categorical(np.arange(90) % 3, list("abc")), "lot": Categorical(np.zeros(90, int), ["one"])},
        obs_names=[str(i) for i in range(90)],
        var_names=list("uvwxyz"),
    )
    return path


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\n"
        "from tombola.cli import main\n"
        f"sys.argv = ['tombola', *{arguments!r}]\n"
        "try:\n"
        "    main()\n"
        "except SystemExit as end:\n"
        "    print('left with', end.code)\n"
        "print('loaded', *sorted({'torch', 'h5py', 'matplotlib'} & set(sys.modules)))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.endswith("left with 0\nloaded\n")
    assert "tombola" in result.stdout
    assert result.stderr == ""


def test_no_command_shows_help() -> None:
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 0
    assert "Usage" in result.stdout
    assert "inspect" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "{file}", "-l", "lot"], "'lot' must have at least 2 classes"),
        (["run", "{file}", "-l", "drug", "-s", "best"], "choose from streaming, streaming_shuffle, block_s"),
        (["run", "{file}", "-l", "dose"], "obs has no column 'dose'; it has drug, lot"),
        (["run", "{file}", "-l", "drug", "--fetch-factor", "many"], "--fetch-factor"),
        (["run", "{file}", "-l", "drug", "--holdout-files", "{file}"], "leaves no training rows"),
        (
            ["run", "{file}", "-l", "drug", "--holdout-files", "{file}", "--holdout-fraction", "0.5"],
            "--holdout-files and --holdout-fraction exclude each other",
        ),
        (["run", "{file}", "-l", "drug", "-o", "{file}/out"], "Not a directory"),
        (["run", "{folder}", "-l", "drug"], "{folder}"),
        (["demo", "--seed", "-1"], "seed must be an integer >= 0, but is -1"),
        (["demo", "--cache", "{file}"], "{file}: nothing can be written to this output: Not a directory"),
        (["demo", "--speed", "2"], "--speed"),
        (["inspect", "{folder}/none.h5ad"], "none.h5ad"),
        (["inspect", "{folder}"], "{folder}"),
        (["inspect"], "FILE"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], message: str, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "folder"
    folder.mkdir()
    result = CliRunner().invoke(app, [part.format(file=file, folder=folder) for part in arguments])
    assert result.exit_code == 2, result.output
    errors = [line for line in result.stderr.splitlines() if not line.startswith("warning: ")]
    assert len(errors) == 1
    assert errors[0].startswith("error: ")
    assert message.format(file=file, folder=folder) in errors[0]


def test_a_message_of_several_lines_becomes_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError("first line\n   second line")

    monkeypatch.setattr(inspect_module, "inspect_files", fail)
    result = CliRunner().invoke(app, ["inspect", "a.h5ad"])
    assert (result.exit_code, result.stderr) == (2, "error: first line second line\n")


@pytest.mark.parametrize("error", [KeyError("drug"), RuntimeError("a fault"), AssertionError()])
def test_faults_of_ours_keep_their_traceback(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(inspect_module, "inspect_files", fail)
    result = CliRunner().invoke(app, ["inspect", "a.h5ad"])
    assert result.exception is error


def test_debugging_keeps_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOMBOLA_DEBUG", "1")
    result = CliRunner().invoke(app, ["inspect", "none.h5ad"])
    assert isinstance(result.exception, FileNotFoundError)
    assert CliRunner().invoke(app, ["inspect"]).exit_code == 2  # arguments are the user's matter


def test_ctrl_c_is_said_and_leaves_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(inspect_module, "inspect_files", interrupt)
    result = CliRunner().invoke(app, ["inspect", "a.h5ad"])
    assert (result.exit_code, result.stderr) == (130, "interrupted; what is written is whole\n")


def test_ctrl_c_while_plates_are_made_leaves_whole_ones(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "tombola.cli",
        "demo",
        "--cache",
        str(tmp_path),
        "-o",
        str(tmp_path / "o"),
    ]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, preexec_fn=listen_to_ctrl_c
    ) as process:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("plates-*/plate_01.h5ad")) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors.decode()
    assert errors == b"interrupted; what is written is whole\n"
    (plates,) = tmp_path.glob("plates-*")
    names = sorted(path.name for path in plates.iterdir())
    assert names == [f"plate_{number + 1:02d}.h5ad" for number in range(len(names))]
    assert 1 <= len(names) < PlateDesign().n_plates
    for name in names:
        with h5py.File(plates / name) as file:
            assert len(file["obs/_index"]) == PlateDesign().cells_per_plate


def test_reruns_of_the_demo_reuse_the_plates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    design = PlateDesign(
        n_plates=3, cells_per_plate=640, n_genes=40, n_cell_lines=3, n_drugs=6, n_moa_broad=2, n_moa_fine=3
    )

    def run(seed: int) -> dict[str, int]:
        demo_module.run_demo(
            output=tmp_path / f"out{seed}", strategies=["random"], seed=seed, cache=tmp_path, design=design
        )
        return {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("plates-*/*")}

    assert run(0) == run(1)
    text = capsys.readouterr().out
    assert "window:   64 x 1 = 64 rows, at most a tenth of a plate of 640" in text
    assert "1,280 rows to train on, 640 to test on, 40 features" in text


def test_what_run_says_of_its_data(file: Path, tmp_path: Path) -> None:
    arguments = ["run", str(file), "-l", "drug", "-s", "streaming,random", "-s", "weighted_true"]
    options = ["--batch-size", "4", "--fetch-factor", "2", "--epochs", "1", "--min-count-baseline", "0"]
    output = ["-o", str(tmp_path / "out")]
    result = CliRunner().invoke(app, [*arguments, *options, *output])
    assert result.exit_code == 0, result.output
    assert "72 rows to train on, 18 to test on, 6 features" in result.stdout
    assert "labels:   drug (3 classes)" in result.stdout
    assert "training: 1 epoch, 18 steps" in result.stdout
    assert "macro-F1 of its rarest third of classes alone (1 of " in result.stdout
    assert "the mean entropy of its classes in a batch; 0 where all" in result.stdout
    assert "majority class" in result.stdout
    assert "warning: X looks like raw counts" in result.stderr
    names = sorted(path.stem for path in (tmp_path / "out" / "runs").iterdir())
    assert names == ["class_balanced_rows", "random", "streaming"]
    quiet = CliRunner().invoke(app, [*arguments, *options, *output, "--log1p"])
    assert quiet.exit_code == 0
    assert "warning" not in quiet.stderr


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"TOMBOLA_CACHE": "/somewhere/else"}, Path("/somewhere/else")),
        ({"XDG_CACHE_HOME": "/caches"}, Path("/caches/tombola")),
        ({"XDG_CACHE_HOME": "relative"}, Path("/home/me/.cache/tombola")),
        ({}, Path("/home/me/.cache/tombola")),
    ],
)
@pytest.mark.skipif(sys.platform == "darwin", reason="macOS keeps caches elsewhere")
def test_the_cache_folder(
    environment: dict[str, str], expected: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TOMBOLA_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/me", **environment}.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == expected
    assert os.environ["HOME"] == "/home/me"
