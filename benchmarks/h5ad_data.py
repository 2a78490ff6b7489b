"""The reference h5ad file: 100,000 cells x 20,000 genes, 1,000 values a cell, HDF5 chunks of 24,000 values.

Every value follows from its cell and its place by a hash (splitmix64), so that any row can be made again to
check what a reader gives. Files are written once into a cache folder: TOMBOLA_BENCH_DATA, or a folder of the
system's temporary one. The raw file takes 0.8 GB, the gzip one 0.25 GB, those of other codecs less than 0.5;
as dense matrices, in chunks as h5py makes them, 80 kB a cell and 1.9 kB.
"""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import numpy.typing as npt

__all__ = [
    "CELLS",
    "CODECS",
    "GENES",
    "VALUES",
    "checksums",
    "dense_file",
    "dense_rows",
    "make_rows",
    "reference_file",
    "small_files",
]

CELLS, GENES, VALUES = 100_000, 20_000, 1_000
CHUNK = 24_000
STEP = GENES // VALUES
FORMAT = 1
"""Version of what is written; it is part of the file's name."""

CODECS: dict[str, dict[str, Any]] = {
    "gzip": {"compression": "gzip"},
    "zstd": dict(hdf5plugin.Zstd()),
    "lz4": dict(hdf5plugin.LZ4()),
    "blosc": dict(hdf5plugin.Blosc()),
    "blosclz": dict(hdf5plugin.Blosc(cname="blosclz", clevel=2)),
}
"""By their names in those of files. blosc is what hdf5plugin makes where nothing is said: lz4, level 5, bytes
shuffled; blosclz is what snapatac2 writes."""

_WRITTEN_AT_ONCE = 2_400
_QUANTILES = (np.arange(256) + 0.5) / 256
_COUNTS = np.ceil(np.log1p(-_QUANTILES) / np.log(0.6)).astype(np.float32)
"""Geometric counts with p = 0.4, as 256 equally likely values."""


def make_rows(rows: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Return columns (ascending, one in each 20 genes) and values of some cells, each of shape (n, 1,000)."""
    place = np.arange(VALUES, dtype=np.uint64)
    z = rows.astype(np.uint64)[:, None] * np.uint64(VALUES) + place
    z = (z + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    values = _COUNTS[(z & np.uint64(255)).astype(np.intp)]
    columns = place * np.uint64(STEP) + (z >> np.uint64(8)) % np.uint64(STEP)
    return columns.astype(np.int32), values


def dense_rows(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Return the same cells with their zeros, shape (n, 20,000)."""
    columns, values = make_rows(rows)
    out = np.zeros((len(rows), GENES), dtype=np.float32)
    np.put_along_axis(out, columns.astype(np.int64), values, axis=1)
    return out


def checksums(columns: npt.NDArray[Any], values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return one number a row that every value and every column enters, exact in float64."""
    weights = (columns.astype(np.float64) + 1) ** 2
    return np.asarray((weights * values).sum(axis=1))


def as_scipy(x: Any) -> Any:
    """Return a CSR tensor as SciPy's matrix."""
    from scipy.sparse import csr_matrix  # not every Python that measures has it

    return csr_matrix((x.values(), x.col_indices(), x.crow_indices()), shape=tuple(x.shape))


def reference_file(compression: str | None, cells: int = CELLS, chunk: int = CHUNK) -> Path:
    """Return the path of a file, which is written if it is not there; `compression` is one of `CODECS`."""
    of_chunk = "" if chunk == CHUNK else f"-{chunk}"
    path = _folder() / f"reference-{FORMAT}-{cells}-{compression or 'raw'}{of_chunk}.h5ad"
    return _written(path, lambda part: _write(part, compression, cells, chunk))


def dense_file(compression: str | None, cells: int) -> Path:
    """Return the path of a file of the same cells as a dense matrix, which is written if it is not there."""
    path = _folder() / f"dense-{FORMAT}-{cells}-{compression or 'raw'}.h5ad"
    return _written(path, lambda part: _write_dense(part, compression, cells))


def _written(path: Path, write: Callable[[Path], None]) -> Path:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        try:
            write(part)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    return path


def small_files(n_files: int = 1_000, cells: int = 200) -> list[Path]:
    """Return the paths of files of the same few cells each, not compressed; they are made if need be."""
    original = reference_file(None, cells)
    folder = _folder() / f"small-{FORMAT}-{cells}"
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{number:05}.h5ad" for number in range(n_files)]
    for path in paths:
        if not path.exists():
            part = path.with_suffix(f".{os.getpid()}.part")
            shutil.copyfile(original, part)
            part.replace(path)
    return paths


def _folder() -> Path:
    return Path(os.environ.get("TOMBOLA_BENCH_DATA") or Path(tempfile.gettempdir()) / "tombola-bench")


def _write_dense(path: Path, compression: str | None, cells: int) -> None:
    with h5py.File(path, "w") as file:
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        x = file.create_dataset("X", (cells, GENES), "f4", compression=compression)
        x.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
        step = (x.chunks or (1_000,))[0]  # whole chunks
        for start in range(0, cells, step):
            x[start : start + step] = dense_rows(np.arange(start, min(start + step, cells)))
        _write_frames(file, cells)


def _write(path: Path, compression: str | None, cells: int, chunk: int) -> None:
    with h5py.File(path, "w") as file:
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        x = file.create_group("X")
        x.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": [cells, GENES]})
        chunks = (min(chunk, cells * VALUES),)
        codec = {} if compression is None else CODECS[compression]
        data = x.create_dataset("data", (cells * VALUES,), "f4", chunks=chunks, **codec)
        indices = x.create_dataset("indices", (cells * VALUES,), "i4", chunks=chunks, **codec)
        x.create_dataset("indptr", data=np.arange(cells + 1, dtype=np.int64) * VALUES)
        for start in range(0, cells, _WRITTEN_AT_ONCE):
            stop = min(start + _WRITTEN_AT_ONCE, cells)
            columns, values = make_rows(np.arange(start, stop))
            data[start * VALUES : stop * VALUES] = values.ravel()
            indices[start * VALUES : stop * VALUES] = columns.ravel()
        _write_frames(file, cells)


def _write_frames(file: h5py.File, cells: int) -> None:
    for name, size in (("obs", cells), ("var", GENES)):
        frame = file.create_group(name)
        frame.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.2.0", "_index": "_index"})
        frame.attrs["column-order"] = np.array([], dtype=h5py.string_dtype())
        names = np.array([f"{name}{i}" for i in range(size)], dtype=object)
        index = frame.create_dataset("_index", data=names, dtype=h5py.string_dtype())
        index.attrs.update({"encoding-type": "string-array", "encoding-version": "0.2.0"})
