"""Options for what is done to X: masks, what is refused, what is said."""

from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest

from tests.sources.h5ad.h5ad_files import dense, random_counts, write_h5ad
from tombola.sources import H5adSource

N_VARS = 23
MEAN, STD = np.linspace(0, 2, N_VARS), np.linspace(0.1, 3, N_VARS)


def make_data(x: Any, names: list[str]) -> anndata.AnnData:
    return anndata.AnnData(X=x, var=pd.DataFrame(index=names))


def test_masks(tmp_path: Path) -> None:
    counts = random_counts(10, 4)
    with pytest.warns(UserWarning, match="Variable names are not unique"):
        make_data(counts, ["p", "q", "q", "r"]).write_h5ad(tmp_path / "a.h5ad")
    source = H5adSource(tmp_path / "a.h5ad", vars=[False, True, True, False])  # type: ignore[list-item]
    assert source.var_names == ["q", "q"]
    np.testing.assert_array_equal(dense(source.read(np.arange(10))["X"]), counts.toarray()[:, 1:3])
    for bad, match in (
        (np.ones(3, bool), r"a mask as vars must have 4 booleans, one a var, but has shape \(3,\)"),
        (np.zeros(4, bool), "vars must name at least one column of X, but the mask is False throughout"),
    ):
        with pytest.raises(ValueError, match=match):
            H5adSource(tmp_path / "a.h5ad", vars=bad)
    assert H5adSource(tmp_path / "a.h5ad", vars=np.ones(4, bool)).n_vars == 4


def test_a_mask_over_joined_names(tmp_path: Path) -> None:
    counts = [random_counts(9, 6, seed=i) for i in range(2)]
    paths = []
    for i, names in enumerate((["a", "b", "c", "d", "e", "f"], ["f", "e", "x", "c", "b", "y"])):
        paths.append(tmp_path / f"{i}.h5ad")
        make_data(counts[i], names).write_h5ad(paths[-1])
    source = H5adSource(paths, join="inner", vars=np.array([True, False, True, True]))
    assert source.var_names == ["b", "e", "f"]
    expected = np.vstack([counts[0].toarray()[:, [1, 4, 5]], counts[1].toarray()[:, [4, 1, 0]]])
    np.testing.assert_array_equal(dense(source.read(np.arange(18))["X"]), expected)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        (
            {"normalize_total": True},
            TypeError,
            "normalize_total must be the total .* such as 10_000, but is True",
        ),
        ({"normalize_total": "all"}, TypeError, "normalize_total must be the total that rows get, .* 'all'"),
        ({"normalize_total": 0}, ValueError, r"normalize_total must be finite and > 0, but is 0\.0"),
        ({"normalize_total": np.inf}, ValueError, "normalize_total must be finite and > 0, but is inf"),
        ({"log1p": 1}, TypeError, "log1p must be True or False, but is 1"),
        ({"scale": STD[:5]}, ValueError, r"the std of scale must have 23 entries, .* has shape \(5,\)"),
        ({"scale": (MEAN[:5], STD)}, ValueError, r"the mean of scale must have 23 entries, .* shape \(5,\)"),
        (
            {"scale": 2.0},
            ValueError,
            r"the std of scale must have 23 entries, one a column, but has shape \(\)",
        ),
        (
            {"scale": ["a"] * N_VARS},
            TypeError,
            "the std of scale must be numbers, one a column, but has dtype",
        ),
        (
            {"scale": np.where(np.arange(N_VARS) == 7, np.nan, STD)},
            ValueError,
            "the std of scale must be finite, but is nan for 'gene7'",
        ),
        (
            {"scale": np.where(np.arange(N_VARS) % 7 == 3, 0, STD)},
            ValueError,
            r"the std of scale must be > 0, but is 0\.0 for 'gene3', and 2 more; 1 leaves a column",
        ),
        (
            {"scale": (MEAN, STD), "x_format": "csr"},
            ValueError,
            r"scale=\(mean, std\) leaves no zeros, so needs x_format='dense'; scale=std alone",
        ),
        (
            {"log1p": True, "normalize_total": 1, "dtype": "int32"},
            TypeError,
            "dtype must be a type of floats with normalize_total, log1p, but is int32",
        ),
    ],
)
def test_what_is_refused(tmp_path: Path, options: Any, error: type[Exception], match: str) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", random_counts(20))
    with pytest.raises(error, match=match):
        H5adSource(path, **options)


def test_what_is_done_is_said(tmp_path: Path) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", random_counts())
    assert H5adSource(path).describe()["transform"] == {}
    source = H5adSource(path, normalize_total=1e4, log1p=True, scale=(MEAN, STD))
    assert source.describe()["transform"] == {"normalize_total": 1e4, "log1p": True, "scale": "mean, std"}
    assert repr(source).endswith("dense, normalize_total=10000.0, log1p=True, scale=mean, std)")
    assert "scale=std" in repr(H5adSource(path, scale=STD))
