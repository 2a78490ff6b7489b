"""Sparse rows as a container: taking rows and making them dense."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from tests.sources.h5ad.h5ad_files import random_counts
from tombola.sources import ArraySource, CsrRows, Source


def make_rows(matrix: sp.csr_matrix, *, as_dense: bool = False) -> CsrRows:
    indptr = matrix.indptr.astype(np.int64)
    return CsrRows(matrix.data, matrix.indices, indptr, matrix.shape, as_dense)


@pytest.mark.parametrize("density", [0.05, 1.0])
@pytest.mark.parametrize("n_vars", [1, 23, 400])
def test_take_is_indexing(density: float, n_vars: int) -> None:
    matrix = random_counts(60, n_vars, density=density)
    rows = make_rows(matrix, as_dense=True)
    positions = np.array([59, 0, 7, 7, 30, 31, 1])
    taken = rows.take(positions)
    expected = matrix[positions]
    assert (len(taken), taken.shape, taken.as_dense) == (7, expected.shape, True)
    np.testing.assert_array_equal(taken.indptr, expected.indptr)
    np.testing.assert_array_equal(taken.indices, expected.indices)
    np.testing.assert_array_equal(taken.data, expected.data)
    assert [taken.indices.dtype, taken.dtype] == [np.int32, np.float32]
    np.testing.assert_array_equal(taken.to_dense(), expected.toarray())


@given(st.data())
def test_take_is_indexing_for_any_shape(data: st.DataObject) -> None:
    n_rows, n_vars = data.draw(st.integers(1, 12)), data.draw(st.integers(0, 9))
    values = data.draw(st.lists(st.integers(0, 3), min_size=n_rows * n_vars, max_size=n_rows * n_vars))
    matrix = sp.csr_matrix(np.array(values, dtype=np.float64).reshape(n_rows, n_vars))
    positions = np.array(data.draw(st.lists(st.integers(0, n_rows - 1), max_size=20)), dtype=np.int64)
    taken = make_rows(matrix).take(positions)
    np.testing.assert_array_equal(taken.to_dense(), matrix.toarray()[positions])


@pytest.mark.parametrize("part", ["data", "indices", "indptr", "positions"])
def test_unaligned_arrays_are_taken_from(part: str) -> None:
    counts = random_counts(30, 40).astype(np.float32)
    positions = np.array([3, 29, 3, 0])
    parts = {"data": counts.data, "indices": counts.indices, "indptr": counts.indptr.astype(np.int64)}
    parts["positions"] = positions
    parts[part] = np.frombuffer(b"?" + parts[part].tobytes(), dtype=parts[part].dtype, offset=1)
    where = parts.pop("positions")
    rows = CsrRows(parts["data"], parts["indices"], parts["indptr"], counts.shape)
    assert rows._in_core == (part == "positions")
    assert rows._checked(where).flags.aligned
    expected = counts[positions].toarray()
    np.testing.assert_array_equal(rows.take(where).to_dense(), expected)
    np.testing.assert_array_equal(rows.take_dense(where), expected)


def test_nothing_taken() -> None:
    taken = make_rows(random_counts()).take(np.array([], dtype=np.int64))
    assert taken.shape == (0, 23)
    assert taken.to_dense().shape == (0, 23)


def test_to_dense_overwrites_what_it_is_given() -> None:
    matrix = random_counts(10, 5)
    out = np.full((10, 5), 7.0)
    assert make_rows(matrix).to_dense(out) is out
    np.testing.assert_array_equal(out, matrix.toarray())


@pytest.mark.parametrize(
    ("out", "text"),
    [
        (np.zeros((10, 4)), r"out must be C-contiguous of shape \(10, 5\), but has shape \(10, 4\)"),
        (np.zeros((5, 10)).T, r"out must be C-contiguous of shape \(10, 5\), but has shape \(10, 5\)"),
    ],
)
def test_to_dense_refuses_other_arrays(out: np.ndarray, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        make_rows(random_counts(10, 5)).to_dense(out)


@pytest.mark.parametrize("position", [-1, 10])
def test_take_refuses_positions_out_of_range(position: int) -> None:
    with pytest.raises(IndexError, match=r"positions must be in \[0, 10\), but run from"):
        make_rows(random_counts(10, 5)).take(np.array([3, position]))


def test_parts_must_fit() -> None:
    zeros = np.zeros(3, dtype=np.int64)
    with pytest.raises(ValueError, match="indptr must have 5 entries for 4 rows, but has 3"):
        CsrRows(zeros[:0], zeros[:0], zeros, (4, 2))
    with pytest.raises(
        ValueError, match="data and indices must have 0 entries as indptr says, but have 3 and 0"
    ):
        CsrRows(zeros, zeros[:0], zeros, (2, 2))


def test_a_source_is_known_by_its_methods() -> None:
    assert isinstance(ArraySource(np.zeros((2, 2))), Source)
    assert not isinstance(np.zeros((2, 2)), Source)
