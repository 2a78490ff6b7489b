"""Making h5ad files for the tests, and reading them the slow way."""

import warnings
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from tombola.sources import CsrRows

N_OBS, N_VARS = 157, 23


def random_counts(
    n_obs: int = N_OBS, n_vars: int = N_VARS, *, density: float = 0.3, seed: int = 0, dtype: Any = np.float32
) -> sp.csr_matrix:
    """Counts with empty rows among them, first and last included."""
    rng = np.random.default_rng(seed)
    values = rng.integers(1, 100, (n_obs, n_vars)) * (rng.random((n_obs, n_vars)) < density)
    if n_obs > 3:
        values[[0, n_obs // 2, n_obs // 2 + 1, n_obs - 1]] = 0
    return sp.csr_matrix(values.astype(dtype))


def make_anndata(x: Any, *, seed: int = 0, **parts: Any) -> anndata.AnnData:
    rng = np.random.default_rng(seed)
    n_obs, n_vars = x.shape
    obs = pd.DataFrame(
        {
            "kind": pd.Categorical(rng.choice(["b", "a", "c"], n_obs), categories=["c", "unused", "a", "b"]),
            "depth": rng.random(n_obs),
        },
        index=[f"cell{i}" for i in range(n_obs)],
    )
    var = pd.DataFrame(index=[f"gene{i}" for i in range(n_vars)])
    return anndata.AnnData(X=x, obs=obs, var=var, **parts)


def write_h5ad(path: Path, x: Any, *, seed: int = 0, options: Any = None, **parts: Any) -> Path:
    make_anndata(x, seed=seed, **parts).write_h5ad(path, **(options or {}))
    return path


def read_anndata(path: Path) -> anndata.AnnData:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return anndata.read_h5ad(path)


def dense(x: Any) -> npt.NDArray[Any]:
    """Any of the matrices that appear here as an array."""
    if isinstance(x, CsrRows):
        return x.to_dense()
    return np.asarray(x.toarray() if hasattr(x, "toarray") else x)


def rewrite_dataset(path: Path, name: str, **options: Any) -> None:
    """Store a dataset anew, with other chunks, compression or dtype."""
    with h5py.File(path, "r+") as file:
        old = file[name]
        values, attributes = old[()], dict(old.attrs)
        if "dtype" in options:
            values = values.astype(options.pop("dtype"))
        del file[name]
        new = file.create_dataset(name, data=values, **options)
        new.attrs.update(attributes)


def assert_canonical(rows: CsrRows) -> None:
    """Columns ascend within each row."""
    for a, b in zip(rows.indptr[:-1].tolist(), rows.indptr[1:].tolist(), strict=True):
        assert np.all(np.diff(rows.indices[a:b].astype(np.int64)) > 0)
