"""Rows of arrays in memory."""

import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from anndata import AnnData

from tests.sources.h5ad.h5ad_files import assert_canonical, random_counts
from tombola.sources import ArraySource, CsrRows

ROWS = np.array([0, 3, 4, 19])
VALUES = np.arange(60, dtype=np.float32).reshape(20, 3)


class Indexable:
    """Anything with a length that an array of integers indexes."""

    def __len__(self) -> int:
        return len(VALUES)

    def __getitem__(self, rows: Any) -> Any:
        return VALUES[rows].tolist()


@pytest.mark.parametrize(
    "array",
    [VALUES, VALUES.tolist(), torch.from_numpy(VALUES), pd.DataFrame(VALUES), Indexable()],
    ids=["numpy", "list", "torch", "frame", "indexable"],
)
def test_rows_are_those_of_the_array(array: Any) -> None:
    source = ArraySource(array)
    assert (len(source), source.x_format) == (20, "dense")
    np.testing.assert_array_equal(np.asarray(source.read(ROWS)["X"]), VALUES[ROWS])
    assert len(np.asarray(source.read(ROWS[:0])["X"])) == 0


def test_torch_tensors_stay_tensors() -> None:
    half = torch.from_numpy(VALUES).to(torch.bfloat16)
    part: Any = ArraySource(half).read(ROWS)["X"]
    assert part.dtype == torch.bfloat16
    assert torch.equal(part, half[torch.from_numpy(ROWS)])


def test_memory_maps(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", VALUES)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    np.testing.assert_array_equal(ArraySource(mapped).read(ROWS)["X"], VALUES[ROWS])


def test_hdf5_datasets(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        source = ArraySource(file.create_dataset("x", data=VALUES))
        np.testing.assert_array_equal(source.read(ROWS)["X"], VALUES[ROWS])


@pytest.mark.parametrize("kind", [sp.csr_matrix, sp.csr_array])
def test_scipy_rows(kind: Any) -> None:
    matrix = kind(random_counts())
    source = ArraySource(matrix)
    part = source.read(ROWS)["X"]
    assert isinstance(part, CsrRows)
    assert (len(source), source.x_format, part.as_dense) == (157, "csr", False)
    np.testing.assert_array_equal(part.to_dense(), matrix[ROWS].toarray())


def test_scipy_rows_out_of_order_and_twice() -> None:
    matrix = sp.csr_matrix((np.array([1.0, 2, 3, 4]), [2, 0, 0, 1], [0, 3, 4]), shape=(2, 3))
    part = ArraySource(matrix).read(np.array([0, 1]))["X"]
    assert isinstance(part, CsrRows)
    assert_canonical(part)
    assert part.to_dense().tolist() == [[5, 0, 1], [0, 4, 0]]


def test_columns() -> None:
    source = ArraySource(
        VALUES,
        number=np.arange(20),
        pair=np.arange(40).reshape(20, 2),
        text=["b", "a"] * 10,
        gone=np.array(["b", None] * 10, dtype=object),
        category=pd.Categorical(["y", "x"] * 10, categories=["y", "x", "z"]),
        series=pd.Series(pd.Categorical([3, None] * 10)),
        array=np.full(20, 2.5),
    )
    batch = source.read(ROWS)
    assert {name: np.asarray(batch[name]).tolist() for name in source.obs} == {
        "number": [0, 3, 4, 19],
        "pair": [[0, 1], [6, 7], [8, 9], [38, 39]],
        "text": [1, 0, 1, 0],
        "gone": [0, -1, 0, -1],
        "category": [0, 1, 0, 1],
        "series": [0, -1, 0, -1],
        "array": [2.5] * 4,
    }
    assert {name: values.tolist() for name, values in source.categories.items()} == {
        "text": ["a", "b"],
        "gone": ["b"],
        "category": ["y", "x", "z"],
        "series": [3],
    }


@pytest.mark.parametrize(
    "column",
    [
        ["b", np.nan, "a"],
        ["b", None, "a"],
        pd.Series(["b", pd.NA, "a"], dtype="string"),
        pd.Series(["b", np.nan, "a"]),
        pd.Series(["b", None, "a"], dtype="str"),
    ],
    ids=["list-nan", "list-none", "string", "object", "str"],
)
def test_missing_text_has_no_category(column: Any) -> None:
    source = ArraySource(VALUES[:3], text=column)
    assert source.obs["text"].codes.tolist() == [1, -1, 0]
    assert source.categories["text"].tolist() == ["a", "b"]


def test_pickle() -> None:
    source = pickle.loads(pickle.dumps(ArraySource(VALUES, label=["a", "b"] * 10)))
    assert source.read(ROWS)["label"].tolist() == [0, 1, 0, 1]
    assert source.categories["label"].tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("rows", "error", "text"),
    [
        ([0, 20], IndexError, r"rows must be in \[0, 20\), but one is 20"),
        ([-1, 2], IndexError, r"rows must be in \[0, 20\), but one is -1"),
        ([3, 2, 5], ValueError, r"rows must be strictly increasing, but rows\[0\] = 3 and rows\[1\] = 2"),
        ([2, 2], ValueError, r"rows must be strictly increasing, but rows\[0\] = 2 and rows\[1\] = 2"),
        ([[1]], ValueError, r"rows must have one axis, but have shape \(1, 1\)"),
        ([1.0], TypeError, "rows must be integers, but have dtype float64"),
    ],
)
def test_wrong_rows(rows: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        ArraySource(VALUES).read(np.array(rows))


@pytest.mark.parametrize(
    ("array", "columns", "error", "text"),
    [
        (VALUES, {"a": [1]}, ValueError, "column 'a' must have 20 rows as the array has, but has 1"),
        (VALUES, {"X": VALUES}, ValueError, "a column cannot be called 'X'"),
        (VALUES, {"row": VALUES}, ValueError, "a column cannot be called 'row'"),
        (VALUES, {"a": 3}, ValueError, "column 'a' must have one entry a row, but is 3"),
        (VALUES, {"a": [{}] * 20}, TypeError, "column 'a' must hold numbers, text or categories"),
        (VALUES, {"a": ["a", 1] * 10}, TypeError, "column 'a' must hold numbers, text or categories"),
        (AnnData(VALUES), {}, TypeError, "must give rows as arrays, but AnnData gives AnnData"),
        (np.array(["a"]), {}, TypeError, "the array must hold numbers, but has dtype <U1"),
        (3.0, {}, TypeError, "the array must have rows, but is float without a length"),
        ({0: 1}, {}, TypeError, "one that an array of integers indexes, but dict is not"),
        (sp.csc_matrix(VALUES), {}, TypeError, "must be a CSR matrix, but is csc_matrix; its .tocsr\\(\\)"),
    ],
)
def test_wrong_arrays(array: Any, columns: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        ArraySource(array, **columns)
