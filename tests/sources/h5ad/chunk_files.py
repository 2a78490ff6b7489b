"""HDF5 files with one dataset, read by runs: what the tests of chunks and of codecs share."""

from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import numpy.typing as npt

from tombola.sources.h5ad.runs import RunReader

__all__ = ["blosc", "name_rows", "read", "sample", "written"]


def name_rows(start: int, stop: int) -> str:
    return f"rows {start} to {stop - 1}"


def written(path: Path, values: npt.NDArray[Any], chunks: tuple[int, ...], **options: Any) -> None:
    with h5py.File(path, "w", **options.pop("of_file", {})) as out:
        out.create_dataset("x", data=values, chunks=chunks, **options)


def read(path: Path, runs: list[tuple[int, int]], *, by_core: bool | None = True) -> npt.NDArray[Any]:
    """Read runs, and make sure by whom, unless either will do."""
    with h5py.File(path, "r") as file:
        reader = RunReader(file, "x", str(path))
        assert by_core is None or (reader._chunks is not None) == by_core
        starts, stops = np.array(runs, dtype=np.int64).reshape(-1, 2).T.copy()
        out = np.empty((int((stops - starts).sum()), *reader.shape[1:]), dtype=reader.dtype)
        list(reader.read(starts, stops, out, name_rows))
        return out


def sample(shape: tuple[int, ...], kind: str) -> npt.NDArray[Any]:
    return np.random.default_rng(0).poisson(2, size=shape).astype(kind)


def blosc(codec: str, **options: Any) -> dict[str, Any]:
    """What `create_dataset` takes for streams by this codec."""
    make: Any = hdf5plugin.Blosc  # which wants literals
    return dict(make(cname=codec, **options))
