"""X in the type asked for: digits may be lost, values never become others."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.sparse as sp
import torch

from tests.sources.h5ad.h5ad_files import dense, rewrite_dataset, write_h5ad
from tombola.sources import H5adSource
from tombola.sources.h5ad.casting import may_change

KINDS = ["csr", "csc", "dense", "obsm"]


def source(folder: Path, kind: str, values: Any, dtype: Any) -> H5adSource:
    path = folder / "a.h5ad"
    if kind == "obsm":
        write_h5ad(path, np.zeros((len(values), 2), np.float32), obsm={"m": values})
        return H5adSource(path, x="obsm/m", dtype=dtype)
    make: Any = {"csr": sp.csr_matrix, "csc": sp.csc_matrix, "dense": np.array}[kind]
    write_h5ad(path, make(values))
    return H5adSource(path, dtype=dtype)


def matrix(value: Any, dtype: Any) -> Any:
    """A matrix of ones whose row 5 holds this value."""
    values = np.ones((9, 4), dtype=dtype)
    values[5, 2] = value
    return values


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("value", "stored", "asked"),
    [
        (300, "int32", "uint8"),
        (300, "float32", "uint8"),
        (-1, "int16", "uint16"),
        (-1, "float64", "uint64"),
        (2**31, "uint32", "int32"),
        (2**31, "int64", "int32"),
        (2**63, "uint64", "int64"),
        (1.5, "float32", "int32"),
        (np.nan, "float64", "int64"),
        (np.inf, "float32", "int8"),
        (1e300, "float64", "float32"),
        (70_000, "float32", "float16"),
        (70_000, "int32", "float16"),
        (-70_000, "int64", "float16"),
        (2.0**63, "float64", "int64"),
        (2, "int8", "bool"),
        (0.5, "float32", "bool"),
    ],
)
def test_a_value_that_would_become_another(
    tmp_path: Path, kind: str, value: Any, stored: str, asked: str
) -> None:
    made = source(tmp_path, kind, matrix(value, stored), asked)
    others = np.array([0, 1, 4, 6, 8])
    np.testing.assert_array_equal(dense(made.read(others)["X"]), np.ones((5, 4)))
    for rows in (np.arange(9), np.array([1, 5]), np.array([5])):
        with pytest.raises(
            ValueError, match=rf"a\.h5ad: .*in row 5 cannot be given as {asked}, but as {stored}$"
        ):
            made.read(rows)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("values", "stored", "asked"),
    [
        ([0, 1, 255], "int64", "uint8"),
        ([0, 1, 255], "float32", "uint8"),
        ([-128, 3, 127], "float64", "int8"),
        ([0, 1, 1], "int8", "bool"),
        ([2**24 + 1, 1, 2], "int64", "float32"),  # digits are lost, no more
        ([0.1, 1, 2], "float64", "float32"),
        ([np.inf, -np.inf, np.nan], "float64", "float16"),
        ([65_504, 1e-9, 2], "float64", "float16"),
        ([2**62, 1, 0], "float64", "int64"),
        ([2**53, 1, 2], "uint64", "float32"),
    ],
)
def test_a_value_that_fits(tmp_path: Path, kind: str, values: Any, stored: str, asked: str) -> None:
    x = np.array([values, values[::-1], values], dtype=stored)
    part = dense(source(tmp_path, kind, x, asked).read(np.array([0, 2]))["X"])
    assert part.dtype == asked
    np.testing.assert_array_equal(part, x[[0, 2]].astype(asked))


def test_half_floats_of_the_other_byte_order(tmp_path: Path) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", np.ones((2, 2), np.float32))
    rewrite_dataset(path, "X", dtype=">f2")
    with h5py.File(path, "r+") as file:
        file["X"][1] = [65_504, np.inf]
    read = H5adSource(path, dtype="int32")
    assert dense(read.read(np.array([0]))["X"]).tolist() == [[1, 1]]
    with pytest.raises(ValueError, match="inf in row 1 cannot be given as int32"):
        read.read(np.array([1]))


def test_sums_of_one_place_do_not_wrap(tmp_path: Path) -> None:
    x = sp.csr_matrix((np.array([100, 100, 3], np.int8), [1, 1, 0], [0, 0, 3]), shape=(2, 2))
    path = write_h5ad(tmp_path / "a.h5ad", x)
    assert dense(H5adSource(path).read(np.arange(2))["X"]).tolist() == [[0, 0], [3, 200]]
    with pytest.raises(
        ValueError, match=r"a\.h5ad: X/data: values of one place add up to 200 in row 1, beyond int8"
    ):
        H5adSource(path, dtype="int8").read(np.arange(2))


def test_types_of_torch(tmp_path: Path) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", np.ones((3, 2), np.float32))
    for dtype in (torch.float16, torch.float64, torch.uint8, torch.bool):
        assert f"torch.{H5adSource(path, dtype=dtype).dtype}" == str(dtype)
    source = H5adSource(path, dtype=torch.bfloat16)
    assert (source.dtype, source.batch_dtype) == (np.dtype("float32"), "bfloat16")
    with pytest.raises(TypeError, match="dtype must be a type of numbers, but is 'number'"):
        H5adSource(path, dtype="number")


def test_what_may_change() -> None:
    kinds = ["bool", "int8", "uint8", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64"]
    for stored in map(np.dtype, kinds):
        for asked in map(np.dtype, kinds):
            if np.can_cast(stored, asked, "safe"):
                assert not may_change(stored, asked)
    assert not may_change(np.dtype("int64"), np.dtype("float32"))
    assert may_change(np.dtype("uint16"), np.dtype("float16"))
    assert not may_change(np.dtype("int16"), np.dtype("float16"))
    assert may_change(np.dtype("float64"), np.dtype("float32"))
