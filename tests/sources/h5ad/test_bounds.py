"""`H5adSource.chunk_bounds` against its definition, and what an epoch by such blocks inflates."""

from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sources.h5ad.h5ad_files import N_OBS, dense, random_counts, rewrite_dataset, write_h5ad
from tombola import BlockShuffling, H5adSource, Loader
from tombola.sources.h5ad.bounds import _ends


def rechunked(path: Path, x: Any, chunk: Any, indices: Any = None) -> Path:
    """Write a matrix with chunks of so many values."""
    write_h5ad(path, x)
    if sp.issparse(x):
        for part, length in (("data", chunk), ("indices", chunk if indices is None else indices)):
            rewrite_dataset(path, f"X/{part}", chunks=length and (length,), compression=length and "gzip")
    else:
        rewrite_dataset(path, "X", chunks=chunk, compression=chunk and "gzip")
    return path


def plain_bounds(first_rows: list[int], n_rows: int, min_rows: int) -> list[int]:
    """Cut where a chunk begins as soon as a block has rows enough; what is left joins the last block."""
    bounds = [0]
    for row in sorted(set(first_rows)):
        if row - bounds[-1] >= min_rows and n_rows > row:
            bounds.append(row)
    if len(bounds) > 1 and n_rows - bounds[-1] < min_rows:
        bounds.pop()
    return [*bounds, n_rows] if n_rows else [0]


@pytest.mark.parametrize("min_rows", [1, 2, 16, 50, 156, 157, 1000])
@pytest.mark.parametrize("chunk", [1, 7, 100, 333, 10**6])
def test_sparse(tmp_path: Path, chunk: int, min_rows: int) -> None:
    x = random_counts()
    chunk = min(chunk, x.nnz)
    source = H5adSource(rechunked(tmp_path / "a.h5ad", x, chunk))
    first_rows = [int(np.flatnonzero(x.indptr >= start)[0]) for start in range(0, x.nnz, chunk)]
    bounds = source.chunk_bounds(min_rows=min_rows)
    assert bounds.dtype == np.int64
    assert bounds.tolist() == plain_bounds(first_rows, N_OBS, min_rows)
    rows = BlockShuffling(bounds=bounds).plan(len(source), batch_size=8, fetch_factor=4).indices()
    assert sorted(rows.tolist()) == list(range(N_OBS))


@pytest.mark.parametrize(("data", "indices"), [(50, 200), (200, 50), (200, None), (None, 200)])
def test_of_data_and_indices_the_longer_chunks_count(tmp_path: Path, data: Any, indices: Any) -> None:
    x = random_counts()
    write_h5ad(tmp_path / "a.h5ad", x)
    for part, length in (("data", data), ("indices", indices)):
        rewrite_dataset(tmp_path / "a.h5ad", f"X/{part}", chunks=length and (length,))
    same = H5adSource(rechunked(tmp_path / "b.h5ad", x, 200))
    bounds = H5adSource(tmp_path / "a.h5ad").chunk_bounds(min_rows=1)
    assert bounds.tolist() == same.chunk_bounds(min_rows=1).tolist()


@pytest.mark.parametrize("chunk", [(1, 23), (10, 5), (44, 23), (157, 23), None])
def test_dense(tmp_path: Path, chunk: Any) -> None:
    source = H5adSource(rechunked(tmp_path / "a.h5ad", random_counts().toarray(), chunk))
    for min_rows in (1, 16, 40, 1000):
        step = min_rows if chunk is None else chunk[0]
        expected = plain_bounds(list(range(0, N_OBS, step)), N_OBS, min_rows)
        assert source.chunk_bounds(min_rows=min_rows).tolist() == expected


def test_default(tmp_path: Path) -> None:
    source = H5adSource(rechunked(tmp_path / "a.h5ad", random_counts().toarray(), (5, 23)))
    assert source.chunk_bounds().tolist() == [*range(0, 141, 20), 157]


def test_values_in_one_piece_are_cut_into_blocks(tmp_path: Path) -> None:
    expected = [0, 50, 100, 157]
    in_one_piece = H5adSource(rechunked(tmp_path / "a.h5ad", random_counts(), None))
    assert in_one_piece.chunk_bounds(min_rows=50).tolist() == expected
    by_columns = H5adSource(write_h5ad(tmp_path / "b.h5ad", sp.csc_matrix(random_counts())))
    assert by_columns.chunk_bounds(min_rows=50).tolist() == expected
    with h5py.File(tmp_path / "a.h5ad", "r+") as file:
        del file["obsm"]
        pairs = np.zeros(N_OBS, dtype=[("pca", np.float32, (3,))])
        file.create_dataset("obsm", data=pairs, chunks=(10,))
    old = H5adSource(tmp_path / "a.h5ad", x="obsm/pca")
    assert old.chunk_bounds(min_rows=50).tolist() == expected


def test_files_share_no_block(tmp_path: Path) -> None:
    x = random_counts()
    paths = [
        rechunked(tmp_path / "a.h5ad", x, 100),
        rechunked(tmp_path / "b.h5ad", x[:9], 20),
        rechunked(tmp_path / "c.h5ad", x.toarray(), (30, 23)),
        write_h5ad(tmp_path / "d.h5ad", x[:0]),
        write_h5ad(tmp_path / "e.h5ad", x[:40]),
    ]
    source = H5adSource(paths)
    for min_rows in (1, 16, 1000):
        alone = [H5adSource(path).chunk_bounds(min_rows=min_rows) for path in paths]
        parts = [bounds[1:] + start for bounds, start in zip(alone, source.file_bounds, strict=False)]
        expected = np.concatenate([[0], *parts]).tolist()
        assert source.chunk_bounds(min_rows=min_rows).tolist() == expected
    assert np.isin(source.file_bounds, source.chunk_bounds(min_rows=1000)).all()
    part = source.files(2, 1)
    assert part.chunk_bounds(min_rows=16).tolist() == [0, 30, 60, 90, 120, 157, 166]


def test_no_rows_and_no_values(tmp_path: Path) -> None:
    x = random_counts()
    assert H5adSource(write_h5ad(tmp_path / "a.h5ad", x[:0])).chunk_bounds().tolist() == [0]
    nothing = sp.csr_matrix(np.zeros((40, 5), dtype=np.float32))
    anndata.AnnData(nothing).write_h5ad(tmp_path / "b.h5ad", compression="gzip")
    assert H5adSource(tmp_path / "b.h5ad").chunk_bounds(min_rows=1).tolist()[::39] in ([0], [0, 39])
    assert H5adSource(tmp_path / "b.h5ad").chunk_bounds(min_rows=1)[-1] == 40


@pytest.mark.parametrize(
    ("min_rows", "error", "message"),
    [
        (0, ValueError, "min_rows must be an integer >= 1, but is 0"),
        (2.0, TypeError, "min_rows must be an integer >= 1, but is 2.0"),
    ],
)
def test_wrong_min_rows(tmp_path: Path, min_rows: Any, error: type[Exception], message: str) -> None:
    source = H5adSource(write_h5ad(tmp_path / "a.h5ad", random_counts()))
    with pytest.raises(error) as caught:
        source.chunk_bounds(min_rows=min_rows)
    assert str(caught.value) == message


@given(
    starts=st.lists(st.integers(0, 70), max_size=40),
    n_rows=st.integers(0, 70),
    min_rows=st.integers(1, 80),
)
@settings(deadline=None, derandomize=True, max_examples=500, database=None)
def test_short_blocks_are_joined(starts: list[int], n_rows: int, min_rows: int) -> None:
    rows = np.array(sorted({0, *starts}), dtype=np.int64)
    ends = _ends(rows, n_rows, min_rows)
    assert [0, *ends.tolist()] == plain_bounds(rows.tolist(), n_rows, min_rows)
    lengths = np.diff(ends, prepend=0)
    assert (lengths >= min(min_rows, n_rows)).all()


def test_an_epoch_by_the_file_inflates_each_chunk_about_once(tmp_path: Path) -> None:
    """Count the chunks that each window touches: blocks and chunks together at most, against block 2."""
    x = random_counts(1500, 20)
    source = H5adSource(rechunked(tmp_path / "a.h5ad", x, 200), x_format="csr")
    chunks = -(-x.nnz // 200)
    touched = {}
    for name, strategy in (
        ("file", BlockShuffling(bounds=source.chunk_bounds())),
        ("2", BlockShuffling(block_size=2)),
    ):
        plan = strategy.plan(len(source), batch_size=8, fetch_factor=10)
        touched[name] = 0
        for start in range(0, len(plan), 10):
            rows = plan.batches(start, min(start + 10, len(plan)))[0]
            spans = zip(x.indptr[rows], x.indptr[rows + 1], strict=True)
            touched[name] += len(
                {c for first, last in spans for c in range(first // 200, -(-last // 200)) if last > first}
            )
    windows = -(-len(plan) // 10)
    assert touched["file"] <= 2 * chunks + 2 * windows
    assert touched["2"] > 2 * touched["file"]
    loader = Loader(source, BlockShuffling(bounds=source.chunk_bounds()), 8, fetch_factor=10)
    for batch in loader:
        assert np.array_equal(batch["X"].to_dense().numpy(), dense(x[batch["row"].numpy()]))
