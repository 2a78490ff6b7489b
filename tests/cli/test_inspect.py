"""`tombola inspect`, on files as anndata writes them and on real ones."""

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from typer.testing import CliRunner

from tombola.cli.app import app


@pytest.fixture(name="plate")
def fixture_plate(tmp_path: Path) -> Path:
    obs = pd.DataFrame(
        {"drug": pd.Categorical(["a"] * 150 + ["b"] * 50), "depth": np.arange(200.0)},
        index=[f"cell_{i}" for i in range(200)],
    )
    x = sp.random(200, 30, density=0.5, format="csr", dtype=np.float32, random_state=1)
    path = tmp_path / "plate.h5ad"
    anndata.AnnData(x, obs=obs).write_h5ad(path, compression="gzip")
    return path


def test_a_file_is_described(plate: Path) -> None:
    result = CliRunner().invoke(app, ["inspect", str(plate), "--batch-size", "10"])
    assert result.exit_code == 0, result.output
    for text in ("200 rows x 30 columns", "csr float32", "gzip", "drug", "a 150, b 50", "0 to 199", "100.0"):
        assert text in result.stdout
    assert "block size:   64 (gzip chunks hold about 200 rows" in result.stdout
    assert "fetch factor: 2 (a window of 20 rows" in result.stdout


def test_real_files_are_described(data_dir: Path) -> None:
    result = CliRunner().invoke(app, ["inspect", str(data_dir / "pbmc68k_reduced.h5ad")])
    assert result.exit_code == 0, result.output
    for text in ("700 rows x 765 columns", "bulk_labels", "G1 501, S 182, G2M 17", "44 x 96"):
        assert text in result.stdout


def test_bad_input_is_one_line(tmp_path: Path, plate: Path) -> None:
    text = tmp_path / "text.h5ad"
    text.write_text("this is no HDF5 file")
    missing = tmp_path / "missing.h5ad"
    cases = [
        ([str(missing)], "missing.h5ad"),
        ([str(text)], "text.h5ad"),
        ([str(plate), "--batch-size", "0"], "batch_size must be an integer >= 1, but is 0"),
    ]
    for arguments, expected in cases:
        result = CliRunner().invoke(app, ["inspect", *arguments])
        assert result.exit_code == 2
        assert expected in result.stderr
        assert result.stderr.count("\n") == 1
