"""X in every encoding, cell by cell against what anndata reads."""

import logging
from pathlib import Path
from typing import Any, Literal

import h5py
import hdf5plugin
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from tests.sources.h5ad.h5ad_files import (
    N_OBS,
    N_VARS,
    assert_canonical,
    dense,
    make_anndata,
    random_counts,
    read_anndata,
    rewrite_dataset,
    write_h5ad,
)
from tombola.sources import CsrRows, H5adSource
from tombola.sources.h5ad import sparse as sparse_reader

ALL = np.arange(N_OBS)
SOME = np.array([0, 1, 2, 5, 40, 41, 78, 79, 80, 120, N_OBS - 1])
MATRICES: dict[str, Any] = {
    "csr": random_counts(),
    "csc": random_counts().tocsc(),
    "dense": random_counts().toarray(),
    "fortran": np.asfortranarray(random_counts().toarray()),
}


def check_against_anndata(path: Path, x: str = "X", **options: Any) -> None:
    """Compare rows in both output formats with anndata's."""
    read = read_anndata(path)
    head, _, name = x.partition("/")
    matrix = {"X": lambda: read.X, "raw": lambda: read.raw.X}.get(head, lambda: getattr(read, head)[name])()
    expected = dense(matrix).astype(np.float32)
    formats: tuple[Literal["dense", "csr"], ...] = ("dense", "csr")
    for x_format in formats:
        source = H5adSource(path, x=x, x_format=x_format, **options)
        assert (len(source), source.n_vars) == expected.shape
        for rows in (ALL, SOME, SOME[:0], SOME[-1:]):
            part = source.read(rows)["X"]
            if x_format == "csr":
                assert isinstance(part, CsrRows)
                assert_canonical(part)
            if isinstance(part, CsrRows):
                assert part.as_dense == (x_format == "dense")
            assert part.dtype == np.float32
            np.testing.assert_array_equal(dense(part), expected[rows])


@pytest.mark.parametrize("kind", MATRICES)
@pytest.mark.parametrize("compression", [None, "gzip", "lzf"])
def test_what_anndata_writes(tmp_path: Path, kind: str, compression: Any) -> None:
    x = MATRICES[kind]
    path = write_h5ad(
        tmp_path / "a.h5ad",
        x,
        options={"compression": compression},
        layers={"counts": x * 2},
        obsm={"pca": np.arange(2.0 * N_OBS).reshape(N_OBS, 2), "sparse": random_counts(seed=5)},
    )
    for name in ("X", "layers/counts", "obsm/pca", "obsm/sparse"):
        check_against_anndata(path, name)


@pytest.mark.parametrize("kind", MATRICES)
@pytest.mark.parametrize("dtype", ["float64", "float16", "int8", "uint16", "int64", "bool", ">f4", ">i4"])
def test_numbers_of_any_type(tmp_path: Path, kind: str, dtype: str) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", MATRICES[kind])
    sparse = kind in ("csr", "csc")
    rewrite_dataset(path, "X/data" if sparse else "X", dtype=np.dtype(dtype))
    expected = MATRICES[kind].astype(bool if dtype == "bool" else np.float32)
    source = H5adSource(path)
    np.testing.assert_array_equal(dense(source.read(SOME)["X"]), dense(expected)[SOME])
    for wanted in (np.float64, np.int32):
        part = H5adSource(path, dtype=wanted).read(SOME)["X"]
        assert part.dtype == wanted
        np.testing.assert_array_equal(dense(part), dense(expected)[SOME])


def test_values_come_in_this_machines_byte_order(tmp_path: Path) -> None:
    part = H5adSource(write_h5ad(tmp_path / "a.h5ad", MATRICES["csr"]), dtype=">f8").read(SOME)["X"]
    assert isinstance(part, CsrRows)
    assert part.dtype == np.dtype("float64")
    assert part.dtype.isnative


@pytest.mark.parametrize("dtype", ["int16", "int32", "int64", "uint32", "uint64", ">i4"])
@pytest.mark.parametrize("kind", ["csr", "csc"])
def test_indices_of_any_type(tmp_path: Path, kind: str, dtype: str) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", MATRICES[kind])
    rewrite_dataset(path, "X/indices", dtype=np.dtype(dtype), chunks=(50,))
    rewrite_dataset(path, "X/indptr", dtype=np.dtype(dtype))
    part = H5adSource(path, x_format="csr").read(SOME)["X"]
    assert isinstance(part, CsrRows)
    wide = kind == "csr" and dtype in ("int64", "uint32", "uint64")
    assert part.indices.dtype == (np.int64 if wide else np.int32)
    np.testing.assert_array_equal(part.to_dense(), dense(MATRICES[kind])[SOME])


@pytest.mark.parametrize("kind", ["csr", "dense"])
@pytest.mark.parametrize("chunk", [1, 10, 64, 10**6])
@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"compression": "gzip", "compression_opts": 9},
        {"compression": "gzip", "shuffle": True, "fletcher32": True},
        {"compression": "lzf", "shuffle": True},
        dict(hdf5plugin.Zstd()),
        dict(hdf5plugin.Blosc(cname="lz4", shuffle=hdf5plugin.Blosc.BITSHUFFLE)),
    ],
    ids=["raw", "gzip9", "gzip-shuffle", "lzf-shuffle", "zstd", "blosc"],
)
def test_chunks_and_filters(tmp_path: Path, kind: str, chunk: int, filters: dict[str, Any]) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", MATRICES[kind])
    if kind == "dense":
        rewrite_dataset(path, "X", chunks=(min(chunk, N_OBS), 7), **filters)
    else:
        n_values = MATRICES[kind].nnz
        for name in ("X/data", "X/indices"):
            rewrite_dataset(path, name, chunks=(min(chunk, n_values),), **filters)
    check_against_anndata(path)


@pytest.mark.parametrize("kind", ["csr", "dense"])
def test_extendable_datasets_with_chunks_never_written(tmp_path: Path, kind: str) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", MATRICES[kind])
    name = "X" if kind == "dense" else "X/data"
    with h5py.File(path, "r+") as file:
        shape, attributes = file[name].shape, dict(file[name].attrs)
        del file[name]
        chunks = (20, 5) if kind == "dense" else (20,)
        new = file.create_dataset(
            name, shape, "f4", chunks=chunks, maxshape=(None,) * len(shape), fillvalue=3
        )
        new[20:50] = 4
        new.attrs.update(attributes)
    check_against_anndata(path)


def test_raw(tmp_path: Path) -> None:
    data = make_anndata(random_counts(n_vars=40))
    data.raw = data
    data = data[:, :9].copy()
    data.write_h5ad(tmp_path / "a.h5ad")
    check_against_anndata(tmp_path / "a.h5ad")
    check_against_anndata(tmp_path / "a.h5ad", "raw/X")
    assert H5adSource(tmp_path / "a.h5ad", x="raw/X").var_names == [f"gene{i}" for i in range(40)]
    assert H5adSource(tmp_path / "a.h5ad").var_names == [f"gene{i}" for i in range(9)]


def test_names_of_obsm_columns(tmp_path: Path) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", MATRICES["csr"], obsm={"pca": np.ones((N_OBS, 3))})
    assert H5adSource(path, x="obsm/pca").var_names == ["pca_0", "pca_1", "pca_2"]


@pytest.mark.parametrize("kind", ["csr", "csc", "dense"])
@pytest.mark.parametrize(("n_obs", "n_vars"), [(0, 5), (5, 0), (1, 1), (6, 1)])
def test_small_and_empty(tmp_path: Path, kind: str, n_obs: int, n_vars: int) -> None:
    values = np.arange(n_obs * n_vars, dtype=np.float32).reshape(n_obs, n_vars)
    x = values if kind == "dense" else {"csr": sp.csr_matrix, "csc": sp.csc_matrix}[kind](values)
    path = write_h5ad(tmp_path / "a.h5ad", x)
    source = H5adSource(path)
    np.testing.assert_array_equal(dense(source.read(np.arange(n_obs))["X"]), values)


def test_columns_out_of_order_and_twice(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    indptr = np.arange(0, N_OBS * 6 + 1, 6)
    x = sp.csr_matrix(
        (rng.integers(1, 9, N_OBS * 6).astype(np.float32), rng.integers(0, N_VARS, N_OBS * 6), indptr),
        shape=(N_OBS, N_VARS),
    )
    assert not x.has_canonical_format
    path = write_h5ad(tmp_path / "a.h5ad", x)
    check_against_anndata(path)


def test_one_row_out_of_order_where_two_groups_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = sp.csr_matrix(np.ones((20, 8), dtype=np.float32))
    x.indices[83], x.indices[84] = 4, 3  # row 10
    path = write_h5ad(tmp_path / "a.h5ad", x)
    for size in range(4, 40, 4):
        monkeypatch.setattr("tombola.sources.h5ad.runs.GROUP_BYTES", size)
        part = H5adSource(path, x_format="csr").read(np.arange(20))["X"]
        assert isinstance(part, CsrRows)
        assert_canonical(part)


def test_values_beyond_indptr_are_ignored(tmp_path: Path) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", MATRICES["csr"])
    with h5py.File(path, "r+") as file:
        for name in ("data", "indices"):
            values, attributes = file[f"X/{name}"][()], dict(file[f"X/{name}"].attrs)
            del file[f"X/{name}"]
            file.create_dataset(f"X/{name}", data=np.concatenate([values, [99, 99]]).astype(values.dtype))
            file[f"X/{name}"].attrs.update(attributes)
    np.testing.assert_array_equal(dense(H5adSource(path).read(ALL)["X"]), dense(MATRICES["csr"]))


def test_columns_are_turned_once_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = H5adSource(write_h5ad(tmp_path / "a.h5ad", MATRICES["csc"]))
    with caplog.at_level(logging.INFO, "tombola.sources"):
        for _ in range(3):
            source.read(SOME)
    assert len(caplog.records) == 1
    assert f"{tmp_path / 'a.h5ad'}: X is stored by columns (CSC) and is turned into rows" in caplog.text


def test_too_many_columns_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", MATRICES["csc"])
    monkeypatch.setattr(sparse_reader, "CSC_LIMIT_BYTES", 100)
    with pytest.raises(
        ValueError, match=r"a\.h5ad: X is stored by columns .* adata\.X = adata\.X\.tocsr\(\)"
    ):
        H5adSource(path)


@pytest.fixture(scope="module", params=["csr", "csc", "dense"])
def encoded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> H5adSource:
    path = tmp_path_factory.mktemp("encoded") / f"{request.param}.h5ad"
    write_h5ad(path, MATRICES[request.param], options={"compression": "gzip"})
    return H5adSource(path, obs=["kind", "depth"])


@given(rows=st.sets(st.integers(0, N_OBS - 1)))
def test_any_rows_are_plain_indexing(encoded: H5adSource, rows: set[int]) -> None:
    ids = np.array(sorted(rows), dtype=np.int64)
    batch = encoded.read(ids)
    assert list(batch) == ["X", "kind", "depth"]
    np.testing.assert_array_equal(dense(batch["X"]), dense(MATRICES["csr"])[ids])
    np.testing.assert_array_equal(batch["kind"], encoded.obs["kind"].codes[ids])
    np.testing.assert_array_equal(batch["depth"], encoded.obs["depth"][ids])
