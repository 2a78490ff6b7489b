"""Write a small AnnData file: sparse X and categorical obs, nothing else.

The encoding is anndata's on-disk format as of 0.8 (https://anndata.readthedocs.io, "On-disk format"): every
element says its `encoding-type` and `encoding-version`. anndata reads the files; it is not needed to write
them. Complexity: O(values). Files appear whole or not at all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from tombola._base.files import replacing

__all__ = ["Categorical", "Csr", "write_h5ad"]

EMPTY_PARTS = ("layers", "obsm", "obsp", "uns", "varm", "varp")


@dataclass(frozen=True, eq=False)
class Csr:
    """A sparse matrix in compressed rows.

    Parameters
    ----------
    data : ndarray of float32, shape (n_values,)
    indices : ndarray of int32, shape (n_values,)
        Column of each value, increasing within a row.
    indptr : ndarray of int64, shape (n_rows + 1,)
        Row r has the values ``indptr[r]`` to ``indptr[r + 1]``.
    n_columns : int
    """

    data: npt.NDArray[np.float32]
    indices: npt.NDArray[np.int32]
    indptr: npt.NDArray[np.int64]
    n_columns: int

    def __post_init__(self) -> None:
        n_values = int(self.indptr[-1])
        if not len(self.data) == len(self.indices) == n_values:
            msg = (
                f"indptr ends at {n_values}, so data and indices must be as long, "
                f"but are {len(self.data)} and {len(self.indices)}"
            )
            raise ValueError(msg)

    @classmethod
    def from_dense(cls, matrix: npt.NDArray[np.float32]) -> "Csr":
        """Take the values of a dense matrix, shape (n_rows, n_columns), that are not zero."""
        rows, columns = np.nonzero(matrix)
        indptr = np.zeros(len(matrix) + 1, dtype=np.int64)
        np.cumsum(np.bincount(rows, minlength=len(matrix)), out=indptr[1:])
        return cls(matrix[rows, columns], columns.astype(np.int32), indptr, matrix.shape[1])

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self.indptr) - 1, self.n_columns


@dataclass(frozen=True, eq=False)
class Categorical:
    """A label column: codes of shape (n_rows,) into category names; -1 means missing."""

    codes: npt.NDArray[np.integer[Any]]
    categories: Sequence[str]


def write_h5ad(
    path: Path,
    x: Csr,
    obs: Mapping[str, Categorical],
    *,
    obs_names: Sequence[str],
    var_names: Sequence[str],
    compression: str | None = "gzip",
    chunk_values: int = 24_000,
) -> None:
    """Write an h5ad file, atomically.

    Parameters
    ----------
    path : Path
        Replaced if it is there.
    x : Csr
        The matrix.
    obs : mapping of str to Categorical
        Label columns, each as long as the matrix has rows.
    obs_names, var_names : sequence of str
        Names of rows and of columns.
    compression : {"gzip", "lzf", None}
        Filter of the matrix' values; gzip at its fastest level.
    chunk_values : int
        Values of an HDF5 chunk of the matrix.

    Raises
    ------
    ValueError
        If names or label columns do not fit the matrix.
    OSError
        If the file cannot be written.
    """
    n_rows, n_columns = x.shape
    lengths = {"obs_names": (len(obs_names), n_rows), "var_names": (len(var_names), n_columns)}
    lengths |= {f"obs[{name!r}]": (len(column.codes), n_rows) for name, column in obs.items()}
    for name, (length, expected) in lengths.items():
        if length != expected:
            msg = f"{name} must have {expected} entries, but has {length}"
            raise ValueError(msg)
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        _encode(file, "anndata", "0.1.0")
        matrix = file.create_group("X")
        _encode(matrix, "csr_matrix", "0.1.0")
        matrix.attrs["shape"] = np.array(x.shape, dtype=np.int64)
        options: dict[str, Any] = {"compression": compression}
        if compression == "gzip":
            options["compression_opts"] = 1
        for name, values in (("data", x.data), ("indices", x.indices)):
            chunks = (min(chunk_values, max(1, len(values))),)
            matrix.create_dataset(name, data=values, chunks=chunks, maxshape=(None,), **options)
        matrix.create_dataset("indptr", data=x.indptr)
        _write_frame(file, "obs", obs_names, obs)
        _write_frame(file, "var", var_names, {})
        for name in EMPTY_PARTS:
            _encode(file.create_group(name), "dict", "0.1.0")


def _encode(element: h5py.HLObject, kind: str, version: str) -> None:
    element.attrs["encoding-type"] = kind
    element.attrs["encoding-version"] = version


def _write_frame(
    file: h5py.File, name: str, index: Sequence[str], columns: Mapping[str, Categorical]
) -> None:
    frame = file.create_group(name)
    _encode(frame, "dataframe", "0.2.0")
    frame.attrs["_index"] = "_index"
    frame.attrs.create("column-order", list(columns), shape=(len(columns),), dtype=h5py.string_dtype())
    _write_strings(frame, "_index", index)
    for column_name, column in columns.items():
        group = frame.create_group(column_name)
        _encode(group, "categorical", "0.2.0")
        group.attrs["ordered"] = False
        codes = np.asarray(column.codes).astype(np.min_scalar_type(-len(column.categories)))
        _encode(group.create_dataset("codes", data=codes), "array", "0.2.0")
        _write_strings(group, "categories", column.categories)


def _write_strings(group: h5py.Group, name: str, values: Sequence[str]) -> None:
    dataset = group.create_dataset(name, data=np.array(values, dtype=object), dtype=h5py.string_dtype())
    _encode(dataset, "string-array", "0.2.0")
