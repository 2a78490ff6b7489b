"""Windows of a source that reads in order: one is planned while another is read."""

import copy
import pickle
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.sources.h5ad.h5ad_files import random_counts, write_h5ad
from tombola import BlockShuffling, H5adSource, Loader, Streaming, _core
from tombola.loading.windows import windows_at_once

N_ROWS = 96
VALUES = np.arange(N_ROWS * 3, dtype=np.float32).reshape(N_ROWS, 3)


class Ordered:
    """Reads in order; window 1 is not there before another one is asked for, if `waits`."""

    windows_at_once = 2

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


class ReadsItsOwnWay(Ordered):
    def read_in_order(self, rows: npt.NDArray[np.int64]) -> dict[str, Any]:
        return super().read_in_order(rows)


class Replaced(Ordered):
    def __init__(self, waits: bool) -> None:
        super().__init__(waits)
        self.read_in_order = self.read  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (Ordered, {"prefetch": 1}),
        (Ordered, {"fetch_transform": dict}),
        (ReadsItsOwnWay, {}),
        (Replaced, {}),
    ],
)
def test_one_window_is_under_way(kind: type[Ordered], options: dict[str, Any]) -> None:
    source = kind(waits=False)
    assert sum(len(batch["row"]) for batch in loader(source, **options)) == N_ROWS
    assert source.most == 1


def test_files_are_asked_for_two_windows_at_once(tmp_path: Path) -> None:
    source = H5adSource(write_h5ad(tmp_path / "cells.h5ad", random_counts(20, 3)))
    assert windows_at_once(source) == 2

    class Own(H5adSource):
        def read(self, rows: npt.NDArray[np.int64]) -> dict[str, Any]:
            return super().read(rows)

    assert windows_at_once(Own(source.paths)) == 1


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no such signals")
def test_a_handler_may_wait_for_windows_of_the_source_that_it_interrupts(tmp_path: Path) -> None:
    counts = random_counts(4_000, 300)
    source = H5adSource(
        write_h5ad(tmp_path / "cells.h5ad", counts, options={"compression": "gzip"}), x_format="csr"
    )
    taken: list[int] = []

    def take(*_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        taken.append(len(next(iter(Loader(source, Streaming(), 64, 4)))["row"]))

    before = signal.signal(signal.SIGALRM, take)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.03)
        while not taken:
            assert source.read_in_order(np.arange(4_000)) is not None
        assert taken == [64]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


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
