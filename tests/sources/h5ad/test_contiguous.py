"""Datasets without chunks, which the core reads from where they lie, and those that HDF5 must."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sources.h5ad.chunk_files import read, sample
from tests.sources.h5ad.test_chunks import KINDS


@pytest.mark.parametrize("kind", KINDS)
@given(cuts=st.lists(st.integers(0, 150), max_size=20), width=st.integers(0, 3))
def test_datasets_without_chunks(
    tmp_path_factory: pytest.TempPathFactory, kind: str, cuts: list[int], width: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "contiguous.h5"
    values = sample((150, width) if width else (150,), kind)
    with h5py.File(path, "w") as out:
        out.create_dataset("x", data=values)
    edges = sorted(cuts)
    runs = list(zip(edges[::2], edges[1::2], strict=False))
    expected = np.concatenate([values[:0], *(values[a:b] for a, b in runs)]).astype(kind)
    assert read(path, runs).tobytes() == expected.tobytes()


def test_datasets_in_one_piece_that_hdf5_reads(tmp_path: Path) -> None:
    path, values = tmp_path / "x.h5", sample((100,), "f4")
    with h5py.File(path, "w") as out:  # never written
        out.create_dataset("x", (100,), "f4", fillvalue=2.5)
    assert read(path, [(3, 9)]).tolist() == [2.5] * 6
    with h5py.File(path, "w") as out:  # within its header
        compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        compact.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple((100,))
        h5py.h5d.create(out.id, b"x", h5py.h5t.IEEE_F32LE, space, compact)
        out["x"][:] = values
    assert read(path, [(3, 9)], by_core=False).tolist() == values[3:9].tolist()
    with h5py.File(path, "w") as out:  # in another file
        out.create_dataset("x", data=values, external=[(tmp_path / "raw", 0, h5py.h5f.UNLIMITED)])
    assert read(path, [(3, 9)], by_core=False).tolist() == values[3:9].tolist()
    with h5py.File(path, "w", userblock_size=512) as out:
        out.create_dataset("x", data=values)
    assert read(path, [(3, 9)], by_core=False).tolist() == values[3:9].tolist()
