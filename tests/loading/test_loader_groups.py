"""The loader over series and buckets: batches of the plan, rows of a window read once and in order."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tombola import ArraySource, Bucketed, Loader, SeriesRoundRobin, Strategy

N_ROWS = 5_000
ROWS = np.arange(N_ROWS)
SERIES = ROWS * 7919 % 1_231
LENGTHS = ROWS * 7919 % 97 + 1


class Watched(ArraySource):
    """Remembers the windows it has read."""

    def __init__(self) -> None:
        super().__init__(ROWS[:, np.newaxis] * np.float32(0.5), series=SERIES)
        self.windows: list[list[int]] = []

    def read(self, rows: npt.NDArray[np.int64]) -> dict[str, Any]:
        self.windows.append(rows.tolist())
        return super().read(rows)


STRATEGIES = {
    "series": SeriesRoundRobin(SERIES),
    "series by name": SeriesRoundRobin([f"series {key}" for key in SERIES], per_series=2),
    "rounds": SeriesRoundRobin(SERIES, schedule="round_robin"),
    "buckets": Bucketed(LENGTHS, n_buckets=10, max_tokens=500),
}


@pytest.mark.parametrize("fetch_factor", [7, 256])
@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES.keys())
def test_windows_are_read_once_and_in_order(strategy: Strategy, fetch_factor: int) -> None:
    source = Watched()
    loader = Loader(source, strategy, 8, fetch_factor=fetch_factor, seed=3)
    for epoch in range(2):
        planned = [batch.tolist() for batch in strategy.plan(N_ROWS, batch_size=8, seed=3, epoch=epoch)]
        assert len(loader) == len(planned)
        source.windows.clear()
        for batch, rows in zip(loader, planned, strict=True):
            assert batch["row"].tolist() == rows
            assert batch["X"].tolist() == [[row / 2] for row in rows]
            assert batch["series"].tolist() == SERIES[rows].tolist()
        starts = range(0, len(planned), fetch_factor)
        assert source.windows == [
            sorted(row for batch in planned[start : start + fetch_factor] for row in batch)
            for start in starts
        ]
        assert sorted(row for window in source.windows for row in window) == ROWS.tolist()


def test_resume_in_the_middle_of_a_window() -> None:
    loader = Loader(Watched(), STRATEGIES["series"], 8, fetch_factor=256)
    batches = iter(loader)
    for _ in range(300):
        next(batches)
    resumed = Loader(Watched(), STRATEGIES["series"], 8, fetch_factor=256)
    resumed.load_state_dict(loader.state_dict())
    rest = [batch["row"].tolist() for batch in batches]
    assert len(rest) == len(loader) - 300
    assert [batch["row"].tolist() for batch in resumed] == rest
