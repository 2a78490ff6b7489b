"""Suggested block sizes and fetch factors, each rule by a case, and the lengths of runs."""

from typing import Any

import numpy as np
import pytest

from tombola.experiments.suggestion import mean_run, suggest


def description(
    n_rows: int, *, compression: str | None = None, chunk_rows: float | None = 24.0
) -> dict[str, Any]:
    return {"n_obs": n_rows, "files": [{"compression": compression, "chunk_rows": chunk_rows}]}


@pytest.mark.parametrize(
    ("codes", "expected"),
    [([], 0.0), ([3], 1.0), ([1, 1, 1, 1], 4.0), ([1, 2, 1, 2], 1.0), ([0, 0, 0, 5, 5, 5], 3.0)],
)
def test_mean_run(codes: list[int], expected: float) -> None:
    assert mean_run(np.array(codes, dtype=np.int64)) == expected


@pytest.mark.parametrize(
    ("compression", "chunk_rows", "block_size", "reason"),
    [
        (None, 24.0, 16, "not compressed"),
        (None, None, 16, "not compressed"),
        ("gzip", 24.0, 16, "gzip chunks hold about 24 rows"),
        ("gzip", 44.0, 32, "gzip chunks hold about 44 rows"),
        ("lzf", 1000.0, 64, "bounded by 64"),
        ("gzip", 1.5, 4, "at least 4"),
    ],
)
def test_blocks_follow_compressed_chunks(
    compression: str | None, chunk_rows: float | None, block_size: int, reason: str
) -> None:
    advice = suggest(description(10**6, compression=compression, chunk_rows=chunk_rows), {})
    assert advice.block_size == block_size
    assert reason in advice.block_reason


def test_blocks_stay_small_where_labels_are_sorted() -> None:
    files = description(10**6, compression="gzip", chunk_rows=64.0)
    advice = suggest(files, {"drug": 5000.0, "phase": 2.0})
    assert advice.block_size == 16
    assert "sorted by 'drug' (runs of 5,000)" in advice.block_reason
    assert suggest(files, {"drug": 3.0}).block_size == 64


@pytest.mark.parametrize(
    ("compression", "chunk_rows", "n_rows", "mixes"),
    [
        ("gzip", 24.0, 10**6, "24 rows is inflated about once an epoch, and a window still mixes about 683"),
        (
            "gzip",
            61.0,
            10**6,
            "about 61 rows is inflated about once an epoch, and a window still mixes about",
        ),
        ("lzf", 128.0, 10**6, "mixes about 128 of them"),
        ("gzip", 129.0, 10**6, None),  # too few in a window
        ("gzip", 61.0, 20_000, None),
        ("gzip", 3.0, 10**6, None),  # smaller than a block
        (None, 61.0, 10**6, None),
        ("gzip", None, 10**6, None),
    ],
)
def test_blocks_that_follow_the_file(
    compression: str | None, chunk_rows: float | None, n_rows: int, mixes: str | None
) -> None:
    advice = suggest(description(n_rows, compression=compression, chunk_rows=chunk_rows), {})
    assert advice.bounds_reason is None if mixes is None else mixes in (advice.bounds_reason or "")


@pytest.mark.parametrize(
    ("n_rows", "batch_size", "fetch_factor"),
    [(10**6, 64, 256), (163_840, 64, 256), (163_839, 64, 128), (700, 64, 1), (1, 64, 1), (10_000, 10, 64)],
)
def test_windows_are_at_most_a_tenth_of_the_rows(n_rows: int, batch_size: int, fetch_factor: int) -> None:
    advice = suggest(description(n_rows), {}, batch_size=batch_size)
    assert advice.fetch_factor == fetch_factor
    assert fetch_factor == 1 or fetch_factor * batch_size * 10 <= n_rows
