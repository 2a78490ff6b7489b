"""Values of one place, which files may hold several of: added up as SciPy does."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from tests.sources.h5ad.h5ad_files import assert_canonical, dense, read_anndata, write_h5ad
from tombola.sources import CsrRows, H5adSource
from tombola.sources.h5ad.errors import H5adError


def write(path: Path, values: Any, columns: Any, *, kind: str = "csr") -> Path:
    """Write a matrix of 5 columns, whose rows 0 and 2 are empty and whose rows 1 and 3 hold these values."""
    data = np.concatenate([values, values])
    indices = np.concatenate([columns, columns]).astype(np.int32)
    n = len(values)
    x: Any
    if kind == "csc":
        order = np.argsort(indices, kind="stable")
        rows = np.repeat([1, 3], n)[order]
        indptr = np.searchsorted(indices[order], np.arange(6))
        x = sp.csc_matrix((data[order], rows, indptr), shape=(4, 5))
    else:
        x = sp.csr_matrix((data, indices, [0, 0, n, n, 2 * n]), shape=(4, 5))
    return write_h5ad(path, x)


@pytest.mark.parametrize("kind", ["csr", "csc"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("stored", ["float64", "float32", "int16", "bool"])
def test_sums_are_anndatas(tmp_path: Path, kind: str, stored: str, dtype: str) -> None:
    rng = np.random.default_rng(0)
    values = rng.standard_normal(40) * 10.0 ** rng.integers(-8, 2, 40)
    values = (values * (100 if stored == "int16" else 1)).astype(stored)
    path = write(tmp_path / "a.h5ad", values, rng.permutation(np.arange(40) % 3), kind=kind)
    rows = np.array([0, 1, 3])
    expected = read_anndata(path).X.toarray()[rows].astype(dtype)
    for x_format in ("dense", "csr"):
        part = H5adSource(path, dtype=dtype, x_format=x_format).read(rows)["X"]
        assert isinstance(part, CsrRows)
        assert_canonical(part)
        assert dense(part).tobytes() == expected.tobytes()


def test_the_cast_comes_after_the_sum(tmp_path: Path) -> None:
    values = [2.0**24, 1.0, 1.0]  # each 1 would be lost in float32
    path = write(tmp_path / "a.h5ad", np.array(values), [2, 2, 2])
    assert dense(H5adSource(path).read(np.array([1]))["X"])[0, 2] == 2.0**24 + 2
    assert np.float32(2.0**24) + np.float32(1) + np.float32(1) == 2.0**24


def test_columns_that_are_chosen(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5ad", np.array([2.0**24, 1, 1, 7]), [2, 2, 2, 0])
    source = H5adSource(path, vars=["gene2", "gene1", "gene0"])
    assert dense(source.read(np.array([3]))["X"]).tolist() == [[2.0**24 + 2, 0, 7]]


def test_integers_do_not_wrap(tmp_path: Path) -> None:
    """SciPy's would be -56."""
    path = write(tmp_path / "a.h5ad", np.array([100, 100], np.int8), [1, 1])
    assert dense(H5adSource(path).read(np.array([1]))["X"]).tolist() == [[0, 200, 0, 0, 0]]
    with pytest.raises(
        H5adError, match=r"a\.h5ad: X/data: values of one place add up to 200 in row 3, beyond int8"
    ):
        H5adSource(path, dtype="int8").read(np.array([2, 3]))
    assert dense(H5adSource(path, dtype="uint8").read(np.array([1]))["X"]).tolist() == [[0, 200, 0, 0, 0]]
    wide = write(tmp_path / "b.h5ad", np.array([100, 100, 100], np.int16), [1, 1, 1])
    with pytest.raises(H5adError, match=r"X/data: 300 in row 3 cannot be given as uint8, but as int64"):
        H5adSource(wide, dtype="uint8").read(np.array([2, 3]))


@pytest.mark.parametrize(
    ("stored", "values"),
    [("int64", [2**62, 2**62, 2**62]), ("uint64", [2**63, 2**63]), ("int64", [-(2**63), -1])],
)
def test_sums_beyond_all_integers(tmp_path: Path, stored: str, values: list[int]) -> None:
    path = write(tmp_path / "a.h5ad", np.array(values, dtype=stored), [1] * len(values))
    with pytest.raises(H5adError, match=rf"add up to {sum(values)} in row 1, beyond {stored}"):
        H5adSource(path).read(np.array([1]))


def test_truth_values_are_joined(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5ad", np.array([True, True, False]), [1, 1, 0])
    expected = read_anndata(path).X.toarray()
    assert dense(H5adSource(path).read(np.array([1]))["X"]).tolist() == expected[[1]].astype(float).tolist()
