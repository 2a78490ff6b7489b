"""Damaged chunks of lz4, zstd and blosc: one error that names rows, or the same values at every read."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import numpy.typing as npt
import pytest

from tests.sources.h5ad.chunk_files import blosc, name_rows, read, sample, written
from tests.sources.h5ad.h5ad_files import random_counts, write_h5ad
from tombola.sources import H5adSource
from tombola.sources.h5ad import runs as run_module
from tombola.sources.h5ad.errors import UnreadableFileError

CODECS: dict[str, dict[str, Any]] = {
    "zstd": dict(hdf5plugin.Zstd()),
    "lz4": dict(hdf5plugin.LZ4()),
    "lz4 in blocks": dict(hdf5plugin.LZ4(nbytes=300)),
    **{
        f"blosc {codec} {moved}": blosc(codec, clevel=5, shuffle=moved)
        for codec, moved in itertools.product(["blosclz", "lz4", "zlib", "zstd"], range(3))
    },
}
ROWS, CHUNK = 1_200, 400
HEADER = 16


@pytest.fixture(autouse=True)
def even_a_row_by_the_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "LEAST", 0)


def chunks_of(path: Path) -> list[tuple[int, bytes]]:
    with h5py.File(path, "r") as file:
        infos = [file["x"].id.get_chunk_info(i) for i in range(file["x"].id.get_num_chunks())]
    content = path.read_bytes()
    return [(info.byte_offset, content[info.byte_offset : info.byte_offset + info.size]) for info in infos]


def attempt(path: Path, number: int) -> npt.NDArray[Any] | None:
    """Read all rows twice; None where both fail in words that name file and rows."""
    found: list[npt.NDArray[Any] | None] = []
    start = f"{path}: cannot read {name_rows(CHUNK * number, CHUNK * (number + 1))}; the file is damaged"
    for _ in range(2):
        try:
            found.append(read(path, [(0, ROWS)]))
        except UnreadableFileError as error:
            assert str(error).startswith(start)  # noqa: PT017  (no error is fine as well)
            found.append(None)
    first, second = found
    assert (first is None) == (second is None)
    assert first is None or second is None or first.tobytes() == second.tobytes()
    return first


def damages(chunk: bytes) -> Iterator[bytes]:
    """Every byte of the header, and some of the rest: one bit turned, all of them, none left."""
    for at in {*range(min(40, len(chunk))), *range(0, len(chunk), 1 + len(chunk) // 60)}:
        others = (chunk[at] ^ 1 << at % 8, chunk[at] ^ 255, 0)
        for byte in others if at < HEADER else others[at % 3 :][:1]:
            yield chunk[:at] + bytes([byte]) + chunk[at + 1 :]


@pytest.mark.parametrize("name", CODECS)
def test_bytes_that_changed(tmp_path: Path, name: str) -> None:
    path, values = tmp_path / "x.h5", sample((ROWS,), "<i4")
    written(path, values, (CHUNK,), **CODECS[name])
    whole = path.read_bytes()
    failed = 0
    address, chunk = chunks_of(path)[1]
    for damaged in damages(chunk):
        path.write_bytes(whole[:address] + damaged + whole[address + len(damaged) :])
        found = attempt(path, 1)
        failed += found is None
        if found is not None:
            assert found[:CHUNK].tolist() == values[:CHUNK].tolist()
            assert found[2 * CHUNK :].tolist() == values[2 * CHUNK :].tolist()
        assert read(path, [(0, CHUNK)]).tolist() == values[:CHUNK].tolist()
    assert failed > 20


@pytest.mark.parametrize("name", CODECS)
def test_a_checksum_finds_every_change(tmp_path: Path, name: str) -> None:
    path, values = tmp_path / "x.h5", sample((ROWS,), "<i4")
    written(path, values, (CHUNK,), fletcher32=True, **CODECS[name])
    whole = path.read_bytes()
    address, chunk = chunks_of(path)[1]
    for damaged in damages(chunk):
        path.write_bytes(whole[:address] + damaged + whole[address + len(damaged) :])
        assert damaged == chunk or attempt(path, 1) is None


@pytest.mark.parametrize("name", CODECS)
def test_chunks_that_are_too_short(tmp_path: Path, name: str) -> None:
    path, values = tmp_path / "x.h5", sample((ROWS,), "<i4")
    written(path, values, (CHUNK,), **CODECS[name])
    _, chunk = chunks_of(path)[1]
    for size in {*range(0, min(50, len(chunk))), *range(0, len(chunk), 1 + len(chunk) // 40)} - {0}:
        with h5py.File(path, "a") as file:
            file["x"].id.write_direct_chunk((CHUNK,), chunk[:size])
        assert attempt(path, 1) is None
    with h5py.File(path, "a") as file:
        file["x"].id.write_direct_chunk((CHUNK,), chunk)
    assert read(path, [(0, ROWS)]).tolist() == values.tolist()


@pytest.mark.parametrize("options", [CODECS["zstd"], {"compression": "lzf"}], ids=["zstd", "lzf"])
def test_a_row_is_not_left_to_a_filter_that_hides_damage(
    tmp_path: Path, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "LEAST", 1)
    path = tmp_path / "x.h5"
    written(path, sample((ROWS,), "<i4"), (CHUNK,), **options)
    _, chunk = chunks_of(path)[1]
    with h5py.File(path, "a") as file:
        file["x"].id.write_direct_chunk((CHUNK,), chunk[:-1])
    with pytest.raises(OSError, match=r"cannot read rows 410 to 411; the file is damaged"):
        read(path, [(410, 412)])


@pytest.mark.parametrize("name", ["zstd", "lz4", "blosc lz4 1"])
def test_the_error_of_a_source(tmp_path: Path, name: str) -> None:
    """It names file, dataset and row; other rows come."""
    path = write_h5ad(tmp_path / "a.h5ad", random_counts(300, 40).toarray())
    with h5py.File(path, "r+") as file:
        values = file["X"][:]
        del file["X"]
        file.create_dataset("X", data=values, chunks=(100, 40), **CODECS[name])
        _, chunk = file["X"].id.read_direct_chunk((100, 0))
        file["X"].id.write_direct_chunk((100, 0), chunk[: len(chunk) // 2])
    source = H5adSource(path)
    with pytest.raises(OSError, match=rf"^{path}: dataset 'X': cannot read rows 1\d\d to 1\d\d; the file"):
        source.read(np.arange(90, 210))
    np.testing.assert_array_equal(source.read(np.arange(100))["X"], values[:100])
