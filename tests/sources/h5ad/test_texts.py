"""Text of variable length read as bytes: equal bytes mean equal text, and what is odd is left to HDF5."""

import os
import struct
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tombola import _core
from tombola.sources.h5ad.elements import stored_texts


def write(path: Path, texts: list[str], before: int = 0, **options: Any) -> Path:
    """Write a list of text, after others so that it lies elsewhere."""
    with h5py.File(path, "w") as file:
        if before:
            file.create_dataset("before", data=["x" * 50] * before, dtype=h5py.string_dtype())
        file.create_dataset("texts", data=np.array(texts, dtype=object), dtype=h5py.string_dtype(), **options)
    return path


def read(path: Path, name: str = "texts") -> bytes | None:
    with h5py.File(path, "r") as file:
        return stored_texts(file[name])


def expected(texts: list[str]) -> bytes:
    stored = [text.encode() for text in texts]
    return b"".join([*(struct.pack("<I", len(text)) for text in stored), *stored])


@pytest.mark.parametrize(
    "texts",
    [
        [],
        ["a"],
        ["", "", ""],
        ["", "a", ""],
        [f"gene_{i}" for i in range(5_000)],
        ["\u00e4\u00f6\u00fc \u03bb" * (i % 40) for i in range(500)],
        ["x" * 10_000, "y", "z" * 70_000],
    ],
)
@pytest.mark.parametrize("before", [0, 1, 333])
def test_bytes_are_those_of_the_texts(tmp_path: Path, texts: list[str], before: int) -> None:
    found = read(write(tmp_path / "a.h5", texts, before))
    assert found is None if not texts else found == expected(texts)


def test_texts_written_in_another_order(tmp_path: Path) -> None:
    texts = [f"gene_{i}" for i in range(3_000)]
    path = write(tmp_path / "a.h5", [""] * len(texts))
    order = np.random.default_rng(1).permutation(len(texts))
    with h5py.File(path, "r+") as file:
        for place in order.tolist():
            file["texts"][place] = texts[place]
        file["texts"][7] = "again"
    texts[7] = "again"
    assert read(path) in (None, expected(texts))


@pytest.mark.parametrize("options", [{}, {"compression": "gzip"}, {"maxshape": (None,)}])
def test_chunks_are_left_to_hdf5(tmp_path: Path, options: Any) -> None:
    options = {"chunks": (10,), **options}
    assert read(write(tmp_path / "a.h5", ["a", "b"] * 20, **options)) is None


def test_other_types_and_shapes_are_left_to_hdf5(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["fixed"] = np.array([b"abc", b"d"])
        file["numbers"] = np.arange(4)
        file["table"] = np.array([["a", "b"], ["c", "d"]], dtype=object)
        file["one"] = "a"
        file.create_dataset("lists", (2,), dtype=h5py.vlen_dtype("i4"))[0] = [1, 2]
        file.create_dataset("nothing", data=h5py.Empty("f4"))
        file.create_dataset("unwritten", (5,), dtype=h5py.string_dtype())
    with h5py.File(path, "r") as file:
        for name in file:
            assert stored_texts(file[name]) is None, name


def test_files_with_a_user_block_are_left_to_hdf5(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_dataset("texts", data=["a", "b"], dtype=h5py.string_dtype())
    assert read(path) is None


def test_damage_is_left_to_hdf5(tmp_path: Path) -> None:
    texts = [f"gene_{i}" for i in range(300)]
    path = write(tmp_path / "a.h5", texts)
    whole = path.read_bytes()
    with h5py.File(path, "r") as file:
        offset = file["texts"].id.get_offset()
    places = [offset + at for at in range(0, 16 * len(texts), 89)]
    heap = whole.index(b"GCOL")
    places += [heap + at for at in range(0, 4096, 31)]
    rng = np.random.default_rng(3)
    for place in places:
        damaged = bytearray(whole)
        damaged[place] = int(rng.integers(256))
        path.write_bytes(damaged)
        descriptor = os.open(path, os.O_RDONLY)
        try:
            found = _core.heap_texts(descriptor, offset, len(texts))
        finally:
            os.close(descriptor)
        assert found is None or len(found) >= 4 * len(texts)


@pytest.mark.parametrize(
    ("offset", "count"),
    [(0, 5), (10**6, 1), (2**63, 1), (2**64 - 1, 2), (0, 2**60), (0, 2**64 - 1), (16, 10**5)],
)
def test_lists_out_of_the_file(tmp_path: Path, offset: int, count: int) -> None:
    path = write(tmp_path / "a.h5", [f"gene_{i}" for i in range(300)])
    with path.open("rb") as file:
        assert _core.heap_texts(file.fileno(), offset, count) is None


def test_a_descriptor_that_is_not_open() -> None:
    assert _core.heap_texts(10**6, 0, 1) is None
    assert _core.heap_texts(-1, 0, 0) is None
