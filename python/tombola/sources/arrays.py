"""Rows of an array in memory or in a memory map.

Reading is one indexing operation a window, at the speed of the array's own.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.types import IndexArray
from ..labels.categorical import Categorical
from ..labels.numbering import categorical, code_type, is_missing, number_sorted
from .base import CsrRows
from .csr_rows import sort_rows
from .rows import check_rows

RESERVED = ("X", "row")


class ArraySource:
    """Rows of an array, with further columns beside it.

    Parameters
    ----------
    array
        NumPy array, memory map, torch tensor (on the CPU), SciPy CSR matrix, data frame, list, or anything
        else with a length that an array of integers indexes. It is given as "X".
    **columns
        Further columns, each as long as `array`: numbers of any shape a row, text, or pandas categoricals.
        Text and categoricals are read as int64 codes into `categories[name]`, -1 where missing.

    Attributes
    ----------
    obs : mapping
        The columns by name: numbers, or a `Categorical`.
    categories : mapping
        Categories of the columns that have some.
    x_format : {"dense", "csr"}
        "csr" for a SciPy CSR matrix.

    Raises
    ------
    ValueError
        If lengths differ, or a column is called "X" or "row".
    TypeError
        If the array cannot be indexed by an array of integers, or gives something other than numbers.

    Notes
    -----
    The array is borrowed, not copied, but for SciPy matrices whose columns are not sorted and distinct.

    Examples
    --------
    >>> source = ArraySource(np.eye(3, dtype=np.float32), label=["b", "a", "b"])
    >>> len(source), source.categories["label"].tolist()
    (3, ['a', 'b'])
    >>> source.read(np.array([0, 1]))["label"].tolist()
    [1, 0]
    """

    def __init__(self, array: Any, /, **columns: Any) -> None:
        self._array = _adopt(array)
        self.x_format = "csr" if isinstance(self._array, CsrRows) else "dense"
        obs: dict[str, npt.NDArray[Any] | Categorical] = {}
        for name, column in columns.items():
            if name in RESERVED:
                msg = f"a column cannot be called {name!r}: a batch has its own {name!r}"
                raise ValueError(msg)
            obs[name] = _column(name, column)
            if len(obs[name]) != len(self):
                msg = (
                    f"column {name!r} must have {len(self):,} rows as the array has, but has "
                    f"{len(obs[name]):,}"
                )
                raise ValueError(msg)
        self._obs = obs
        first = self._read_array(np.arange(min(len(self), 1), dtype=np.int64))
        if isinstance(first, np.ndarray) and first.dtype.kind not in "biufc":
            msg = f"the array must hold numbers, but has dtype {first.dtype}"
            raise TypeError(msg)

    def __len__(self) -> int:
        return len(self._array)

    def __repr__(self) -> str:
        return f"ArraySource({type(self._array).__name__}, {len(self):,} rows, columns {list(self._obs)})"

    @property
    def obs(self) -> Mapping[str, Any]:
        """The columns by name."""
        return MappingProxyType(self._obs)

    @property
    def categories(self) -> Mapping[str, npt.NDArray[Any]]:
        """Categories of the columns that have some."""
        columns = self._obs.items()
        return MappingProxyType({n: c.categories for n, c in columns if isinstance(c, Categorical)})

    def read(self, rows: IndexArray) -> dict[str, Any]:
        """Read the rows of one window.

        Parameters
        ----------
        rows
            Integers, strictly increasing, in [0, len(source)).

        Returns
        -------
        dict
            "X" and the columns, each with first axis `len(rows)`. X is a NumPy array, of a torch tensor a
            tensor, of a SciPy matrix `CsrRows`.

        Raises
        ------
        IndexError
            If a row is out of range.
        ValueError
            If rows are not strictly increasing, or the array gives another number of rows than asked for.
        """
        rows = check_rows(rows, len(self))
        batch = {"X": self._read_array(rows)}
        for name, column in self._obs.items():
            if isinstance(column, Categorical):
                batch[name] = column.codes[rows].astype(np.int64)
            else:
                batch[name] = column[rows]
        return batch

    def _read_array(self, rows: IndexArray) -> Any:
        array = self._array
        if isinstance(array, CsrRows):
            return array.take(rows)
        try:
            values = array[rows]
        except (TypeError, KeyError, RuntimeError) as error:
            kind = type(array).__name__
            msg = f"the array must be one that an array of integers indexes, but {kind} is not: {error}"
            raise TypeError(msg) from error
        if not _is_tensor(values):
            try:
                values = np.asarray(values)
            except ValueError as error:
                kind = type(values).__name__
                msg = f"the array must give rows as arrays, but {type(array).__name__} gives {kind}: {error}"
                raise TypeError(msg) from error
        if tuple(values.shape[:1]) != rows.shape:
            msg = f"the array must give one row for each of {len(rows)} integers, but gave {values.shape}"
            raise ValueError(msg)
        return values


def _is_tensor(array: Any) -> bool:
    # Known by its methods, as sources do without torch.
    return hasattr(array, "detach") and hasattr(array, "dim")


def _adopt(array: Any) -> Any:
    if all(hasattr(array, name) for name in ("obs", "var", "obs_names", "X")):
        msg = (
            "the array must give rows as arrays, but AnnData gives AnnData: pass its X, and columns by name, "
            "ArraySource(adata.X, drug=adata.obs['drug'])"
        )
        raise TypeError(msg)
    if hasattr(array, "tocsr"):
        if getattr(array, "format", None) != "csr":
            kind = type(array).__name__
            msg = f"a sparse matrix must be a CSR matrix, but is {kind}; its .tocsr() can be read by rows"
            raise TypeError(msg)
        return _adopt_csr(array)
    if hasattr(array, "iloc"):
        return array.to_numpy()
    if not hasattr(array, "__len__") or (hasattr(array, "shape") and len(array.shape) == 0):
        msg = f"the array must have rows, but is {type(array).__name__} without a length"
        raise TypeError(msg)
    return np.asarray(array) if isinstance(array, list | tuple) else array


def _adopt_csr(matrix: Any) -> CsrRows:
    data, indices, indptr = matrix.data, matrix.indices, matrix.indptr.astype(np.int64)
    if not matrix.has_canonical_format:
        data, indices, indptr = sort_rows(data, indices, indptr)
    return CsrRows(data, indices, indptr, (int(matrix.shape[0]), int(matrix.shape[1])))


def _column(name: str, column: Any) -> npt.NDArray[Any] | Categorical:
    if (found := categorical(column)) is not None:
        categories = np.asarray(found[1])
        texts = categories.astype(np.str_) if categories.dtype.kind in "OU" else categories
        return Categorical(found[0], texts, name)
    array = np.asarray(column)
    if array.ndim == 0:
        msg = f"column {name!r} must have one entry a row, but is {column!r}"
        raise ValueError(msg)
    if array.dtype.kind in "biufc":
        return array
    if isinstance(column, list | tuple):
        array = np.asarray(column, dtype=object)  # else a NaN among text would be the text "nan"
    if array.ndim == 1 and array.dtype.kind in "OUT":
        entries = array.tolist()
        missing = np.array([not isinstance(entry, str) for entry in entries], dtype=np.bool_)
        if all(map(is_missing, array[missing].tolist())):
            codes, names = number_sorted(entries, missing)
            return Categorical(codes.astype(code_type(len(names))), names, name)
    msg = f"column {name!r} must hold numbers, text or categories, but has dtype {array.dtype}"
    raise TypeError(msg)
