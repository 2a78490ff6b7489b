"""Chunks that the core reads itself: the same values as by HDF5, damage found, and HDF5 for all others."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sources.h5ad.chunk_files import name_rows, read, sample, written
from tombola.sources.h5ad import chunks as chunk_module
from tombola.sources.h5ad import runs as run_module
from tombola.sources.h5ad.runs import RunReader

PIPELINES: dict[str, dict[str, Any]] = {
    "deflate": {"compression": "gzip"},
    "fastest deflate": {"compression": "gzip", "compression_opts": 1},
    "no deflate": {"compression": "gzip", "compression_opts": 0},
    "shuffle, deflate": {"compression": "gzip", "shuffle": True},
    "fletcher32": {"fletcher32": True},
    "shuffle": {"shuffle": True},
    "all": {"compression": "gzip", "shuffle": True, "fletcher32": True},
    "lzf": {"compression": "lzf"},
    "shuffle, lzf, fletcher32": {"compression": "lzf", "shuffle": True, "fletcher32": True},
    "none": {},
}
WITHOUT_CHECKSUMS = [{"shuffle": True}, {"compression": "lzf"}, {}]
every_pipeline = pytest.mark.parametrize("options", PIPELINES.values(), ids=PIPELINES.keys())
KINDS = ["u1", "i2", "<i4", ">i4", "u8", "f2", "<f4", ">f8"]


@pytest.fixture(autouse=True)
def even_a_row_by_the_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "LEAST", 0)


@every_pipeline
@pytest.mark.parametrize("kind", KINDS)
@given(
    shape=st.one_of(st.tuples(st.integers(1, 200)), st.tuples(st.integers(1, 60), st.integers(1, 9))),
    chunk=st.tuples(st.integers(1, 70), st.integers(1, 9)),
    cuts=st.lists(st.integers(0, 200), max_size=20),
)
def test_values_are_those_that_were_written(
    tmp_path_factory: pytest.TempPathFactory,
    options: dict[str, Any],
    kind: str,
    shape: tuple[int, ...],
    chunk: tuple[int, int],
    cuts: list[int],
) -> None:
    path = tmp_path_factory.getbasetemp() / "values.h5"
    values = sample(shape, kind)
    written(path, values, tuple(map(min, shape, chunk)), **options)
    edges = sorted(min(cut, shape[0]) for cut in cuts)
    runs = list(zip(edges[::2], edges[1::2], strict=False))
    expected = np.concatenate([values[:0], *(values[a:b] for a, b in runs)]).astype(kind)
    has_edges = any(size % chunk for size, chunk in zip(shape, map(min, shape, chunk), strict=False))
    assert read(path, runs, by_core=None if has_edges else True).tobytes() == expected.tobytes()


@every_pipeline
def test_chunks_that_were_never_written_hold_the_fill_value(tmp_path: Path, options: dict[str, Any]) -> None:
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as out:
        dataset = out.create_dataset("x", (50, 6), "f4", chunks=(8, 4), fillvalue=7.5, **options)
        dataset[8:16, :4] = 1
        dataset[40:, 5] = 2
        expected = dataset[:]
    assert read(path, [(0, 50)], by_core=None).tobytes() == expected.tobytes()
    with h5py.File(path, "w") as out:
        out.create_dataset("x", (50,), "i8", chunks=(8,), fillvalue=-3, **options)
    assert read(path, [(3, 5), (9, 50)]).tolist() == [-3] * 43


def test_filters_that_single_chunks_skip(tmp_path: Path) -> None:
    path, values = tmp_path / "x.h5", sample((40,), "<i4")
    with h5py.File(path, "w") as out:
        dataset = out.create_dataset("x", (40,), "<i4", chunks=(10,), compression="gzip", shuffle=True)
        dataset[:] = values
        raw = np.arange(10, dtype="<i4")
        dataset.id.write_direct_chunk((10,), raw.tobytes(), filter_mask=3)
        shuffled = raw.view(np.uint8).reshape(10, 4).T.tobytes()
        dataset.id.write_direct_chunk((20,), shuffled, filter_mask=2)
        expected = dataset[:]
    assert expected[10:30].tolist() == [*range(10), *range(10)]
    assert read(path, [(0, 40)]).tolist() == expected.tolist()


def test_addresses_behind_a_user_block(tmp_path: Path) -> None:
    """As MuData writes it: what is counted from elsewhere is not read wrongly, by whomever."""
    path, values = tmp_path / "x.h5", sample((100,), "f4")
    written(path, values, (16,), compression="gzip", of_file={"userblock_size": 512})
    with h5py.File(path, "r") as file:
        by_core = RunReader(file, "x", "x")._chunks is not None
    assert read(path, [(0, 100)], by_core=by_core).tolist() == values.tolist()


OTHERS: dict[str, Callable[[Path], Any]] = {
    "scale and offset": lambda path: written(path, sample((100,), "i4"), (16,), scaleoffset=0),
    "booleans": lambda path: written(path, sample((100,), "?"), (16,), compression="gzip"),
    "three axes": lambda path: written(path, sample((10, 3, 2), "f4"), (4, 2, 2), compression="gzip"),
}


@pytest.mark.parametrize("write", OTHERS.values(), ids=OTHERS.keys())
def test_hdf5_reads_what_only_it_is_known_to(tmp_path: Path, write: Any) -> None:
    path = tmp_path / "x.h5"
    write(path)
    with h5py.File(path, "r") as file:
        expected = file["x"][:]
    assert read(path, [(0, len(expected))], by_core=False).tobytes() == expected.tobytes()


def test_hdf5_reads_where_libdeflate_is_not_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, values = tmp_path / "x.h5", sample((100,), "f4")
    written(path, values, (16,), compression="gzip")
    monkeypatch.setattr(chunk_module, "inflate_functions", lambda: None)
    assert read(path, [(0, 100)], by_core=False).tolist() == values.tolist()
    written(path, values, (20,), shuffle=True, fletcher32=True)
    assert read(path, [(0, 100)]).tolist() == values.tolist()


def test_another_file_of_the_same_name_is_not_read(tmp_path: Path) -> None:
    path, values = tmp_path / "x.h5", sample((100,), "f4")
    written(path, values, (16,), compression="gzip")
    with h5py.File(path, "r") as file:
        written(tmp_path / "y.h5", values + 1, (16,), compression="gzip")
        (tmp_path / "y.h5").replace(path)
        reader = RunReader(file, "x", "x")
        assert reader._chunks is None
        out = np.empty(100, dtype="f4")
        list(reader.read(np.array([0]), np.array([100]), out, name_rows))
    assert out.tolist() == values.tolist()


@every_pipeline
def test_damage_is_found(tmp_path: Path, options: dict[str, Any]) -> None:
    """Any byte of a chunk: an error that names file and rows, or, by a checksum, the right values."""
    path, values = tmp_path / "x.h5", sample((300,), "<i4")
    written(path, values, (100,), **options)
    with h5py.File(path, "r") as file:
        dataset = file["x"].id
        stored = [dataset.get_chunk_info(i) for i in range(3)]
    whole = path.read_bytes()
    has_checksum = options not in WITHOUT_CHECKSUMS
    found = 0
    for number, chunk in enumerate(stored):
        for at in range(chunk.byte_offset, chunk.byte_offset + chunk.size, 1 + chunk.size // 60):
            damaged = bytearray(whole)
            damaged[at] ^= 1 << at % 8
            path.write_bytes(damaged)
            message = f"{path}: cannot read rows {100 * number} to {100 * number + 99}; the file is damaged"
            try:
                out = read(path, [(0, 300)])
            except OSError as error:
                found += str(error).startswith(message)
            else:
                assert not has_checksum or out.tolist() == values.tolist()
            if number:
                assert read(path, [(0, 100)]).tolist() == values[:100].tolist()
    assert found > 100 if has_checksum else found == 0 or options == {"compression": "lzf"}


def test_a_file_that_was_cut_off_since(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    written(path, sample((3_000,), "<i4"), (100,), compression="gzip")
    with h5py.File(path, "r") as file:
        reader = RunReader(file, "x", str(path))
        last = max(file["x"].id.get_chunk_info(i).byte_offset for i in range(30))
        os.truncate(path, last + 5)
        out = np.empty(3_000, dtype="<i4")
        with pytest.raises(OSError, match=r"x\.h5: cannot read rows .* was replaced or written to since"):
            list(reader.read(np.array([0]), np.array([3_000]), out, name_rows))


@given(scratch=st.sampled_from([1, 100, 1 << 24]), cuts=st.lists(st.integers(0, 300), max_size=30))
def test_values_that_are_cast_come_in_parts(
    tmp_path_factory: pytest.TempPathFactory, scratch: int, cuts: list[int]
) -> None:
    path, values = tmp_path_factory.getbasetemp() / "cast.h5", sample((300,), "<i8")
    if not path.exists():
        written(path, values, (16,), compression="gzip")
    edges = np.array(sorted(cuts)[: len(cuts) // 2 * 2], dtype=np.int64).reshape(-1, 2)
    starts, stops = edges.T.copy()
    out = np.empty(int((stops - starts).sum()), dtype=np.int32)
    with pytest.MonkeyPatch.context() as patch, h5py.File(path, "r") as file:
        patch.setattr(run_module, "SCRATCH_BYTES", scratch)
        parts = list(RunReader(file, "x", "x").read(starts, stops, out, name_rows))
    assert out.tolist() == [value for a, b in edges for value in values[a:b].tolist()]
    assert [lo for lo, _ in parts] == [0, *(hi for _, hi in parts)][: len(parts)]
    assert (parts[-1][1] if parts else 0) == len(out)


def test_one_descriptor_a_file(tmp_path: Path) -> None:
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        pytest.skip("no list of open files on this platform")
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as out:
        for name in "abc":
            out.create_dataset(name, data=sample((100,), "f4"), chunks=(16,), compression="gzip")
    before = len(list(folder.iterdir()))
    with h5py.File(path, "r") as file:
        readers = [RunReader(file, name, name) for name in "abc"]
        assert all(reader._chunks is not None for reader in readers)
        assert len(list(folder.iterdir())) == before + 2
        del readers
        assert len(list(folder.iterdir())) == before + 1
    assert len(list(folder.iterdir())) == before


def test_links_into_other_files(tmp_path: Path) -> None:
    """Chunks that look alike at first, zeros here, do not hide that they lie elsewhere."""
    values = np.zeros((100, 4), dtype="f4")
    for name, last in (("counts", 3.0), ("norm", 5.0)):
        values[50:] = last
        written(tmp_path / f"{name}.h5", values, (10, 4), compression="gzip")
    with h5py.File(tmp_path / "norm.h5", "a") as file:
        file["raw"] = h5py.ExternalLink("counts.h5", "/x")
    with h5py.File(tmp_path / "norm.h5", "r") as file:
        out = np.empty((100, 4), dtype="f4")
        reader = RunReader(file, "raw", "raw")
        list(reader.read(np.array([0]), np.array([100]), out, name_rows))
        assert reader._chunks is not None
    assert out[50:].tolist() == [[3.0] * 4] * 50


@pytest.mark.parametrize("limits", [(20, None), (None, 8), (None, None), (20, 8)])
@pytest.mark.parametrize("library", ["earliest", "latest"])
def test_every_index_of_chunks(tmp_path: Path, limits: Any, library: str) -> None:
    """HDF5 keeps the list of chunks in one of several ways, and lists some under places not their own."""
    path = tmp_path / "x.h5"
    with h5py.File(path, "w", libver=library) as out:
        dataset = out.create_dataset("x", (20, 8), "i4", chunks=(4, 2), maxshape=limits, compression="gzip")
        dataset[:10, :6] = np.arange(60).reshape(10, 6)
        dataset[16:, 6:] = 7
        expected = dataset[:]
    assert read(path, [(0, 20)], by_core=limits != (20, None)).tolist() == expected.tolist()
    with h5py.File(path, "a") as out:
        if limits[0] is None:
            out["x"].resize((11, 8))
            expected = out["x"][:]
    runs = [(0, len(expected))]
    assert read(path, runs, by_core=None).tolist() == expected.tolist()


def test_a_file_without_a_name_is_left_to_hdf5(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    values = sample((96,), "f4")
    written(Path("x.h5"), values, (16,), compression="gzip")
    with h5py.File("x.h5", "r") as file:
        Path("x.h5").unlink()
        reader = RunReader(file, "x", "x")
        assert reader._chunks is None
        out = np.empty(96, dtype="f4")
        list(reader.read(np.array([0]), np.array([96]), out, name_rows))
    assert out.tolist() == values.tolist()


def test_what_is_less_than_a_chunk_is_left_to_hdf5(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, values = tmp_path / "x.h5", sample((96,), "f4")
    written(path, values, (16,), compression="gzip")
    monkeypatch.setattr(run_module, "LEAST", 1)
    asked = []
    monkeypatch.setattr(RunReader, "_read_group", lambda self, pieces, *rest: asked.append(pieces))
    read(path, [(3, 10), (40, 48)])
    assert asked
    asked.clear()
    assert read(path, [(3, 10), (40, 49)]).tolist() == [*values[3:10], *values[40:49]]
    assert not asked
