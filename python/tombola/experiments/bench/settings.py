"""What is measured: ways of choosing rows, with some threads; and rows as h5py alone reads them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from tombola import BlockShuffling, H5adSource, Loader, Streaming
from tombola._base.types import IndexArray

__all__ = ["OURS", "Setting", "batches", "plain_rows"]


@dataclass(frozen=True)
class Setting:
    """One way.

    Parameters
    ----------
    name
        As it is shown.
    block_size
        Of `BlockShuffling`; None streams in order.
    threads
        Threads of the core; None takes all.
    """

    name: str
    block_size: int | None
    threads: int | None = None


OURS = (
    Setting("block 1 (full shuffle)", 1),
    Setting("block 16", 16),
    Setting("block 16, one thread", 16, 1),
    Setting("block 64", 64),
    Setting("streaming", None),
)


def batches(source: H5adSource, setting: Setting, *, batch_size: int, fetch_factor: int) -> Iterator[Any]:
    """Yield the batches of one epoch after the other, without end."""
    strategy = Streaming() if setting.block_size is None else BlockShuffling(block_size=setting.block_size)
    loader = Loader(source, strategy, batch_size, fetch_factor)
    while True:
        yield from loader


def plain_rows(
    paths: Sequence[Path], x: str, bounds: IndexArray, rows: IndexArray
) -> npt.NDArray[Any] | None:
    """Read rows by h5py alone, as float32; None where a matrix is stored otherwise than by rows."""
    out = []
    for row in rows.tolist():
        number = int(np.searchsorted(bounds, row, side="right")) - 1
        local = row - int(bounds[number])
        with h5py.File(paths[number], "r") as file:
            element = file[x]
            if isinstance(element, h5py.Dataset):
                out.append(np.atleast_1d(element[local]).astype(np.float32))
                continue
            if "csr" not in str(element.attrs.get("encoding-type", element.attrs.get("h5sparse_format", ""))):
                return None
            shape = element.attrs["shape"] if "shape" in element.attrs else element.attrs["h5sparse_shape"]
            lo, hi = (int(end) for end in element["indptr"][local : local + 2])
            values = np.zeros(int(shape[1]), dtype=np.float32)
            np.add.at(values, element["indices"][lo:hi], element["data"][lo:hi].astype(np.float32))
            out.append(values)
    return np.array(out)
