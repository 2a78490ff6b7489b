"""Dense matrices of h5ad files, read by rows.

Rows are read whole, straight into the caller's array; what becomes of them on the way (see `transform`) the
core does right after reading. Where it cannot read them, or zeros are dropped, rows pass through blocks of
about `BLOCK_BYTES`, so that a window of a wide matrix is never in memory twice.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from ... import _core
from ..._base.types import IndexArray
from ..csr_rows import Parts, concatenate, from_dense
from .casting import cast_into, row_of_run
from .elements import read_array
from .errors import BadFileError
from .files import OpenFiles
from .gather import Gather

BLOCK_BYTES = 1 << 24


class DenseMatrix:
    """A matrix stored as one array.

    Parameters
    ----------
    source
        The open dataset; it is checked and not kept.
    path, name
        File and name of the dataset.
    files
        Where to get readers from.
    field
        Field of a compound dataset, as older files keep obsm; it is read into memory as a whole.

    Raises
    ------
    ValueError
        If it is no array of numbers with one or two axes.
    """

    encoding = "dense"
    is_sparse = False

    def __init__(
        self, source: h5py.Dataset, path: Path, name: str, files: OpenFiles, field: str | None = None
    ) -> None:
        self._path = path
        self.name = name
        self._files = files
        self._values: npt.NDArray[Any] | None = None
        if field is not None:
            self._values = read_array(source, f"{path}: {name}/{field}", field)
        kept = source if self._values is None else self._values
        shape: tuple[int, ...] = kept.shape
        self.dtype: np.dtype[Any] = kept.dtype
        if self.dtype.kind not in "biuf" or len(shape) not in (1, 2):
            msg = f"{path}: {name} must be a matrix of numbers, but has shape {shape} and dtype {self.dtype}"
            raise BadFileError(msg)
        # anndata before 0.7 wrote a matrix of one column as a vector.
        self._is_vector = len(shape) == 1
        self.shape = (shape[0], 1 if self._is_vector else shape[1])
        self._stored_shape = shape

    @classmethod
    def known(
        cls, path: Path, name: str, files: OpenFiles, shape: tuple[int, int], dtype: np.dtype[Any]
    ) -> "DenseMatrix":
        """Make a matrix of what is known and checked already."""
        matrix = object.__new__(cls)
        matrix._path, matrix.name, matrix._files, matrix._values = path, name, files, None
        matrix.dtype, matrix.shape, matrix._stored_shape, matrix._is_vector = dtype, shape, shape, False
        return matrix

    def fill(self, rows: IndexArray, out: npt.NDArray[Any]) -> None:
        """Read rows into `out`, C-contiguous, cast to its dtype.

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            If a value does not fit the dtype of `out`.
        """
        self._read(rows, out)

    def gather(
        self,
        gather: Gather,
        rows: IndexArray,
        places: IndexArray,
        out: npt.NDArray[Any],
        work: _core.DenseWork | None = None,
    ) -> bool:
        """Ask for rows, ascending with repeats, each at its place in ``out``; returns whether it can be.

        `work` is what rows become.
        """
        if self._values is not None:
            return False
        reader = self._files.reader(self._path, self.name, self._stored_shape)
        target = out.reshape(-1) if self._is_vector else out
        return gather.add(reader, rows, rows + 1, places, target, _rows_of, work)

    def sparse(self, rows: IndexArray, dtype: np.dtype[Any]) -> Parts:
        """Give rows as CSR without the zeros."""
        return concatenate([from_dense(block) for _, block in self.blocks(rows, dtype)])

    def blocks(self, rows: IndexArray, dtype: np.dtype[Any]) -> Iterator[tuple[int, npt.NDArray[Any]]]:
        """Read rows, ascending with repeats, a block at a time; yields the first row's place, and the block.

        A block is good until the next one is asked for.
        """
        step = max(1, BLOCK_BYTES // max(1, self.shape[1] * dtype.itemsize))
        memory = np.empty((min(step, len(rows)), self.shape[1]), dtype=dtype)
        for lo in range(0, max(len(rows), 1), step):
            part = rows[lo : lo + step]
            block = memory[: len(part)]
            gather = Gather()
            places = np.arange(len(part), dtype=np.int64)
            if not (self.gather(gather, part, places, block) and gather.read()):
                self._read_repeated(part, block)
            yield lo, block

    def _read_repeated(self, rows: IndexArray, out: npt.NDArray[Any]) -> None:
        if np.all(rows[1:] > rows[:-1]):
            self._read(rows, out)
            return
        distinct, where = np.unique(rows, return_inverse=True)
        once = np.empty((len(distinct), self.shape[1]), dtype=out.dtype)
        self._read(distinct, once)
        out[...] = once[where]

    def _read(self, rows: IndexArray, out: npt.NDArray[Any]) -> None:
        target = out.reshape(-1) if self._is_vector else out
        if self._values is not None:
            where, row_of = f"{self._path}: {self.name}", partial(row_of_run, rows, rows + 1, _rows_of, 0)
            cast_into(self._values[rows].reshape(target.shape), target, where, row_of)
            return
        reader = self._files.reader(self._path, self.name, self._stored_shape)
        for _ in reader.read(rows, rows + 1, target, _rows_of):
            pass


def _rows_of(start: int, stop: int) -> str:
    return f"rows {start} to {stop - 1}"
