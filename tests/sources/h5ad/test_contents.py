"""Which matrices a file has: those that can be read, by names that can be given; those of MuData files."""

from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest

from tests.sources.h5ad.h5ad_files import dense, make_anndata, random_counts
from tombola.sources import H5adSource
from tombola.sources.h5ad.layout import read_contents

X = random_counts(6, 4)
TEXT = h5py.string_dtype()


def listed(path: Path) -> str:
    """The matrices that a message lists."""
    with pytest.raises(KeyError) as caught:
        H5adSource(path, x="layers/nope")
    return str(caught.value).partition("the file has ")[2]


def test_what_is_listed_can_be_read(tmp_path: Path) -> None:
    data = make_anndata(X, layers={"counts": X})
    data.obsm["scores"] = pd.DataFrame({"p": np.ones(6)}, index=data.obs_names)
    data.obsm["pca"] = np.ones((6, 2))
    data.raw = data
    path = tmp_path / "a.h5ad"
    data.write_h5ad(path)
    with h5py.File(path, "r+") as file:
        file["layers/log/x"] = X.toarray()
        file["layers/text"] = np.array(["a"] * 6, dtype=TEXT)
        file["layers/cube"] = np.ones((6, 4, 2))
    names = ["X", "raw/X", "layers/counts", "layers/log/x", "obsm/pca"]
    assert listed(path) == ", ".join(names)
    assert read_contents(path).matrices == names
    for name in names:
        assert len(H5adSource(path, x=name).read(np.arange(6))["X"]) == 6
    for name, text in (("obsm/scores", "'dataframe'"), ("layers/log", "'group'")):
        with pytest.raises(ValueError, match=f"{name} is encoded as {text}, which is no matrix"):
            H5adSource(path, x=name)


@pytest.fixture(name="mudata")
def fixture_mudata(tmp_path: Path) -> Path:
    """What MuData writes: modalities with obs of their own, and flags of who has which row."""
    path = tmp_path / "two.h5mu"
    for seed, name in enumerate(("rna", "adt")):
        data = make_anndata(
            random_counts(6 + seed, 4, seed=seed), layers={"counts": random_counts(6 + seed, 4)}
        )
        data.write_h5ad(tmp_path / f"{name}.h5ad")
    with h5py.File(path, "w") as file:
        file.attrs.update({"encoding-type": "MuData", "encoding-version": "0.1.0", "axis": 0})
        for part, names in (("obs", ["a", "b"]), ("var", ["g"])):
            group = file.create_group(part)
            group.attrs.update(
                {"encoding-type": "dataframe", "_index": "_index", "column-order": np.zeros(0)}
            )
            group.create_dataset("_index", data=np.array(names, dtype=object), dtype=TEXT)
        file.create_group("obsm").create_dataset("rna", data=np.ones(2, dtype=bool))
        for name in ("rna", "adt"):
            with h5py.File(tmp_path / f"{name}.h5ad") as source:
                source.copy("/", file, f"mod/{name}")
    return path


def test_modalities(mudata: Path) -> None:
    contents = read_contents(mudata)
    assert contents.modalities == ["adt", "rna"]
    for name, n_obs in (("rna", 6), ("adt", 7)):
        plain = H5adSource(mudata.parent / f"{name}.h5ad", obs=["kind", "depth"])
        source = H5adSource(mudata, x=f"mod/{name}/X", obs=["kind", "depth"])
        assert (len(source), source.var_names) == (n_obs, plain.var_names)
        rows = np.array([0, 2, 5])
        for column, values in plain.read(rows).items():
            np.testing.assert_array_equal(dense(source.read(rows)[column]), dense(values))
        assert source.obs["kind"].tolist() == plain.obs["kind"].tolist()
        assert source.describe()["files"][0]["n_obs"] == n_obs
        assert H5adSource(mudata, x=f"mod/{name}/layers/counts").n_vars == 4


def test_mudata_says_what_it_is(mudata: Path) -> None:
    names = "mod/adt/X, mod/adt/layers/counts, mod/rna/X, mod/rna/layers/counts"
    for x in ("X", "obsm/rna"):
        with pytest.raises(KeyError, match=rf"two\.h5mu: a MuData file \(\.h5mu\), .*; it has {names}$"):
            H5adSource(mudata, x=x)
    with pytest.raises(KeyError, match=rf"no 'mod/none/X'; the file has {names}$"):
        H5adSource(mudata, x="mod/none/X")
    for x in ("mod/rna", "mod/rna/obs", "mod//X/"):
        with pytest.raises(ValueError, match="of a modality with 'mod/NAME/' before it"):
            H5adSource(mudata, x=x)
    anndata.AnnData(X).write_h5ad(mudata.parent / "plain.h5ad")
    with pytest.raises(KeyError, match=r"no 'mod/rna/X'; the file has X$"):
        H5adSource(mudata.parent / "plain.h5ad", x="mod/rna/X")


def test_matrices_of_one_modality_at_once(mudata: Path) -> None:
    source = H5adSource(mudata, x={"X": "mod/rna/X", "counts": "mod/rna/layers/counts"})
    found = source.read(np.arange(len(source)))
    plain = H5adSource(mudata, x="mod/rna/layers/counts").read(np.arange(len(source)))
    np.testing.assert_array_equal(dense(found["counts"]), dense(plain["X"]))
    with pytest.raises(ValueError, match="the rows of one obs, but mod/adt/X has those of mod/adt"):
        H5adSource(mudata, x={"X": "mod/rna/X", "protein": "mod/adt/X"})
