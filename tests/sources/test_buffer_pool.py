"""Memory of dropped arrays is used again, and only of dropped ones."""

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.sources.h5ad.h5ad_files import dense, random_counts, write_h5ad
from tombola import H5adSource, _core

SIZE = 1 << 20  # below a megabyte nothing is kept


def address(array: Any) -> int:
    return int(array.__array_interface__["data"][0])


def make(*, keep: int = 2, limit: int = 1 << 30) -> _core.BufferPool:
    return _core.BufferPool(keep=keep, limit=limit)


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "i8", "?", "f2", ">f4"])
@pytest.mark.parametrize("size", [0, 1, SIZE])
def test_arrays_are_ordinary(dtype: str, size: int) -> None:
    array = make().empty(size, np.dtype(dtype))
    assert array.shape == (size,)
    assert array.dtype == dtype
    assert array.flags.writeable
    assert array.flags.c_contiguous
    assert array.flags.aligned
    array[:] = 1
    assert array.astype(np.int64).sum() == size


def test_memory_of_a_dropped_array_is_used_again() -> None:
    pool = make()
    first = pool.empty(SIZE, np.dtype("f4"))
    where = address(first)
    assert pool.waiting == 0
    del first
    assert pool.waiting == 1
    again = pool.empty(SIZE + SIZE // 8, np.dtype("i4"))
    assert pool.waiting == 0
    assert address(again) == where
    too_large = pool.empty(2 * SIZE, np.dtype("i4"))
    assert len(too_large) == 2 * SIZE


@pytest.mark.parametrize(
    "hold",
    [
        lambda array: array[5:],
        lambda array: array[4:][8:],
        lambda array: array.view(np.int32).reshape(2, -1)[1],
        torch.from_numpy,
        lambda array: torch.from_numpy(array[7:])[3:],
        memoryview,
        lambda array: np.frombuffer(array, dtype=np.uint8),
    ],
)
def test_memory_that_anything_looks_at_is_not_used_again(hold: Any) -> None:
    pool = make()
    array = pool.empty(SIZE, np.dtype("f4"))
    where = address(array)
    array[:] = 3
    held = hold(array)
    del array
    assert pool.waiting == 0
    other = pool.empty(SIZE, np.dtype("f4"))
    other[:] = 5
    assert address(other) != where
    assert np.unique(np.asarray(held).reshape(-1).view(np.uint8)).tolist() == [0, 64]  # 3.0 is 0x40400000
    del held
    assert pool.waiting == 1
    third = pool.empty(SIZE, np.dtype("f4"))
    assert address(third) == where


def test_the_smallest_that_fits_is_taken() -> None:
    pool = make()
    large, small = (pool.empty(size, np.dtype("f8")) for size in (SIZE + SIZE // 2, SIZE))
    where_large, where_small = address(large), address(small)
    del large, small
    first = pool.empty(SIZE, np.dtype("f8"))
    second = pool.empty(SIZE, np.dtype("f8"))
    assert [address(first), address(second)] == [where_small, where_large]


@pytest.mark.parametrize("size", [0, 10, SIZE - 1, 4 * SIZE])
def test_memory_more_than_twice_as_large_waits_on(size: int) -> None:
    pool = make()
    large = pool.empty(36 * SIZE, np.dtype("u1"))
    where = address(large)
    del large
    other = pool.empty(size, np.dtype("u1"))
    assert pool.waiting == 1
    assert address(other) != where
    again = pool.empty(21 * SIZE, np.dtype("u1"))  # 36 and an eighth are 40.5
    assert pool.waiting == 0
    assert address(again) == where


def test_little_memory_is_not_pooled() -> None:
    pool = make()
    for size in (0, 10, SIZE - 1):
        array = pool.empty(size, np.dtype("u1"))
        del array
        assert pool.waiting == 0
    array = pool.empty(SIZE, np.dtype("u1"))
    where = address(array)
    del array
    assert pool.waiting == 1
    small = pool.empty(SIZE - 1, np.dtype("u1"))
    assert pool.waiting == 1
    assert address(small) != where


@pytest.mark.parametrize("size", [4 * SIZE, 4 * SIZE - 5, 4 * SIZE * 8 // 9 + 1])
def test_what_is_asked_for_up_to_the_limit_is_kept(size: int) -> None:
    pool = make(limit=4 * SIZE)
    array = pool.empty(size, np.dtype("u1"))
    where = address(array)
    del array
    assert pool.waiting == 1
    again = pool.empty(4 * SIZE, np.dtype("u1"))
    assert address(again) == where


def test_no_more_is_kept_than_said() -> None:
    dtype = np.dtype("f4")
    for pool in (make(keep=0), make(limit=4 * SIZE - 1)):
        array = pool.empty(SIZE, dtype)
        other = pool.empty(SIZE, dtype)
        del array, other
        assert pool.waiting == 0
    pool = make(keep=2)
    arrays = [pool.empty(SIZE, dtype) for _ in range(4)]
    places = [address(array) for array in arrays]
    while arrays:
        arrays.pop(0)
    assert pool.waiting == 2
    again = [pool.empty(SIZE, dtype) for _ in range(2)]
    assert {address(array) for array in again} == set(places[2:])


def test_no_more_bytes_are_kept_together_than_said() -> None:
    pool = _core.BufferPool(keep=9, limit=8 * SIZE, total=10 * SIZE)  # each takes 4.5 SIZE
    pool = pickle.loads(pickle.dumps(pool))
    arrays = [pool.empty(SIZE, np.dtype("f4")) for _ in range(4)]
    places = [address(array) for array in arrays]
    while arrays:
        arrays.pop(0)
    assert pool.waiting == 2
    again = [pool.empty(SIZE, np.dtype("f4")) for _ in range(2)]
    assert {address(array) for array in again} == set(places[2:])
    again.clear()
    large = pool.empty(8 * SIZE, np.dtype("u1"))
    del large
    assert pool.waiting == 1  # the two that waited longer had to go


def test_arrays_outlive_their_pool() -> None:
    pool = make()
    array = pool.empty(SIZE, np.dtype("i8"))
    array[:] = 7
    del pool
    assert int(array.sum()) == 7 * SIZE


def test_a_copy_is_an_empty_pool() -> None:
    pool = make(keep=1)
    array = pool.empty(SIZE, np.dtype("f4"))
    del array
    for other in (pickle.loads(pickle.dumps(pool)), copy.deepcopy(pool)):
        assert (pool.waiting, other.waiting) == (1, 0)
        arrays = [other.empty(SIZE, np.dtype("f4")) for _ in range(2)]
        arrays.clear()
        assert other.waiting == 1


def test_what_cannot_be_is_refused() -> None:
    pool = make()
    with pytest.raises(TypeError, match="dtype must be one of numbers, but is object"):
        pool.empty(3, np.dtype(object))
    with pytest.raises(ValueError, match="size must be an integer >= 0, but is -1"):
        pool.empty(-1, np.dtype("f4"))
    with pytest.raises(ValueError, match="size must be smaller, but is"):
        pool.empty(2**62, np.dtype("f8"))
    with pytest.raises(ValueError, match="keep must be an integer >= 0, but is -1"):
        make(keep=-1)
    with pytest.raises(ValueError, match=r"^keep must be at most 1024, but is 1025$"):
        make(keep=1025)
    with pytest.raises(ValueError, match=r"^keep must be at most 1024, but is "):
        make(keep=2**63 - 1)
    with pytest.raises(ValueError, match="total must be an integer >= 0, but is -1"):
        _core.BufferPool(keep=1, limit=1, total=-1)
    assert make(keep=1024).waiting == 0


@pytest.mark.parametrize("kind", ["csr", "dense"])
@pytest.mark.parametrize("x_format", ["csr", "dense"])
def test_rows_that_are_still_held_stay_as_they_were(tmp_path: Path, kind: str, x_format: Any) -> None:
    counts = random_counts(2_000, 1_500)
    path = write_h5ad(tmp_path / "a.h5ad", counts if kind == "csr" else counts.toarray())
    source = H5adSource(path, x_format=x_format)
    parts = [np.arange(start, start + 1_000) for start in (0, 500, 1_000)]
    held = [source.read(rows)["X"] for rows in parts]
    for rows, x in zip(parts, held, strict=True):
        np.testing.assert_array_equal(dense(x), counts[rows].toarray())
    del x
    before = source._rows["X"].memory.waiting
    held.pop(0)
    if kind == "csr" or x_format == "dense":  # else the window is made by concatenation
        assert before == 0
        assert source._rows["X"].memory.waiting == (2 if kind == "csr" else 1)
    again = source.read(parts[2])["X"]
    for rows, x in ((parts[1], held[0]), (parts[2], held[1]), (parts[2], again)):
        np.testing.assert_array_equal(dense(x), counts[rows].toarray())
    assert pickle.loads(pickle.dumps(source))._rows["X"].memory.waiting == 0
