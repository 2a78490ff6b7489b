"""Class labels of every kind, and the weights that balance classes."""

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import tombola
from tombola.labels.classes import factorise
from tombola.labels.weights import weight_array

PLAIN = ["b", "a", "b", "c", "b", "a"]


def names(labels: Any) -> list[str]:
    classes = factorise(labels)
    return [classes.name_of(code) for code in classes.codes.tolist()]


@pytest.mark.parametrize(
    "labels",
    [
        PLAIN,
        tuple(PLAIN),
        np.array(PLAIN),
        np.array(PLAIN, dtype=object),
        pd.Series(PLAIN),
        pd.Series(PLAIN, index=range(6, 0, -1)),
        pd.Series(PLAIN, dtype="string"),
        pd.Series(PLAIN, dtype="category"),
        pd.Categorical(PLAIN, categories=["unused", "c", "b", "a"]),
        pd.CategoricalIndex(PLAIN),
        pd.DataFrame({"only": PLAIN}),
        pd.DataFrame({"only": pd.Categorical(PLAIN)}),
        [np.array(PLAIN)],
    ],
    ids=lambda labels: f"{type(labels).__name__}-{getattr(labels, 'dtype', '')}",
)
def test_labels_of_every_kind(labels: Any) -> None:
    classes = factorise(labels)
    assert names(labels) == PLAIN
    assert classes.n_classes == 3
    assert classes.counts[classes.codes].tolist() == [3, 2, 3, 1, 3, 2]
    assert int(classes.counts.sum()) == len(classes) == 6


def test_bytes_are_labels() -> None:
    assert names(np.array([b"x", b"y", b"x"])) == ["b'x'", "b'y'", "b'x'"]


@pytest.mark.parametrize(
    "dtype", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", ">i4"]
)
@pytest.mark.parametrize(
    "values",
    [
        [3, 1, 3, 0],
        [0, 0, 0, 0],
        [120, 127, 120, 100],
        [-3, -128, 127, 0],
        [0, 200, 255, 100],
        [0, 2**62, 5, 2**62],
    ],
    ids=str,
)
def test_integers_of_every_dtype_and_range(values: list[int], dtype: str) -> None:
    limits = np.iinfo(np.dtype(dtype))
    wanted = [value for value in values if limits.min <= value <= limits.max]
    classes = factorise(np.array(wanted, dtype=dtype))
    assert [int(classes.name_of(code)) for code in classes.codes.tolist()] == wanted
    expected = [wanted.count(value) for value in wanted]
    assert classes.counts[classes.codes].tolist() == expected


def test_the_largest_integers() -> None:
    values = [2**64 - 1, 2**64 - 2, 2**64 - 1]
    assert names(np.array(values, dtype=np.uint64)) == list(map(str, values))
    values = [-(2**63), 2**63 - 1, -(2**63)]
    assert names(np.array(values, dtype=np.int64)) == list(map(str, values))


def test_bools_and_tensors() -> None:
    assert names(np.array([True, False, True])) == ["True", "False", "True"]
    assert names(torch.tensor([4, 2, 4])) == ["4", "2", "4"]


@pytest.mark.parametrize(
    "dtype", [np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.bool_]
)
def test_small_integers_are_their_own_codes(dtype: Any) -> None:
    labels = (np.arange(1000) % 2).astype(dtype)
    assert np.shares_memory(factorise(labels).codes, labels)


def test_categoricals_are_their_own_codes() -> None:
    labels = pd.Categorical(PLAIN * 100)
    assert np.shares_memory(factorise(labels).codes, labels.codes)
    assert np.shares_memory(factorise(pd.Series(labels, copy=False)).codes, labels.codes)


def test_codes_do_not_depend_on_the_kind_of_label() -> None:
    text = factorise(np.array(["10", "12", "10", "11"])).codes.tolist()
    assert text == factorise(np.array([0, 2, 0, 1])).codes.tolist()
    assert factorise(["z", 3, "z"]).codes.tolist() == [0, 1, 0]  # no common order: as they appear


@pytest.mark.parametrize(
    ("n", "widths"), [(50, (3, 4)), (50, (7, 5, 6)), (2000, (400, 500)), (3000, (500, 600, 700))]
)
def test_combinations(n: int, widths: tuple[int, ...]) -> None:
    random = np.random.default_rng(1)
    columns = [random.integers(0, width, n) for width in widths]
    classes = factorise(columns)
    expected = [" / ".join(map(str, row)) for row in zip(*columns, strict=True)]
    assert [classes.name_of(code) for code in classes.codes.tolist()] == expected
    _, inverse, counts = np.unique(np.stack(columns), axis=1, return_inverse=True, return_counts=True)
    assert classes.n_classes == len(counts)
    assert classes.counts[classes.codes].tolist() == counts[inverse.reshape(-1)].tolist()


def test_combinations_of_kinds() -> None:
    frame = pd.DataFrame({"line": pd.Categorical(["x", "y", "x"]), "drug": [7, 7, 8]})
    assert names(frame) == names([frame["line"], frame["drug"]]) == ["x / 7", "y / 7", "x / 8"]


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ([], ValueError, "labels must not be empty"),
        (pd.DataFrame({"a": []}), ValueError, "labels must not be empty"),
        (
            pd.DataFrame(index=range(3)),
            ValueError,
            "labels must be columns of one length, but the lengths are none",
        ),
        ([[1, 2], [1, 2, 3]], ValueError, "labels must be columns of one length, but the lengths are 2, 3"),
        (np.zeros((3, 2), int), ValueError, "labels must be one-dimensional, but the shape is (3, 2)"),
        (3, ValueError, "labels must be one-dimensional, but is one int"),
        ([1.0, 2.0], TypeError, "labels must be integers, strings or categories, but the dtype is float64"),
        ([1j], TypeError, "labels must be integers, strings or categories, but the dtype is complex128"),
        (
            np.array(["a", 2.5], dtype=object),
            TypeError,
            "labels must be integers, strings or categories, but labels[1] = 2.5",
        ),
        (
            np.array(["a", 2j], dtype=object),
            TypeError,
            "labels must be integers, strings or categories, but labels[1] = 2j",
        ),
        (
            np.array([{}, {}], dtype=object),
            TypeError,
            "labels must be integers, strings or objects that hash, but labels[0] does not: "
            "unhashable type: 'dict'",
        ),
    ],
)
def test_no_labels(labels: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        factorise(labels)
    assert str(caught.value).partition(" (")[0] == message.partition(" (")[0]


MISSING = {
    "float": np.array([1.0, 2.0, np.nan, np.nan]),
    "none": np.array(["a", "b", None, "a"], dtype=object),
    "list": ["a", "b", float("nan"), "a"],
    "nan object": pd.Series(["a", "b", np.nan, np.nan], dtype=object),
    "na": pd.Series(["a", "b", pd.NA, None], dtype="string"),
    "nullable integers": pd.Series([1, 2, None, 4], dtype="Int64"),
    "not a time of numpy": np.array(["a", np.datetime64("2020"), np.datetime64("NaT")], dtype=object),
    "decimal": np.array(["a", 3, Decimal("NaN"), None], dtype=object),
    "not a time": np.array([pd.Timestamp(2020, 1, 1), 3, pd.NaT], dtype=object),
    "categorical": pd.Categorical(["a", "b", None, "a"]),
    "series of categories": pd.Series(["a", "b", None, "a"], dtype="category"),
    "column": pd.DataFrame({"x": [1, 2, 3, 4], "y": pd.Categorical(["a", "b", None, "a"])}),
}


def test_tuples_beside_other_labels() -> None:
    labels = [("a", 1), None, "b", ("a", 1)]
    assert factorise(labels, missing="drop").codes.tolist() == [0, 2, 1, 0]
    with pytest.raises(ValueError, match=r"^labels must not be missing, but labels\[1\] is \(1 of 4 rows"):
        factorise(labels)


@pytest.mark.parametrize("labels", MISSING.values(), ids=MISSING.keys())
def test_missing_labels_name_the_first_row(labels: Any) -> None:
    with pytest.raises(ValueError, match=r"^labels must not be missing, but labels\[2\] is \("):
        factorise(labels)


@pytest.mark.parametrize("baseline", [0, 1000, 2.5])
def test_balanced_weights_follow_the_formula(baseline: float) -> None:
    labels = np.repeat([0, 3, 4], [5, 20, 75])
    counts = np.repeat([5, 20, 75], [5, 20, 75])
    plain = tombola.compute_balanced_weights(labels, min_count_baseline=baseline, normalize=False)
    np.testing.assert_array_equal(plain, 100 / (3 * (counts + baseline)))
    scaled = tombola.compute_balanced_weights(labels, min_count_baseline=baseline)
    np.testing.assert_allclose(scaled, plain * 100 / plain.sum(), rtol=1e-14)
    assert scaled.dtype == plain.dtype == np.float64


def test_balanced_weights_default_baseline_and_combinations() -> None:
    first, second = np.array([0, 0, 1, 1]), ["x", "x", "x", "y"]
    expected = 4 / (3 * (np.array([2, 2, 1, 1]) + 1000))
    frame = pd.DataFrame({"first": first, "second": second})
    for labels in ((first, second), (frame,), ([first, second],)):
        weights = tombola.compute_balanced_weights(*labels, normalize=False)
        np.testing.assert_array_equal(weights, expected)


def test_wrong_arguments_of_balanced_weights() -> None:
    with pytest.raises(TypeError, match=r"^compute_balanced_weights needs at least one array of labels$"):
        tombola.compute_balanced_weights()
    with pytest.raises(ValueError, match=r"^min_count_baseline must be a finite number >= 0, but is -1$"):
        tombola.compute_balanced_weights([1, 2], min_count_baseline=-1)
    with pytest.raises(TypeError, match=r"^normalize must be True or False, but is 'yes'$"):
        tombola.compute_balanced_weights([1, 2], normalize="yes")  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float_weights_are_borrowed(dtype: Any) -> None:
    weights = np.ones(10, dtype=dtype)
    assert np.shares_memory(weight_array("weights", weights), weights)
    tensor = torch.ones(10, dtype=torch.float32)
    assert np.shares_memory(weight_array("weights", tensor), tensor.numpy())


@pytest.mark.parametrize(
    ("dtype", "becomes"),
    [
        ("float16", "float32"),
        ("bool", "float32"),
        ("uint8", "float32"),
        ("int16", "float32"),
        ("int32", "float64"),
        ("uint64", "float64"),
        (">f4", "float32"),
        (">f8", "float64"),
    ],
)
def test_lossless_casts(dtype: str, becomes: str) -> None:
    weights = np.array([0, 1, 1], dtype=dtype)
    array = weight_array("weights", weights)
    assert array.dtype == np.dtype(becomes)
    assert array.tolist() == [0, 1, 1]


def test_integers_that_float64_holds() -> None:
    assert weight_array("weights", [2**53, 0]).tolist() == [2**53, 0]
    for dtype in (np.int64, np.uint64):
        with pytest.raises(
            TypeError, match=rf"integers up to 2\*\*53, but {np.dtype(dtype)} holds larger ones$"
        ):
            weight_array("weights", np.array([2**53 + 1], dtype=dtype))


@pytest.mark.parametrize(
    "weights", [["a"], [1j], [None, 1], np.ones(2, np.longdouble), np.array(["2020"], "M8[Y]")]
)
def test_no_weights(weights: Any) -> None:
    with pytest.raises(
        TypeError, match=r"^weights must be real numbers that float64 holds, but the dtype is "
    ):
        weight_array("weights", weights)


def test_masked_entries_are_refused() -> None:
    hidden = np.ma.masked_equal([5, 3, -1, -1], -1)
    message = r" must not be masked, but entry 2 is: drop such rows or fill them in \(numpy\.ma\.filled\)$"
    with pytest.raises(ValueError, match="^weights" + message):
        weight_array("weights", hidden)
    for labels in (hidden, [np.arange(4), hidden]):
        with pytest.raises(ValueError, match="^labels" + message):
            factorise(labels)
    with pytest.raises(ValueError, match="^indices" + message):
        tombola.Streaming(indices=hidden)
    with pytest.raises(ValueError, match="^i" + message):
        tombola.RandomPermutation(9, key=1)[hidden]


@pytest.mark.parametrize("mask", [np.ma.nomask, [False, False, False]])
def test_a_mask_of_nothing_hides_nothing(mask: Any) -> None:
    plain = np.ma.masked_array([2, 5, 7], mask=mask)
    assert weight_array("weights", plain).tolist() == [2, 5, 7]
    assert names(plain) == ["2", "5", "7"]
    assert tombola.Streaming(indices=plain).plan(batch_size=3).indices().tolist() == [2, 5, 7]


@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", ">f8"])
def test_unaligned_weights_and_labels_are_copied(dtype: str) -> None:
    unaligned = np.frombuffer(b"?" + np.array([4, 0, 2], dtype=dtype).tobytes(), dtype=dtype, offset=1)
    assert not unaligned.flags.aligned
    weights = weight_array("weights", unaligned)
    assert weights.flags.aligned
    assert weights.tolist() == [4, 0, 2]
    if dtype == "i2":
        for codes in (factorise(unaligned).codes, factorise(pd.Series(unaligned, copy=False)).codes):
            assert codes.flags.aligned
            assert codes.tolist() == [4, 0, 2]


def test_strided_weights_are_copied() -> None:
    weights = weight_array("weights", np.arange(6.0)[::2])
    assert weights.flags.c_contiguous
    assert weights.tolist() == [0, 2, 4]
