"""Balanced batches of a long epoch, of 2**14 batches and more, are composed as those of a short one.

From there on the core permutes blocks of positions and then the positions in each block, so that neighbours
in the line could come together more often than they should.
"""

import numpy as np
import pytest

from tests.statistical.series_meetings import Series, core_batches, layered_batches
from tests.statistical.test_series_composition import check_each_row, check_student, epochs_of
from tests.statistical.tools import I64, pearson

REPLICATES = 30
BLOCK = 256


def test_a_row_is_in_any_batch_equally_often(effort: int) -> None:
    """Blocks of batches and places in a block apart, for 40 rows all over the epoch."""
    series, epochs = Series(22001, 3, 4), epochs_of(1000, effort)
    some = np.linspace(0, series.n - 1, 40).astype(np.int64)
    parts = [range(start, start + 50) for start in epochs[::50]]
    batch = np.concatenate([core_batches(series, "balanced", part)[:, some] for part in parts])
    block, place = batch // BLOCK, batch % BLOCK // 4
    blocks = np.bincount(np.repeat(np.arange(series.batches) // BLOCK, series.sizes)) / series.n
    places = np.bincount(np.repeat(np.arange(series.batches) % BLOCK // 4, series.sizes)) / series.n
    for name, found, expected in (("blocks", block, blocks), ("places", place, places)):
        cells = np.arange(len(some)) * len(expected) + found
        table = np.bincount(cells.ravel(), minlength=len(some) * len(expected)).reshape(len(some), -1)
        likely = expected * len(batch) >= 10
        check_each_row(name, table[:, likely], expected[likely] / expected[likely].sum())


def dispersion(series: Series, batch: I64, few: int) -> float:
    """Return a nearly normal number, the larger the more unequally often pairs of some series meet."""
    incidence = np.zeros((series.batches, few), dtype=np.float32)
    by_series = batch.reshape(series.count, series.rows)[:few]
    incidence[by_series, np.arange(few)[:, None]] = 1
    met = (incidence.T @ incidence)[np.triu_indices(few, 1)].astype(np.float64)
    return float(pearson(met, np.full(len(met), met.mean())) ** (1 / 3))


@pytest.mark.parametrize("rows", [100, 1000])
def test_long_series_meet_as_in_schedules_drawn_at_random(rows: int) -> None:
    """Two of 1,000 rows each meet about 60 times in 16,500 batches of 16, not 500 times or never."""
    series = Series(16 * 16500 // rows, rows, 16)
    generator = np.random.default_rng(9)
    drawn = [dispersion(series, layered_batches(series, 1, generator)[0], 120) for _ in range(REPLICATES)]
    found = dispersion(series, core_batches(series, "balanced", range(1))[0], 120)
    check_student(f"meetings of series of {rows} rows", found, np.array(drawn))
