"""A column of categories: one small code a row, and what the codes mean.

Rule: codes are signed integers as wide as they are stored, -1 where a row has no value; a category stands for
one value, which is never missing. Anything that has `codes` and `categories` is read like this class, pandas'
categoricals included (`numbering.categorical`). O(1) but for one pass that checks the codes; values are made
when they are asked for.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast, overload

import numpy as np
import numpy.typing as npt

from .._base.checks import borrowable, check_one_dimensional
from .._base.types import CodeArray, IndexArray

__all__ = ["Categorical", "signed_codes"]

_CHUNK = 2**20
_EXACT = 2**53
_SHOWN = 6


@dataclass(frozen=True, eq=False, repr=False)
class Categorical:
    """The category of each row.

    Parameters
    ----------
    codes : array-like of int, shape (n,)
        Which of the categories; -1 where the row has none. Borrowed, and given read-only.
    categories : array-like, shape (k,)
        Text or numbers.
    name : str
        What the column is called, for messages.

    Raises
    ------
    TypeError
        If codes are no integers.
    ValueError
        If a code is not in ``[-1, k)``; the first row is named.

    Notes
    -----
    As an array (`numpy.asarray`) it is the values: those of the categories, None where text is missing, NaN
    where a number is. ``column == value`` compares values; a missing one equals nothing.

    Examples
    --------
    >>> drug = Categorical([1, 0, -1], ["dmso", "taxol"], "drug")
    >>> drug
    Categorical(3 rows of 'drug', 2 categories: 'dmso', 'taxol'; 1 missing)
    >>> drug[0], drug[2], drug.isna().tolist(), (drug == "dmso").tolist()
    ('taxol', None, [False, False, True], [False, True, False])
    """

    codes: CodeArray
    categories: npt.NDArray[Any]
    name: str = ""

    def __post_init__(self) -> None:
        codes: npt.NDArray[Any] = np.asarray(self.codes)
        check_one_dimensional("codes", codes)
        categories = np.asarray(self.categories)
        check_one_dimensional("categories", categories)
        if codes.dtype.kind not in "iu" and codes.size:
            msg = f"codes must be integers, but the dtype is {codes.dtype}"
            raise TypeError(msg)
        if codes.size and not -1 <= int(codes.min()) <= int(codes.max()) < len(categories):
            row = int(np.argmax((codes < -1) | (codes >= len(categories))))
            expected = f"codes must be in [-1, {len(categories)}) for {len(categories)} categories"
            msg = f"{expected}, but codes[{row}] = {codes[row]}"
            raise ValueError(msg)
        for field, array in (("codes", signed_codes(codes)), ("categories", categories)):
            view = array.view()
            view.flags.writeable = False
            object.__setattr__(self, field, view)

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def shape(self) -> tuple[int]:
        """``(n,)``."""
        return (len(self.codes),)

    @property
    def ndim(self) -> int:
        """1."""
        return 1

    def isna(self) -> npt.NDArray[np.bool_]:
        """Tell which rows have no value."""
        return np.asarray(self.codes < 0)

    @property
    def n_missing(self) -> int:
        """Number of rows without a value."""
        return int(np.count_nonzero(self.codes < 0))

    def counts(self) -> IndexArray:
        """Count the rows of each category; O(n)."""
        counts = np.zeros(len(self.categories) + 1, dtype=np.int64)
        for start in range(0, len(self), _CHUNK):
            part = self.codes[start : start + _CHUNK].astype(np.int64)
            counts += np.bincount(part + 1, minlength=len(counts))
        return counts[1:]

    def tolist(self) -> list[Any]:
        """Return the values as a list, None where missing."""
        names = [*self.categories.tolist(), None]  # the last one is that of code -1
        return [names[code] for code in self.codes.tolist()]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.tolist())

    @overload
    def __getitem__(self, rows: int | np.integer[Any]) -> Any: ...
    @overload
    def __getitem__(self, rows: slice | npt.ArrayLike) -> "Categorical": ...
    def __getitem__(self, rows: Any) -> Any:
        """Return the value of one row, None where missing; of a slice or an array of rows a categorical."""
        taken = self.codes[rows]
        if np.ndim(taken) == 0:
            code = int(taken)
            return None if code < 0 else self.categories[code : code + 1].tolist()[0]
        return Categorical(cast("CodeArray", taken), self.categories, self.name)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        if copy is False:
            msg = "the values of a categorical cannot be had without a copy; its codes can"
            raise ValueError(msg)
        values = self._values()
        return values if dtype is None else values.astype(dtype, copy=False)

    def _values(self) -> npt.NDArray[Any]:
        missing = self.isna()
        if not missing.any():
            return self.categories[self.codes]
        kind = self._kind_with_missing()
        if kind is None:
            wide = np.empty(len(self.categories) + 1, dtype=object)
            wide[:-1] = self.categories.tolist()
        else:
            wide = np.full(len(self.categories) + 1, np.nan, dtype=kind)
            wide[:-1] = self.categories
        return wide[self.codes]  # the last one is that of code -1

    def _kind_with_missing(self) -> np.dtype[Any] | None:
        """Return the type of numbers that holds the categories and NaN; None if there is none."""
        categories = self.categories
        if categories.dtype.kind == "f":
            return categories.dtype
        is_integer = categories.dtype.kind in "iu"
        small = is_integer and all(abs(value) <= _EXACT for value in categories.tolist())
        return np.dtype(np.float64) if small else None

    def __eq__(self, other: object) -> Any:
        return self._compare(other)

    def __ne__(self, other: object) -> Any:
        return ~self._compare(other)

    __hash__ = None  # type: ignore[assignment]

    def _compare(self, other: object) -> npt.NDArray[np.bool_]:
        if isinstance(other, str | bytes) or np.ndim(cast("Any", other)) == 0:
            if isinstance(other, bool | np.bool_) != (self.categories.dtype.kind == "b"):
                return np.zeros(len(self), dtype=np.bool_)  # True is not 1
            equal = np.array([value == other for value in self.categories.tolist()] + [False], dtype=np.bool_)
            return np.asarray(equal[self.codes])
        theirs = np.asarray(other)
        if theirs.shape != self.shape:
            msg = f"a categorical of {len(self)} rows compares with a value or as many, not {theirs.shape}"
            raise ValueError(msg)
        mine = np.asarray(self)
        return np.asarray(np.asarray(mine == theirs, dtype=np.bool_) & ~self.isna())

    def __repr__(self) -> str:
        names = ", ".join(map(repr, self.categories[:_SHOWN].tolist()))
        more = len(self.categories) - _SHOWN
        listed = f": {names}" + (f" and {more:,} more" if more > 0 else "") if names else ""
        of = f" of {self.name!r}" if self.name else ""
        kinds = "category" if len(self.categories) == 1 else "categories"
        text = f"{len(self):,} rows{of}, {len(self.categories):,} {kinds}{listed}"
        return f"Categorical({text}" + (f"; {self.n_missing:,} missing)" if self.n_missing else ")")


def signed_codes(codes: npt.NDArray[Any]) -> CodeArray:
    """Return codes as signed integers of the width they have; of unsigned ones that need it, twice that."""
    native = borrowable(codes) if codes.dtype.kind in "iu" else np.empty(0, dtype=np.int8)
    if native.dtype.kind == "i":
        return native
    signed = np.dtype(f"i{native.dtype.itemsize}")
    if not native.size or int(native.max()) <= np.iinfo(signed).max:
        return native.view(signed)
    return native.astype(f"i{min(8, 2 * native.dtype.itemsize)}")
