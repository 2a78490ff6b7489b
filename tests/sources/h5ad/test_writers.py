"""Files as writers other than anndata make them, written here as they lay them out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest

from tests.sources.h5ad.h5ad_files import dense, random_counts, write_h5ad
from tombola.labels.categorical import Categorical
from tombola.sources import H5adSource
from tombola.sources.h5ad.layout import read_contents

TEXT = h5py.string_dtype("utf-8")
X = random_counts(6, 4)
ROWS = np.array([0, 1, 4, 5])
LABELS = ["b", None, "a", "b", "b", "a"]


def write_csr(file: h5py.File, name: str = "X", **options: Any) -> h5py.Group:
    group = file.create_group(name)
    group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": X.shape})
    for part in ("data", "indices", "indptr"):
        values = getattr(X, part)
        group.create_dataset(part, data=values, **(options if part != "indptr" else {}))
    return group


def write_frame(file: h5py.File, name: str, size: int, index: str = "_index") -> h5py.Group:
    group = file.create_group(name)
    group.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.2.0", "_index": index})
    group.create_dataset(index, data=[f"{name}{i}" for i in range(size)], dtype=TEXT)
    return group


def write_categories(frame: h5py.Group, name: str, codes: Any) -> h5py.Group:
    group = frame.create_group(name)
    group["codes"] = codes
    group.create_dataset("categories", data=["a", "b"], dtype=TEXT)
    return group


def test_rust(tmp_path: Path) -> None:
    """anndata-rs, by which snapatac2 writes: Blosc, no attributes of the file, int32 codes, often no var."""
    path = tmp_path / "rust.h5ad"
    with h5py.File(path, "w") as file:
        write_csr(file, chunks=(len(X.data),), **hdf5plugin.Blosc())
        obs = write_frame(file, "obs", 6, "index")
        obs.attrs["column-order"] = np.array(["kind"], dtype=object)
        kind = write_categories(obs, "kind", np.array([1, -1, 0, 1, 1, 0], dtype=np.int32))
        kind.attrs.update({"encoding-type": "categorical", "encoding-version": "0.2.0", "ordered": False})
        for name in ("layers", "obsm", "uns"):
            file.create_group(name).attrs.update({"encoding-type": "dict", "encoding-version": "0.1.0"})
        write_csr(file, "layers/counts", chunks=(len(X.data),), **hdf5plugin.Blosc())
    for x in ("X", "layers/counts"):
        source = H5adSource(path, x=x, obs="kind")
        assert source.var_names == ["0", "1", "2", "3"]  # as anndata names them
        np.testing.assert_array_equal(dense(source.read(ROWS)["X"]), X.toarray()[ROWS])
        assert source.obs["kind"].tolist() == LABELS
        assert source.obs["kind"].codes.dtype == np.int32
    described = source.describe()["files"][0]
    assert (described["format"], described["compression"]) == ("no version, data frames 0.2.0", "blosc")
    assert read_contents(path).matrices == ["X", "layers/counts"]


def test_neither_obs_nor_var(tmp_path: Path) -> None:
    path = tmp_path / "bare.h5ad"
    with h5py.File(path, "w") as file:
        write_csr(file)
        file.create_group("obsm").create_dataset("pca", data=np.ones((6, 2)))
    source = H5adSource(path)
    assert (len(source), source.n_vars, list(source.obs)) == (6, 4, [])
    assert H5adSource(path, x="obsm/pca").var_names == ["pca_0", "pca_1"]
    assert read_contents(path).obs is None
    with pytest.raises(KeyError, match="obs has no column 'kind'; it has none"):
        H5adSource(path, obs="kind")


def as_list(value: str) -> Any:
    return np.array([value], dtype=object)


def test_r(tmp_path: Path) -> None:
    """R's packages: attributes are lists, truth values an enum with NA, text of fixed length."""
    path = tmp_path / "r.h5ad"
    truth = h5py.enum_dtype({"FALSE": 0, "TRUE": 1, "NA": 2}, "u1")
    with h5py.File(path, "w") as file:
        write_csr(file).attrs.create("encoding-type", as_list("csr_matrix"), dtype=TEXT)
        for name, size in (("obs", 6), ("var", 4)):
            frame = write_frame(file, name, size, "rownames")
            for attribute in ("_index", "encoding-type"):
                frame.attrs.create(attribute, as_list(frame.attrs[attribute]), dtype=TEXT)
        obs = file["obs"]
        obs.attrs.create("column-order", ["kind", "flag", "known", "fixed"], dtype=TEXT)
        kind = write_categories(obs, "kind", np.array([1, -1, 0, 1, 1, 0], dtype=np.int32))
        kind.attrs.create("encoding-type", as_list("categorical"), dtype=TEXT)
        obs.create_dataset("flag", data=np.array([0, 1, 2, 1, 0, 0], dtype=np.uint8), dtype=truth)
        obs.create_dataset("known", data=np.array([0, 1, 1, 1, 0, 0], dtype=np.uint8), dtype=truth)
        obs["fixed"] = np.array([b"b", b"aa", b"b", b"", b"b", b"b"], dtype="S2")
    source = H5adSource(path, obs=["kind", "flag", "known", "fixed"])
    assert source.var_names == ["var0", "var1", "var2", "var3"]
    np.testing.assert_array_equal(dense(source.read(ROWS)["X"]), X.toarray()[ROWS])
    assert source.obs["kind"].tolist() == LABELS
    np.testing.assert_array_equal(source.obs["flag"], [0, 1, np.nan, 1, 0, 0])
    np.testing.assert_array_equal(source.obs["known"], [False, True, True, True, False, False])
    assert source.obs["known"].dtype == np.bool_
    assert source.obs["fixed"].tolist() == ["b", "aa", "b", "", "b", "b"]


def test_an_enum_of_other_names_is_its_numbers(tmp_path: Path) -> None:
    """As anndata reads it."""
    path = write_h5ad(tmp_path / "a.h5ad", X)
    colours = h5py.enum_dtype({"red": 0, "blue": 5}, "i4")
    with h5py.File(path, "r+") as file:
        del file["obs/depth"]
        file["obs"].create_dataset("depth", data=np.array([0, 5, 0, 0, 5, 5], dtype=np.int32), dtype=colours)
    column = H5adSource(path).obs["depth"]
    assert (column.dtype, column.tolist()) == (np.int32, [0, 5, 0, 0, 5, 5])


def test_groups_that_do_not_say_what_they_are(tmp_path: Path) -> None:
    path = tmp_path / "a.h5ad"
    with h5py.File(path, "w") as file:
        write_csr(file)
        write_frame(file, "var", 4)
        obs = write_frame(file, "obs", 6)
        write_categories(obs, "kind", np.array([1, -1, 0, 1, 1, 0], dtype=np.int8))
        count = obs.create_group("count")
        count["values"], count["mask"] = np.arange(6), np.arange(6) == 3
        count.attrs["encoding-type"] = "nullable-integer"
        bare = obs.create_group("bare")
        bare["values"], bare["mask"] = np.arange(6), np.zeros(6, dtype=np.bool_)
        for name in ("obs", "var"):
            for attribute in list(file[name].attrs):
                del file[name].attrs[attribute]
    source = H5adSource(path)
    assert list(source.obs) == ["bare", "count", "kind"]
    assert source.obs["kind"].tolist() == LABELS
    np.testing.assert_array_equal(source.obs["count"], [0, 1, 2, np.nan, 4, 5])
    assert source.obs["bare"].tolist() == list(range(6))


def no_columns(obs: h5py.Group) -> None:
    obs.attrs["column-order"] = np.zeros(0)


def nothing(obs: h5py.Group) -> None:
    obs.attrs["column-order"] = h5py.Empty("S1")


def only_some(obs: h5py.Group) -> None:
    obs.attrs.create("column-order", ["n", "gone", "n"], dtype=TEXT)


def one_text(obs: h5py.Group) -> None:
    obs.attrs["column-order"] = np.bytes_(b"n")


def none_said(obs: h5py.Group) -> None:
    """All columns there are, then."""


@pytest.mark.parametrize(
    ("change", "columns"),
    [(no_columns, []), (nothing, []), (only_some, ["n"]), (one_text, ["n"]), (none_said, ["m", "n"])],
)
def test_order_of_columns(tmp_path: Path, change: Callable[[h5py.Group], None], columns: list[str]) -> None:
    path = tmp_path / "a.h5ad"
    with h5py.File(path, "w") as file:
        write_csr(file)
        write_frame(file, "var", 4)
        obs = write_frame(file, "obs", 6)
        obs["n"], obs["m"] = np.arange(6), np.arange(6)
        change(obs)
    assert list(H5adSource(path).obs) == columns
    assert list(H5adSource(path).describe()["obs"]) == columns


def test_an_index_that_is_a_column(tmp_path: Path) -> None:
    path = tmp_path / "a.h5ad"
    with h5py.File(path, "w") as file:
        write_csr(file)
        write_frame(file, "var", 4)
        write_frame(file, "obs", 6, "barcode").attrs.create("column-order", ["barcode"], dtype=TEXT)
    column = H5adSource(path).obs["barcode"]
    assert isinstance(column, Categorical)
    assert column.tolist() == [f"obs{i}" for i in range(6)]


def test_a_user_block(tmp_path: Path) -> None:
    """MuData puts its name into the first 512 bytes; addresses are counted from behind them."""
    plain = write_h5ad(tmp_path / "plain.h5ad", X, options={"compression": "gzip"})
    path = tmp_path / "two.h5mu"
    with h5py.File(path, "w", userblock_size=512) as file, h5py.File(plain) as source:
        file.attrs.update({"encoding-type": "MuData", "encoding-version": "0.1.0", "axis": 0})
        source.copy("/", file, "mod/rna")
    with path.open("r+b") as raw:
        raw.write(b"MuData (format-version=0.1.0;creator=muon;creator-version=0.4.1)")
    read = H5adSource(path, x="mod/rna/X", obs="kind")
    np.testing.assert_array_equal(dense(read.read(ROWS)["X"]), X.toarray()[ROWS])
    assert read.obs["kind"].tolist() == H5adSource(plain).obs["kind"].tolist()


def test_loom_is_named_by_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "a.loom"
    with h5py.File(path, "w") as file:
        file["matrix"] = X.toarray().T
        file["col_attrs/CellID"], file["row_attrs/Gene"] = [b"c"] * 6, [b"g"] * 4
    with pytest.raises(KeyError, match=r"so not h5ad; the file has col_attrs, matrix, row_attrs$"):
        H5adSource(path)
