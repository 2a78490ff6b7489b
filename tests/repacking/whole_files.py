"""A file with one of everything that h5ad has; comparing what repacking made of it, by anndata's reader."""

from pathlib import Path
from typing import Any

import anndata
import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from tests.sources.h5ad.h5ad_files import dense, random_counts, read_anndata

N_OBS, N_VARS = 157, 23


def whole_anndata(x: Any | None = None, seed: int = 0) -> anndata.AnnData:
    """Every encoding of obs, both forms of layers, obsm, varm, obsp, raw and uns."""
    rng = np.random.default_rng(seed)
    x = random_counts(N_OBS, N_VARS, seed=seed) if x is None else x
    n, n_vars = x.shape
    names = [f"cell{seed}-{i}" for i in range(n)]
    obs = pd.DataFrame(
        {
            "kind": pd.Categorical(rng.choice(["b", "a", "c"], n), categories=["c", "unused", "a", "b"]),
            "stage": pd.Categorical(rng.choice([1, 2, 3], n), categories=[1, 2, 3], ordered=True),
            "text": rng.choice(["x", "größer", ""], n).astype(object),
            "depth": rng.random(n),
            "count": rng.integers(0, 9, n).astype(np.int16),
            "flag": rng.random(n) > 0.5,
            "maybe": pd.array([1 if value > 0.5 else None for value in rng.random(n)], dtype="Int64"),
            "maybe_flag": pd.array(
                [True if value > 0.5 else None for value in rng.random(n)], dtype="boolean"
            ),
        },
        index=names,
    )
    obs["kind"] = obs["kind"].where(np.arange(n) != 3)
    var = pd.DataFrame({"chromosome": rng.integers(1, 22, n_vars)}, index=[f"g{i}" for i in range(n_vars)])
    data = anndata.AnnData(x, obs=obs, var=var)
    data.layers["dense"] = rng.random((n, n_vars))
    data.layers["counts"] = random_counts(n, n_vars, seed=seed + 1, dtype=np.int32)
    data.raw = data.copy()
    data.obsm["pca"] = rng.random((n, 3)).astype(np.float32)
    data.obsm["frame"] = pd.DataFrame({"q": rng.random(n), "t": list("ab" * n)[:n]}, index=names)
    data.obsm["sparse"] = random_counts(n, 4, seed=seed + 2)
    data.varm["loadings"] = rng.random((n_vars, 2))
    data.uns = {"k": 1, "nested": {"text": "x", "array": np.arange(3)}}
    return data


def write_whole(path: Path, x: Any | None = None, seed: int = 0, **options: Any) -> Path:
    whole_anndata(x, seed).write_h5ad(path, **options)
    return path


def assert_rows_equal(
    made: anndata.AnnData, given: anndata.AnnData, rows: npt.NDArray[np.int64], added: str | None = None
) -> None:
    """Everything with an entry a row is that of these rows, bit for bit; all else is as it was."""
    expected = given[rows].copy()
    obs = made.obs
    if added is not None:
        assert np.array_equal(obs[added], rows)
        obs = obs.drop(columns=added)
    pd.testing.assert_frame_equal(obs, given.obs.iloc[rows])  # a subset loses unused categories
    pd.testing.assert_frame_equal(made.var, given.var)
    assert_same(made.X, expected.X)
    for name in ("layers", "obsm"):
        mine, theirs = getattr(made, name), getattr(expected, name)
        assert set(mine) == set(theirs)
        for key in theirs:
            assert_same(mine[key], theirs[key])
    for key in given.varm:
        assert_same(made.varm[key], given.varm[key])
    if given.raw is not None:
        assert_same(made.raw.X, given.raw.X[rows])
        pd.testing.assert_frame_equal(made.raw.var, given.raw.var)
    for key in given.uns:
        assert key in made.uns


def assert_same(a: Any, b: Any) -> None:
    if isinstance(b, pd.DataFrame):
        pd.testing.assert_frame_equal(a, b)
        return
    assert sp.issparse(a) == sp.issparse(b)
    assert a.dtype == b.dtype
    assert a.shape == b.shape
    assert dense(a).tobytes() == dense(b).tobytes()


__all__ = [
    "N_OBS",
    "N_VARS",
    "assert_rows_equal",
    "assert_same",
    "read_anndata",
    "whole_anndata",
    "write_whole",
]
