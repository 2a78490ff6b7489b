"""Balanced batches of a long epoch, of 2**16 batches and more.

From there on the core permutes blocks of 2**14 positions, and then the positions in each block, where series
are short: the rows of a series stay within one block of batches, or two. Inside it they must be as far apart
as chance has it, and long series must not move in blocks.
"""

import numpy as np
import pytest

from tests.statistical.series_meetings import Series, core_batches, layered_batches
from tests.statistical.test_series_composition import check_each_row, check_student, epochs_of
from tests.statistical.tools import I64, check_normal, pearson

REPLICATES = 30
BLOCK = 2**14
SHORT = Series(88001, 3, 4)


def test_a_row_is_in_any_batch_equally_often(effort: int) -> None:
    """Blocks of batches and places in a block apart, for 40 rows all over the epoch."""
    series, epochs = SHORT, epochs_of(500, effort)
    some = np.linspace(0, series.n - 1, 40).astype(np.int64)
    parts = [range(start, start + 50) for start in epochs[::50]]
    batch = np.concatenate([core_batches(series, "balanced", part)[:, some] for part in parts])
    block, place = batch // BLOCK, batch % BLOCK // 512
    blocks = np.bincount(np.repeat(np.arange(series.batches) // BLOCK, series.sizes)) / series.n
    places = np.bincount(np.repeat(np.arange(series.batches) % BLOCK // 512, series.sizes)) / series.n
    for name, found, expected in (("blocks", block, blocks), ("places", place, places)):
        cells = np.arange(len(some)) * len(expected) + found
        table = np.bincount(cells.ravel(), minlength=len(some) * len(expected)).reshape(len(some), -1)
        likely = expected * len(batch) >= 10
        check_each_row(name, table[:, likely], expected[likely] / expected[likely].sum())


def test_rows_of_a_series_are_near_each_other_by_chance_alone(effort: int) -> None:
    """Of two rows of one series in a block of batches, the second is in any other batch of it alike."""
    epochs, near = epochs_of(20, effort), 64
    batch = core_batches(SHORT, "balanced", epochs).reshape(len(epochs), SHORT.count, SHORT.rows)
    first, second = batch[:, :, [0, 0, 1]].ravel(), batch[:, :, [1, 2, 2]].ravel()
    whole = (first // BLOCK == second // BLOCK) & (first // BLOCK < SHORT.batches // BLOCK)
    share = (near - 1) / (BLOCK - 1)
    found = int(np.count_nonzero(first[whole] // near == second[whole] // near))
    pairs = int(np.count_nonzero(whole))
    assert pairs > 0.9 * len(first) * (SHORT.batches // BLOCK * BLOCK) / SHORT.batches
    # Pairs of one series are not independent, but uncorrelated: given one row, each other one is anywhere.
    check_normal(
        "rows in one group of 64 batches", (found - pairs * share) / (pairs * share * (1 - share)) ** 0.5
    )


def dispersion(series: Series, batch: I64, few: int) -> float:
    """Return a nearly normal number, the larger the more unequally often pairs of some series meet."""
    incidence = np.zeros((series.batches, few), dtype=np.float32)
    by_series = batch.reshape(series.count, series.rows)[:few]
    incidence[by_series, np.arange(few)[:, None]] = 1
    met = (incidence.T @ incidence)[np.triu_indices(few, 1)].astype(np.float64)
    return float(pearson(met, np.full(len(met), met.mean())) ** (1 / 3))


@pytest.mark.parametrize("rows", [100, 1000])
def test_long_series_meet_as_in_schedules_drawn_at_random(rows: int) -> None:
    """Two of 1,000 rows each meet about 15 times in 66,000 batches of 4, not 60 times or never."""
    series = Series(4 * 66000 // rows, rows, 4)
    generator = np.random.default_rng(9)
    drawn = [dispersion(series, layered_batches(series, 1, generator)[0], 120) for _ in range(REPLICATES)]
    found = dispersion(series, core_batches(series, "balanced", range(1))[0], 120)
    check_student(f"meetings of series of {rows} rows", found, np.array(drawn))
