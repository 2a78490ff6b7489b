"""obs columns: categories, text, numbers, with and without missing values."""

from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest

from tests.sources.h5ad.h5ad_files import make_anndata, random_counts, read_anndata
from tombola.labels.categorical import Categorical
from tombola.sources import H5adSource

N = 6
COLUMNS: dict[str, Any] = {
    "category": pd.Categorical(["b", "a", None, "b", "c", "a"], categories=["c", "unused", "a", "b"]),
    "ordered": pd.Categorical(["lo", "hi"] * 3, categories=["lo", "hi"], ordered=True),
    "numbers_as_categories": pd.Categorical([3, 1, 3, 1, 2, 3]),
    "one_category": pd.Categorical(["same"] * N),
    "text": np.array(["Z", "ä", "m", "Z", "", "m"], dtype=object),
    "int8": np.arange(N, dtype=np.int8),
    "uint64": np.arange(N, dtype=np.uint64),
    "float32": np.linspace(0, 1, N, dtype=np.float32),
    "gaps": np.array([1.0, np.nan, 3, 4, 5, 6]),
    "flag": np.array([True, False] * 3),
    "nullable": pd.array([1, 2, 3, 4, 5, 6], dtype="Int32"),
    "nullable_missing": pd.array([1, None, 3, 4, 5, 6], dtype="Int64"),
    "nullable_flag": pd.array([True, None] * 3, dtype="boolean"),
}
EXPECTED: dict[str, tuple[str, list[Any], list[Any] | None]] = {
    "category": ("int64", [3, 2, -1, 3, 0, 2], ["c", "unused", "a", "b"]),
    "ordered": ("int64", [0, 1] * 3, ["lo", "hi"]),
    "numbers_as_categories": ("int64", [2, 0, 2, 0, 1, 2], [1, 2, 3]),
    "one_category": ("int64", [0] * N, ["same"]),
    "text": ("int64", [1, 3, 2, 1, 0, 2], ["", "Z", "m", "ä"]),
    "int8": ("int8", list(range(N)), None),
    "uint64": ("uint64", list(range(N)), None),
    "float32": ("float32", np.linspace(0, 1, N, dtype=np.float32).tolist(), None),
    "gaps": ("float64", [1, np.nan, 3, 4, 5, 6], None),
    "flag": ("bool", [True, False] * 3, None),
    "nullable": ("int32", [1, 2, 3, 4, 5, 6], None),
    "nullable_missing": ("float64", [1, np.nan, 3, 4, 5, 6], None),
    "nullable_flag": ("float64", [1, np.nan] * 3, None),
}


@pytest.fixture(scope="module", params=[None, "gzip"])
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = make_anndata(random_counts(N, 3))
    data.obs = pd.DataFrame(COLUMNS, index=data.obs_names)
    data.strings_to_categoricals = lambda *_: None  # anndata would turn text into categories
    path = tmp_path_factory.mktemp("obs") / "obs.h5ad"
    data.write_h5ad(path, compression=request.param)
    return path


def test_every_column_is_listed(path: Path) -> None:
    source = H5adSource(path)
    assert list(source.obs) == list(EXPECTED)
    assert set(source.categories) == {name for name, (_, _, cats) in EXPECTED.items() if cats is not None}
    assert "int8" not in source.categories
    with pytest.raises(KeyError, match="obs column 'int8' holds numbers, not categories"):
        source.categories["int8"]


@pytest.mark.parametrize("name", EXPECTED)
def test_columns(path: Path, name: str) -> None:
    dtype, values, categories = EXPECTED[name]
    source = H5adSource(path, obs=name)
    rows = np.array([1, 2, 5])
    part = source.read(rows)[name]
    assert isinstance(part, np.ndarray)
    column = source.obs[name]
    whole = column.codes if isinstance(column, Categorical) else column
    assert str(part.dtype) == dtype
    assert whole.dtype == (np.int8 if isinstance(column, Categorical) else dtype)
    np.testing.assert_array_equal(whole, values)
    np.testing.assert_array_equal(part, np.array(values)[rows])
    if categories is None:
        assert name not in source.categories
    else:
        assert source.categories[name].tolist() == categories


@pytest.mark.parametrize("kind", ["str", "string", "category"])
def test_names_of_any_type_of_text(kind: str, tmp_path: Path) -> None:
    data = make_anndata(random_counts(N, 3))
    data.obs.index = data.obs.index.astype(kind)
    data.var.index = data.var.index[::-1].astype(kind)
    with anndata.settings.override(allow_write_nullable_strings=True):
        data.write_h5ad(tmp_path / "names.h5ad")
    source = H5adSource(tmp_path / "names.h5ad")
    assert (len(source), source.var_names) == (N, ["gene2", "gene1", "gene0"])
    if kind == "category":
        with h5py.File(tmp_path / "names.h5ad", "r+") as file:
            file["var/_index/codes"][1] = -1
        with pytest.raises(
            ValueError, match=r"names\.h5ad: var/_index must name every row, but row 1 has no"
        ):
            H5adSource(tmp_path / "names.h5ad")


def test_columns_mean_what_anndata_reads(path: Path) -> None:
    source, frame = H5adSource(path), read_anndata(path).obs
    assert not isinstance(frame["text"].dtype, pd.CategoricalDtype)  # object, or str from pandas 3 on
    for name in source.categories:
        column = source.obs[name]
        assert isinstance(column, Categorical)
        assert column.tolist() == [None if pd.isna(value) else value for value in frame[name]]


def test_whole_columns_cannot_be_changed_by_accident(path: Path) -> None:
    obs = H5adSource(path).obs
    for column in (obs["int8"], obs["category"].codes, obs["category"].categories):
        with pytest.raises(ValueError, match="read-only"):
            column[0] = 1


def test_text_with_missing_values(tmp_path: Path) -> None:
    data = make_anndata(random_counts(N, 3))
    data.obs["text"] = pd.array(["b", None, "a", "b", None, "a"], dtype="string")
    data.strings_to_categoricals = lambda *_: None
    with anndata.settings.override(allow_write_nullable_strings=True):
        data.write_h5ad(tmp_path / "a.h5ad")
    source = H5adSource(tmp_path / "a.h5ad")
    assert source.obs["text"].codes.tolist() == [1, -1, 0, 1, -1, 0]
    assert source.categories["text"].tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("name", "change", "error", "text"),
    [
        ("category/codes", [0, 1, 2, 9, 0, 0], ValueError, r"in \[-1, 4\) for 4 categories, but row 3 has 9"),
        ("category/codes", [0, 1, 2, 0, 0, -2], ValueError, "but row 5 has -2"),
        ("category/codes", [0.5] * 6, ValueError, "codes must be integers, but have dtype float64"),
        (
            "category/codes",
            [0, 1],
            ValueError,
            r"must have shape \(6,\) as obs has 6 rows, but has shape \(2,",
        ),
        ("int8", [1, 2, 3], ValueError, r"must have shape \(6,\) as obs has 6 rows, but has shape \(3,"),
        ("int8", [[1]] * 6, ValueError, r"must have shape \(6,\) as obs has 6 rows, but has shape \(6, 1\)"),
        ("int8", [1j] * 6, ValueError, "must hold numbers, text or categories, but has dtype complex128"),
        (
            "nullable_missing/mask",
            [True],
            ValueError,
            r"values have shape \(6,\), but their mask has shape \(1,",
        ),
        (
            "nullable_missing/values",
            [2**53 + 1] * 6,
            ValueError,
            "cannot hold 9007199254740993 of row 0 exactly",
        ),
        ("category/categories", None, KeyError, "expected a dataset 'categories', but found codes"),
    ],
)
def test_wrong_columns(
    path: Path, tmp_path: Path, name: str, change: Any, error: type[Exception], text: str
) -> None:
    bad = tmp_path / "bad.h5ad"
    bad.write_bytes(path.read_bytes())
    with h5py.File(bad, "r+") as file:
        attributes = dict(file[f"obs/{name}"].attrs)
        del file[f"obs/{name}"]
        if change is not None:
            file.create_dataset(f"obs/{name}", data=np.array(change)).attrs.update(attributes)
    with pytest.raises(error, match=text) as raised:
        H5adSource(bad, obs=[name.split("/")[0]])
    assert str(raised.value).startswith(f"{bad}: obs column {name.split('/')[0]!r}")


def test_missing_columns_are_listed(path: Path) -> None:
    with pytest.raises(KeyError, match="obs has no column 'colour'; it has category, ordered, numbers_as"):
        H5adSource(path, obs=["colour"])
    with pytest.raises(KeyError, match="obs has no column 'colour'"):
        H5adSource(path).obs["colour"]


@pytest.mark.parametrize("name", ["X", "row"])
def test_names_that_a_batch_uses_itself(path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=f"obs column '{name}' cannot be read: a batch has its own"):
        H5adSource(path, obs=[name])
