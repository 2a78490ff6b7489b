"""One obs column of several files: what is missing unites with anything, nothing is rounded or mixed up."""

from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest

from tests.sources.h5ad.test_several import GENES, write
from tombola.labels.categorical import Categorical
from tombola.sources import H5adSource

X = np.ones((3, 12), dtype=np.float32)


def source(folder: Path, *columns: Any, **options: Any) -> H5adSource:
    """A source of files that hold these as their column k, or none where it is None."""
    paths = []
    for i, values in enumerate(columns):
        named = {} if values is None else {"k": values}
        paths.append(write(folder / f"{i}.h5ad", X, GENES, n=[1, 2, 3], **named))
    return H5adSource(paths, obs="k", **options)


FLU = pd.Categorical(["flu", "none", "flu"])
NOTHING: dict[str, Any] = {
    "categories": pd.Categorical([None] * 3),
    "categories of no row": pd.Categorical([None] * 3, categories=["flu"]),
    "numbers": np.full(3, np.nan),
    "nullable": pd.array([None] * 3, dtype="Int64"),
    "text": pd.array([None] * 3, dtype="string"),
    "no column": None,
}


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("nothing", NOTHING.values(), ids=NOTHING.keys())
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (FLU, ["flu", "none", "flu"]),
        (["a", "c", "b"], ["a", "c", "b"]),
        (pd.Categorical([3, 1, 3]), [3, 1, 3]),
        (np.array([4, 5, 6]), [4.0, 5.0, 6.0]),
        (np.array([True, False, True]), [1.0, 0.0, 1.0]),
        (np.array([0.5, 1.5, np.nan], dtype=np.float32), [0.5, 1.5, None]),
    ],
    ids=["categories", "text", "numbers as categories", "integers", "booleans", "floats"],
)
def test_what_is_missing_throughout_unites_with_anything(
    tmp_path: Path, values: Any, expected: list[Any], nothing: Any, first: bool
) -> None:
    with anndata.settings.override(allow_write_nullable_strings=True):
        made = source(tmp_path, *([nothing, values] if first else [values, nothing]), obs_join="outer")
    column = made.obs["k"]
    listed = [None if value is None or value != value else value for value in column.tolist()]
    assert listed == ([None] * 3 + expected if first else expected + [None] * 3)
    assert isinstance(column, Categorical) == ("k" in made.categories)
    batch = made.read(np.arange(6))["k"]
    if isinstance(column, Categorical):
        assert np.asarray(batch).tolist() == column.codes.tolist()
        assert column.codes.dtype == np.int8


def test_nothing_at_all(tmp_path: Path) -> None:
    column = source(tmp_path, pd.Categorical([None] * 3), np.full(3, np.nan), None, obs_join="outer").obs["k"]
    assert column.tolist() == [None] * 9


def test_a_file_without_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5ad", X, GENES, k=FLU)
    empty = write(tmp_path / "b.h5ad", X[:0], GENES, k=pd.Categorical([], categories=[1, 2]))
    assert H5adSource([path, empty], obs="k").obs["k"].tolist() == ["flu", "none", "flu"]
    assert H5adSource([empty, empty], obs="k").categories["k"].tolist() == [1, 2]


def test_outer_join_of_obs(tmp_path: Path) -> None:
    a = write(tmp_path / "a.h5ad", X, GENES, shared=[1, 2, 3], own=["x", "y", "x"])
    b = write(tmp_path / "b.h5ad", X, GENES, other=[1, 2, 3], shared=[4, 5, 6])
    made = H5adSource([a, b], obs_join="outer", obs=["own", "other", "shared"])
    assert list(made.obs) == ["shared", "own", "other"]
    assert made.obs["own"].tolist() == ["x", "y", "x", None, None, None]
    np.testing.assert_array_equal(made.obs["other"], [np.nan] * 3 + [1, 2, 3])
    assert made.obs["shared"].dtype == np.int64
    assert list(H5adSource([a, b], join="outer").obs) == ["shared", "own", "other"]
    assert list(H5adSource([a, b], join="outer", obs_join="inner").obs) == ["shared"]
    with pytest.raises(KeyError, match=r"b\.h5ad: obs has no column 'own'; .*; obs_join='outer' takes it as"):
        H5adSource([a, b], obs="own")
    with pytest.raises(KeyError, match=r"a\.h5ad: obs has no column 'none'; it has shared, own$"):
        H5adSource([a, b], obs="none", obs_join="outer")


BIG = 2**60 + 1


@pytest.mark.parametrize(
    "others",
    [[pd.array([1, None, 2], dtype="Int64")], [np.array([0.5, 1, 2])], [np.full(3, np.nan)]],
    ids=["gap", "floats", "missing"],
)
def test_large_integers_are_not_rounded(tmp_path: Path, others: list[Any]) -> None:
    ids = np.array([1, BIG, BIG + 2])
    for columns in ([ids, *others], [*others, ids]):
        with pytest.raises(
            ValueError,
            match=rf"\.h5ad: obs column 'k' is given as float64, .* cannot hold {BIG} of row 1 exactly",
        ):
            source(tmp_path, *columns)
    assert source(tmp_path, ids, ids).obs["k"].tolist() == [*ids.tolist(), *ids.tolist()]
    assert source(tmp_path, ids % 1000, *others).obs["k"].dtype == np.float64


def test_integers_of_both_signs_stay_integers(tmp_path: Path) -> None:
    unsigned = np.array([1, 2, BIG], dtype=np.uint64)
    column = source(tmp_path, unsigned, np.array([-1, 0, 1], dtype=np.int8)).obs["k"]
    assert (column.dtype, column.tolist()) == (np.int64, [1, 2, BIG, -1, 0, 1])
    column = source(tmp_path, unsigned + np.uint64(2**63), np.array([0, 1, 2])).obs["k"]
    assert (column.dtype, column.tolist()[2]) == (np.uint64, BIG + 2**63)
    with pytest.raises(ValueError, match="is given as float64"):
        source(tmp_path, unsigned + np.uint64(2**63), np.array([-1, 0, 1]))
    column = source(tmp_path, pd.Categorical(unsigned), pd.Categorical([BIG + 1, -5, 1])).obs["k"]
    assert column.tolist() == [1, 2, BIG, BIG + 1, -5, 1]


def test_numbers_beside_numbers_as_categories(tmp_path: Path) -> None:
    made = source(tmp_path, pd.Categorical([3, 1, 3]), np.array([1, 7, 3]))
    assert made.obs["k"].tolist() == [3, 1, 3, 1, 7, 3]
    assert made.categories["k"].tolist() == [1, 3, 7]
    gaps = source(tmp_path, pd.Categorical([3, 1, 3]), pd.array([1, None, 3], dtype="Int64"))
    assert gaps.obs["k"].tolist() == [3, 1, 3, 1, None, 3]
    assert gaps.categories["k"].dtype == np.int64
    floats = source(tmp_path, pd.Categorical([3, 1, 3]), np.array([0.5, 1, 3]))
    assert floats.obs["k"].tolist() == [3, 1, 3, 0.5, 1, 3]
    with pytest.raises(ValueError, match=f"several types of numbers, none of which holds {BIG}"):
        source(tmp_path, pd.Categorical([BIG, 1, 3]), pd.Categorical([0.5, 1, 3]))


def test_true_is_not_one(tmp_path: Path) -> None:
    for other in (pd.Categorical([True, False, True]), np.array([True, False, True])):
        with pytest.raises(
            ValueError, match=r"categories of numbers in .*0\.h5ad and (categories of )?booleans"
        ):
            source(tmp_path, pd.Categorical([3, 1, 3]), other)
    made = source(tmp_path, pd.Categorical([True, False, True]), np.array([False, False, True]))
    assert made.obs["k"].tolist() == [True, False, True, False, False, True]
    assert made.categories["k"].dtype == np.bool_


def test_text_is_no_number(tmp_path: Path) -> None:
    for columns in ([np.array([1, 2, 3]), pd.Categorical(["1", "2", "3"])], [["1", "2", "3"], np.ones(3)]):
        with pytest.raises(
            ValueError, match=r"must be the same kind in all files, but holds .*; write it anew"
        ):
            source(tmp_path, *columns)


def test_many_categories_widen_the_codes(tmp_path: Path) -> None:
    x = np.ones((100, 12), dtype=np.float32)
    a, b = [f"a{i:03}" for i in range(100)], [f"b{i:03}" for i in range(100)]
    paths = [write(tmp_path / f"{i}.h5ad", x, GENES, k=pd.Categorical(v)) for i, v in enumerate((a, b))]
    assert H5adSource(paths[0]).obs["k"].codes.dtype == np.int8
    column = H5adSource(paths).obs["k"]
    assert column.codes.dtype == np.int16
    assert column.tolist() == a + b
