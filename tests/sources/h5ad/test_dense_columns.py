"""Columns of dense rows, picked while they are read: every layout of a file, and what is done beside."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import tombola
from tests.sources.h5ad.h5ad_files import N_OBS, N_VARS, dense, random_counts, rewrite_dataset, write_h5ad
from tombola.sources import H5adSource

COUNTS = random_counts().toarray()
PICKED = [20, 3, 4, 11, 0]
SOME = [f"gene{i}" for i in PICKED]
LAYOUTS: dict[str, dict[str, Any]] = {
    "contiguous": {},
    "contiguous f8": {"dtype": "f8"},
    "whole rows": {"chunks": (10, N_VARS)},
    "gzip": {"chunks": (10, N_VARS), "compression": "gzip"},
    "gzip tiles": {"chunks": (7, 5), "compression": "gzip", "shuffle": True},
    "one column a chunk": {"chunks": (N_OBS, 1), "compression": "lzf"},
    "one chunk": {"chunks": (N_OBS, N_VARS), "compression": "gzip"},
    "u2 tiles": {"chunks": (7, 5), "compression": "gzip", "dtype": "u2"},
    "f8 fletcher32": {"chunks": (16, 9), "fletcher32": True, "dtype": "f8"},
    "by HDF5": {"chunks": (9, 5), "scaleoffset": 0, "dtype": "i4"},
    "halves by HDF5": {"chunks": (9, 5), "compression": "gzip", "dtype": "f2"},
}
WORK: dict[str, dict[str, Any]] = {
    "picked": {"vars": SOME},
    "picked, log1p": {"vars": SOME, "log1p": True},
    "picked, total": {"vars": SOME, "normalize_total": 100.0, "log1p": True},
    "total": {"normalize_total": 100.0},
    "scaled": {"scale": (np.linspace(0, 1, N_VARS), np.linspace(1, 2, N_VARS))},
}


@pytest.fixture(autouse=True)
def whatever_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tombola.sources.h5ad.rows_of_files.MOST_REPEATED", 1)


def expected(work: dict[str, Any], dtype: str) -> Any:
    """The same on an array, by the core: the same steps in the same order give the same bits."""
    width = len(SOME) if "vars" in work else N_VARS
    options = {name: value for name, value in work.items() if name not in ("vars", "scale")}
    mean, std = work.get("scale", (None, None))
    column_map = np.full(N_VARS, -1, np.int32)
    column_map[PICKED] = np.arange(len(PICKED))
    done = tombola._core.DenseWork(
        column_map if "vars" in work else N_VARS,
        n_columns=width,
        dtype=np.dtype(dtype),
        target=options.get("normalize_total", 0.0),
        log1p=options.get("log1p", False),
        mean=mean,
        factor=None if std is None else 1 / std,
    )
    out = np.empty((N_OBS, width), dtype=dtype)
    done.apply(COUNTS.astype(dtype), None, out)
    return out


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("work", WORK)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_bits(tmp_path: Path, layout: str, work: str, dtype: str) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", COUNTS)
    rewrite_dataset(path, "X", **LAYOUTS[layout])
    source = H5adSource([path, path], dtype=dtype, **WORK[work])
    wanted = np.concatenate([expected(WORK[work], dtype)] * 2)
    rng = np.random.default_rng(0)
    rows = np.flatnonzero(rng.random(len(source)) < 0.4)
    np.testing.assert_array_equal(source.read(rows)["X"], wanted[rows])
    np.testing.assert_array_equal(source.read(rows[:0])["X"], wanted[:0])
    before = tombola.get_num_threads()
    for threads in (1, 4):
        tombola.set_num_threads(threads)
        try:
            for order in (rng.permutation(len(source)), rng.integers(0, len(source), 99), rows[:0]):
                given = source.read_in_order(order)
                is_straight = "HDF5" not in layout or not len(order)
                assert (given is not None) == is_straight
                if given is not None:
                    np.testing.assert_array_equal(given["X"], wanted[order])
        finally:
            tombola.set_num_threads(before)


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_a_value_that_does_not_fit_is_named_in_columns_that_are_picked(
    tmp_path: Path, compression: Any
) -> None:
    values = COUNTS.astype("f8")
    path = write_h5ad(tmp_path / "a.h5ad", values)
    rewrite_dataset(path, "X", chunks=(4, N_VARS), compression=compression)
    with h5py.File(path, "r+") as file:
        file["X"][17, 3] = 1e300
    source = H5adSource(path, vars=SOME)
    assert source.read_in_order(np.array([16, 3])) is not None
    match = r"a\.h5ad: .*1e\+300 in row 17 cannot be given as float32, but as float64"
    with pytest.raises(ValueError, match=match):
        source.read(np.arange(N_OBS))
    with pytest.raises(ValueError, match=match):
        for _ in tombola.Loader(source, tombola.BlockShuffling(3), 8):
            pass


def spoil_first_chunk(path: Path, offset: tuple[int, int]) -> None:
    with h5py.File(path) as file:
        ids = file["X"].id
        infos = [ids.get_chunk_info(i) for i in range(ids.get_num_chunks())]
    chunk = next(info for info in infos if info.chunk_offset == offset)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset + chunk.size // 2] ^= 4
    path.write_bytes(content)


def test_chunks_without_wanted_columns_are_not_read(tmp_path: Path) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", COUNTS)
    rewrite_dataset(path, "X", chunks=(20, 5), compression="gzip")
    spoil_first_chunk(path, (40, 15))
    rows = np.arange(N_OBS)[::-1].copy()
    source = H5adSource(path, vars=["gene3", "gene22"], log1p=True)
    given = source.read_in_order(rows)
    assert given is not None
    np.testing.assert_allclose(dense(given["X"]), np.log1p(COUNTS[rows][:, [3, 22]]), rtol=2e-7)
    match = r"a\.h5ad: dataset 'X': cannot read rows 40 to 40; the file is damaged"
    for options in ({"vars": ["gene3", "gene16"]}, {"vars": ["gene3"], "normalize_total": 1}):
        with pytest.raises(OSError, match=match):
            H5adSource(path, **options).read_in_order(rows)


def test_rows_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", COUNTS)
    source = H5adSource(path, vars=SOME)
    source.read(np.array([3]))
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 10)
    with pytest.raises(
        OSError, match=r"a\.h5ad: dataset 'X': cannot read rows 7 to 7; .* replaced or written"
    ):
        source.read_in_order(np.array([9, 8, 7]))
