"""Datasets of the inputs whose first axis is that of the rows, written in the output's order.

Rule: a block of the output is filled by going through the input by windows and picking what goes there. Most
columns are one block; one that is larger than the memory allows is gone through once a block.
O(rows * blocks).
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np
import numpy.typing as npt

from ..sources.h5ad.errors import reading
from ..sources.h5ad.files import open_h5, require_codecs
from .encode import filters
from .options import RepackOptions
from .order import RowOrder

__all__ = ["ArrayOfRows", "Inputs", "RangeOfRows", "RowValues", "StoredRows", "reordered", "write_rows"]

_OPEN_FILES = 64
_WINDOW_ROWS = 1 << 18
_TEXT_BYTES = 100
"""What a text takes in memory, about."""
_COPIES = 3
_CHUNK_BYTES = 1 << 16


class Inputs:
    """The input files; the least recently used of more than a few closes.

    Parameters
    ----------
    paths
        The files.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = tuple(paths)
        self._open: OrderedDict[int, h5py.File] = OrderedDict()

    def __getitem__(self, number: int) -> h5py.File:
        file = self._open.get(number)
        if file is None:
            file = self._open[number] = open_h5(self.paths[number])
            if len(self._open) > _OPEN_FILES:
                self._open.popitem(last=False)[1].close()
        self._open.move_to_end(number)
        return file

    def __len__(self) -> int:
        return len(self.paths)

    def close(self) -> None:
        """Close all."""
        while self._open:
            self._open.popitem()[1].close()


class RowValues(Protocol):
    """Values of all rows, in the order of the inputs."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    def read(self, lo: int, hi: int) -> npt.NDArray[Any]:
        """Give those of the rows from `lo` to `hi`."""


class StoredRows:
    """Values in one dataset of each input.

    Parameters
    ----------
    inputs
        The files.
    name
        Of the dataset, in all of them.
    """

    def __init__(self, inputs: Inputs, name: str) -> None:
        self._inputs, self._name = inputs, name
        first = inputs[0][name]
        self.dtype: np.dtype[Any] = first.dtype
        lengths = [inputs[number][name].shape[0] for number in range(len(inputs))]
        self._bounds = np.cumsum([0, *lengths]).tolist()
        self.shape = (self._bounds[-1], *first.shape[1:])

    def read(self, lo: int, hi: int) -> npt.NDArray[Any]:
        """Give those of the rows from `lo` to `hi`."""
        pieces = []
        for number, (start, stop) in enumerate(pairwise(self._bounds)):
            a, b = max(lo, start) - start, min(hi, stop) - start
            if a < b:
                path = self._inputs.paths[number]
                dataset = self._inputs[number][self._name]
                require_codecs(dataset, f"{path}: {self._name}")
                with reading(path, f"{self._name}, rows {a} to {b - 1}"):
                    pieces.append(dataset[a:b])
        if len(pieces) == 1:
            return np.asarray(pieces[0])
        return np.concatenate(pieces) if pieces else np.empty((0, *self.shape[1:]), self.dtype)


class ArrayOfRows:
    """Values in memory.

    Parameters
    ----------
    values
        One a row.
    dtype
        What they are stored as, if not their own.
    """

    def __init__(self, values: npt.NDArray[Any], dtype: np.dtype[Any] | None = None) -> None:
        self._values = values
        self.dtype, self.shape = dtype or values.dtype, values.shape

    def read(self, lo: int, hi: int) -> npt.NDArray[Any]:
        """Give those of the rows from `lo` to `hi`."""
        return self._values[lo:hi]


class RangeOfRows:
    """The numbers of the rows.

    Parameters
    ----------
    n
        How many there are.
    """

    def __init__(self, n: int) -> None:
        self.dtype: np.dtype[Any] = np.dtype(np.int64)
        self.shape: tuple[int, ...] = (n,)

    def read(self, lo: int, hi: int) -> npt.NDArray[Any]:
        """Give those of the rows from `lo` to `hi`."""
        return np.arange(lo, hi, dtype=np.int64)


def reordered(values: RowValues, order: RowOrder, memory: int) -> Iterator[tuple[int, int, npt.NDArray[Any]]]:
    """Yield blocks of the output: first row, end, and their values."""
    n, size = order.n, _row_bytes(values)
    block = max(1, memory // _COPIES // size)
    window = max(1, min(_WINDOW_ROWS, block))
    for lo in range(0, n, block):
        hi = min(n, lo + block)
        if not order.is_shuffled:
            yield lo, hi, values.read(lo, hi)
            continue
        kind = np.dtype(object) if values.dtype.kind == "O" else values.dtype
        out = np.empty((hi - lo, *values.shape[1:]), kind)
        for start in range(0, n, window):
            stop = min(n, start + window)
            places = order.places(start, stop)
            here = (places >= lo) & (places < hi)
            if here.any():
                out[places[here] - lo] = values.read(start, stop)[here]
        yield lo, hi, out


def write_rows(
    group: h5py.Group, name: str, values: RowValues, order: RowOrder, options: RepackOptions
) -> h5py.Dataset:
    """Write values in the output's order; text is not compressed, as HDF5 keeps it elsewhere."""
    made: dict[str, Any] = {}
    if order.n and 0 not in values.shape:
        rows = max(1, min(order.n, _CHUNK_BYTES // _row_bytes(values)))
        made = {"chunks": (rows, *values.shape[1:])}
        if values.dtype.kind != "O":
            made |= filters(options)
    dataset = group.create_dataset(name, values.shape, values.dtype, **made)
    for lo, hi, block in reordered(values, order, options.memory):
        dataset[lo:hi] = block
    return dataset


def _row_bytes(values: RowValues) -> int:
    item = _TEXT_BYTES if values.dtype.kind == "O" else values.dtype.itemsize
    return max(1, item * int(np.prod(values.shape[1:], dtype=np.int64)))
