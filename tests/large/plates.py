"""An h5ad set whose every row says which one it is: X holds its number, and the labels follow from it.

Row r has two values among 64 columns: ``r // 32 + 1`` in column ``r % 32``, exact in float32 up to 5 * 10^8
rows, and a hash of r, splitmix64, in one of the others; four columns of labels are the rest of the hash. So a
reader can be asked what it has read, whatever it says itself. 30 bytes a row on disk; obs has no names of
rows, which nobody reads here.
"""

import os
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import torch

__all__ = ["LABELS", "file_sizes", "numbers_of", "write_plates"]

LABELS = {"cell_line": 50, "drug": 379, "moa_broad": 4, "moa_fine": 26}
HALF = 32
COLUMNS = 2 * HALF
_WRITTEN_AT_ONCE = 1 << 20
_CHUNK = 1 << 16
_DTYPES = {"cell_line": np.int8, "drug": np.int16, "moa_broad": np.int8, "moa_fine": np.int8}


def file_sizes(rows: int, files: int, unit: int) -> list[int]:
    """Return the rows of each file: multiples of a unit, about equal, so many together."""
    assert rows % unit == 0
    bounds = [rows // unit * number // files * unit for number in range(files + 1)]
    return [stop - start for start, stop in pairwise(bounds)]


def write_plates(folder: Path, sizes: list[int]) -> list[Path]:
    """Write files of so many rows each, numbered on from one to the next, if they are not there."""
    paths = [folder / f"plate_{number:02}.h5ad" for number in range(len(sizes))]
    if not folder.exists():
        part = folder.with_suffix(f".{os.getpid()}.part")
        try:
            part.mkdir(parents=True)
            start = 0
            for path, size in zip(paths, sizes, strict=True):
                _write(part / path.name, start, size)
                start += size
            part.rename(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return paths


def numbers_of(batch: dict[str, Any]) -> npt.NDArray[np.int32]:
    """Return which rows a batch holds, by its X; AssertionError where other values or labels are in it."""
    x = batch["X"]
    assert x.shape[1] == COLUMNS
    first, column = x[:, :HALF].max(1)
    rows: npt.NDArray[np.int64] = ((first.long() - 1) * HALF + column).numpy()
    values, columns, labels = _contents(rows)
    expected = torch.from_numpy(values)
    found = x.gather(1, torch.from_numpy(columns).long())
    assert torch.equal(found, expected)
    assert torch.equal(x.sum(1, dtype=torch.float64), expected.sum(1, dtype=torch.float64))
    for name, codes in labels.items():
        assert np.array_equal(batch[name].numpy(), codes), f"{name} is of other rows"
    return rows.astype(np.int32)


def _contents(rows: npt.NDArray[np.int64]) -> tuple[Any, Any, dict[str, npt.NDArray[np.int64]]]:
    """Return values and columns, of shape (n, 2), and the codes of each label."""
    z = (rows.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = ((z ^ (z >> np.uint64(31))) >> np.uint64(1)).astype(np.int64)
    columns = np.stack([rows % HALF, HALF + z % HALF], axis=1).astype(np.int32)
    values = np.stack([rows // HALF + 1, 1 + (z >> 5) % 100], axis=1).astype(np.float32)
    labels = {name: (z >> 12 * (place + 1)) % size for place, (name, size) in enumerate(LABELS.items())}
    return values, columns, labels


def _write(path: Path, first: int, rows: int) -> None:
    with h5py.File(path, "w") as file:
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        x = file.create_group("X")
        x.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": [rows, COLUMNS]})
        x.create_dataset("indptr", data=2 * np.arange(rows + 1, dtype=np.int64))
        chunks = (min(_CHUNK, 2 * rows),)
        data = x.create_dataset("data", (2 * rows,), "f4", chunks=chunks)
        indices = x.create_dataset("indices", (2 * rows,), "i4", chunks=chunks)
        _write_frame(file, "var", COLUMNS, ())
        obs = _write_frame(file, "obs", rows, tuple(LABELS))
        codes = {}
        for name, size in LABELS.items():
            column = obs.create_group(name)
            column.attrs.update({**_encoding("categorical"), "ordered": False})
            _write_text(column, "categories", [f"{name}_{number:03}" for number in range(size)])
            codes[name] = column.create_dataset("codes", (rows,), _DTYPES[name])
            codes[name].attrs.update(_encoding("array"))
        for start in range(0, rows, _WRITTEN_AT_ONCE):
            stop = min(start + _WRITTEN_AT_ONCE, rows)
            values, columns, labels = _contents(np.arange(first + start, first + stop))
            data[2 * start : 2 * stop], indices[2 * start : 2 * stop] = values.ravel(), columns.ravel()
            for name, of_rows in labels.items():
                codes[name][start:stop] = of_rows


def _write_frame(file: h5py.File, name: str, size: int, columns: tuple[str, ...]) -> h5py.Group:
    frame = file.create_group(name)
    frame.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.2.0", "_index": "_index"})
    frame.attrs.create("column-order", columns, shape=(len(columns),), dtype=h5py.string_dtype())
    if name == "var":
        _write_text(frame, "_index", [f"gene_{number}" for number in range(size)])
    else:
        index = frame.create_dataset("_index", (size,), h5py.string_dtype(), chunks=(min(_CHUNK, size),))
        index.attrs.update(_encoding("string-array"))
    return frame


def _write_text(group: h5py.Group, name: str, values: list[str]) -> None:
    made = group.create_dataset(name, data=np.array(values, dtype=object), dtype=h5py.string_dtype())
    made.attrs.update(_encoding("string-array"))


def _encoding(kind: str) -> dict[str, str]:
    return {"encoding-type": kind, "encoding-version": "0.2.0"}
