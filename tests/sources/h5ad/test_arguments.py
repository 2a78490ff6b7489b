"""What users pass in place of paths: it works, or the error says what to pass instead."""

import re
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pytest

from tests.sources.h5ad.h5ad_files import make_anndata, random_counts, write_h5ad
from tombola.sources import ArraySource, H5adSource


def test_anndata_objects(tmp_path: Path) -> None:
    data = make_anndata(random_counts())
    for given in (data, [data]):
        with pytest.raises(
            TypeError, match=r"is an AnnData object: ArraySource\(adata\.X, drug=adata\.obs\['drug'\]\)"
        ):
            H5adSource(given)
    source = ArraySource(data.X, kind=data.obs["kind"])
    assert source.obs["kind"].tolist() == data.obs["kind"].tolist()
    with pytest.raises(TypeError, match=r"pass its X, and columns by name, ArraySource\(adata\.X"):
        ArraySource(data)
    path = write_h5ad(tmp_path / "a.h5ad", random_counts())
    backed = anndata.read_h5ad(path, backed="r")
    with pytest.raises(TypeError, match=re.escape(f"it is backed by {str(path)!r}, which can be passed")):
        H5adSource(backed)
    backed.file.close()


def test_open_files(tmp_path: Path) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", random_counts())
    with h5py.File(path) as file, pytest.raises(TypeError, match=rf"of type File, pass its path, '{path}'$"):
        H5adSource(file)
    with path.open("rb") as plain, pytest.raises(TypeError, match="of type BufferedReader, pass its path"):
        H5adSource(plain)  # type: ignore[arg-type]
    for given in (3, None, [b"a.h5ad"]):
        with pytest.raises(TypeError, match=r"paths must be paths of h5ad files, but one is of type"):
            H5adSource(given)  # type: ignore[arg-type]


def test_folders_and_zarr_stores(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"a folder, not an h5ad file, with no h5ad files in it$"):
        H5adSource(tmp_path)
    for name in "dacb":
        (tmp_path / f"{name}.h5ad").touch()
    expected = (
        "not an h5ad file, with h5ad files, 4 in number (a.h5ad, b.h5ad, c.h5ad, ...) in it; "
        f"{tmp_path}/*.h5ad names them on a command line, sorted(Path("
    )
    with pytest.raises(OSError, match=re.escape(expected)):
        H5adSource(tmp_path)
    store = tmp_path / "plate.zarr"
    store.mkdir()
    with pytest.raises(OSError, match=r"plate\.zarr: a Zarr store, not an h5ad file; anndata\.read_zarr\("):
        H5adSource([store])
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "zarr.json").touch()
    with pytest.raises(OSError, match="other: a Zarr store, not an h5ad file"):
        H5adSource(str(tmp_path / "other"))


def test_columns_are_named(tmp_path: Path) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", random_counts())
    with pytest.raises(TypeError, match="obs must name columns, but one is 3"):
        H5adSource(path, obs=["kind", 3])  # type: ignore[list-item]
    columns: Any = np.array(["kind", "depth"])
    assert H5adSource(path, obs=columns).columns == ("kind", "depth")
