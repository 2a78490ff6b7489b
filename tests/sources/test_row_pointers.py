"""Packed row pointers equal the indptr that they were made of, for every type and any pieces."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tombola import _core

TYPES = ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]


def pieces(indptr: npt.NDArray[Any], size: int) -> Iterator[npt.NDArray[Any]]:
    return (indptr[start : start + size] for start in range(0, len(indptr), size))


def check(indptr: npt.NDArray[np.int64], pointers: _core.RowPointers) -> None:
    n = len(indptr) - 1
    assert (len(pointers), pointers.n_values) == (n, indptr[-1])
    np.testing.assert_array_equal(pointers.unpack(), indptr)
    for rows in (np.arange(n), np.arange(n)[::-1].copy(), np.arange(0, n, 7), np.zeros(0, dtype=np.int64)):
        starts, stops = pointers.ranges(rows)
        np.testing.assert_array_equal(starts, indptr[rows])
        np.testing.assert_array_equal(stops, indptr[rows + 1])
        np.testing.assert_array_equal(pointers.lengths(rows), stops - starts)


@given(
    lengths=st.lists(st.integers(0, 2**40) | st.integers(0, 3), max_size=400),
    size=st.integers(1, 300),
    expected=st.integers(0, 2**62),
)
def test_any_lengths(lengths: list[int], size: int, expected: int) -> None:
    indptr = np.cumsum([0, *lengths], dtype=np.int64)
    pointers = _core.RowPointers.from_pieces(pieces(indptr, size), expected)
    check(indptr, pointers)
    for position in {0, int(indptr[-1]) // 2, int(indptr[-1]) - 1, int(indptr[-1])}:
        assert pointers.row_of(position) == np.searchsorted(indptr, position, side="right") - 1


@pytest.mark.parametrize("kind", TYPES)
def test_all_types(kind: str) -> None:
    indptr = np.linspace(0, 120, 500).astype(kind)
    check(indptr.astype(np.int64), _core.RowPointers.from_pieces([indptr[:130], indptr[130:]]))


def test_memory_is_below_two_bytes_a_row() -> None:
    lengths = np.random.default_rng(0).lognormal(np.log(1_500), 0.45, 10**5).astype(np.int64)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    assert _core.RowPointers.from_pieces([indptr], 10**5).nbytes < 2 * 10**5


@pytest.mark.parametrize(
    ("entries", "text"),
    [
        ([1, 2], "must begin with 0, but begins with 1"),
        ([0, 3, 2], "must not decrease, but goes from 3 to 2 at gene 1"),
        (
            np.array([0, 2**63], dtype=np.uint64),
            "below 2\\*\\*63, but has 9223372036854775808",
        ),
    ],
)
def test_wrong_entries(entries: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        _core.RowPointers.from_pieces([np.asarray(entries)], unit="gene")


@pytest.mark.parametrize("kind", ["f8", ">i8", "?", "M8[s]"])
def test_wrong_types(kind: str) -> None:
    with pytest.raises(TypeError, match="integers of this machine's byte order, but have dtype"):
        _core.RowPointers.from_pieces([np.zeros(3, dtype=kind)])


def test_wrong_rows() -> None:
    pointers = _core.RowPointers.from_pieces([np.arange(5)])
    for row in (-1, 4, 2**62):
        for ask in (pointers.ranges, pointers.lengths):
            with pytest.raises(IndexError, match=rf"rows must be in \[0, 4\), but one is {row}"):
                ask(np.array([0, row]))
    with pytest.raises(TypeError, match="rows must have dtype int64, but has int32"):
        pointers.ranges(np.zeros(1, dtype=np.int32))


def test_an_error_in_the_pieces_comes_through() -> None:
    def broken() -> Iterator[npt.NDArray[Any]]:
        yield np.arange(3)
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        _core.RowPointers.from_pieces(broken())
