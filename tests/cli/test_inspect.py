"""`tombola inspect`, on files as anndata writes them and on real ones."""

from pathlib import Path

import anndata
import h5py
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


def test_bytes_of_indices_are_counted(plate: Path) -> None:
    with h5py.File(plate) as file:
        values, indices = (file[f"X/{part}"].id.get_storage_size() for part in ("data", "indices"))
    text = inspect(plate)
    assert f"on disk:      {values + indices:,} bytes: values {values:,}, indices {indices:,}" in text
    assert "faster still" not in text


def test_blocks_that_follow_the_file_are_suggested(tmp_path: Path) -> None:
    path = tmp_path / "dense.h5ad"
    values = np.ones((4000, 30), np.float32)
    anndata.AnnData(values).write_h5ad(path)
    with h5py.File(path, "r+") as file:
        attributes = dict(file["X"].attrs)
        del file["X"]
        x = file.create_dataset("X", data=values, chunks=(10, 30), compression="gzip")
        x.attrs.update(attributes)
        on_disk = x.id.get_storage_size()
    text = inspect(path, "--batch-size", 8)
    assert f"on disk:      {on_disk:,} bytes\n" in text
    assert "bounds=source.chunk_bounds() (each chunk of about 10 rows" in text
    assert "faster still" not in inspect(path, "--batch-size", 64)


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


def inspect(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["inspect", *map(str, arguments)], terminal_width=200)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_layers_raw_and_obsm_are_listed(tmp_path: Path, plate: Path) -> None:
    assert "  matrix:       X\n  shape:" in inspect(plate)
    cells = anndata.read_h5ad(plate)
    cells.layers["counts"], cells.layers["scaled"] = cells.X.copy(), cells.X.copy()
    cells.raw = cells
    cells.obsm["X_pca"] = np.ones((200, 2))
    cells.write_h5ad(tmp_path / "all.h5ad")
    lines = inspect(tmp_path / "all.h5ad").splitlines()
    assert lines[1:5] == [
        "  matrix:       X",
        "  raw:          raw/X",
        "  layers:       layers/counts, layers/scaled",
        "  obsm:         obsm/X_pca",
    ]


def test_a_matrix_by_columns(tmp_path: Path) -> None:
    x = sp.random(20, 5, density=0.3, format="csc", dtype=np.float32, random_state=1)
    anndata.AnnData(x).write_h5ad(tmp_path / "csc.h5ad", compression="gzip")
    text = inspect(tmp_path / "csc.h5ad")
    assert "csc float32" in text
    assert "values\n" in text[text.index("chunks:") :]


def test_a_virtual_matrix(tmp_path: Path) -> None:
    path = tmp_path / "virtual.h5ad"
    anndata.AnnData(np.ones((20, 5), dtype=np.float32)).write_h5ad(path)
    with h5py.File(path, "r+") as file:
        file.move("X", "kept")
        layout = h5py.VirtualLayout((20, 5), np.float32)
        layout[...] = h5py.VirtualSource(file["kept"])
        file.create_virtual_dataset("X", layout)
    text = inspect(path)
    assert "chunks:       those of other files, which hold the values" in text
    assert "bytes on disk" not in text
    assert "format:       0.1.0 (anndata 0.8 and later)" in text


def test_one_odd_column_is_named_and_the_rest_shown(tmp_path: Path) -> None:
    odd = pd.array([2**60 + 1, None, 3, 4], dtype="Int64")
    obs = pd.DataFrame({"ok": pd.Categorical(list("aabb")), "odd": odd}, index=list("wxyz"))
    anndata.AnnData(np.ones((4, 1), np.float32), obs=obs).write_h5ad(tmp_path / "odd.h5ad")
    text = inspect(tmp_path / "odd.h5ad")
    for part in ("a 2, b 2", "odd", "unreadable", "block size"):
        assert part in text


def test_a_file_without_x(tmp_path: Path) -> None:
    obs = pd.DataFrame({"q": [1, 2]}, index=["a", "b"])
    ones = np.ones((2, 1), dtype=np.float32)
    data = anndata.AnnData(None, obs=obs, var=pd.DataFrame(index=["g"]), layers={"counts": ones})
    data.obsm["pca"] = np.ones((2, 3))
    data.write_h5ad(tmp_path / "layers.h5ad")
    text = inspect(tmp_path / "layers.h5ad")
    for part in (
        "matrix:       layers/counts\n",
        "obsm:         obsm/pca\n",
        "2 rows x 1 columns",
        "1 to 2",
        "block size",
    ):
        assert part in text
    anndata.AnnData(obs=obs).write_h5ad(tmp_path / "none.h5ad")
    text = inspect(tmp_path / "none.h5ad")
    for part in ("2 rows; no matrix that can be read", "1 to 2"):
        assert part in text
    assert "block size" not in text


def test_mudata(tmp_path: Path, plate: Path) -> None:
    with h5py.File(tmp_path / "two.h5mu", "w") as file, h5py.File(plate) as source:
        file.attrs["encoding-type"] = "MuData"
        for name in ("rna", "adt"):
            source.copy("/", file, f"mod/{name}")
    text = inspect(tmp_path / "two.h5mu")
    for part in (
        "MuData, modalities adt, rna",
        "mod/adt/X, mod/rna/X",
        "mod/rna/X; others: mod/adt/X",
        "a 150",
    ):
        assert part in text
