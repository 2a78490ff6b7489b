"""Layouts of old versions, written by hand."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.sources.h5ad.h5ad_files import dense, random_counts, read_anndata
from tombola.sources import H5adSource

X = random_counts(5, 4)
ROWS = np.array([0, 1, 4])


def write_old(path: Path, *, text: Any = "S8", categories: Any = (b"G1", b"S")) -> Path:
    """Write what anndata 0.6 wrote: compound obs and var, categories in uns."""
    fields: list[tuple[str, Any]] = [("index", text), ("phase", "i1"), ("depth", "<f4"), ("batch", text)]
    cells = [(b"c0", 1, 0.5, b"b"), (b"c1", 0, 1.5, b"a"), (b"c2", -1, 2, b"b"), (b"c3", 0, 3, b"b")]
    with h5py.File(path, "w") as file:
        file["obs"] = np.array([*cells, (b"c4", 1, 4.5, b"a")], dtype=fields)
        file["var"] = np.array(
            [(b"g0", 0), (b"g1", 1), (b"g2", 0), (b"g3", 1)], [("index", text), ("n", "i8")]
        )
        group = file.create_group("X")
        group.attrs["h5sparse_format"] = b"csr"
        group.attrs["h5sparse_shape"] = X.shape
        for name in ("data", "indices", "indptr"):
            group[name] = getattr(X, name)
        file["uns/phase_categories"] = categories
        file["uns/n_categories"] = np.array([b"for", b"var"])
    return path


@pytest.mark.parametrize("text", ["S8", h5py.string_dtype("utf-8")], ids=["fixed", "variable"])
@pytest.mark.parametrize(
    "categories", [np.array([b"G1", b"S"]), np.array(["G1", "S"], dtype=h5py.string_dtype())]
)
def test_compound_obs(tmp_path: Path, text: Any, categories: Any) -> None:
    path = write_old(tmp_path / "old.h5ad", text=text, categories=categories)
    source = H5adSource(path, obs=["phase", "depth", "batch"])
    assert list(source.obs) == ["phase", "depth", "batch"]
    assert source.var_names == ["g0", "g1", "g2", "g3"]
    batch = source.read(ROWS)
    np.testing.assert_array_equal(dense(batch["X"]), X.toarray()[ROWS])
    columns = {name: np.asarray(batch[name]).tolist() for name in source.columns}
    assert columns == {"phase": [1, 0, 1], "depth": [0.5, 1.5, 4.5], "batch": [1, 0, 0]}
    assert source.obs["phase"].codes.tolist() == [1, 0, -1, 0, 1]
    assert [source.categories[name].tolist() for name in ("phase", "batch")] == [["G1", "S"], ["a", "b"]]


def test_compound_obs_as_anndata_reads_it(tmp_path: Path) -> None:
    text = h5py.string_dtype("utf-8")
    path = write_old(tmp_path / "old.h5ad", text=text, categories=np.array(["G1", "S"], dtype=text))
    source, frame = H5adSource(path), read_anndata(path).obs
    np.testing.assert_array_equal(source.obs["phase"].codes, frame["phase"].cat.codes)
    assert source.categories["phase"].tolist() == frame["phase"].cat.categories.tolist()
    np.testing.assert_array_equal(source.obs["depth"], frame["depth"])


def test_one_category_as_a_scalar(tmp_path: Path) -> None:
    path = write_old(tmp_path / "old.h5ad")
    with h5py.File(path, "r+") as file:
        obs = file["obs"][()]
        obs["phase"] = 0
        file["obs"][...] = obs
        del file["uns/phase_categories"]
        file["uns/phase_categories"] = "only"
    source = H5adSource(path)
    assert source.obs["phase"].codes.tolist() == [0] * 5
    assert source.categories["phase"].tolist() == ["only"]


def test_categories_of_var_do_not_turn_an_obs_column_into_codes(tmp_path: Path) -> None:
    path = write_old(tmp_path / "old.h5ad")
    with h5py.File(path, "r+") as file:
        file["uns/depth_categories"] = np.array([b"a", b"b"])
        del file["uns/phase_categories"]
        file["uns/phase_categories"] = np.array([b"G1"])  # the codes go to 1
    source = H5adSource(path)
    assert set(source.categories) == {"batch"}
    assert source.obs["phase"].tolist() == [1, 0, -1, 0, 1]


def test_vector_for_a_matrix_of_one_column(tmp_path: Path) -> None:
    path = write_old(tmp_path / "old.h5ad")
    with h5py.File(path, "r+") as file:
        del file["X"], file["var"]
        file["X"] = np.arange(5.0)
        file["var"] = np.array([(b"g0",)], [("index", "S8")])
    assert dense(H5adSource(path).read(ROWS)["X"]).tolist() == [[0], [1], [4]]


@pytest.mark.parametrize("reference", [True, False])
def test_categories_in_a_group_of_their_own(tmp_path: Path, reference: bool) -> None:
    path = tmp_path / "v07.h5ad"
    with h5py.File(path, "w") as file:
        file["X"] = X.toarray()
        for name, size in (("obs", 5), ("var", 4)):
            frame = file.create_group(name)
            frame.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.1.0", "_index": "id"})
            frame["id"] = [f"{name}{i}" for i in range(size)]
        file["obs/kind"] = np.array([1, 0, -1, 1, 1], dtype=np.int8)
        file["obs/__categories/kind"] = ["b", "a"]
        file["obs"].attrs["column-order"] = ["kind"]
        if reference:
            file["obs/kind"].attrs["categories"] = file["obs/__categories/kind"].ref
    source = H5adSource(path)
    assert source.obs["kind"].codes.tolist() == [1, 0, -1, 1, 1]
    assert source.categories["kind"].tolist() == ["b", "a"]
    assert source.describe()["files"][0]["format"] == "before 0.1.0 (anndata 0.7)"


READS = """
import sys, threading
from pathlib import Path

import numpy as np

from tombola import H5adSource

paths = [Path(path) for path in sys.argv[1:]]
failed = []


def read(path):
    try:
        for _ in range(60):
            source = H5adSource(path, obs=["batch", "phase"])
            assert source.obs["batch"].tolist() == ["b", "a", "b", "b", "a"]
            assert source.var_names == ["g0", "g1", "g2", "g3"]
            source.read(np.arange(5))
    except BaseException as error:
        failed.append(error)


threads = [threading.Thread(target=read, args=(path,)) for path in paths * 8]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
if failed:
    raise failed[0]
print("read")
"""


def test_many_threads_read_old_records(tmp_path: Path) -> None:
    """In a process of its own, as HDF5 may end it."""
    paths = [write_old(tmp_path / f"{i}.h5ad", text=h5py.string_dtype("utf-8")) for i in range(2)]
    command = [sys.executable, "-c", READS, *map(str, paths)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (result.returncode, result.stdout) == (0, "read\n"), result.stderr
