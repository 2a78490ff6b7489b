"""Rows read straight into the order of the batches: the same as read sorted, and taken from there."""

import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest
import scipy.sparse as sp

import tombola
from tests.sources.h5ad.h5ad_files import (
    assert_canonical,
    dense,
    make_anndata,
    random_counts,
    rewrite_dataset,
    write_h5ad,
)
from tombola.sources import CsrRows, H5adSource

FORMATS = ["dense", "csr"]
COMPRESSIONS = [None, "gzip", "lzf"]


@pytest.fixture(autouse=True)
def whatever_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tombola.sources.h5ad.rows_of_files.MOST_REPEATED", 1)


def in_order(source: H5adSource, rows: list[int] | npt.NDArray[Any]) -> dict[str, Any]:
    found = source.read_in_order(np.asarray(rows, dtype=np.int64))
    assert found is not None
    return found


def orders(n: int) -> list[list[int]]:
    """Permutations, parts, repeats, none."""
    rng = np.random.default_rng(0)
    some = [rng.permutation(n), rng.permutation(n)[: n // 3], rng.integers(0, n, 2 * n), np.full(7, n - 1)]
    return [*(rows.tolist() for rows in some), list(range(n)), [0], []]


@pytest.mark.parametrize("x_format", FORMATS)
@pytest.mark.parametrize("kind", ["csr", "dense"])
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_rows_in_any_order(tmp_path: Path, compression: Any, kind: str, x_format: Any) -> None:
    counts = random_counts()
    x = counts if kind == "csr" else counts.toarray()
    path = write_h5ad(tmp_path / "a.h5ad", x, options={"compression": compression})
    source = H5adSource(path, obs=["kind", "depth"], x_format=x_format)
    if kind == "dense" and x_format == "csr":
        assert source.read_in_order(np.array([3, 1])) is None
        return
    everything = source.read(np.arange(len(source)))
    for rows in orders(len(source)):
        found = in_order(source, rows)
        np.testing.assert_array_equal(dense(found["X"]), counts.toarray()[rows])
        if isinstance(found["X"], CsrRows):
            assert_canonical(found["X"])
        for name in ("kind", "depth"):
            np.testing.assert_array_equal(found[name], np.asarray(everything[name])[rows])


@pytest.mark.parametrize("kind", ["csr", "dense"])
def test_rows_of_several_files(tmp_path: Path, kind: str) -> None:
    counts = [random_counts(10 + 7 * i, 12, seed=i) for i in range(5)]
    paths = [
        write_h5ad(
            tmp_path / f"{i}.h5ad",
            x if kind == "csr" else x.toarray(),
            options={"compression": COMPRESSIONS[i % 3]},
        )
        for i, x in enumerate(counts)
    ]
    source = H5adSource(paths, x_format="csr" if kind == "csr" else "dense")
    expected = sp.vstack(counts).toarray()
    for rows in orders(len(source)):
        np.testing.assert_array_equal(dense(in_order(source, rows)["X"]), expected[rows])
    again = pickle.loads(pickle.dumps(source))
    np.testing.assert_array_equal(dense(in_order(again, [30, 2, 9])["X"]), expected[[30, 2, 9]])


def test_columns_that_do_not_ascend_and_duplicates(tmp_path: Path) -> None:
    x = sp.csr_matrix((np.arange(1, 7, dtype="f4"), [2, 0, 2, 1, 1, 0], [0, 3, 4, 6]), shape=(3, 4))
    path = write_h5ad(tmp_path / "a.h5ad", x.copy())
    with h5py.File(path, "r+") as file:
        file["X/indices"][:] = [2, 0, 2, 1, 1, 0]
    source = H5adSource(path, x_format="csr")
    found = in_order(source, [2, 0, 0, 1])["X"]
    assert_canonical(found)
    assert dense(found).tolist() == [[6, 5, 0, 0], [2, 0, 4, 0], [2, 0, 4, 0], [0, 4, 0, 0]]


def test_what_cannot_be_read_straight(tmp_path: Path) -> None:
    """Halves, other filters, CSC: the loader reads these sorted, with the same result. Columns may move."""
    counts = random_counts(dtype=np.float64)
    cast = write_h5ad(tmp_path / "cast.h5ad", counts)
    rewrite_dataset(cast, "X/data", dtype="f2")
    csc = write_h5ad(tmp_path / "csc.h5ad", sp.csc_matrix(counts.astype("f4")))
    other = write_h5ad(tmp_path / "other.h5ad", counts.astype("f4"))
    rewrite_dataset(other, "X/data", chunks=(50,), scaleoffset=0, dtype="i4")
    moved = write_h5ad(tmp_path / "moved.h5ad", counts.astype("f4"))
    genes = [f"gene{i}" for i in range(counts.shape[1])][::-1]
    sources = [H5adSource(path) for path in (cast, csc, other)] + [H5adSource(moved, vars=genes)]
    for source in sources:
        assert (source.read_in_order(np.array([3, 1])) is None) == (source is not sources[-1])
        expected = counts.toarray()[:, ::-1] if source is sources[-1] else counts.toarray()
        for batch in tombola.Loader(source, tombola.BlockShuffling(3), 16, fetch_factor=3, prefetch=0):
            np.testing.assert_array_equal(batch["X"].numpy(), expected[batch["row"]])


@pytest.mark.parametrize("x_format", FORMATS)
@pytest.mark.parametrize("kind", ["csr", "dense"])
def test_batches_are_the_same_rows_either_way(tmp_path: Path, kind: str, x_format: Any) -> None:
    counts = random_counts(700, 30)
    path = write_h5ad(tmp_path / "a.h5ad", counts if kind == "csr" else counts.toarray())
    source = H5adSource(path, obs=["kind"], x_format=x_format)
    kinds = np.asarray(source.obs["kind"].codes)
    for strategy in (
        tombola.BlockShuffling(8),
        tombola.ClassBalancedSampling(kinds, block_size=4),
        tombola.SeriesRoundRobin(np.arange(700) // 3),
    ):
        for batch in tombola.Loader(source, strategy, 64, fetch_factor=3):
            assert batch["kind"].tolist() == kinds[batch["row"]].tolist()
            x = batch["X"].to_dense() if x_format == "csr" else batch["X"]
            np.testing.assert_array_equal(x.numpy(), counts[batch["row"].numpy()].toarray())


@pytest.mark.parametrize("stored", ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8"])
@pytest.mark.parametrize("kind", ["csr", "dense"])
def test_values_given_as_another_type(tmp_path: Path, kind: str, stored: str) -> None:
    counts = random_counts(40, 11)
    original = write_h5ad(tmp_path / "a.h5ad", counts if kind == "csr" else counts.toarray())
    rows = np.random.default_rng(1).permutation(40)
    for filters in ({}, {"compression": "gzip", "shuffle": True}, {"compression": "lzf"}):
        path = tmp_path / f"{filters.get('compression')}.h5ad"
        shutil.copyfile(original, path)
        if kind == "csr":
            rewrite_dataset(path, "X/data", dtype=stored, chunks=(64,), **filters)
            rewrite_dataset(path, "X/indices", dtype="u2", chunks=(19,), **filters)
        else:
            rewrite_dataset(path, "X", dtype=stored, chunks=(7, 4), **filters)
        for given in ("f4", "f8", "i4", "i8"):
            source = H5adSource(path, x_format="csr" if kind == "csr" else "dense", dtype=given)
            found = source.read_in_order(rows)
            if stored[0] == "f" and given[0] == "i":
                assert found is None
                continue
            assert found is not None
            np.testing.assert_array_equal(dense(found["X"]), counts.toarray()[rows].astype(given))


@pytest.mark.parametrize(
    ("stored", "given", "value"),
    [("f8", "f4", 1e300), ("u4", "i4", 2**31), ("i8", "i4", -(2**31) - 1), ("u8", "i8", 2**63)],
)
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_value_that_does_not_fit_is_named(
    tmp_path: Path, stored: str, given: str, value: Any, compression: Any
) -> None:
    x = np.ones((30, 5))
    path = write_h5ad(tmp_path / "a.h5ad", x)
    rewrite_dataset(path, "X", dtype=stored, chunks=(4, 5), compression=compression)
    with h5py.File(path, "r+") as file:
        file["X"][17, 2] = value
        if given == "f4":
            file["X"][3, 1] = np.inf  # which it has
            file["X"][3, 2] = np.nan
    source = H5adSource(path, dtype=given)
    assert source.read_in_order(np.arange(17)) is not None
    message = rf"a\.h5ad: .* in row 17 cannot be given as {np.dtype(given)}, but as"
    with pytest.raises(ValueError, match=message):
        for _ in tombola.Loader(source, tombola.BlockShuffling(3), 8):
            pass


def test_batches_share_no_memory_with_each_other(tmp_path: Path) -> None:
    counts = random_counts(300, 30)
    for x, x_format in ((counts, "csr"), (counts, "dense"), (counts.toarray(), "dense")):
        path = write_h5ad(tmp_path / f"{type(x).__name__}-{x_format}.h5ad", x)
        source: Any = H5adSource(path, x_format=x_format)  # type: ignore[arg-type]
        kept = list(tombola.Loader(source, tombola.BlockShuffling(4), 16, fetch_factor=4))
        for batch in kept:
            values = batch["X"].values() if x_format == "csr" else batch["X"]
            values *= -1
        for batch in kept:
            found = batch["X"].to_dense() if x_format == "csr" else batch["X"]
            np.testing.assert_array_equal(found.numpy(), -counts[batch["row"].numpy()].toarray())


def test_a_subclass_that_reads_otherwise(tmp_path: Path) -> None:
    class Doubled(H5adSource):
        def read(self, rows: Any) -> Any:
            batch = super().read(rows)
            return {**batch, "twice": np.asarray(rows) * 2}

    path = write_h5ad(tmp_path / "a.h5ad", random_counts())
    for batch in tombola.Loader(Doubled(path), tombola.BlockShuffling(4), 16):
        assert batch["twice"].tolist() == (2 * batch["row"]).tolist()


@pytest.mark.parametrize("bad", [[5, 157], [-1, 3]])
def test_rows_out_of_range(tmp_path: Path, bad: list[int]) -> None:
    source = H5adSource(write_h5ad(tmp_path / "a.h5ad", random_counts()))
    with pytest.raises(IndexError, match=r"rows must be in \[0, 157\), but one is"):
        source.read_in_order(np.array(bad))


def test_a_column_out_of_range_names_file_and_row(tmp_path: Path) -> None:
    counts = random_counts(40, 9)
    paths = [write_h5ad(tmp_path / f"{name}.h5ad", counts) for name in "ab"]
    row = int(np.flatnonzero(np.diff(counts.indptr))[5])
    with h5py.File(paths[1], "r+") as file:
        file["X/indices"][counts.indptr[row]] = 9
    source = H5adSource(paths)
    with pytest.raises(
        ValueError, match=rf"b\.h5ad: X/indices: columns must be in \[0, 9\), but row {row} has 9"
    ):
        source.read_in_order(np.arange(80)[::-1].copy())


def test_damage_names_file_and_rows(tmp_path: Path) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", random_counts(), options={"compression": "gzip"})
    with h5py.File(path, "r") as file:
        chunk = file["X/data"].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset + chunk.size // 2] ^= 4
    path.write_bytes(content)
    with pytest.raises(
        OSError, match=r"a\.h5ad: dataset 'X/data': cannot read rows \d+ to \d+; the file is damaged"
    ):
        H5adSource(path).read_in_order(np.arange(157)[::-1].copy())


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("begun", [False, True])
def test_a_file_that_changed_since(tmp_path: Path, dtype: str, begun: bool) -> None:
    """By the core and, where values are cast, by way of the core or HDF5: never rows of neither file."""
    path = write_h5ad(tmp_path / "a.h5ad", random_counts(dtype=np.dtype(dtype)))
    make_anndata(random_counts(500, seed=3, dtype=np.dtype(dtype))).write_h5ad(tmp_path / "longer.h5ad")
    source = H5adSource(path)
    if begun:
        source.read(np.array([3]))
    if begun:  # else the file that is open is still the old one
        shutil.copyfile(tmp_path / "longer.h5ad", path)
    else:
        (tmp_path / "longer.h5ad").replace(path)
    with pytest.raises(OSError, match=r"a\.h5ad.* was replaced or written to since"):
        for _ in tombola.Loader(source, tombola.Streaming(), 16):
            pass
    if not begun:  # else HDF5 has the old structure in mind as long as it has the file open
        assert len(H5adSource(path)) == 500


def test_a_source_unpickled_over_a_longer_file(tmp_path: Path) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", random_counts())
    stored = pickle.dumps(H5adSource(path))
    write_h5ad(path, random_counts(500, seed=3))
    with pytest.raises((OSError, ValueError), match=r"a\.h5ad: .* must h"):
        pickle.loads(stored).read(np.array([3]))


def test_a_source_unpickled_over_a_narrower_file(tmp_path: Path) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", random_counts().toarray())
    stored = pickle.dumps(H5adSource(path))
    write_h5ad(path, random_counts(n_vars=20).toarray())
    source = pickle.loads(stored)
    for read in (source.read, source.read_in_order):
        with pytest.raises(OSError, match=r"a\.h5ad: dataset 'X' must have shape \(157, 23\) as it had"):
            read(np.array([3, 4]))


def test_a_name_that_is_not_text(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.h5ad"))
    write_h5ad(tmp_path / "a.h5ad", random_counts())
    try:
        (tmp_path / "a.h5ad").rename(path)
    except OSError:
        pytest.skip("this file system knows names of text only")
    np.testing.assert_array_equal(
        dense(in_order(H5adSource(path), [9, 2])["X"]), random_counts().toarray()[[9, 2]]
    )


def test_windows_with_many_repeats_are_read_the_other_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tombola.sources.h5ad.rows_of_files.MOST_REPEATED", 0.1)
    source = H5adSource(write_h5ad(tmp_path / "a.h5ad", random_counts()))
    assert source.read_in_order(np.array([4] * 30 + list(range(50)))) is None


@pytest.mark.parametrize("x_format", FORMATS)
def test_rows_of_a_file_that_are_all_empty_beside_others(tmp_path: Path, x_format: Any) -> None:
    empty = sp.csr_matrix(np.zeros((4, 5), dtype=np.float32))
    full = random_counts(5, 5, density=1)
    paths = [write_h5ad(tmp_path / "empty.h5ad", empty), write_h5ad(tmp_path / "full.h5ad", full)]
    source = H5adSource(paths, x_format=x_format)
    expected = sp.vstack([empty, full]).toarray()
    for rows in ([6, 0], [0, 1], [2], [8, 6, 1, 5]):
        assert np.array_equal(dense(in_order(source, rows)["X"]), expected[rows])
    seen = [batch["row"] for batch in tombola.Loader(source, tombola.BlockShuffling(1), 2, 1)]
    assert sorted(np.concatenate(seen).tolist()) == list(range(9))
