"""What opening without HDF5 leaves to HDF5 or refuses: files that change, bytes that claim too much."""

import os
import shutil
import struct
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.sources.h5ad.test_plain_layout import COLUMNS, N, find_plain, write
from tombola import _core
from tombola.sources import CsrRows, H5adSource
from tombola.sources.h5ad import layout, plain_layout
from tombola.sources.h5ad.files import OpenFiles
from tombola.sources.h5ad.layout import Opening
from tombola.sources.h5ad.obs_codes import Reading
from tombola.sources.h5ad.plain_layout import NotPlainError


def test_a_file_that_is_replaced_between_two_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one matrix, and of another one of the same file."""
    path, other = write(tmp_path / "a.h5ad", 1), write(tmp_path / "other", 2)
    plain_contents = plain_layout.plain_contents

    def looking(path: Path, x: str, files: OpenFiles, opening: Opening) -> Any:
        if x != "X":
            other.replace(path)
        return plain_contents(path, x, files, opening)

    monkeypatch.setattr(layout, "plain_contents", looking)
    with pytest.raises(OSError, match=r"a\.h5ad: the file was replaced or written to since"):
        H5adSource(path, x={"X": "X", "raw": "raw/X"})


def test_labels_of_a_file_that_is_replaced_while_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "FEW_ROWS", N - 1)
    path, other = write(tmp_path / "a.h5ad", 1), write(tmp_path / "other", 2)
    read_codes = _core.read_codes

    def after_a_change(jobs: Any) -> Any:
        other.replace(path)
        return read_codes(jobs)

    monkeypatch.setattr(_core, "read_codes", after_a_change)
    with pytest.raises(OSError, match=r"a\.h5ad: the file was replaced or written to since"):
        H5adSource(path, obs="kind")


def test_names_that_are_no_names(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5ad")
    with pytest.raises(FileNotFoundError, match="no such file, as names have no NUL"):
        H5adSource(Path(f"{path}\0more"), obs="kind")
    for options in ({"obs": ["\udc80"]}, {"x": "layers/\udc80"}):
        with pytest.raises((KeyError, ValueError, OSError), match=r"a\.h5ad"):
            H5adSource(path, **options)


def test_times_beyond_64_bits_of_nanoseconds(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5ad")
    expected = H5adSource(path, x_format="csr").read(np.arange(N))["X"]
    os.utime(path, ns=(10**19, 10**19))
    found = H5adSource(path, x_format="csr").read(np.arange(N))["X"]
    assert isinstance(expected, CsrRows)
    assert isinstance(found, CsrRows)
    assert np.array_equal(found.to_dense(), expected.to_dense())


def test_columns_of_more_rows_than_memory_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are left to HDF5, which says of which file they are."""
    path = write(tmp_path / "a.h5ad")
    expected = H5adSource(path, obs="kind").obs["kind"].tolist()
    monkeypatch.setattr(layout, "FEW_ROWS", N - 1)
    place = Reading.place
    refused: list[Any] = []

    def refuse(self: Reading, *arguments: Any) -> Any:
        if not refused:
            refused.append(arguments)
            raise MemoryError
        return place(self, *arguments)

    monkeypatch.setattr(Reading, "place", refuse)
    assert H5adSource(path, obs="kind").obs["kind"].tolist() == expected
    assert refused


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "pipe.h5ad"
    os.mkfifo(path)
    question: dict[str, Any] = {"x": "X", "columns": [], "most_rows": 0, "names": None, "inflate": None}
    assert _core.look_into([os.fsencode(path)], **question) == [None]


def test_nothing_is_read_beyond_the_end_that_the_superblock_names(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5ad")
    whole = path.read_bytes()
    path.write_bytes(whole + bytes(5000))
    find_plain(path, Opening(COLUMNS))
    refused = 0
    for end in range(len(whole) - 8, 2048, -997):
        content = bytearray(whole)
        struct.pack_into("<Q", content, 40, end)
        path.write_bytes(content)
        try:
            find_plain(path, Opening(COLUMNS))
        except NotPlainError:
            refused += 1
        else:  # then HDF5 reads as much
            with h5py.File(path, "r") as file:
                assert all(
                    len(file[name][:]) for name in ("var/_index", "X/indptr", "obs/kind/codes", "obs/count")
                )
    assert refused > 30


def test_many_references_to_one_long_text_take_no_more_than_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5ad")
    long, short = "x" * 30_000, [f"name {i}" for i in range(200)]
    with h5py.File(path, "r+") as file:
        file["obs"].attrs["column-order"] = [*COLUMNS, long, *short]
    shutil.copy(path, tmp_path / "copy.h5ad")
    find_plain(tmp_path / "copy.h5ad", Opening())
    content = bytearray(path.read_bytes())
    at = content.index(struct.pack("<I", len(long)))
    reference = bytes(content[at : at + 16])
    for i in range(1, 1 + len(short)):
        content[at + 16 * i : at + 16 * (i + 1)] = reference
    path.write_bytes(content)
    with pytest.raises(NotPlainError):
        find_plain(path, Opening())
