"""Reading runs of a dataset: the same values as slices, each chunk inflated once, no needless copies."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tombola.sources.h5ad import runs as run_reader
from tombola.sources.h5ad.chunks import chunk_reader
from tombola.sources.h5ad.runs import RunReader

N = 240
LAYOUTS: dict[str, dict[str, Any]] = {
    "contiguous": {},
    "chunked": {"chunks": True},
    "gzip": {"compression": "gzip", "shuffle": True},
    "lzf": {"compression": "lzf"},
}


def name_rows(start: int, stop: int) -> str:
    return f"rows {start} to {stop - 1}"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[h5py.File]:
    path = tmp_path_factory.mktemp("runs") / "runs.h5"
    values = np.arange(N * 6, dtype=np.float64).reshape(N, 6)
    with h5py.File(path, "w") as out:
        for name, options in LAYOUTS.items():
            for chunk in (1, 7, 64, N) if options else (0,):
                one: dict[str, Any] = {"chunks": (chunk,)} if options else {}
                two: dict[str, Any] = {"chunks": (chunk, 4)} if options else {}
                out.create_dataset(f"{name}-1-{chunk}", data=values[:, 0], **{**options, **one})
                out.create_dataset(f"{name}-2-{chunk}", data=values, **{**options, **two})
    with h5py.File(path, "r") as opened:
        yield opened


def read(
    reader: RunReader, runs: list[tuple[int, int]], dtype: Any
) -> tuple[np.ndarray, list[tuple[int, int]]]:
    starts = np.array([a for a, _ in runs], dtype=np.int64)
    stops = np.array([b for _, b in runs], dtype=np.int64)
    out = np.full((int((stops - starts).sum()), *reader.shape[1:]), -1, dtype=dtype)
    return out, list(reader.read(starts, stops, out, name_rows))


def by_hdf5(*_: object) -> None:
    """Stand for `chunk_reader` where HDF5 is to read."""


def make_runs(cuts: list[int]) -> list[tuple[int, int]]:
    edges = sorted(cuts)
    return list(zip(edges[::2], edges[1::2], strict=False))


@pytest.mark.parametrize("axes", [1, 2])
@pytest.mark.parametrize("layout", LAYOUTS)
@given(
    cuts=st.lists(st.integers(0, N), max_size=40),
    chunk=st.sampled_from([1, 7, 64, N]),
    group_bytes=st.sampled_from([1, 100, 1 << 20]),
    spans=st.sampled_from([1, 3, 64]),
    gap=st.sampled_from([0, 30, 1 << 20]),
    dtype=st.sampled_from([np.float64, np.float32]),
)
def test_runs_are_slices(
    file: h5py.File,
    axes: int,
    layout: str,
    cuts: list[int],
    chunk: int,
    group_bytes: int,
    spans: int,
    gap: int,
    dtype: Any,
) -> None:
    name = f"{layout}-{axes}-{chunk if LAYOUTS[layout] else 0}"
    runs = make_runs(cuts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_reader, "GROUP_BYTES", group_bytes)
        patch.setattr(run_reader, "GROUP_SPANS", spans)
        patch.setattr(run_reader, "GAP_BYTES", gap)
        patch.setattr(run_reader, "CHUNK_GAP_BYTES", gap)
        found, filled = read(RunReader(file, name, "x"), runs, dtype)
    values = np.arange(N * 6, dtype=np.float64).reshape(N, 6)
    values = values[:, 0] if axes == 1 else values
    expected = np.concatenate([values[:0], *(values[a:b] for a, b in runs)])
    np.testing.assert_array_equal(found, expected)
    # What is said to be filled goes on without a gap to the end.
    assert [lo for lo, _ in filled] == [0, *(hi for _, hi in filled)][: len(filled)]
    assert (filled[-1][1] if filled else 0) == len(expected)


@given(
    cuts=st.lists(st.integers(0, N), max_size=40),
    chunk=st.sampled_from([1, 7, 64, N]),
    group_bytes=st.sampled_from([1, 100, 1 << 20]),
    gap=st.sampled_from([0, 30, 1 << 20]),
)
def test_a_chunk_is_inflated_once_and_only_if_needed(
    file: h5py.File, cuts: list[int], chunk: int, group_bytes: int, gap: int
) -> None:
    groups: list[set[int]] = []

    class Watching(RunReader):
        def _read_group(self, pieces: Any, *rest: Any) -> None:
            groups.append({i // chunk for a, b in pieces for i in range(a, b)})
            super()._read_group(pieces, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_reader, "chunk_reader", by_hdf5)
        patch.setattr(run_reader, "GROUP_BYTES", group_bytes)
        patch.setattr(run_reader, "GROUP_SPANS", 2)
        patch.setattr(run_reader, "CHUNK_GAP_BYTES", gap)
        read(Watching(file, f"gzip-1-{chunk}", "x"), make_runs(cuts), np.float64)
    touched = [index for group in groups for index in group]
    assert len(touched) == len(set(touched))
    assert set(touched) == {i // chunk for a, b in make_runs(cuts) for i in range(a, b)}


def test_groups_stay_near_their_size(file: h5py.File, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_reader, "chunk_reader", by_hdf5)
    monkeypatch.setattr(run_reader, "GROUP_BYTES", 10 * 8)
    whole = [(0, N)]
    assert [hi - lo for lo, hi in read(RunReader(file, "contiguous-1-0", "x"), whole, np.float64)[1]] == [
        10
    ] * 24
    assert [hi - lo for lo, hi in read(RunReader(file, "gzip-1-64", "x"), whole, np.float64)[1]] == [
        64,
        64,
        64,
        48,
    ]
    assert [hi - lo for lo, hi in read(RunReader(file, "gzip-1-7", "x"), whole, np.float64)[1]] == [
        14
    ] * 17 + [2]


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("chunked-1-64", 0),
        ("chunked-2-64", 1 << 20),
        ("gzip-1-64", 1 << 20),
        ("gzip-2-64", 1 << 20),
    ],
)
def test_the_chunk_cache_is_the_one_asked_for(tmp_path: Path, name: str, size: int) -> None:
    layout, axes, chunk = name.split("-")
    with h5py.File(tmp_path / "x.h5", "w") as out:
        shape, chunks = ((N,), (64,)) if axes == "1" else ((N, 6), (64, 4))
        out.create_dataset(name, shape, "f8", **{**LAYOUTS[layout], "chunks": chunks})
    with h5py.File(tmp_path / "x.h5", "r", rdcc_nbytes=12345) as source:
        reader = RunReader(source, name, "x")
        assert int(chunk) == 64
        assert reader.dataset.id.get_access_plist().get_chunk_cache()[1] == size


def test_a_band_of_large_chunks_fits_the_cache(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as out:
        out.create_dataset("band", (1000, 4000), "f4", chunks=(1000, 1000), compression="gzip")
        out.create_dataset("huge", (10**6, 40), "f8", chunks=(10**6, 10), compression="gzip")
    with h5py.File(tmp_path / "x.h5", "r") as source:
        sizes = [
            RunReader(source, name, "x").dataset.id.get_access_plist().get_chunk_cache()[1]
            for name in ("band", "huge")
        ]
    assert sizes == [16_000_000, 1 << 26]


@pytest.mark.parametrize(("way", "rows"), [(by_hdf5, "0 to 99"), (chunk_reader, "40 to 49")])
def test_damage_is_an_error_with_file_and_rows(
    tmp_path: Path, way: Any, rows: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_reader, "chunk_reader", way)
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as out:
        dataset = out.create_dataset("x", data=np.arange(100.0), chunks=(10,), compression="gzip")
        at = dataset.id.get_chunk_info_by_coord((40,)).byte_offset
    with path.open("r+b") as raw:
        raw.seek(at)
        raw.write(b"\xff" * 8)
    with h5py.File(path, "r") as source:
        reader = RunReader(source, "x", "some place")
        np.testing.assert_array_equal(read(reader, [(0, 40), (50, 100)], np.float64)[0][:40], np.arange(40))
        with pytest.raises(OSError, match=rf"some place: cannot read rows {rows}; the file is damaged"):
            read(reader, [(0, 100)], np.float64)
