"""Threads that share a sampler or a loader: each pass that one of them begins is an epoch of its own."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from tests.loading.rows import DATA, N_ROWS, STRATEGY, make_loader, make_sampler, planned, rows
from tombola import ArraySource, DataLoader, Loader


@pytest.mark.parametrize("what", ["loader", "batch sampler", "dataloader"])
def test_threads_that_begin_passes_at_once_get_an_epoch_each(what: str) -> None:
    n_threads = 6

    class Slow(ArraySource):
        def read(self, rows: Any) -> Any:
            time.sleep(0.02)  # long enough for the others to come
            return super().read(rows)

    values = np.arange(N_ROWS, dtype=np.float32)[:, np.newaxis]
    loader: Any = Loader(Slow(values), STRATEGY, batch_size=4, fetch_factor=3)
    if what == "batch sampler":
        loader = make_sampler(as_array=True)
    elif what == "dataloader":
        loader = DataLoader(DATA, batch_sampler=make_sampler())
    together = threading.Barrier(n_threads)

    def train(_: int) -> list[list[int]]:
        together.wait()
        return rows(loader)

    with ThreadPoolExecutor(n_threads) as threads:
        passes = list(threads.map(train, range(n_threads)))
    assert sorted(passes) == sorted(planned(epoch) for epoch in range(n_threads))
    assert loader.epoch == n_threads


def test_a_pass_that_fails_at_once_lets_others_begin() -> None:
    class Failing(ArraySource):
        def read(self, rows: Any) -> Any:
            raise OSError("gone")

    loader = Loader(Failing(np.zeros((N_ROWS, 1), dtype=np.float32)), STRATEGY, batch_size=4)
    for _ in range(2):
        with pytest.raises(OSError, match="gone"):
            next(iter(loader))
        assert loader.epoch == 0  # a pass that handed out nothing is none
    with ThreadPoolExecutor(3) as threads:
        for failed in [threads.submit(next, iter(loader)) for _ in range(6)]:
            with pytest.raises(OSError, match="gone"):
                failed.result(timeout=30)


def test_a_pass_may_begin_while_another_one_reads() -> None:
    """As a hook of the first window may look at the loader."""
    looks: list[list[int]] = []

    def fetch_transform(window: dict[str, Any]) -> dict[str, Any]:
        if not looks:
            looks.append([])
            looks[0] = next(iter(loader))["row"].tolist()
        return window

    loader = make_loader(fetch_transform=fetch_transform)
    assert rows(loader) == planned(0)
    assert looks == planned(1)[:1]
    assert loader.epoch == 2
