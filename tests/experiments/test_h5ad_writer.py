"""What is written is what anndata reads."""

from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pytest
import scipy.sparse as sp

from tombola.experiments import h5ad_writer
from tombola.experiments.h5ad_writer import Categorical, Csr, write_h5ad


def matrix(n_rows: int, n_columns: int) -> sp.csr_matrix:
    return sp.csr_matrix(sp.random(n_rows, n_columns, density=0.3, dtype=np.float32, random_state=1))


def csr(x: sp.csr_matrix) -> Csr:
    return Csr(x.data, x.indices.astype(np.int32), x.indptr.astype(np.int64), x.shape[1])


@pytest.mark.parametrize("compression", ["gzip", "lzf", None])
@pytest.mark.parametrize(("n_rows", "n_columns"), [(30, 7), (1, 1), (5, 300)])
def test_anndata_reads_it(tmp_path: Path, compression: str | None, n_rows: int, n_columns: int) -> None:
    x = matrix(n_rows, n_columns)
    codes = np.arange(n_rows) % 3 - 1  # -1: missing
    path = tmp_path / "a.h5ad"
    write_h5ad(
        path,
        csr(x),
        {"drug": Categorical(codes, ["ä", "b"]), "unused": Categorical(np.zeros(n_rows, int), ["x", "y"])},
        obs_names=[f"cell {i}" for i in range(n_rows)],
        var_names=[f"gene {i}" for i in range(n_columns)],
        compression=compression,
        chunk_values=50,
    )
    adata = anndata.read_h5ad(path)
    assert isinstance(adata.X, sp.csr_matrix)
    assert adata.X.dtype == np.float32
    assert np.array_equal(adata.X.toarray(), x.toarray())
    assert list(adata.obs_names) == [f"cell {i}" for i in range(n_rows)]
    assert list(adata.var_names) == [f"gene {i}" for i in range(n_columns)]
    assert list(adata.obs.columns) == ["drug", "unused"]
    assert adata.obs["drug"].cat.codes.tolist() == codes.tolist()
    assert list(adata.obs["drug"].cat.categories) == ["ä", "b"]
    assert not adata.obs["drug"].cat.ordered
    assert list(adata.obs["unused"].cat.categories) == ["x", "y"]
    with h5py.File(path) as file:
        assert file["X/data"].compression == compression


@pytest.mark.parametrize(("n_categories", "dtype"), [(2, "int8"), (128, "int8"), (129, "int16")])
def test_codes_are_small(tmp_path: Path, n_categories: int, dtype: str) -> None:
    codes = np.arange(n_categories)
    path = tmp_path / "a.h5ad"
    write_h5ad(
        path,
        csr(matrix(n_categories, 2)),
        {"label": Categorical(codes, [f"{c}" for c in codes])},
        obs_names=[str(c) for c in codes],
        var_names=["a", "b"],
    )
    with h5py.File(path) as file:
        assert file["obs/label/codes"].dtype == dtype
        assert np.array_equal(file["obs/label/codes"][:], codes)


@pytest.mark.parametrize("shape", [(0, 4), (3, 4), (1, 1)])
def test_csr_from_dense(shape: tuple[int, int]) -> None:
    dense = np.where(np.arange(np.prod(shape)).reshape(shape) % 3 == 1, 2.5, 0).astype(np.float32)
    made = Csr.from_dense(dense)
    assert made.shape == shape
    assert np.array_equal(sp.csr_matrix((made.data, made.indices, made.indptr), shape).toarray(), dense)
    assert made.indices.dtype == np.dtype(np.int32)
    assert made.indptr.dtype == np.dtype(np.int64)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"obs_names": ["a"]}, "obs_names must have 3 entries, but has 1"),
        ({"var_names": ["a"]}, "var_names must have 2 entries, but has 1"),
        (
            {"obs": {"drug": Categorical(np.zeros(4, int), ["x"])}},
            r"obs\['drug'\] must have 3 entries, but has 4",
        ),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"obs": {}, "obs_names": ["a", "b", "c"], "var_names": ["a", "b"], **changes}
    with pytest.raises(ValueError, match=message):
        write_h5ad(tmp_path / "a.h5ad", csr(matrix(3, 2)), arguments.pop("obs"), **arguments)
    assert list(tmp_path.iterdir()) == []


def test_values_and_pointers_must_agree() -> None:
    with pytest.raises(ValueError, match="indptr ends at 3, so data and indices must be as long"):
        Csr(np.zeros(2, np.float32), np.zeros(2, np.int32), np.array([0, 3]), 4)


def test_an_interruption_within_a_file_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(h5ad_writer, "_write_frame", interrupted)  # X is written by then
    with pytest.raises(KeyboardInterrupt):
        write_h5ad(
            tmp_path / "a.h5ad", csr(matrix(3, 2)), {}, obs_names=["a", "b", "c"], var_names=["a", "b"]
        )
    assert list(tmp_path.iterdir()) == []
