"""Chunks as they are encoded here are chunks that HDF5 decodes; the order of rows goes both ways."""

from typing import Any

import h5py
import numpy as np
import pytest

import tombola
from tombola.repacking import RepackOptions
from tombola.repacking.encode import ChunkEncoder, check_codec, create_dataset
from tombola.repacking.order import RowOrder

CODECS: list[dict[str, Any]] = [
    {"compression": "none"},
    {"compression": "gzip", "level": 0},
    {"compression": "gzip", "level": 9},
    {"compression": "gzip", "byte_shuffle": False},
    {"compression": "lzf"},
    {"compression": "zstd"},
]


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: "-".join(map(str, codec.values())))
@pytest.mark.parametrize("dtype", ["float32", "int8", "uint16", "float64", "bool"])
@pytest.mark.parametrize("chunk", [(50,), (5, 10)])
def test_hdf5_decodes_what_is_encoded(codec: dict[str, Any], dtype: str, chunk: tuple[int, ...]) -> None:
    """Noise, which lzf leaves out, and zeros."""
    if codec["compression"] == "zstd":
        pytest.importorskip("hdf5plugin")
    options = RepackOptions(**codec)
    kind = np.dtype(dtype)
    noise = np.random.default_rng(0).integers(
        0, 2 if dtype == "bool" else 256, 3 * 50 * kind.itemsize, np.uint8
    )
    noise[50 * kind.itemsize : 100 * kind.itemsize] = 0
    values = noise.view(kind).reshape(-1, *chunk[1:])
    encoded = ChunkEncoder(kind, chunk, options).encode(values)
    assert len(encoded) == 3
    with h5py.File("x", "w", driver="core", backing_store=False) as file:
        dataset = create_dataset(file, "x", values.shape, kind, chunk, options)
        for i, (mask, content) in enumerate(encoded):
            offset = (i * chunk[0], *(0 for _ in chunk[1:]))
            dataset.id.write_direct_chunk(offset, content, filter_mask=mask)
        assert dataset[()].tobytes() == values.tobytes()


def test_parts_of_chunks_are_refused() -> None:
    encoder = ChunkEncoder(np.dtype(np.int8), (4, 2), RepackOptions())
    for shape in ((3, 2), (4, 3)):
        with pytest.raises(ValueError, match=r"values must be whole chunks of shape \(4, 2\)"):
            encoder.encode(np.zeros(shape, dtype=np.int8))


def test_zstd_without_its_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="needs hdf5plugin, which is not installed"):
        check_codec(RepackOptions(compression="zstd"))


@pytest.mark.parametrize("n", [0, 1, 2, 1_000])
def test_order_and_its_inverse(n: int) -> None:
    for order in (RowOrder(n, None), RowOrder(n, 5)):
        rows = order.rows(0, n)
        assert np.array_equal(order.places(0, n)[rows], np.arange(n))
        assert np.array_equal(order.rows(n // 3, n // 2), rows[n // 3 : n // 2])
    assert np.array_equal(RowOrder(n, 5).rows(0, n), tombola.permutation(n, 5))
