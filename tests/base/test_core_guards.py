"""What the package checks before it calls the core: the core refuses it itself, and touches nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tombola import _core

I64 = np.arange(4)
F64 = np.ones(4)
F32 = np.ones(4, dtype=np.float32)
I32 = np.arange(4, dtype=np.int32)
WIDE = np.ones(4, dtype=np.complex128)
POINTERS = np.array([0, 2, 4])
OUT = np.zeros((2, 4))
BATCHING: dict[str, Any] = {"batch_size": 2, "fetch_factor": 1, "drop_last": False, "seed": 0, "epoch": 0}


def plan() -> _core.Plan:
    return _core.plan_streaming(4, shuffle=False, **BATCHING)


def groups() -> _core.Groups:
    return _core.Groups.from_keys(np.array([5, 7, 5, 7]))


def transform(*changes: Any, **work: Any) -> Any:
    """Call csr_transform, the first arguments changed."""
    given: list[Any] = [F64.copy(), I32.copy(), POINTERS, [4], None]
    given[: len(changes)] = changes
    options: dict[str, Any] = {"n_columns": 4, "target": 0.0, "log1p": False, "mean": None, "factor": None}
    return _core.csr_transform(*given, **(options | work))


def dense(map: Any = 4, dtype: Any = np.float64, **work: Any) -> _core.DenseWork:
    options: dict[str, Any] = {"n_columns": 4, "target": 0.0, "log1p": False, "mean": None, "factor": None}
    return _core.DenseWork(map, dtype=np.dtype(dtype), **(options | work))


def compact(starts: Any, places: Any, out: Any = None) -> None:
    out = F64.copy() if out is None else out
    _core.csr_compact(F64, I32, np.array(starts), np.array(places), out, I32.copy())


def undeclared(argument: Any) -> Any:
    """Return an argument of a type that the stub does not allow."""
    return argument


CALLS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (
        lambda: _core.check_increasing(np.zeros((2, 2), dtype=np.int64)),
        ValueError,
        "one dimension, but has 2",
    ),
    (lambda: _core.check_increasing(I64[::2]), ValueError, "indices must be contiguous"),
    (lambda: _core.hash_array(OUT[:, 1]), ValueError, "the array must be contiguous"),
    (lambda: _core.permutation(2**61 + 1, 0), ValueError, "n must be at most"),
    (
        lambda: _core.RandomPermutation(9, 0).fill(3, 10),
        IndexError,
        r"in \[0, 9\], but is \[3, 10\)",
    ),
    (lambda: _core.RandomPermutation(9, 0).at(9), IndexError, r"must lie in \[0, 9\), but is 9"),
    (lambda: plan().offset(3), IndexError, r"the batch must lie in \[0, 2\], but is 3"),
    (lambda: plan().batches(1, 3), IndexError, r"the batches must lie in \[0, 2\], but are \[1, 3\)"),
    (
        lambda: _core.Groups.from_keys(undeclared(F64)),
        TypeError,
        "keys must have dtype int8, .* have float64",
    ),
    (lambda: groups().members_of(2), IndexError, r"the group must lie in \[0, 2\), but is 2"),
    (
        lambda: _core.plan_series(
            groups(), schedule=undeclared("x"), per_series=1, shuffle=False, **BATCHING
        ),
        ValueError,
        'schedule must be "balanced" or "round_robin", but is "x"',
    ),
    (
        lambda: _core.plan_buckets(groups(), batch_sizes=I64[:0], shuffle=False, **BATCHING),
        ValueError,
        "one entry for each of the 2 buckets, but have 0",
    ),
    (lambda: _core.WeightTable.from_values(undeclared(I64)), TypeError, "float32 or float64, but have int64"),
    (lambda: _core.WeightTable.from_codes(undeclared(F64), F64), TypeError, "codes must have dtype int8"),
    (
        lambda: _core.WeightTable.from_codes(I64, F64, None, I64[:2]),
        ValueError,
        "each of the 4 classes",
    ),
    (lambda: _core.csr_take(F64, I32, I64[:0], I64), ValueError, "indptr must have at least one entry"),
    (
        lambda: _core.csr_dense(F64, I32, POINTERS, 4, 0, OUT[:, :3]),
        ValueError,
        "out must be C-contiguous, as wide as the matrix",
    ),
    (lambda: _core.csr_dense(F64, I32, POINTERS, 4, 0, OUT, F32), ValueError, "background must have a value"),
    (
        lambda: _core.csr_dense(WIDE, I32, POINTERS, 4, 0, np.zeros((2, 4), dtype=WIDE.dtype)),
        TypeError,
        "at most 8 bytes, but has dtype complex128",
    ),
    (lambda: transform(F64, I32, np.array([0, 3, 2])), ValueError, "indptr must rise from 0 to at most 4"),
    (lambda: transform(F64, I32, np.array([0, 5])), ValueError, "indptr must rise from 0 to at most 4"),
    (lambda: transform(F64, I32, I64[:0]), ValueError, "indptr must have at least one entry"),
    (lambda: transform(F64, I32, POINTERS, [5]), ValueError, r"columns in \[0, 4\), but one leads to 4"),
    (lambda: transform(F64, I32, POINTERS, []), ValueError, "must say of each row where its columns go"),
    (lambda: transform(F64, I32, POINTERS, [4], I32[:1]), ValueError, "must say of each row where its"),
    (lambda: transform(F64, I32, POINTERS, [4], I32[:2]), ValueError, r"in \[0, 1\), but one is 1"),
    (lambda: transform(mean=F64[:3]), ValueError, "mean must have 4 entries, but has 3"),
    (
        lambda: transform(I64.copy(), log1p=True),
        TypeError,
        "float32 or float64 to be worked on",
    ),
    (lambda: transform(WIDE.copy()), TypeError, "at most 8 bytes, but has dtype complex128"),
    (lambda: compact([0, 4], [0, 4], F32), ValueError, "must have the types and rows of those given"),
    (lambda: compact([0, 1, 4], [0, 2, 4]), ValueError, "rows must not become longer, but row 0 does"),
    (lambda: dense(3), ValueError, "columns that stay must be as many as those given"),
    (lambda: dense().apply(OUT, None, OUT[:, :3]), ValueError, "rows of 32 bytes and out of 32 bytes"),
    (lambda: dense().apply(OUT, None, OUT[:1]), ValueError, "a place for each of 2 rows"),
    (lambda: dense().apply(OUT, np.array([0, 2]), OUT), ValueError, r"in \[0, 2\), but one is 2"),
    (
        lambda: _core.round_to_bfloat16(F32, np.zeros(3, dtype=np.uint16)),
        ValueError,
        "words must be as many as values",
    ),
    (
        lambda: _core.read_rows([undeclared((None, I64, I64, None, OUT, None, None, None))]),
        TypeError,
        "has None",
    ),
    (lambda: _core.ArrivingColumns(undeclared(F64), 4), TypeError, "indices must"),
    (lambda: _core.ArrivingColumns(I32, -1), ValueError, "n_columns must be an integer >= 0"),
]


@pytest.mark.parametrize(("call", "error", "says"), CALLS)
def test_the_core_refuses(call: Callable[[], Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        call()


@pytest.mark.parametrize("given", ["places", "array", "type"])
def test_columns_that_are_checked_are_those_that_are_read(given: str) -> None:
    with Path(__file__).open("rb") as file:
        data_file = _core.DataFile(__file__.encode(), descriptor=file.fileno())
    where = np.zeros(1, dtype=np.uint64)
    reader = _core.ChunkReader(
        data_file,
        rows=4,
        row_bytes=4,
        chunk_rows=4,
        chunk_row_bytes=4,
        item_bytes=4,
        filters=[],
        fill=bytes(4),
        addresses=where,
        sizes=where + 16,
        skipped=np.zeros(1, dtype=np.uint32),
        inflate=None,
        zstd=None,
    )
    out = np.zeros(4, dtype=np.int32)
    columns = _core.ArrivingColumns(out.view(np.int64) if given == "type" else out, 4)
    read = out.copy() if given == "array" else out
    run = np.array([0]), np.array([4])
    places = None if given == "places" else run[0]
    with pytest.raises(ValueError, match="columns must be the array that the job reads"):
        _core.read_rows([(reader, *run, places, read.view(np.uint8), None, None, columns)])
    columns = _core.ArrivingColumns(out, 2**31 - 1)
    assert _core.read_rows([(reader, *run, run[0], out.view(np.uint8), None, None, columns)]) is None
    assert columns.result() == (True, bool((np.diff(out) > 0).all()))
    assert out.tobytes() == Path(__file__).read_bytes()[:16]


@pytest.mark.parametrize(
    ("slots", "weights"),
    [
        ([0, 1, 2, 3], F64),
        (I64, [1.0] * 4),
        (I32, F64),
        (I64, F32),
        (np.arange(8)[::2], F64),
        (I64, np.ones(8)[::2]),
        (I64.reshape(2, 2), F64),
        (I64.astype(">i8"), F64),
        (np.ma.masked_array(I64), F64),
    ],
)
def test_a_tree_changes_by_arrays_of_the_core_alone(slots: Any, weights: Any) -> None:
    tree = _core.SumTree(4)
    assert not tree.try_update(slots, weights)
    assert tree.n_positive == 0
    assert tree.try_update(I64, F64)
    assert tree.weights().tolist() == F64.tolist()


def test_rows_without_values_are_nothing_to_do() -> None:
    dense().apply(OUT[:0], None, OUT)
    assert not OUT.any()
