"""Keys: whatever comes in, equal integers for equal keys; what is refused, and by which words."""

import re
from array import array
from collections import UserList, deque
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch

from tombola.labels.keys import read_keys
from tombola.labels.numbering import code_type

UNSIGNED = [np.uint8, np.uint16, np.uint32, np.uint64]
SIGNED = [np.int8, np.int16, np.int32, np.int64]


class Photo(NamedTuple):
    """A key that hashes."""

    person: str
    day: int


def read(keys: Any) -> Any:
    return read_keys("series_ids", keys, group="series")


def partition(keys: Any) -> list[list[int]]:
    """Return the rows of each key, in order of first appearance."""
    groups: dict[Any, list[int]] = {}
    for row, key in enumerate(keys):
        groups.setdefault(key, []).append(row)
    return list(groups.values())


@pytest.mark.parametrize("dtype", SIGNED)
def test_signed_integers_are_borrowed(dtype: Any) -> None:
    values = np.array([5, -3, 5, np.iinfo(dtype).min, np.iinfo(dtype).max], dtype=dtype)
    keys = read(values)
    assert np.shares_memory(keys.codes, values)
    assert keys.codes.dtype == dtype
    assert keys.are_numbers
    assert [keys.name_of(row) for row in range(5)] == [str(value) for value in values.tolist()]


@pytest.mark.parametrize("dtype", UNSIGNED)
@pytest.mark.parametrize("large", [False, True])
def test_unsigned_integers_keep_their_values(dtype: Any, large: bool) -> None:
    values = np.array([0, 7, np.iinfo(dtype).max if large else 100, 7], dtype=dtype)
    keys = read(values)
    assert keys.codes.dtype.kind == "i"
    assert np.shares_memory(keys.codes, values) == (not large or dtype is np.uint64)
    assert keys.are_numbers == (not large or dtype is not np.uint64)
    assert keys.are_bits == (not keys.are_numbers)
    if keys.are_numbers:
        assert keys.codes.tolist() == values.tolist()
    assert partition(keys.codes.tolist()) == partition(values.tolist())
    assert keys.name_of(2) == str(values[2])


def test_other_layouts_are_copied() -> None:
    values = np.arange(12, dtype=np.int32)
    unaligned = np.frombuffer(b"?" + values[::3].tobytes(), dtype=np.uint8)[1:].view(np.int32)
    for odd in (values[::3], values.astype(">i4")[::3], values.reshape(4, 3)[:, 0], unaligned):
        keys = read(odd)
        assert keys.codes.tolist() == [0, 3, 6, 9]
        assert keys.codes.flags.c_contiguous
        assert keys.codes.flags.aligned
        assert keys.codes.dtype == np.int32
        assert keys.codes.dtype.isnative


@pytest.mark.parametrize(
    "keys",
    [
        [3, -1, 3, 8],
        (3, np.int8(-1), np.uint16(3), 8),
        [2**63, 5, 2**63, 2**64 - 1],
        range(4),
        [2**63 - 1, 0, 2**63 - 1, -(2**63)],
        deque([3, -1, 3, 8]),
        UserList([3, -1, 3, 8]),
        array("h", [3, -1, 3, 8]),
        np.array([2**63, 5, 2**63, 2**64 - 1], dtype=object),
        pd.Series([2**63, 5, 2**63, 2**64 - 1], dtype="UInt64"),
        np.array([3, -1, 3, 8], dtype=object),
        pd.Series([3, -1, 3, 8]),
        pd.Series([3, -1, 3, 8], dtype="Int16"),
        pd.Index([3, -1, 3, 8]),
        torch.tensor([3, -1, 3, 8]),
    ],
    ids=lambda keys: type(keys).__name__,
)
def test_integers_of_all_origins_stay_integers(keys: Any) -> None:
    values = [int(key) for key in keys]
    made = read(keys)
    if max(values) < 2**63:
        assert made.codes.tolist() == values
        assert made.are_numbers
    else:
        assert partition(made.codes.tolist()) == partition(values)
        assert not made.are_numbers
    assert [made.name_of(row) for row in range(4)] == [str(value) for value in values]


@pytest.mark.parametrize(
    "values", [[5, 2**63, 5, 2**64 - 1], [2**63, 5, 9, 5], [2**63, 2**63 + 3, 2**63 + 1, 2**63]]
)
def test_large_unsigned_integers_of_all_origins_are_alike(values: list[int]) -> None:
    unsigned = read(np.array(values, dtype=np.uint64))
    assert unsigned.codes.dtype == np.int64
    assert unsigned.are_bits
    for keys in (values, tuple(values), np.array(values, dtype=object), pd.Series(values, dtype=object)):
        made = read(keys)
        assert made.are_bits
        assert not made.are_numbers
        assert made.codes.tolist() == unsigned.codes.tolist()


def test_unaligned_codes_of_categoricals_are_copied() -> None:
    class Unaligned(Duck):
        codes = np.frombuffer(b"?" + Duck.codes.tobytes(), dtype=np.int16, offset=1)

    assert not Unaligned.codes.flags.aligned
    made = read(Unaligned())
    assert made.codes.flags.aligned
    assert made.codes.tolist() == [2, 0, 2]


HAS_STRINGS = hasattr(np.dtypes, "StringDType")  # NumPy 2
TEXT = ["sea", "wood", "sea", "", "wood", "sea"]
OBJECTS: dict[str, Any] = {
    "list": TEXT,
    "tuple": tuple(TEXT),
    "str array": np.array(TEXT),
    "bytes array": np.array([text.encode() for text in TEXT]),
    "deque": deque(TEXT),
    "object array": np.array(TEXT, dtype=object),
    **({"string dtype": np.array(TEXT, dtype=np.dtypes.StringDType())} if HAS_STRINGS else {}),
    "series": pd.Series(TEXT),
    "string series": pd.Series(TEXT, dtype="string"),
    "series with an index": pd.Series(TEXT, index=[5, 1, 4, 9, 0, 2]),
    "mixed": ["sea", 3, "sea", ("a", 1), 3, "sea"],
    "tuples of one length": [("a", 1), ("b", 1), ("a", 1), ("c", 2), ("b", 1), ("a", 1)],
    "tuples of several": [("a", 1), ("b",), ("a", 1), (), ("b",), ("a", 1)],
    "named tuples": [
        Photo("a", 1),
        Photo("b", 1),
        Photo("a", 1),
        Photo("a", 2),
        Photo("b", 1),
        Photo("a", 1),
    ],
    "huge integers": [2**70, -1, 2**70, 0, -1, 2**70],
    "both ends": [2**63, -1, 2**63, 0, -1, 2**63],
    "frozen sets": [
        frozenset("ab"),
        frozenset("c"),
        frozenset("ba"),
        frozenset(),
        frozenset("c"),
        frozenset("ab"),
    ],
    "multi-index": pd.MultiIndex.from_tuples(
        [("a", 1), ("b", 1), ("a", 1), ("c", 2), ("b", 1), ("a", 1)], names=["person", "day"]
    ),
}


@pytest.mark.parametrize("keys", OBJECTS.values(), ids=OBJECTS.keys())
def test_objects_are_numbered_as_they_appear(keys: Any) -> None:
    made = read(keys)
    assert made.codes.tolist() == [0, 1, 0, 2, 1, 0]
    assert made.codes.dtype == np.int8
    assert not made.are_numbers
    listed = keys.tolist() if hasattr(keys, "tolist") else list(keys)
    first = [listed[listed.index(key)] for key in listed]
    assert [made.name_of(row) for row in range(6)] == [repr(key) for key in first]


@pytest.mark.parametrize("unit", ["D", "ns"])
@pytest.mark.parametrize("kind", ["datetime64", "timedelta64"])
def test_times(kind: str, unit: str) -> None:
    values = np.array([5, 3, 5, -9], dtype=f"{kind}[{unit}]")
    for keys in (values, pd.Series(values), values.astype(f">{np.dtype(kind).kind}8[{unit}]")):
        made = read(keys)
        assert partition(made.codes.tolist()) == [[0, 2], [1], [3]]
        assert not made.are_numbers
    assert read(values).name_of(1) == str(values[1])
    aware = pd.Series(pd.to_datetime(["2020-01-01", "2021-01-01", "2020-01-01"], utc=True))
    assert partition(read(aware).codes.tolist()) == [[0, 2], [1]]


@pytest.mark.parametrize("unit", ["D", "ns"])
@pytest.mark.parametrize("kind", [np.datetime64, np.timedelta64])
def test_times_as_objects(kind: Any, unit: str) -> None:
    times = [kind(number, unit) for number in (5, 3, 5, -9)]
    boxed = np.empty(4, dtype=object)
    boxed[:] = times
    for keys in (times, boxed):
        made = read(keys)
        assert made.codes.tolist() == [0, 1, 0, 2]
        assert not made.are_numbers
        assert made.name_of(1) == str(times[1])
    is_a_number = hash(times[1]) == hash(3) and bool(times[1] == 3)  # time spans of NumPy 1
    mixed = [0, 1, 0, 2, 1, 3] if is_a_number else [0, 1, 0, 2, 3, 4]
    assert read([*times, 3, "a"]).codes.tolist() == mixed


@pytest.mark.parametrize("mask", [np.ma.nomask, [False, False, False]])
def test_a_mask_of_nothing_hides_nothing(mask: Any) -> None:
    made = read(np.ma.masked_array([2, 5, 2], mask=mask))
    assert made.codes.tolist() == [2, 5, 2]
    assert type(made.codes) is np.ndarray


class Duck:
    """What a categorical offers, without pandas."""

    categories = ("x", "y", "z")
    codes = np.array([2, 0, 2], dtype=np.int16)


def test_codes_of_categoricals_are_borrowed() -> None:
    labels = pd.Categorical(["z", "x", "z"], categories=["x", "y", "z"])
    for keys in (labels, pd.Series(labels), Duck()):
        made = read(keys)
        assert made.codes.tolist() == [2, 0, 2]
        assert not made.are_numbers
        assert made.name_of(1) == "'x'"
    assert np.shares_memory(read(labels).codes, labels.codes)
    assert np.shares_memory(read(Duck()).codes, Duck.codes)


def test_objects_beyond_one_chunk() -> None:
    n = 2**17 + 5
    names = [f"series {i * 7919 % 300}" for i in range(n)]
    made = read(names)
    assert made.codes.dtype == np.int16
    first = {name: code for code, name in enumerate(dict.fromkeys(names))}
    assert made.codes.tolist() == [first[name] for name in names]
    names[2**17 + 2] = []  # type: ignore[call-overload]
    with pytest.raises(TypeError, match=rf"series_ids\[{2**17 + 2}\] does not: unhashable type: 'list'$"):
        read(names)


MISSING = {
    "float": np.array([1.0, 2.0, np.nan, np.nan]),
    "none": ["a", "b", None, "a"],
    "none among integers": [1, 2, None, 4],
    "list": ["a", "b", float("nan"), None],
    "nan objects": pd.Series(["a", "b", np.nan, np.nan], dtype=object),
    "na": pd.Series(["a", "b", pd.NA, None], dtype="string"),
    "nullable integers": pd.Series([1, 2, None, 4], dtype="Int64"),
    "integers that became floats": pd.Series([1, 2, None, 4]),
    "no time": np.array(["2020", "2021", "NaT", "NaT"], dtype="datetime64[D]"),
    "no time in a series": pd.Series(["2020-01-01", "2020-01-02", None, None]).astype("datetime64[ns]"),
    "no time among objects": np.array([pd.Timestamp(2020, 1, 1), 3, pd.NaT, "a"], dtype=object),
    "no times in a list": [np.datetime64("2020"), np.datetime64("2021"), np.datetime64("NaT"), None],
    "no time among many": [np.datetime64("2020"), 3, np.datetime64("NaT", "ns"), np.datetime64("NaT")],
    "no time span": [np.timedelta64(3, "D"), np.timedelta64(4, "D"), np.timedelta64("NaT"), 1.5],
    "no time span among integers": np.array([1, 2, np.timedelta64("NaT", "s"), 4], dtype=object),
    "decimal": [Decimal(1), Decimal(2), Decimal("NaN"), None],
    "signalling decimal": [Decimal(1), "a", Decimal("sNaN"), Decimal("NaN")],
    "complex": ["a", 1, complex("nan"), 1j],
    "complex of numpy": ["a", 1, np.complex64(complex(0, np.nan)), None],
    "categorical": pd.Categorical(["a", "b", None, "a"]),
    "series of categories": pd.Series(["a", "b", None, "a"], dtype="category"),
}


@pytest.mark.parametrize("keys", MISSING.values(), ids=MISSING.keys())
def test_missing_keys_name_the_first_row(keys: Any) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        read(keys)
    cure = 'missing="drop" leaves them out, or give them a series of their own'
    gaps = [re.search("nan|nat|none|<na>", str(key), re.IGNORECASE) for key in keys]
    count = f"{4 - gaps.count(None)} of 4 rows"
    assert str(caught.value) == f"series_ids must not be missing, but series_ids[2] is ({count}): {cure}"


EXPECTED = "series_ids must be integers, strings or objects that hash, but"


@pytest.mark.parametrize(
    ("keys", "error", "message"),
    [
        ([], ValueError, "series_ids must not be empty"),
        (np.empty(0, dtype=np.int32), ValueError, "series_ids must not be empty"),
        (np.empty(0, dtype="U1"), ValueError, "series_ids must not be empty"),
        (pd.Series([], dtype="category"), ValueError, "series_ids must not be empty"),
        (np.array([1.0, 2.0]), TypeError, f"{EXPECTED} the dtype is float64"),
        (pd.Series([1.5]), TypeError, f"{EXPECTED} the dtype is float64"),
        (torch.tensor([1.5]), TypeError, f"{EXPECTED} the dtype is float32"),
        ([1, 2.0], TypeError, f"{EXPECTED} series_ids[1] = 2.0"),
        (["a", np.float32(2.5)], TypeError, f"{EXPECTED} series_ids[1] = {np.float32(2.5)!r}"),
        (np.array([1j]), TypeError, f"{EXPECTED} the dtype is complex128"),
        ([1, 1j], TypeError, f"{EXPECTED} series_ids[1] = 1j"),
        (["a", np.complex64(2)], TypeError, f"{EXPECTED} series_ids[1] = {np.complex64(2)!r}"),
        (np.array([True, False]), TypeError, f"{EXPECTED} the dtype is bool"),
        ([1, True], TypeError, f"{EXPECTED} series_ids[1] = True"),
        (["a", np.True_], TypeError, f"{EXPECTED} series_ids[1] = {np.True_!r}"),
        (pd.Series([True, False], dtype="boolean"), TypeError, f"{EXPECTED} the dtype is bool"),
        (np.zeros(2, dtype=[("a", int)]), TypeError, f"{EXPECTED} the dtype is [('a', '<i8')]"),
        ([1, [2], {}], TypeError, f"{EXPECTED} series_ids[1] does not: unhashable type: 'list'"),
        ([[1, 2], [3, 4]], TypeError, f"{EXPECTED} series_ids[0] does not: unhashable type: 'list'"),
        ([(1, 2), (3, [])], TypeError, f"{EXPECTED} series_ids[1] does not: unhashable type: 'list'"),
        (
            np.array([1, {}], dtype=object),
            TypeError,
            f"{EXPECTED} series_ids[1] does not: unhashable type: 'dict'",
        ),
        (
            pd.Series(["a", {"b"}]),
            TypeError,
            f"{EXPECTED} series_ids[1] does not: unhashable type: 'set'",
        ),
        (
            ["a", torch.tensor(1)],
            TypeError,
            f"{EXPECTED} series_ids[1] is of type Tensor: pass numbers",
        ),
        (
            np.ma.array([1, 2], mask=[False, True]),
            ValueError,
            "series_ids must not be masked, but entry 1 is: drop such rows or fill them in (numpy.ma.filled)",
        ),
        (np.zeros((2, 3), int), ValueError, "series_ids must be one-dimensional, but the shape is (2, 3)"),
        (pd.DataFrame({"a": [1]}), ValueError, "series_ids must be one-dimensional, but the shape is (1, 1)"),
        (3, ValueError, "series_ids must be one-dimensional, but is one int"),
        ("abc", ValueError, "series_ids must be one-dimensional, but is one str"),
        (None, ValueError, "series_ids must be one-dimensional, but is one NoneType"),
        ({1, 2}, ValueError, "series_ids must be one-dimensional, but is one set"),
    ],
    ids=repr,
)
def test_no_keys(keys: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        read(keys)
    assert str(caught.value) == message


@pytest.mark.parametrize(("bits", "wider"), [(8, "int16"), (16, "int32"), (32, "int64")])
def test_code_types(bits: int, wider: str) -> None:
    assert code_type(2 ** (bits - 1)) == np.dtype(f"int{bits}")
    assert code_type(2 ** (bits - 1) + 1) == np.dtype(wider)
