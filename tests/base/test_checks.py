"""Checks of arguments: what passes, what is refused, and by which words."""

from typing import Any

import numpy as np
import pytest
import torch

import tombola
from tombola._base.checks import (
    check_bool,
    check_choice,
    check_integer,
    check_number,
    index_array,
    refuse_masked,
)


@pytest.mark.parametrize("value", [3, np.int8(3), np.uint64(3), np.array(3), torch.tensor(3)])
def test_integers_of_any_kind_pass(value: Any) -> None:
    number = check_integer("batch_size", value, minimum=1)
    assert type(number) is int
    assert number == 3


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (0, ValueError, "batch_size must be an integer >= 1, but is 0"),
        (np.int32(-4), ValueError, "batch_size must be an integer >= 1, but is -4"),
        (2**63, ValueError, "batch_size must be an integer >= 1 and < 2**63, but is 9223372036854775808"),
        (True, TypeError, "batch_size must be an integer >= 1, but is True"),
        (np.True_, TypeError, "batch_size must be an integer >= 1, but is np.True_"),
        (2.0, TypeError, "batch_size must be an integer >= 1, but is 2.0"),
        (np.float64(2), TypeError, "batch_size must be an integer >= 1, but is np.float64(2.0)"),
        (np.array([1, 2]), TypeError, "batch_size must be an integer >= 1, but is array([1, 2])"),
        ("64", TypeError, "batch_size must be an integer >= 1, but is '64'"),
        (None, TypeError, "batch_size must be an integer >= 1, but is None"),
    ],
)
def test_no_integers(value: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        check_integer("batch_size", value, minimum=1)
    assert str(caught.value) == message


def test_a_small_limit_is_written_out() -> None:
    with pytest.raises(ValueError, match=r"^x must be an integer >= 0 and < 10, but is 10$"):
        check_integer("x", 10, limit=10)


def test_no_lower_bound_is_named_where_there_is_none() -> None:
    with pytest.raises(TypeError, match=r"^k must be an integer, but is 1.5$"):
        check_integer("k", 1.5, minimum=-(2**63))
    with pytest.raises(ValueError, match=r"^k must be an integer < 2\*\*63, but is 9223372036854775808$"):
        check_integer("k", 2**63, minimum=-(2**63))


@pytest.mark.parametrize("value", [0, 5, 0.5, np.float32(0.5), np.int16(7)])
def test_numbers_pass(value: Any) -> None:
    number = check_number("baseline", value)
    assert type(number) in (int, float)
    assert number == value


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (-1, ValueError),
        (float("nan"), ValueError),
        (float("inf"), ValueError),
        (True, TypeError),
        ("1", TypeError),
    ],
)
def test_no_numbers(value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"^baseline must be a finite number >= 0, but is "):
        check_number("baseline", value)


def test_bools() -> None:
    assert check_bool("shuffle", np.True_) is True
    assert check_bool("shuffle", False) is False
    with pytest.raises(TypeError, match=r"^shuffle must be True or False, but is 1$"):
        check_bool("shuffle", 1)


def test_choices() -> None:
    assert check_choice("draw", "iid", ("stratified", "iid")) == "iid"
    with pytest.raises(ValueError, match=r'^draw must be "stratified" or "iid", but is "random"$'):
        check_choice("draw", "random", ("stratified", "iid"))
    with pytest.raises(TypeError, match=r'^draw must be "stratified" or "iid", but is None$'):
        check_choice("draw", None, ("stratified", "iid"))


def test_an_int64_array_is_borrowed() -> None:
    rows = np.arange(10)
    assert np.shares_memory(index_array("indices", rows), rows)
    assert (
        np.shares_memory(index_array("indices", torch.arange(10)), index_array("indices", torch.arange(10)))
        is False
    )
    tensor = torch.arange(10)
    assert np.shares_memory(index_array("indices", tensor), tensor.numpy())


@pytest.mark.parametrize(
    "values",
    [
        [0, 2, 4],
        (0, 2, 4),
        range(0, 5, 2),
        np.array([0, 2, 4], dtype=np.uint8),
        np.arange(6)[::2],
        np.array([0, 2, 4], ">i8"),
    ],
)
def test_other_integers_become_int64(values: Any) -> None:
    array = index_array("indices", values)
    assert array.dtype == np.int64
    assert array.dtype.isnative
    assert array.flags.c_contiguous
    assert array.tolist() == [0, 2, 4]


@pytest.mark.parametrize("dtype", ["i8", ">i8", "u4"])
def test_unaligned_arrays_are_copied(dtype: str) -> None:
    raw = b"?" + np.array([0, 2, 4], dtype=dtype).tobytes()
    unaligned = np.frombuffer(raw, dtype=dtype, offset=1)
    assert not unaligned.flags.aligned
    array = index_array("indices", unaligned)
    assert array.flags.aligned
    assert array.tolist() == [0, 2, 4]
    assert tombola.Streaming(indices=unaligned).plan(batch_size=3).indices().tolist() == [0, 2, 4]


def test_masked_entries_are_named_on_every_axis() -> None:
    hidden = np.ma.masked_equal([[5, 3], [4, -1]], -1)
    cure = "drop such rows or fill them in (numpy.ma.filled)"
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        refuse_masked("lengths", hidden)
    assert str(caught.value) == f"lengths must not be masked, but entry (1, 1) is: {cure}"


def test_an_empty_list_is_no_float_array() -> None:
    assert index_array("indices", []).dtype == np.int64


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ([0.0, 1.0], TypeError, "indices must be integers, but the dtype is float64"),
        (np.empty(0), TypeError, "indices must be integers, but the dtype is float64"),
        (["a"], TypeError, "indices must be integers, but the dtype is <U1"),
        (
            [True, False],
            TypeError,
            "indices must be integers, but the dtype is bool: np.flatnonzero turns a mask into row numbers",
        ),
        ([[0], [1]], ValueError, "indices must be one-dimensional, but the shape is (2, 1)"),
        (3, ValueError, "indices must be one-dimensional, but is one int"),
        (
            np.array([2**63], np.uint64),
            ValueError,
            "indices must be < 2**63, but the largest is 9223372036854775808",
        ),
    ],
)
def test_no_indices(values: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        index_array("indices", values)
    assert str(caught.value) == message
