"""Columns of categories: codes at their stored width, values when asked for; missing equals nothing."""

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tombola.labels.categorical import Categorical

DRUG = Categorical(np.array([1, 0, -1, 1], dtype=np.int8), np.array(["dmso", "taxol"]), "drug")


def test_codes_are_borrowed_at_their_width() -> None:
    codes = np.array([1, 0, -1], dtype=np.int16)
    column = Categorical(codes, np.array(["a", "b"]))
    assert np.shares_memory(column.codes, codes)
    assert column.codes.dtype == np.int16
    for array in (column.codes, column.categories):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    codes[0] = 0  # the caller's own stays writeable


@pytest.mark.parametrize(
    ("codes", "dtype"),
    [(np.array([0, 127], np.uint8), np.int8), (np.array([0, 200], np.uint8), np.int16), ([0, 1], np.int64)],
)
def test_unsigned_codes_become_signed_ones(codes: Any, dtype: Any) -> None:
    column = Categorical(codes, np.arange(300))
    assert column.codes.dtype == dtype
    assert column.codes.tolist() == list(codes)


def test_values() -> None:
    assert len(DRUG) == 4
    assert (DRUG.shape, DRUG.ndim, DRUG.n_missing) == ((4,), 1, 1)
    assert DRUG.tolist() == list(DRUG) == ["taxol", "dmso", None, "taxol"]
    assert (DRUG[0], DRUG[-1], DRUG[np.int64(2)]) == ("taxol", "taxol", None)
    assert DRUG.isna().tolist() == [False, False, True, False]
    assert DRUG.counts().tolist() == [1, 2]
    for rows in (slice(1, 3), [1, 2], np.array([1, 2]), np.array([False, True, True, False])):
        part = DRUG[rows]
        assert isinstance(part, Categorical)
        assert (part.tolist(), part.name) == (["dmso", None], "drug")
        assert part.codes.dtype == np.int8
    with pytest.raises(IndexError):
        DRUG[4]
    copy = pickle.loads(pickle.dumps(DRUG))
    assert (copy.tolist(), copy.name) == (DRUG.tolist(), "drug")


@pytest.mark.parametrize(
    ("codes", "categories", "expected"),
    [
        ([1, 0, 1], ["a", "b"], np.array(["b", "a", "b"])),
        ([1, -1], ["a", "b"], np.array(["b", None], dtype=object)),
        ([1, -1], [5, 7], np.array([7, np.nan])),
        ([1, -1], np.array([0.5, 1.5], np.float32), np.array([1.5, np.nan], np.float32)),
        ([1, 0], [5, 7], np.array([7, 5])),
        ([0, -1], [2**53 + 1], np.array([2**53 + 1, None], dtype=object)),
        ([1, -1], [False, True], np.array([True, None], dtype=object)),
        ([], [], np.array([])),
    ],
)
def test_as_an_array(codes: Any, categories: Any, expected: Any) -> None:
    column = Categorical(np.array(codes, dtype=np.int64), np.asarray(categories))
    made = np.asarray(column)
    assert made.dtype == expected.dtype
    np.testing.assert_array_equal(made, expected)


def test_as_an_array_of_a_type() -> None:
    column = Categorical(np.array([1, 0]), np.array([5, 7]))
    assert np.asarray(column, dtype=np.float32).tolist() == [7.0, 5.0]
    with pytest.raises(ValueError, match="cannot be had without a copy"):
        column.__array__(copy=False)  # as `np.array(column, copy=False)` asks from NumPy 2 on


def test_comparison_is_of_values() -> None:
    assert (DRUG == "taxol").tolist() == [True, False, False, True]
    assert (DRUG != "taxol").tolist() == [False, True, True, False]
    assert (DRUG == "other").tolist() == [False] * 4
    assert (DRUG == DRUG).tolist() == [True, True, False, True]
    assert (DRUG == np.array(["taxol", "x", "y", "taxol"])).tolist() == [True, False, False, True]
    level = Categorical(np.array([0, 1, -1]), np.array([1, 2]))
    assert (level == 1).tolist() == [True, False, False]
    assert (level == True).tolist() == [False] * 3  # noqa: E712  (as a user may write it)
    with pytest.raises(ValueError, match="compares with a value or as many"):
        DRUG == np.array(["a", "b"])  # noqa: B015
    with pytest.raises(TypeError, match="unhashable"):
        hash(DRUG)


def test_text() -> None:
    expected = "Categorical(4 rows of 'drug', 2 categories: 'dmso', 'taxol'; 1 missing)"
    assert repr(DRUG) == expected
    many = Categorical(np.zeros(2000, np.int64), np.arange(100))
    assert repr(many) == "Categorical(2,000 rows, 100 categories: 0, 1, 2, 3, 4, 5 and 94 more)"


@pytest.mark.parametrize(
    ("codes", "error", "message"),
    [
        ([0, 2], ValueError, r"codes must be in \[-1, 2\) for 2 categories, but codes\[1\] = 2"),
        ([0, -2], ValueError, r"but codes\[1\] = -2"),
        ([0.5], TypeError, "codes must be integers, but the dtype is float64"),
        ([[0]], ValueError, "codes must be one-dimensional"),
    ],
)
def test_wrong_codes(codes: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Categorical(np.array(codes), np.array(["a", "b"]))


def test_it_equals_what_pandas_has() -> None:
    theirs = pd.Categorical(["b", None, "a", "b"])
    ours = Categorical(theirs.codes, np.asarray(theirs.categories))
    assert ours.tolist() == [None if value is np.nan else value for value in theirs.tolist()]
    assert (ours == "b").tolist() == (theirs == "b").tolist()
