"""Several inputs as one output: rows one after the other, obs as `H5adSource` unites it."""

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import tombola
from tests.repacking.whole_files import N_OBS, assert_same, read_anndata, whole_anndata, write_whole
from tests.sources.h5ad.h5ad_files import random_counts, write_h5ad
from tombola.repacking import RepackOptions, repack


@pytest.mark.parametrize("shuffle", [False, True])
def test_rows_follow_each_other(tmp_path: Path, shuffle: bool) -> None:
    paths = [write_whole(tmp_path / f"{seed}.h5ad", seed=seed) for seed in range(3)]
    options = RepackOptions(shuffle=shuffle, memory=1 << 16)
    result = repack(paths, tmp_path / "out.h5ad", options=options)
    made, given = read_anndata(result.path), [read_anndata(path) for path in paths]
    n = 3 * N_OBS
    rows = tombola.permutation(n, 0) if shuffle else np.arange(n)
    assert_same(made.X, sp.vstack([each.X for each in given], format="csr")[rows])
    assert_same(made.raw.X, sp.vstack([each.raw.X for each in given], format="csr")[rows])
    for name in ("dense", "counts"):
        parts = [each.layers[name] for each in given]
        joined = np.vstack(parts) if name == "dense" else sp.vstack(parts, format="csr")
        assert_same(made.layers[name], joined[rows])
    assert_same(made.obsm["pca"], np.vstack([each.obsm["pca"] for each in given])[rows])
    assert_same(made.obsm["sparse"], sp.vstack([each.obsm["sparse"] for each in given], format="csr")[rows])
    assert made.obs_names.tolist() == np.concatenate([each.obs_names for each in given])[rows].tolist()
    expected = pd.concat([each.obs for each in given]).iloc[rows]
    for name in expected:
        pd.testing.assert_series_equal(made.obs[name], expected[name])
    assert made.obs["stage"].cat.ordered
    pd.testing.assert_frame_equal(made.var, given[0].var)
    assert made.uns["tombola_repack"]["inputs"].tolist() == ["0.h5ad", "1.h5ad", "2.h5ad"]
    assert set(result.notes) == {
        "var is that of the first input: its other columns were not compared",
        "raw/var is that of the first input: its other columns were not compared",
        "varm is left out: several inputs have one each",
        "uns is left out: several inputs have one each",
        "obsm/frame is left out: not all inputs have it as an array of one type and width",
    } | ({"raw/varm is left out: several inputs have one each"} if "raw/varm" in str(result.notes) else set())


def test_columns_that_differ(tmp_path: Path) -> None:
    first = pd.DataFrame(
        {
            "drug": pd.Categorical(["b", "a", None], categories=["b", "a"]),
            "plate": ["x", "y", "x"],
            "n": np.array([1, 2, 3], np.int32),
            "only": [1, 2, 3],
        },
        index=list("abc"),
    )
    second = pd.DataFrame(
        {
            "drug": pd.Categorical(["c", "a"], categories=["a", "c"]),
            "plate": pd.Categorical(["z", "x"]),
            "n": [0.5, np.nan],
            "more": ["u", "v"],
        },
        index=list("de"),
    )
    x = np.arange(6, dtype=np.float32).reshape(3, 2)
    paths = []
    for name, obs in (("first", first), ("second", second)):
        paths.append(tmp_path / f"{name}.h5ad")
        anndata.AnnData(x[: len(obs)], obs=obs).write_h5ad(paths[-1])
    result = repack(paths, tmp_path / "out.h5ad", options=RepackOptions(shuffle=True))
    obs = read_anndata(result.path).obs.sort_values("original_row")
    assert obs["drug"].tolist()[:2] == ["b", "a"]
    assert obs["drug"].isna().tolist() == [False, False, True, False, False]
    assert obs["drug"].cat.categories.tolist() == ["b", "a", "c"]
    assert obs["plate"].tolist() == ["x", "y", "x", "z", "x"]
    assert obs["n"].tolist()[:4] == [1, 2, 3, 0.5]
    assert list(obs) == ["drug", "plate", "n", "original_row"]
    assert obs.index.tolist() == list("abcde")
    for name in ("only", "more"):
        assert f"obs column {name!r} is left out: not all inputs have it" in result.notes


def test_what_only_later_inputs_have_is_said(tmp_path: Path) -> None:
    first = write_h5ad(tmp_path / "a.h5ad", random_counts())
    second = write_whole(tmp_path / "b.h5ad", seed=1)
    other = read_anndata(second)
    other.var_names = read_anndata(first).var_names
    other.raw = None
    other.write_h5ad(second)
    result = repack([first, second], tmp_path / "out.h5ad")
    for name in ("layers/counts", "layers/dense", "obsm/sparse", "obsm/pca", "obsm/frame"):
        assert f"{name} is left out: {first} has not got it" in result.notes
        assert sum(note.startswith(f"{name} ") for note in result.notes) == 1
    assert read_anndata(result.path).n_obs == 2 * N_OBS


def test_inputs_that_do_not_go_together(tmp_path: Path) -> None:
    counts = random_counts()
    paths = [write_h5ad(tmp_path / "a.h5ad", counts)]
    other = whole_anndata()
    other.var_names = [f"other{i}" for i in range(other.n_vars)]
    other.raw = None
    other.write_h5ad(tmp_path / "names.h5ad")
    with pytest.raises(ValueError, match="var names must agree in all files"):
        repack([*paths, tmp_path / "names.h5ad"], tmp_path / "out.h5ad")
    write_h5ad(tmp_path / "dense.h5ad", counts.toarray())
    with pytest.raises(ValueError, match=r"X must have the form that it has in .*, sparse, but has dense"):
        repack([*paths, tmp_path / "dense.h5ad"], tmp_path / "out.h5ad")
    write_h5ad(tmp_path / "wide.h5ad", counts.astype(np.float64))
    with pytest.raises(ValueError, match=r"X must have the type .* float32, but has float64"):
        repack([*paths, tmp_path / "wide.h5ad"], tmp_path / "out.h5ad")
    assert not list(tmp_path.glob("out*"))


def test_layers_that_some_lack_are_left_out(tmp_path: Path) -> None:
    write_whole(tmp_path / "whole.h5ad")
    bare = whole_anndata(seed=1)
    del bare.layers["counts"]
    bare.raw = None
    bare.layers["dense"] = bare.layers["dense"].astype(np.float32)
    bare.write_h5ad(tmp_path / "bare.h5ad")
    result = repack([tmp_path / "whole.h5ad", tmp_path / "bare.h5ad"], tmp_path / "out.h5ad")
    made = read_anndata(result.path)
    assert list(made.layers) == []
    assert made.raw is None
    bare_path = tmp_path / "bare.h5ad"
    assert f"layers/counts is left out: {bare_path} has not got it" in result.notes
    assert f"raw/X is left out: {bare_path} has not got it" in result.notes
    assert any("layers/dense is left out" in note and "float32" in note for note in result.notes)
