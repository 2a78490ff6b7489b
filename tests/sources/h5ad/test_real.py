"""Real files of old versions, cell by cell against what anndata reads."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from tests.sources.h5ad.h5ad_files import dense, read_anndata
from tombola.sources import H5adSource

PBMC, V07 = "pbmc68k_reduced.h5ad", "anndata-v0.7.8.h5ad"


@pytest.mark.parametrize(
    ("name", "x"),
    [
        (PBMC, "X"),
        (PBMC, "raw/X"),
        (PBMC, "obsm/X_pca"),
        (PBMC, "obsm/X_umap"),
        (V07, "X"),
        (V07, "raw/X"),
        (V07, "layers/array"),
        (V07, "layers/sparse"),
        (V07, "obsm/array"),
        (V07, "obsm/sparse"),
    ],
)
def test_every_cell(data_dir: Path, name: str, x: str) -> None:
    read = read_anndata(data_dir / name)
    head, _, key = x.partition("/")
    matrices: dict[str, Any] = {"X": read, "raw": read.raw, "layers": read.layers, "obsm": read.obsm}
    matrix = matrices[head].X if head in ("X", "raw") else matrices[head][key]
    expected = dense(matrix).astype(np.float32)
    rows = np.unique(np.random.default_rng(0).integers(0, len(expected), len(expected)))
    for source in (H5adSource(data_dir / name, x=x), H5adSource(data_dir / name, x=x, x_format="csr")):
        assert (len(source), source.n_vars) == expected.shape
        np.testing.assert_array_equal(dense(source.read(np.arange(len(source)))["X"]), expected)
        np.testing.assert_array_equal(dense(source.read(rows)["X"]), expected[rows])
    if head in ("X", "raw", "layers"):
        owner = read.raw if head == "raw" else read
        assert H5adSource(data_dir / name, x=x).var_names == owner.var_names.tolist()


@pytest.mark.parametrize("name", [PBMC, V07])
def test_every_obs_column(data_dir: Path, name: str) -> None:
    frame = read_anndata(data_dir / name).obs
    source = H5adSource(data_dir / name, obs=list(frame.columns))
    assert list(source.obs) == list(frame.columns)
    batch = source.read(np.arange(len(source)))
    for column in frame.columns:
        values = frame[column]
        if isinstance(values.dtype, pd.CategoricalDtype):
            assert source.categories[column].tolist() == values.cat.categories.tolist()
            codes = source.obs[column].codes
            np.testing.assert_array_equal(codes, values.cat.codes)
            assert codes.dtype == values.cat.codes.dtype
            np.testing.assert_array_equal(np.asarray(batch[column]), codes)
        else:
            np.testing.assert_array_equal(source.obs[column], values)
            assert source.obs[column].dtype == values.dtype
            np.testing.assert_array_equal(np.asarray(batch[column]), source.obs[column])


def test_two_real_files_share_no_genes(data_dir: Path) -> None:
    with pytest.raises(
        ValueError, match=r"var names must agree in all files, but .*v0\.7\.8\.h5ad differs from"
    ):
        H5adSource([data_dir / PBMC, data_dir / V07])
    with pytest.raises(ValueError, match="the files share no var name"):
        H5adSource([data_dir / PBMC, data_dir / V07], join="inner")


def test_damage_in_any_chunk_is_an_error_for_its_rows(data_dir: Path, tmp_path: Path) -> None:
    sound = (data_dir / PBMC).read_bytes()
    expected = dense(H5adSource(data_dir / PBMC).read(np.arange(700))["X"])
    with h5py.File(data_dir / PBMC) as file:
        x = file["X"]
        chunks = [x.id.get_chunk_info(i) for i in range(0, x.id.get_num_chunks(), 9)]
        height = x.chunks[0]
    bad = tmp_path / PBMC
    for chunk in chunks:
        data = bytearray(sound)
        middle = chunk.byte_offset + chunk.size // 2
        data[middle : middle + 8] = bytes(8)
        bad.write_bytes(bytes(data))
        first = chunk.chunk_offset[0]
        lost = np.arange(first, min(first + height, 700))
        source = H5adSource(bad)
        rest = np.setdiff1d(np.arange(700), lost)
        np.testing.assert_array_equal(dense(source.read(rest)["X"]), expected[rest])
        for row in (lost[0], lost[-1]):
            with pytest.raises(
                OSError, match=rf"{bad}: dataset 'X': cannot read rows {row} to {row}; the file"
            ):
                source.read(np.array([row]))
