"""Windows of a source that reads in order: one is planned while another is read."""

import copy
import pickle
import threading
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.sources.h5ad.h5ad_files import random_counts, write_h5ad
from tombola import BlockShuffling, H5adSource, Loader, _core

N_ROWS = 96
VALUES = np.arange(N_ROWS * 3, dtype=np.float32).reshape(N_ROWS, 3)


class Ordered:
    """Reads in order; window 1 is not there before another one is asked for, if `waits`."""

    def __init__(self, waits: bool) -> None:
        self.lock = threading.Lock()
        self.both = threading.Barrier(2, timeout=30)
        self.waits = waits
        self.under_way = self.most = self.windows = 0

    def __len__(self) -> int:
        return N_ROWS

    def read(self, rows: npt.NDArray[np.int64]) -> dict[str, Any]:
        number = self.begin()
        if self.waits and number in (1, 2):
            self.both.wait()
        with self.lock:
            self.under_way -= 1
        return {"X": VALUES[rows]}

    read_in_order = read

    def begin(self) -> int:
        with self.lock:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            self.windows += 1
            return self.windows - 1


def loader(source: Any, **options: Any) -> Loader:
    return Loader(source, BlockShuffling(4), 4, fetch_factor=2, seed=3, **options)


@pytest.mark.parametrize("prefetch", [2, 5])
def test_two_windows_are_under_way(prefetch: int) -> None:
    source = Ordered(waits=True)
    rows = [batch["row"].tolist() for batch in loader(source, prefetch=prefetch)]
    assert source.most == 2
    assert rows == [batch["row"].tolist() for batch in loader(Ordered(waits=False), prefetch=0)]


@pytest.mark.parametrize("options", [{"prefetch": 1}, {"fetch_transform": dict}])
def test_one_window_is_under_way(options: dict[str, Any]) -> None:
    source = Ordered(waits=False)
    assert sum(len(batch["row"]) for batch in loader(source, **options)) == N_ROWS
    assert source.most == 1


def test_turns_copy_as_new_ones() -> None:
    turns = _core.Turns()
    for other in (copy.copy(turns), copy.deepcopy(turns), pickle.loads(pickle.dumps(turns))):
        assert isinstance(other, _core.Turns)
        assert other is not turns


@pytest.mark.parametrize("rows_per_window", [16, 4096])
def test_windows_of_a_file_are_those_of_one_thread(tmp_path: Path, rows_per_window: int) -> None:
    path = write_h5ad(tmp_path / "cells.h5ad", random_counts(20_000, 30))
    source = H5adSource(path, x_format="csr")
    strategy = BlockShuffling(16)
    fetch_factor = rows_per_window // 16
    seen = [
        (batch["row"].numpy(), batch["X"].to_dense().numpy())
        for batch in Loader(source, strategy, 16, fetch_factor=fetch_factor, seed=1)
    ]
    again = Loader(source, strategy, 16, fetch_factor=fetch_factor, seed=1, prefetch=0)
    for (rows, values), batch in zip(seen, again, strict=True):
        assert np.array_equal(rows, batch["row"].numpy())
        assert np.array_equal(values, batch["X"].to_dense().numpy())
