"""What is wrong with a file is said in one line that names file, part and row."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest

from tests.sources.h5ad.h5ad_files import N_OBS, N_VARS, dense, random_counts, write_h5ad
from tombola.sources import H5adSource

X = random_counts()
ALL = np.arange(N_OBS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_h5ad(tmp_path / "a.h5ad", X, layers={"counts": X}, obsm={"pca": np.ones((N_OBS, 2))})


def replace(path: Path, name: str, change: Callable[[Any], Any]) -> None:
    """Change the values of a dataset, or remove it."""
    with h5py.File(path, "r+") as file:
        values, attributes = file[name][()], dict(file[name].attrs)
        del file[name]
        changed = change(values)
        if changed is not None:
            file.create_dataset(name, data=changed).attrs.update(attributes)


def put(at: int, value: Any) -> Callable[[Any], Any]:
    def change(values: Any) -> Any:
        values[at] = value
        return values

    return change


@pytest.mark.parametrize(
    ("name", "change", "error", "text"),
    [
        ("X/indptr", put(0, 1), ValueError, "X/indptr must begin with 0, but begins with 1"),
        ("X/indptr", put(5, 0), ValueError, r"X/indptr must not decrease, but goes from \d+ to 0 at row 4"),
        (
            "X/indptr",
            put(-1, 10**6),
            ValueError,
            r"ends with 1,000,000, but data and indices hold [\d,]+ values",
        ),
        (
            "X/indptr",
            lambda v: v[:-1],
            ValueError,
            r"must hold 158 integers for 157 rows, but has shape \(157,\)",
        ),
        (
            "X/indptr",
            lambda v: v * 1.0,
            ValueError,
            "must hold 158 integers for 157 rows, but .* dtype float64",
        ),
        ("X/indptr", lambda _: None, KeyError, "X: expected a dataset 'indptr', but found data, indices"),
        (
            "X/indices",
            lambda v: v[:-1],
            ValueError,
            "X: data and indices must be equally long, but have shapes",
        ),
        ("X/indices", lambda v: v * 1.0, ValueError, "X/indices must hold integers, but has dtype float64"),
        ("X/data", lambda v: v.reshape(-1, 1), ValueError, "X: data and indices must be equally long"),
        ("X/data", lambda v: v.astype("S4"), ValueError, r"X/data must hold numbers, but has dtype \|S4"),
        ("X/data", lambda _: None, KeyError, "X: expected a dataset 'data', but found indices, indptr"),
        ("obs/_index", lambda v: v[:-1], ValueError, "X must have 156 rows as obs has, but has 157"),
        ("var/_index", lambda v: v[:-1], ValueError, "X must have 22 columns as var has rows, but has 23"),
        ("var/_index", lambda _: None, KeyError, "var: expected a data frame with an index, but it has none"),
    ],
)
def test_parts_that_do_not_fit(path: Path, name: str, change: Any, error: type[Exception], text: str) -> None:
    replace(path, name, change)
    with pytest.raises(error, match=text) as raised:
        H5adSource(path)
    assert str(raised.value).startswith(f"{path}: ")


@pytest.mark.parametrize("shape", [[157], [157, -1], [1.5, 2.5], "157"])
def test_wrong_shapes(path: Path, shape: Any) -> None:
    with h5py.File(path, "r+") as file:
        file["X"].attrs["shape"] = shape
    with pytest.raises(ValueError, match=r"a\.h5ad: X: expected a shape of two integers, but found"):
        H5adSource(path)


@pytest.mark.parametrize("value", [N_VARS, -1, 2**31 - 1, -(2**31)])
def test_columns_out_of_range_name_their_row(path: Path, value: int) -> None:
    row = 100
    at = int(X.indptr[row]) + 1
    replace(path, "X/indices", put(at, value))
    source = H5adSource(path)
    expected = rf"{path}: X/indices: columns must be in \[0, 23\), but row {row} has {value}$"
    for rows in (ALL, ALL[row:], ALL[row : row + 1]):
        with pytest.raises(ValueError, match=expected):
            source.read(rows)
    sound = np.delete(ALL, row)
    np.testing.assert_array_equal(dense(source.read(sound)["X"]), X.toarray()[sound])


@pytest.mark.parametrize("value", [2**40, 2**32 + 1, -(2**40)])
def test_columns_too_large_for_int32_do_not_wrap(path: Path, value: int) -> None:
    replace(path, "X/indices", lambda v: v.astype(np.int64))
    replace(path, "X/indices", put(int(X.indptr[100]), value))
    with pytest.raises(ValueError, match=rf"but row 100 has {value}$"):
        H5adSource(path).read(ALL)


def test_rows_out_of_range_in_a_csc_matrix(tmp_path: Path) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", X.tocsc())
    replace(path, "X/indices", put(int(X.tocsc().indptr[3]), N_OBS))
    with pytest.raises(ValueError, match=r"X/indices: rows must be in \[0, 157\), but column 3 has 157"):
        H5adSource(path).read(ALL)


@pytest.mark.parametrize(
    ("x", "error", "text"),
    [
        ("layers/other", KeyError, r"no 'layers/other'; the file has X, layers/counts, obsm/pca$"),
        ("obsm/umap", KeyError, r"no 'obsm/umap'; the file has X, layers/counts, obsm/pca$"),
        ("raw/X", KeyError, r"no 'raw/X'; the file has X, layers/counts, obsm/pca$"),
        ("counts", ValueError, "x must be 'X', 'raw/X', 'layers/NAME' or 'obsm/NAME', but is 'counts'"),
        ("layers/", ValueError, "x must be 'X', 'raw/X', 'layers/NAME' or 'obsm/NAME', but is 'layers/'"),
        ("obs/kind", ValueError, "x must be 'X', 'raw/X', 'layers/NAME' or 'obsm/NAME', but is 'obs/kind'"),
        (None, ValueError, "x must be 'X', 'raw/X', 'layers/NAME' or 'obsm/NAME', but is None"),
    ],
)
def test_matrices_that_are_not_there(path: Path, x: str, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        H5adSource(path, x=x)


def test_a_file_without_x(tmp_path: Path) -> None:
    obs = pd.DataFrame(index=["a", "b"])
    anndata.AnnData(obs=obs, layers={"l": np.ones((2, 3))}).write_h5ad(tmp_path / "a.h5ad")
    with pytest.raises(KeyError, match=r"no 'X'; the file has layers/l$"):
        H5adSource(tmp_path / "a.h5ad")
    assert H5adSource(tmp_path / "a.h5ad", x="layers/l").n_vars == 3


def test_matrices_that_are_none(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["X"].attrs["encoding-type"] = "awkward-array"
        frame = file.create_group("obsm/frame")
        frame.attrs["encoding-type"] = "dataframe"
        file["layers/cube"] = np.ones((N_OBS, 2, 2))
        file["layers/text"] = np.full((N_OBS, N_VARS), b"a")
    with pytest.raises(
        ValueError, match="X is encoded as 'awkward-array', which is no matrix that can be read"
    ):
        H5adSource(path)
    with pytest.raises(ValueError, match="obsm/frame is encoded as 'dataframe'"):
        H5adSource(path, x="obsm/frame")
    with pytest.raises(
        ValueError, match=r"layers/cube must be a matrix of numbers, but has shape \(157, 2, 2\)"
    ):
        H5adSource(path, x="layers/cube")
    with pytest.raises(ValueError, match=r"layers/text must be a matrix of numbers, .* dtype \|S1"):
        H5adSource(path, x="layers/text")


def test_files_that_are_none(tmp_path: Path, path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.h5ad: no such file"):
        H5adSource(tmp_path / "none.h5ad")
    with pytest.raises(FileNotFoundError, match=r"no such file; sorted\(Path\('.*'\)\.glob\('\*\.h5ad'\)\)"):
        H5adSource(tmp_path / "*.h5ad")
    with pytest.raises(OSError, match="a folder, not an h5ad file, with h5ad files, 1 in number"):
        H5adSource(tmp_path)
    text = tmp_path / "text.h5ad"
    text.write_text("a,b\n1,2\n")
    with pytest.raises(OSError, match=r"text\.h5ad: not an HDF5 file, so not h5ad"):
        H5adSource(text)
    text.write_bytes(b"")
    with pytest.raises(OSError, match=r"text\.h5ad: not an HDF5 file, so not h5ad"):
        H5adSource(text)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(KeyError, match=r"other\.h5: no 'obs' and no 'var', so not h5ad; the file has x"):
        H5adSource(tmp_path / "other.h5")
    with pytest.raises(FileNotFoundError, match=r"none\.h5ad: no such file"):
        H5adSource([path, tmp_path / "none.h5ad"])


def test_a_file_cut_off_anywhere(tmp_path: Path, path: Path) -> None:
    whole = path.read_bytes()
    cut = tmp_path / "cut.h5ad"
    for share in (0.001, 0.01, 0.1, 0.3, 0.5, 0.9, 0.99):
        cut.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(
            OSError, match=r"cut\.h5ad: (the file is truncated, it was not written|not an HDF5)"
        ):
            H5adSource(cut)


def test_a_file_that_goes_away(path: Path) -> None:
    source = H5adSource(path)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"a\.h5ad: no such file"):
        source.read(ALL)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"x_format": "coo"}, "x_format must be one of dense, csr, but is 'coo'"),
        ({"join": "left"}, "join must be one of exact, inner, outer, but is 'left'"),
        ({"obs_join": "exact"}, "obs_join must be one of inner, outer, but is 'exact'"),
        ({"unknown": "drop"}, "unknown must be one of error, missing, but is 'drop'"),
        ({"dtype": "S3"}, r"dtype must be a type of numbers, but is \|S3"),
    ],
)
def test_wrong_options(path: Path, options: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        H5adSource(path, **options)


@pytest.mark.parametrize(
    ("rows", "error", "text"),
    [
        ([156, 157], IndexError, r"rows must be in \[0, 157\), but one is 157"),
        ([-1, 5], IndexError, r"rows must be in \[0, 157\), but one is -1"),
        ([3, 3], ValueError, r"rows must be strictly increasing, but rows\[0\] = 3 and rows\[1\] = 3"),
    ],
)
def test_wrong_rows(path: Path, rows: list[int], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        H5adSource(path).read(np.array(rows))
