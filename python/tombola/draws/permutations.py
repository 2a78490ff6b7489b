"""Uniform permutations: a whole one as an array, and one with random access.

`permutation` is an exact uniform shuffle (Rao and Sandelius 1961: buckets by random labels, then Fisher-Yates
inside cache-sized buckets), O(n). `RandomPermutation` is a keyed bijection of [0, n): a Feistel network with
cycle walking over a domain of about n elements (Black and Rogaway 2002), an exact table up to 64 elements;
O(1) an element and O(1) memory, so n may be 10**12.

Same version, same numbers: on every platform, for every thread count and instruction set.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, SupportsIndex, overload

import numpy as np
import numpy.typing as npt

from .. import _core
from .._base.checks import ROWS_LIMIT, check_integer, index_array, refuse_masked
from .._base.types import IndexArray

__all__ = ["RandomPermutation", "permutation"]

_CHUNK = 2**16


def permutation(n: int, seed: int = 0) -> IndexArray:
    """Return a uniformly random permutation of ``[0, n)``.

    Parameters
    ----------
    n : int
        Number of elements, >= 0.
    seed : int
        In ``[0, 2**63)``. Equal seeds give equal permutations, with the same version on every platform.

    Returns
    -------
    ndarray of int64, shape (n,)

    Examples
    --------
    >>> import tombola
    >>> order = tombola.permutation(10, seed=1)
    >>> sorted(order.tolist())
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """
    return _core.permutation(check_integer("n", n, limit=ROWS_LIMIT), check_integer("seed", seed))


@dataclass(frozen=True)
class RandomPermutation:
    """A random permutation ``p`` of ``[0, n)`` whose elements are computed when asked for.

    Parameters
    ----------
    n : int
        Number of elements, >= 0.
    key : int
        In ``[0, 2**64)``; picks the permutation. The same version gives the same one on every platform.

    Notes
    -----
    O(1) an element, no memory that grows with n. ``p[i]`` takes an integer (negative as in a list), a slice
    or an integer array of any shape; IndexError out of range. For long stretches `fill` is fastest.

    Examples
    --------
    >>> import tombola
    >>> p = tombola.RandomPermutation(10**12, key=7)
    >>> p.inverse(p[123])
    123
    >>> p.fill(100, 105).tolist() == [p[i] for i in range(100, 105)]
    True
    """

    n: int
    key: int
    _engine: _core.RandomPermutation = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        n = check_integer("n", self.n, limit=ROWS_LIMIT)
        key = check_integer("key", self.key, limit=2**64)
        object.__setattr__(self, "n", n)
        object.__setattr__(self, "key", key)
        object.__setattr__(self, "_engine", _core.RandomPermutation(n, key))

    def __reduce__(self) -> tuple[type["RandomPermutation"], tuple[int, int]]:
        return RandomPermutation, (self.n, self.key)

    def __len__(self) -> int:
        return self.n

    @overload  # arrays come first: by its type any might be an integer, though only those without axes are
    def __getitem__(self, i: npt.NDArray[Any]) -> IndexArray: ...  # type: ignore[overload-overlap]
    @overload
    def __getitem__(self, i: SupportsIndex) -> int: ...
    @overload
    def __getitem__(self, i: slice | npt.ArrayLike) -> IndexArray: ...
    def __getitem__(self, i: Any) -> int | IndexArray:
        if isinstance(i, slice):
            chosen = range(self.n)[i]
            if chosen.step == 1:
                return self._engine.fill(chosen.start, max(chosen.start, chosen.stop))
            return self._engine.take(np.arange(chosen.start, chosen.stop, chosen.step, dtype=np.int64))
        if _is_scalar(i):
            number = check_integer("i", i, minimum=-(2**63))
            if not -self.n <= number < self.n:
                msg = f"i must lie in [-{self.n}, {self.n}), but is {number}"
                raise IndexError(msg)
            return self._engine.at(number % self.n)
        return self._in_shape(self._engine.take, "i", i, wrap=True)

    def __iter__(self) -> Iterator[int]:
        for start in range(0, self.n, _CHUNK):
            yield from self._engine.fill(start, min(start + _CHUNK, self.n)).tolist()

    @overload
    def inverse(self, x: npt.NDArray[Any]) -> IndexArray: ...  # type: ignore[overload-overlap]
    @overload
    def inverse(self, x: SupportsIndex) -> int: ...
    @overload
    def inverse(self, x: npt.ArrayLike) -> IndexArray: ...
    def inverse(self, x: Any) -> int | IndexArray:
        """Return where ``x`` is: ``p.inverse(p[i]) == i``.

        Parameters
        ----------
        x : int or array of int
            Elements in ``[0, n)``.

        Raises
        ------
        IndexError
            If an element is out of range.
        """
        if not _is_scalar(x):
            return self._in_shape(self._engine.inverse_take, "x", x, wrap=False)
        number = check_integer("x", x, minimum=-(2**63))
        if not 0 <= number < self.n:
            msg = f"x must lie in [0, {self.n}), but is {number}"
            raise IndexError(msg)
        return self._engine.inverse_at(number)

    def fill(self, start: int, stop: int) -> IndexArray:
        """Return ``p[start], ..., p[stop - 1]`` as an int64 array; ``0 <= start <= stop <= n``.

        Raises
        ------
        IndexError
            If the range does not lie in ``[0, n]``.
        """
        first, last = check_integer("start", start), check_integer("stop", stop)
        if not first <= last <= self.n:
            msg = f"start and stop must satisfy start <= stop <= {self.n}, but are {first} and {last}"
            raise IndexError(msg)
        return self._engine.fill(first, last)

    def _in_shape(self, take: Any, name: str, values: npt.ArrayLike, *, wrap: bool) -> IndexArray:
        refuse_masked(name, values)
        array = np.asarray(values)
        flat = index_array(name, array.reshape(-1) if array.size or isinstance(values, np.ndarray) else [])
        low = -self.n if wrap else 0
        if flat.size and not (low <= int(flat.min()) and int(flat.max()) < self.n):
            at = int(np.flatnonzero((flat < low) | (flat >= self.n))[0])
            msg = f"{name} must lie in [{low}, {self.n}), but element {at} is {int(flat[at])}"
            raise IndexError(msg)
        if wrap and flat.size and int(flat.min()) < 0:
            flat = np.where(flat < 0, flat + self.n, flat)
        taken: IndexArray = take(flat)
        return taken.reshape(array.shape)


def _is_scalar(value: object) -> bool:
    """Whether `value` is one number, not an array; arrays without axes count as numbers, as in NumPy."""
    return np.ndim(value) == 0  # type: ignore[arg-type]
