"""What a source says about its files."""

import json
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pandas as pd
import pytest

from tests.sources.h5ad.h5ad_files import make_anndata, random_counts, rewrite_dataset, write_h5ad
from tombola.sources import H5adSource

X = random_counts()


@pytest.mark.parametrize("kind", ["csr", "csc", "dense"])
def test_files(tmp_path: Path, kind: str) -> None:
    x = {"csr": X, "csc": X.tocsc(), "dense": X.toarray()}[kind]
    path = write_h5ad(tmp_path / "a.h5ad", x)
    name, chunks = ("X", (16, 5)) if kind == "dense" else ("X/data", (100,))
    rewrite_dataset(path, name, chunks=chunks, compression="gzip", shuffle=True)
    source = H5adSource([path, path])
    text = source.describe()
    assert json.loads(json.dumps(text)) == text
    assert (text["n_obs"], text["n_vars"], text["x"], len(text["files"])) == (314, 23, "X", 2)
    n_values = 157 * 23 if kind == "dense" else X.nnz
    file = text["files"][0]
    assert 0 < file.pop("bytes_on_disk") < n_values * 4
    indices = file.pop("index_bytes_on_disk")
    assert indices is None if kind == "dense" else indices >= n_values * 4
    assert file == {
        "path": str(path),
        "format": "0.1.0 (anndata 0.8 and later)",
        "n_obs": 157,
        "n_vars": 23,
        "encoding": kind,
        "dtype": "float32",
        "n_values": n_values,
        "mean_row_values": n_values / 157,
        "chunks": list(chunks),
        "chunk_rows": {"dense": 16.0, "csr": 100 / (n_values / 157), "csc": None}[kind],
        "compression": "gzip",
        "shuffle": True,
    }


def test_plain_and_foreign_storage(tmp_path: Path) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", X.toarray())
    plain = H5adSource(path).describe()["files"][0]
    assert [plain[key] for key in ("chunks", "chunk_rows", "compression", "shuffle")] == [
        None,
        None,
        None,
        False,
    ]
    rewrite_dataset(path, "X", chunks=(10, 23), **dict(hdf5plugin.Zstd()))
    assert H5adSource(path).describe()["files"][0]["compression"] == "zstd"


def test_values_in_other_files(tmp_path: Path) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", X.toarray())
    virtual = h5py.VirtualLayout(X.shape, np.float32)
    with h5py.File(path, "r+") as file:
        file.move("X", "kept")
        virtual[...] = h5py.VirtualSource(file["kept"])
        file.create_virtual_dataset("X", virtual)
        file["X"].attrs.update(file["kept"].attrs)
    source = H5adSource(path)
    np.testing.assert_array_equal(source.read(np.array([1, 5]))["X"], X.toarray()[[1, 5]])
    described = source.describe()["files"][0]
    assert (described["bytes_on_disk"], described["chunks"], described["compression"]) == (None, None, None)


@pytest.mark.parametrize(
    ("versions", "text"),
    [
        ({"/": "0.1.0", "obs": "0.2.0"}, "0.1.0 (anndata 0.8 and later)"),
        ({"/": "0.3.0", "obs": "0.2.0"}, "0.3.0"),
        ({"obs": "0.1.0"}, "before 0.1.0 (anndata 0.7)"),
        ({"obs": "0.2.0"}, "no version, data frames 0.2.0"),
        ({}, "no version"),
    ],
)
def test_the_version_is_that_of_the_format(tmp_path: Path, versions: dict[str, str], text: str) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", X)
    with h5py.File(path, "r+") as file:
        for name in ("/", "obs"):
            del file[name].attrs["encoding-version"]
            if name in versions:
                file[name].attrs["encoding-version"] = versions[name]
    assert H5adSource(path).describe()["files"][0]["format"] == text


def test_columns(tmp_path: Path) -> None:
    data = make_anndata(random_counts(5, 3))
    data.obs = pd.DataFrame(
        {
            "kind": pd.Categorical(["b", "a", None, "b", "b"], categories=["a", "b", "c"]),
            "text": ["y", "x", "x", "x", "y"],
            "depth": [1.5, np.nan, 0.5, 2, 2],
            "n": np.arange(5, dtype=np.int32),
            "flag": [True, False, False, False, False],
        },
        index=data.obs_names,
    )
    data.strings_to_categoricals = lambda *_: None
    data.write_h5ad(tmp_path / "a.h5ad")
    columns = H5adSource(tmp_path / "a.h5ad").describe()["obs"]
    assert columns == {
        "kind": {"kind": "categories", "missing": 1, "n_classes": 3, "counts": {"b": 3, "a": 1, "c": 0}},
        "text": {"kind": "text", "missing": 0, "n_classes": 2, "counts": {"x": 3, "y": 2}},
        "depth": {"kind": "float64", "missing": 1, "min": 0.5, "max": 2.0},
        "n": {"kind": "int32", "missing": 0, "min": 0, "max": 4},
        "flag": {"kind": "bool", "missing": 0, "min": False, "max": True},
    }
    assert list(columns["kind"]["counts"]) == ["b", "a", "c"]
