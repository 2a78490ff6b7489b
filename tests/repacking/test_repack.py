"""Round trips: what anndata reads from a repacked file, after undoing the order, is what it read before."""

from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import numpy.typing as npt
import pytest
import scipy.sparse as sp

import tombola
from tests.repacking.whole_files import (
    N_OBS,
    N_VARS,
    assert_rows_equal,
    assert_same,
    read_anndata,
    write_whole,
)
from tests.sources.h5ad.h5ad_files import random_counts, rewrite_dataset, write_h5ad
from tombola.repacking import RepackOptions, RepackResult, repack

SMALL = 1 << 16
"""Memory of which a window of these files takes a part of the rows only, so that a shuffle sorts by runs."""


def run(path: Path, **options: Any) -> tuple[anndata.AnnData, RepackResult]:
    result = repack(path, path.with_name("out.h5ad"), options=RepackOptions(**options))
    assert not path.with_name("out.h5ad.part").exists()
    return read_anndata(result.path), result


def order(n: int, options: dict[str, Any]) -> npt.NDArray[np.int64]:
    return tombola.permutation(n, options.get("seed", 0)) if options.get("shuffle") else np.arange(n)


def added(options: dict[str, Any]) -> str | None:
    return "original_row" if options.get("shuffle") else None


def empty_rows(n: int, width: int) -> Any:
    return sp.csr_matrix(np.zeros((n, width), dtype=np.float32))


CODECS: dict[str, dict[str, Any]] = {
    "raw": {"compression": "none"},
    "gzip": {},
    "gzip 1, no byte shuffle": {"level": 1, "byte_shuffle": False},
    "lzf": {"compression": "lzf"},
    "zstd": {"compression": "zstd", "level": 1},
}


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("codec", CODECS)
def test_everything_is_kept(tmp_path: Path, codec: str, shuffle: bool) -> None:
    if codec == "zstd":
        pytest.importorskip("hdf5plugin")
    options = {**CODECS[codec], "shuffle": shuffle, "seed": 5, "chunk_values": 64}
    path = write_whole(tmp_path / "in.h5ad")
    made, result = run(path, **options)
    assert_rows_equal(made, read_anndata(path), order(N_OBS, options), added(options))
    assert result.matrices == ("X", "raw/X", "layers/counts", "layers/dense", "obsm/sparse")
    assert result.notes == ()
    with h5py.File(result.path) as file:
        assert file["X/data"].chunks == (64,)
        assert file["layers/dense"].chunks == (64 // N_VARS, N_VARS)
        assert file["X/indices"].dtype == np.int32


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "uint16", "int8", "bool", ">f4"])
@pytest.mark.parametrize("form", ["csr", "dense"])
def test_types_of_values(tmp_path: Path, form: str, dtype: str) -> None:
    counts = random_counts(dtype=np.float32) > 50 if dtype == "bool" else random_counts(dtype=np.float32)
    values = counts.toarray().astype(np.dtype(dtype).newbyteorder("="))
    if dtype in ("float16", ">f4") and form == "csr":
        path = write_h5ad(tmp_path / "in.h5ad", sp.csr_matrix(values.astype(np.float32)))
        rewrite_dataset(path, "X/data", dtype=dtype)
    else:
        x = values if form == "dense" else sp.csr_matrix(values)
        path = write_h5ad(tmp_path / "in.h5ad", x)
        if dtype == ">f4":
            rewrite_dataset(path, "X", dtype=dtype)
    result = repack(path, tmp_path / "out.h5ad", options=RepackOptions(shuffle=True, memory=SMALL))
    rows = tombola.permutation(N_OBS, 0)
    with h5py.File(result.path) as file, h5py.File(path) as given:
        stored = file["X"] if form == "dense" else file["X/data"]
        source = given["X"] if form == "dense" else given["X/data"]
        assert stored.dtype == source.dtype.newbyteorder("=")
    source_rows = tombola.H5adSource(result.path, dtype="float64").read(np.arange(N_OBS))["X"]
    x = source_rows if isinstance(source_rows, np.ndarray) else source_rows.to_dense()
    assert np.array_equal(x, values[rows].astype(np.float64))


@pytest.mark.parametrize("memory", [SMALL, SMALL * 4, 1 << 24])
@pytest.mark.parametrize("form", ["csr", "dense"])
def test_a_shuffle_is_the_same_by_any_way(tmp_path: Path, form: str, memory: int) -> None:
    """By runs, by windows of their own, in one window."""
    counts = random_counts(1_000, 200)
    path = write_h5ad(tmp_path / "in.h5ad", counts if form == "csr" else counts.toarray())
    made, result = run(path, shuffle=True, memory=memory, chunk_values=1_000)
    rows = tombola.permutation(1_000, 0)
    assert_same(made.X, read_anndata(path).X[rows])
    expected = repack(path, tmp_path / "first.h5ad", options=RepackOptions(shuffle=True, chunk_values=1_000))
    same = [read_anndata(each.path).obs["original_row"].tolist() for each in (result, expected)]
    assert same[0] == same[1] == rows.tolist()


@pytest.mark.parametrize("n", [0, 1, 2])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("form", ["csr", "dense"])
def test_few_rows(tmp_path: Path, form: str, shuffle: bool, n: int) -> None:
    counts = random_counts(n, 5)
    path = write_h5ad(tmp_path / "in.h5ad", counts if form == "csr" else counts.toarray())
    made, _ = run(path, shuffle=shuffle)
    assert_same(made.X, read_anndata(path).X[tombola.permutation(n, 0) if shuffle else slice(None)])


def test_no_values_and_no_columns(tmp_path: Path) -> None:
    for name, x in (
        ("empty", empty_rows(9, 4)),
        ("narrow", np.empty((9, 0), dtype=np.float32)),
        ("narrow sparse", empty_rows(9, 0)),
    ):
        path = write_h5ad(tmp_path / f"{name}.h5ad", x)
        made = repack(path, tmp_path / f"{name}-out.h5ad", options=RepackOptions(shuffle=True)).path
        assert read_anndata(made).shape == x.shape


def test_types_of_columns(tmp_path: Path) -> None:
    path = write_h5ad(tmp_path / "in.h5ad", random_counts())
    rewrite_dataset(path, "X/indices", dtype=np.int64)
    for chosen, kind in (("auto", np.int32), ("keep", np.int64), ("uint16", np.uint16)):
        result = repack(path, tmp_path / f"{chosen}.h5ad", options=RepackOptions(index_dtype=chosen))
        with h5py.File(result.path) as file:
            assert file["X/indices"].dtype == kind
            assert file["X/indptr"].dtype == np.int32
        assert_same(read_anndata(result.path).X, read_anndata(path).X)
    wide = write_h5ad(tmp_path / "wide.h5ad", empty_rows(2, 65_537))
    with pytest.raises(ValueError, match=r"uint16 holds 65,536 columns, but X has 65,537"):
        repack(wide, tmp_path / "out.h5ad", options=RepackOptions(index_dtype="uint16"))


def test_columns_in_disorder_and_by_columns(tmp_path: Path) -> None:
    counts = random_counts()
    path = write_h5ad(tmp_path / "in.h5ad", counts)
    with h5py.File(path, "r+") as file:
        for lo, hi in zip(counts.indptr[:-1], counts.indptr[1:], strict=True):
            for part in ("data", "indices"):
                file[f"X/{part}"][lo:hi] = file[f"X/{part}"][lo:hi][::-1]
    made, _ = run(path, shuffle=True)
    assert_same(made.X, counts[tombola.permutation(N_OBS, 0)])
    by_columns = write_h5ad(tmp_path / "csc.h5ad", counts.tocsc())
    result = repack(by_columns, tmp_path / "rows.h5ad", options=RepackOptions(shuffle=True, memory=SMALL))
    assert_same(read_anndata(result.path).X, counts[tombola.permutation(N_OBS, 0)])
    assert "X was stored by columns, and is by rows now" in result.notes[0]


def test_files_without_x(tmp_path: Path) -> None:
    given = anndata.AnnData(obs=read_anndata(write_whole(tmp_path / "whole.h5ad")).obs)
    given.write_h5ad(tmp_path / "in.h5ad")
    made, result = run(tmp_path / "in.h5ad", shuffle=True)
    assert made.X is None
    assert result.matrices == ()
    assert np.array_equal(made.obs_names, given.obs_names[tombola.permutation(N_OBS, 0)])


def test_what_is_left_out_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    given = read_anndata(write_whole(tmp_path / "whole.h5ad"))
    given.obsp["graph"] = sp.eye_array(N_OBS, format="csr")
    given.write_h5ad(tmp_path / "in.h5ad")
    kept, result = run(tmp_path / "in.h5ad")
    assert result.notes == ()
    assert_same(kept.obsp["graph"], given.obsp["graph"])
    result = repack(tmp_path / "in.h5ad", tmp_path / "two.h5ad", options=RepackOptions(shuffle=True))
    assert result.notes == ("obsp is left out: it is not put in the new order",)
    assert "obsp is left out" in caplog.text
    with h5py.File(tmp_path / "in.h5ad", "r+") as file:
        odd = file["obs"].create_group("odd")
        odd.attrs["encoding-type"] = "awkward-array"
        file["obs"].attrs["column-order"] = [*file["obs"].attrs["column-order"], "odd"]
    result = repack(tmp_path / "in.h5ad", tmp_path / "three.h5ad", options=RepackOptions(shuffle=True))
    assert any("obs/odd is left out" in note and "awkward-array" in note for note in result.notes)
    assert "odd" not in read_anndata(result.path).obs


def test_the_permutation_is_kept_and_known_again(tmp_path: Path) -> None:
    path = write_whole(tmp_path / "in.h5ad")
    made, result = run(path, shuffle=True, seed=3, row_column="was")
    assert np.array_equal(made.obs["was"], tombola.permutation(N_OBS, 3))
    facts = made.uns["tombola_repack"]
    assert bool(facts["shuffled"])
    assert int(facts["seed"]) == 3
    assert str(facts["row_column"]) == "was"
    assert facts["inputs"].tolist() == ["in.h5ad"]
    with pytest.raises(ValueError, match=r"obs has a column 'was' already; row_column \(--row-column\)"):
        repack(result.path, tmp_path / "b.h5ad", options=RepackOptions(shuffle=True, row_column="was"))
    again = repack(result.path, tmp_path / "b.h5ad", options=RepackOptions(shuffle=True, seed=4))
    rows = made.obs["was"].to_numpy()[tombola.permutation(N_OBS, 4)]
    assert np.array_equal(read_anndata(again.path).obs["was"], rows)


def test_anndata_appends_to_what_is_written(tmp_path: Path) -> None:
    """As to a file of its own: datasets of sparse matrices can grow."""
    path = write_h5ad(tmp_path / "in.h5ad", random_counts())
    made, result = run(path)
    with h5py.File(result.path, "r+") as file:
        anndata.io.sparse_dataset(file["X"]).append(made.X)
        assert file["X/data"].shape == (2 * made.X.nnz,)


def test_real_files(data_dir: Path, tmp_path: Path) -> None:
    for path in sorted(data_dir.glob("*.h5ad")):
        out = tmp_path / path.name
        repack(path, out, options=RepackOptions(shuffle=True, memory=1 << 20))
        given, made = read_anndata(path), read_anndata(out)
        rows = tombola.permutation(given.n_obs, 0)
        are_records = "original_row" not in made.obs  # as before 0.7: no column can be added
        kept = made.uns["tombola_repack"]["original_row"] if are_records else made.obs["original_row"]
        assert np.array_equal(kept, rows)
        assert_rows_equal(made, given, rows, None if are_records else "original_row")


def test_options_that_do_not_do() -> None:
    for options, message in (
        ({"compression": "bzip2"}, 'compression must be "none" or "gzip"'),
        ({"level": 10}, "level of gzip must be from 0 to 9, but is 10"),
        ({"compression": "lzf", "level": 1}, "level is of gzip and zstd"),
        ({"chunk_values": 0}, "chunk_values must be an integer >= 1"),
        ({"memory": 5}, "memory must be an integer >= 65536"),
        ({"seed": -1}, "seed must be"),
        ({"index_dtype": "int8"}, "index_dtype must be"),
        ({"row_column": "a/b"}, "row_column must be the name of a column"),
    ):
        with pytest.raises(ValueError, match=message):
            RepackOptions(**options)
