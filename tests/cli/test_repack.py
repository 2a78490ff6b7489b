"""`tombola repack`: what it writes and says, and what it refuses."""

import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

import tombola
from tests.cli.children import listen_to_ctrl_c
from tests.sources.h5ad.h5ad_files import N_OBS, random_counts, read_anndata, write_h5ad
from tombola.cli.app import app
from tombola.cli.repack import parse_memory


@pytest.fixture(name="plate")
def fixture_plate(tmp_path: Path) -> Path:
    return write_h5ad(tmp_path / "plate.h5ad", random_counts(), options={"compression": "gzip"})


def test_a_file_is_written_anew(tmp_path: Path, plate: Path) -> None:
    out = tmp_path / "out.h5ad"
    arguments = ["repack", str(plate), str(out), "--shuffle", "--seed", "7", "--chunk-values", "100"]
    result = CliRunner().invoke(
        app, [*arguments, "--compression", "gzip", "--level", "1", "--memory", "1 MB"]
    )
    assert result.exit_code == 0, result.output
    for text in (
        f"{out}, 157 rows, every row compared with the inputs",
        "matrices: X",
        "shuffled with seed 7; 'original_row' has the rows",
        "100 values, gzip 1",
        "of the input's",
    ):
        assert text in result.stdout
    made, given = read_anndata(out), read_anndata(plate)
    rows = tombola.permutation(N_OBS, 7)
    assert np.array_equal(made.X.toarray(), given.X[rows].toarray())
    assert np.array_equal(made.obs["original_row"], rows)
    with h5py.File(out) as file:
        assert file["X/data"].chunks == (100,)
        assert (file["X/data"].compression, file["X/data"].compression_opts) == ("gzip", 1)


def test_several_files_and_what_is_left_out(tmp_path: Path, plate: Path) -> None:
    other = write_h5ad(tmp_path / "other.h5ad", random_counts(seed=1))
    with h5py.File(plate, "r+") as file:
        file["uns"].attrs["x"] = 1
        file["uns/k"] = 3
    out = tmp_path / "out.h5ad"
    result = CliRunner().invoke(app, ["repack", str(plate), str(other), str(out), "--no-verify"])
    assert result.exit_code == 0, result.output
    assert "warning: uns is left out: several inputs have one each" in result.stderr
    assert "314 rows, not compared with the inputs" in result.stdout
    assert "rows:     in their order" in result.stdout


def test_bad_input_is_one_line(tmp_path: Path, plate: Path) -> None:
    out = tmp_path / "out.h5ad"
    taken = tmp_path / "taken.h5ad"
    taken.write_text("mine")
    cases: list[tuple[list[object], str]] = [
        ([plate], "repack takes files to read and one to write, but got one path only"),
        ([plate, plate], "the output must be another file than the inputs"),
        ([plate, taken], "it exists; force (--force) replaces it"),
        ([tmp_path / "missing.h5ad", out], "missing.h5ad: no such file"),
        ([taken, out], "taken.h5ad: not an HDF5 file"),
        (
            [plate, tmp_path / "nowhere" / "out.h5ad"],
            "nowhere/out.h5ad: nothing can be written to this output: No such file",
        ),
        ([plate, out, "--memory", "much"], 'memory must be like "512 MB" or "2 GB", but is \'much\''),
        ([plate, out, "--compression", "zip"], 'compression must be "none" or "gzip"'),
        ([plate, out, "--chunk-values", "0"], "chunk_values must be an integer >= 1, but is 0"),
    ]
    for arguments, expected in cases:
        result = CliRunner().invoke(app, ["repack", *map(str, arguments)])
        assert result.exit_code == 2, result.output
        assert expected in " ".join(result.stderr.split())
        assert result.stderr.count("\n") == 1
    assert not out.exists()
    assert taken.read_text() == "mine"


@pytest.mark.parametrize(
    ("text", "size"),
    [("4096", 4096), ("512 MB", 512 << 20), ("2g", 2 << 30), ("3 KiB", 3072), ("1GB", 1 << 30)],
)
def test_amounts_of_memory(text: str, size: int) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize("text", ["", "MB", "-1", "1.5 GB", "2 XB"])
def test_amounts_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="memory must be like"):
        parse_memory(text)


def test_killed_then_called_again(tmp_path: Path) -> None:
    """SIGKILL as soon as there is a state; the same call makes the file that one without a kill makes."""
    path = write_h5ad(tmp_path / "in.h5ad", random_counts(3_000, 100))
    out = tmp_path / "out.h5ad"
    arguments = ["--shuffle", "--memory", "64 KB", "--chunk-values", "1000"]
    command = [sys.executable, "-m", "tombola.cli", "repack", str(path)]
    with subprocess.Popen([*command, str(out), *arguments], preexec_fn=listen_to_ctrl_c) as process:
        state = tmp_path / "out.h5ad.part" / "state.json"
        while not state.exists() and process.poll() is None:
            pass
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not out.exists()
    whole = tmp_path / "whole.h5ad"
    for target in (out, whole):
        result = CliRunner().invoke(app, ["repack", str(path), str(target), *arguments])
        assert result.exit_code == 0, result.output
    assert out.read_bytes() == whole.read_bytes()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["in.h5ad", "out.h5ad", "whole.h5ad"]
