"""Who meets whom in balanced batches, and in which batch a row is: as in valid schedules drawn at random.

Meetings are a little less dispersed than independent draws, since each series meets equally many others in
every epoch: a plain chi-square test would reject rightly built schedules. So the distribution of each
statistic is taken from schedules drawn at random (`series_meetings.py`), by Student's distribution for one
more draw of a normal sample. The level is exact against the `layered` sampler, which has the core's
distribution if the core is right. `uniform` schedules put pairs together twice in an epoch a little more
rarely, which moves the statistics asked of them by about one standard deviation; what would show there is a
pair that meets too often or too rarely over the epochs.
"""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from tests.statistical.series_meetings import (
    SAMPLERS,
    Incidence,
    Series,
    core_batches,
    format_table,
    layered_schedules,
    meeting_shares,
    meetings,
    meetings_table,
)
from tests.statistical.tools import F64, I64, check_normal, check_tails, options, pearson
from tombola import _core

REPLICATES = 40
OF_UNIFORM = {"pairs", "distances"}
CASES = {  # and epochs
    "15-batches": (Series(20, 3, 4), 200),
    "8-batches": (Series(24, 2, 6), 200),
    "short-batches": (Series(23, 3, 4), 200),
    "longer-series": (Series(30, 4, 3), 200),
    "75-batches": (Series(100, 3, 4), 100),
}


def statistics(series: Series, incidence: Incidence) -> dict[str, float]:
    """Return nearly normal numbers, made of how often pairs of series met over some epochs.

    ``pairs`` and ``distances`` (between the numbers of two series) are cube roots of sums of squares, after
    Wilson and Hilferty, "The distribution of chi-square", PNAS 17, 1931.
    """
    met = meetings(series, incidence)
    total, first, second = met.sum(axis=0), *series.pairs
    expected = np.full(len(total), total.mean())
    distance = second - first
    by_distance, pairs_at = np.bincount(distance, weights=total)[1:], np.bincount(distance)[1:]
    return {
        "pairs": pearson(total, expected) ** (1 / 3),
        "distances": pearson(by_distance, pairs_at * expected[0]) ** (1 / 3),
        "twice in an epoch": float((met >= 2).sum()),
        "in two epochs running": float((met[1:] * met[:-1]).sum()),
    }


def check_student(name: str, value: float, sample: F64) -> None:
    """Check that a number may be one more of a sample from a normal distribution."""
    size = len(sample)
    t = (value - sample.mean()) / (sample.std(ddof=1) * np.sqrt(1 + 1 / size))
    check_tails(name, float(stats.t.cdf(t, size - 1)), float(stats.t.sf(t, size - 1)))


def check_meetings(series: Series, incidence: Incidence, sampler: str) -> None:
    """Check the meetings of some epochs against as many schedules drawn at random, many times over."""
    generator = np.random.default_rng(8)
    found = statistics(series, incidence)
    drawn = [
        statistics(series, SAMPLERS[sampler](series, len(incidence), generator)) for _ in range(REPLICATES)
    ]
    for name in OF_UNIFORM if sampler == "uniform" else found:
        check_student(f"{sampler}, {name}", found[name], np.array([one[name] for one in drawn]))


def epochs_of(size: int, effort: int) -> range:
    """Return the epochs of a test; those of the long version are other ones."""
    return range(size) if effort == 1 else range(size, size + size * effort)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("name", CASES)
def test_series_meet_as_in_schedules_drawn_at_random(name: str, sampler: str, effort: int) -> None:
    series, epochs = CASES[name]
    check_meetings(
        series, series.incidence(core_batches(series, "balanced", epochs_of(epochs, effort))), sampler
    )


# ------------------------------------------------------------------------------- the tests find what is wrong


def wrapped(series: Series, epochs: int, generator: np.random.Generator) -> Incidence:
    """Return the plain rule: position mod number of batches, series in random order."""
    line = generator.permuted(np.tile(np.arange(series.count), (epochs, 1)), axis=1)
    batch = np.empty((epochs, series.count, series.rows), dtype=np.int64)
    position = np.arange(series.n).reshape(series.count, series.rows)
    batch[np.arange(epochs)[:, None], line] = position % series.batches
    return series.incidence(batch.reshape(epochs, series.n))


def in_two_parts(series: Series, epochs: int, generator: np.random.Generator) -> Incidence:
    """Return schedules in two parts, whose series never meet each other."""
    few = series.count * 2 // 3
    first = Series(few, series.rows, series.batch_size)
    rest = Series(series.count - few, series.rows, series.batch_size)
    out = np.zeros((epochs, first.batches + rest.batches, series.count), dtype=np.float32)
    out[:, : first.batches, :few] = layered_schedules(first, epochs, generator)
    out[:, first.batches :, few:] = layered_schedules(rest, epochs, generator)
    return out


def same_for_two_epochs(series: Series, epochs: int, generator: np.random.Generator) -> Incidence:
    """Return schedules that come twice."""
    return np.repeat(layered_schedules(series, -(-epochs // 2), generator), 2, axis=0)[:epochs]


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("name", CASES)
def test_right_schedules_pass(name: str, sampler: str) -> None:
    series, epochs = CASES[name]
    check_meetings(series, layered_schedules(series, epochs, np.random.default_rng(77)), sampler)


@pytest.mark.parametrize("wrong", [wrapped, in_two_parts, same_for_two_epochs])
@pytest.mark.parametrize("name", ["15-batches", "75-batches"])
def test_wrong_schedules_fail(
    name: str, wrong: Callable[[Series, int, np.random.Generator], Incidence]
) -> None:
    series, epochs = CASES[name]
    with pytest.raises(AssertionError, match="tail"):
        check_meetings(series, wrong(series, epochs, np.random.default_rng(77)), "layered")


# ------------------------------------------------------------------------------------------- within one epoch


def rounds_by_hand(series: Series) -> I64:
    """Return the batch of each row in a round robin over series in order; any other order renames series."""
    series_number, rank = np.divmod(np.arange(series.n), series.rows)
    return np.asarray((rank * series.count + series_number) // series.batch_size)


def test_few_pairs_meet_twice_in_an_epoch(effort: int) -> None:
    """300 series of 3 rows in batches of 16: 0.5% of pairs against 5% for plain round robin."""
    series, epochs = Series(300, 3, 16), epochs_of(200, effort)
    table = meetings_table(epochs=epochs)
    balanced, rounds = table["balanced"], table["round_robin"]
    assert (balanced.batches, rounds.batches) == (57, 57)
    by_hand = meeting_shares(series, lambda _: series.incidence(rounds_by_hand(series)[None, :]), range(1))
    np.testing.assert_array_equal(rounds.by_epoch, np.repeat(by_hand.by_epoch, len(epochs), axis=0))
    generator = np.random.default_rng(3)
    drawn = meeting_shares(series, lambda some: layered_schedules(series, len(some), generator), epochs)
    found, expected = balanced.by_epoch[:, 2], drawn.by_epoch[:, 2]
    error = np.sqrt((found.var(ddof=1) + expected.var(ddof=1)) / len(epochs))
    check_normal("pairs that meet twice", float((found.mean() - expected.mean()) / error))
    assert round(balanced.twice_or_more, 3) == 0.005
    assert round(rounds.twice_or_more, 2) == 0.05


def test_the_table_shows_both_schedules() -> None:
    lines = format_table(meetings_table(30, 3, 4, epochs=range(3))).splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [["balanced", "23"], ["round_robin", "23"]]
    assert all(line.count("%") == 3 for line in lines[1:])


# ------------------------------------------------------------------------------------------ batch membership


def check_each_row(name: str, observed: I64, probabilities: F64) -> None:
    """Check independent counts of one row of the table after the other; the worst decides (Bonferroni)."""
    expected = observed.sum(axis=1, keepdims=True) * probabilities
    assert expected.min() >= 10
    chi = ((observed - expected) ** 2 / expected).sum(axis=1)
    freedom, tests = observed.shape[1] - 1, len(observed)
    below = float(stats.chi2.cdf(chi.min(), freedom)) * tests if freedom >= 10 else 1.0
    check_tails(name, below, float(stats.chi2.sf(chi.max(), freedom)) * tests)


def membership(counts: I64, size: int, epochs: range, *, drop_last: bool = False) -> I64:
    """Return how often each row was in each batch; last column, how often it was left out."""
    groups = _core.Groups.from_keys(np.repeat(np.arange(len(counts)), counts))
    n = int(counts.sum())
    table = np.zeros(0, dtype=np.int64)
    for epoch in epochs:
        chosen = options(batch_size=size, epoch=epoch, drop_last=drop_last)
        plan = _core.plan_series(groups, schedule="balanced", per_series=1, shuffle=True, **chosen)
        rows, offsets = plan.batches(0, len(plan))
        batch = np.full(n, len(plan))
        batch[rows] = np.repeat(np.arange(len(plan)), np.diff(offsets))
        cells = np.arange(n) * (len(plan) + 1) + batch
        table = np.bincount(cells, minlength=n * (len(plan) + 1)) + (table if len(table) else 0)
    return np.asarray(table.reshape(n, -1))


@pytest.mark.parametrize(("n_series", "rows", "size"), [(20, 3, 7), (6, 5, 4), (100, 3, 4), (90, 2, 2)])
def test_a_row_is_in_any_batch_equally_often(n_series: int, rows: int, size: int, effort: int) -> None:
    series = Series(n_series, rows, size)
    table = membership(np.full(n_series, rows), size, epochs_of(10000, effort))
    assert not table[:, -1].any()
    check_each_row("batches", table[:, :-1], series.sizes / series.n)


@pytest.mark.parametrize(("longest", "size"), [(12, 6), (16, 8), (23, 3)])
def test_a_row_of_a_long_or_short_series_is_in_any_batch_equally_often(
    longest: int, size: int, effort: int
) -> None:
    """Series of 1, 2, ... rows, and batches that are all full."""
    counts = np.arange(1, longest + 1)
    batches, rest = divmod(int(counts.sum()), size)
    assert rest == 0
    assert batches >= longest
    table = membership(counts, size, epochs_of(10000, effort))
    check_each_row("batches", table[:, :-1], np.full(batches, 1 / batches))


@pytest.mark.parametrize(("n_series", "rows", "size"), [(10, 3, 4), (101, 3, 4)])
def test_rows_left_out_are_any(n_series: int, rows: int, size: int, effort: int) -> None:
    """Kept equally often, and in any batch."""
    n, batches = n_series * rows, n_series * rows // size
    epochs = epochs_of(10000, effort)
    table = membership(np.full(n_series, rows), size, epochs, drop_last=True)
    check_each_row("batches", table[:, :-1], np.full(batches, 1 / batches))
    left_out = n - size * batches
    assert table[:, -1].sum() == left_out * len(epochs)
    z = stats.binom(len(epochs), left_out / n)
    check_tails(
        "left out", *(n * float(p) for p in (z.cdf(table[:, -1].min()), z.sf(table[:, -1].max() - 1)))
    )
