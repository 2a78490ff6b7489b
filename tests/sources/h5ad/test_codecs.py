"""lz4, zstd and blosc decoded by the core: the same bytes as by hdf5plugin's filters, which wrote them."""

import ctypes
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import numpy.typing as npt
import pytest

from tests.sources.h5ad.chunk_files import blosc, name_rows, read, written
from tests.sources.h5ad.h5ad_files import dense, random_counts, rewrite_dataset, write_h5ad
from tombola.sources import H5adSource
from tombola.sources.h5ad import chunks as chunk_module
from tombola.sources.h5ad import libraries
from tombola.sources.h5ad import runs as run_module
from tombola.sources.h5ad.blosc import asked_codec, stream_codec
from tombola.sources.h5ad.runs import RunReader

NATIVE = ["blosclz", "lz4", "lz4hc", "zlib", "zstd"]
"""Codecs of blosc's streams that the core decodes; Snappy's are left to HDF5."""

CODECS: dict[str, dict[str, Any]] = {
    **{f"zstd {level}": dict(hdf5plugin.Zstd(clevel=level)) for level in (1, 3, 19)},
    "lz4": dict(hdf5plugin.LZ4()),
    "lz4 in blocks": dict(hdf5plugin.LZ4(nbytes=1000)),
    **{
        f"blosc {codec} {level} {moved}": blosc(codec, clevel=level, shuffle=moved)
        for codec, (level, moved) in itertools.product(NATIVE, [*itertools.product((1, 9), range(3)), (0, 1)])
    },
}
KINDS = ["<f4", "<f8", "<i4", "<i8", "u1", "<u2", ">f4"]
BEFORE: list[dict[str, Any]] = [{}, {"shuffle": True}, {"fletcher32": True}]
SHAPES: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((3_000,), (700,)),
    ((6_001,), (6_001,)),
    ((61, 37), (20, 11)),
    ((90,), (13,)),
    ((64, 8), (64, 8)),
]


@pytest.fixture(autouse=True)
def even_a_row_by_the_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "LEAST", 0)


def contents(shape: tuple[int, ...], kind: str) -> Iterator[npt.NDArray[Any]]:
    """Counts, most of them small; then bytes that cannot be compressed; then one value throughout."""
    rng = np.random.default_rng(0)
    yield rng.poisson(0.7, size=shape).astype(kind)
    noise = rng.integers(0, 256, size=(*shape, np.dtype(kind).itemsize), dtype=np.uint8)
    yield noise.view(kind)[..., 0]
    yield np.full(shape, 3, dtype=kind)


def may_be_plain(dataset: h5py.Dataset) -> bool:
    """Whether a chunk at an edge is as long as if it had not been compressed: HDF5 reads those."""
    full = int(np.prod(dataset.chunks)) * dataset.dtype.itemsize
    for i in range(dataset.id.get_num_chunks()):
        info = dataset.id.get_chunk_info(i)
        ends = zip(info.chunk_offset, dataset.chunks, dataset.shape, strict=True)
        if info.size == full and not info.filter_mask and any(at + size > end for at, size, end in ends):
            return True
    return False


@pytest.mark.parametrize("name", CODECS)
def test_rows_are_those_that_hdf5_gives(tmp_path: Path, name: str) -> None:
    rng = np.random.default_rng(1)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for kind, (shape, chunks), before in itertools.product(KINDS, SHAPES, BEFORE):
            for values in contents(shape, kind):
                file.create_dataset(f"{len(file)}", data=values, chunks=chunks, **CODECS[name], **before)
    n_by_core = 0
    with h5py.File(tmp_path / "x.h5", "r") as file:
        for part in file:
            reader, expected = RunReader(file, part, part), file[part][:]
            assert reader.needs_hdf5 == may_be_plain(file[part])
            n_by_core += not reader.needs_hdf5
            edges = np.sort(rng.integers(0, len(expected) + 1, size=6)).reshape(3, 2)
            for bounds in (np.array([[0, len(expected)]]), edges):
                starts, stops = bounds.T.copy()
                out = np.empty((int((stops - starts).sum()), *reader.shape[1:]), dtype=reader.dtype)
                list(reader.read(starts, stops, out, name_rows))
                assert out.tobytes() == b"".join(expected[a:b].tobytes() for a, b in bounds)
        assert n_by_core > 0.9 * len(file)


@pytest.mark.parametrize("moved", range(3))
@pytest.mark.parametrize("codec", NATIVE)
def test_chunks_of_many_blocks(tmp_path: Path, codec: str, moved: int) -> None:
    """Of each chunk only those blocks that hold a row of those wanted are decoded."""
    path, rng = tmp_path / "x.h5", np.random.default_rng(2)
    values = rng.poisson(0.7, size=(3_000, 500)).astype("<f4")
    options = blosc(codec, clevel=5, shuffle=moved)
    written(path, values, (2_400, 500), **options)
    for n in (1, 2, 40):
        starts = np.sort(rng.choice(2_980, n, replace=False)).tolist()
        runs = [(a, min(a + 16, b)) for a, b in zip(starts, [*starts[1:], 3_000], strict=True)]
        expected = np.concatenate([values[a:b] for a, b in runs])
        assert read(path, runs).tobytes() == expected.tobytes()


def frame_with_checksum(content: bytes) -> bytes:
    """Compress by libzstd with the checksum that frames may have."""
    library = ctypes.CDLL(next(libraries._zstd_libraries()))
    for name in ("ZSTD_createCCtx", "ZSTD_compress2", "ZSTD_compressBound"):
        getattr(library, name).restype = ctypes.c_void_p if "create" in name else ctypes.c_size_t
    made = ctypes.c_void_p(library.ZSTD_createCCtx())
    checksum_flag = 201
    library.ZSTD_CCtx_setParameter(made, checksum_flag, 1)
    out = ctypes.create_string_buffer(library.ZSTD_compressBound(ctypes.c_size_t(len(content))))
    sizes = ctypes.c_size_t(len(out)), ctypes.c_size_t(len(content))
    size = library.ZSTD_compress2(made, out, sizes[0], content, sizes[1])
    library.ZSTD_freeCCtx(made)
    return out.raw[:size]


def test_checksums_of_zstd_frames(tmp_path: Path) -> None:
    path, values = tmp_path / "x.h5", np.arange(100, dtype="<i4") % 7
    frame = frame_with_checksum(values.tobytes())
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("x", (200,), "<i4", chunks=(100,), **dict(hdf5plugin.Zstd()))
        dataset.id.write_direct_chunk((0,), frame)
        dataset.id.write_direct_chunk((100,), frame[:-1] + bytes([frame[-1] ^ 1]))
    assert read(path, [(0, 100)]).tolist() == values.tolist()
    with pytest.raises(OSError, match=r"x\.h5: cannot read rows 100 to 199; the file is damaged .*zstd"):
        read(path, [(0, 200)])


@pytest.mark.parametrize("name", ["zstd 3", "lz4", "blosc lz4 9 1"])
def test_filters_that_single_chunks_skip(tmp_path: Path, name: str) -> None:
    path, values = tmp_path / "x.h5", np.arange(40, dtype="<i4") // 3
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("x", (40,), "<i4", chunks=(10,), shuffle=True, **CODECS[name])
        dataset[:] = values
        raw = values[:10] + 90
        dataset.id.write_direct_chunk((0,), raw.tobytes(), filter_mask=3)
        moved = (raw + 1).view(np.uint8).reshape(10, 4).T.tobytes()
        dataset.id.write_direct_chunk((20,), moved, filter_mask=2)
        expected = dataset[:]
    assert expected[:30:20].tolist() == [90, 91]
    assert read(path, [(0, 40)]).tolist() == expected.tolist()


def by_hdf5(path: Path, options: dict[str, Any], *, is_left: bool) -> None:
    values = np.arange(2_000, dtype="<i4") // 3
    written(path, values, (500,), **options)
    assert read(path, [(0, 2_000)], by_core=not is_left).tolist() == values.tolist()


@pytest.mark.parametrize("moved", range(3))
def test_hdf5_reads_what_the_core_does_not_know(tmp_path: Path, moved: int) -> None:
    bitshuffle: Any = hdf5plugin.Bitshuffle
    for other in (
        blosc("snappy", shuffle=moved),
        dict(hdf5plugin.Blosc2(filters=moved)),
        dict(bitshuffle(cname=["none", "lz4", "zstd"][moved])),
    ):
        by_hdf5(tmp_path / "x.h5", other, is_left=True)


def test_hdf5_reads_where_a_library_is_not_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.h5"
    monkeypatch.setattr(chunk_module, "zstd_functions", lambda: None)
    by_hdf5(path, dict(hdf5plugin.Zstd()), is_left=True)
    for codec in NATIVE:
        by_hdf5(path, blosc(codec), is_left=codec == "zstd")
    monkeypatch.setattr(chunk_module, "inflate_functions", lambda: None)
    for codec in NATIVE:
        by_hdf5(path, blosc(codec), is_left=codec in ("zlib", "zstd"))
    by_hdf5(path, dict(hdf5plugin.LZ4()), is_left=False)


def test_chunks_whose_streams_are_by_another_codec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was copied from another dataset is decoded by what its header says."""
    path, values = tmp_path / "x.h5", np.arange(1_000, dtype="<i4") // 3
    for inner in ("zstd", "snappy"):
        written(path, values, (500,), **blosc(inner))
        with h5py.File(path, "r") as file:
            chunks = [file["x"].id.read_direct_chunk((at,))[1] for at in (0, 500)]
        written(path, values, (500,), **blosc("lz4"))
        with h5py.File(path, "a") as file:
            file["x"].id.write_direct_chunk((500,), chunks[1])
        if inner == "zstd":
            assert read(path, [(0, 1_000)]).tolist() == values.tolist()
        else:
            with pytest.raises(OSError, match=r"x\.h5: cannot read rows 500 to 999; .*number 2, which"):
                read(path, [(0, 1_000)])
        with h5py.File(path, "a") as file:
            file["x"].id.write_direct_chunk((0,), chunks[0])
        assert read(path, [(0, 1_000)], by_core=inner == "zstd").tolist() == values.tolist()
        if inner == "zstd":
            with monkeypatch.context() as patch:
                patch.setattr(chunk_module, "zstd_functions", lambda: None)
                assert read(path, [(0, 1_000)], by_core=False).tolist() == values.tolist()


def test_names_of_codecs() -> None:
    assert [asked_codec(()), asked_codec((2, 2, 4, 16, 5, 1, 4)), asked_codec((2, 2, 4, 16, 5, 1, 9))] == [
        "blosclz",
        "deflate",
        "unknown",
    ]
    header = bytes([2, 1, 0x61, 4]) + bytes(12)
    assert [stream_codec(header), stream_codec(b"\1" + header[1:]), stream_codec(header[:15])] == [
        "deflate",
        "unknown",
        "unknown",
    ]
    assert stream_codec(bytes([2, 1, 0xA1, 4]) + bytes(12)) == "unknown"


WRITERS: dict[str, Any] = {
    "zstd": hdf5plugin.Zstd(),
    "blosc": hdf5plugin.Blosc(),
    "blosc, as snapatac2": hdf5plugin.Blosc(cname="blosclz", clevel=2, shuffle=1),
    "blosc zstd": hdf5plugin.Blosc(cname="zstd", clevel=9, shuffle=hdf5plugin.Blosc.BITSHUFFLE),
    "lz4": hdf5plugin.LZ4(),
}


@pytest.mark.parametrize("kind", ["csr", "dense"])
@pytest.mark.parametrize("writer", WRITERS)
def test_files_as_they_are_written(
    tmp_path: Path, writer: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, codec = random_counts(300, 40), WRITERS[writer]
    parts = ["X/data", "X/indices"] if kind == "csr" else ["X"]
    options = {"compression": codec.filter_id, "compression_opts": codec.filter_options}
    by_anndata = {} if writer.startswith("blosc") else options  # hdf5plugin 7.1's ends the process on text
    path = write_h5ad(tmp_path / "a.h5ad", x if kind == "csr" else x.toarray(), options=by_anndata)
    for part in parts if writer.startswith("blosc") else []:
        rewrite_dataset(path, part, **options)
    with h5py.File(path, "r") as file:
        for part in parts:
            reader = RunReader(file, part, part)
            assert not reader.needs_hdf5
    rows = np.array([0, 1, 7, 150, 151, 299])
    with monkeypatch.context() as patch:
        patch.setattr(RunReader, "_read_group", lambda *rest: pytest.fail("HDF5 read a row"))
        found = H5adSource(path).read(rows)["X"]
    np.testing.assert_array_equal(dense(found), x.toarray()[rows])
