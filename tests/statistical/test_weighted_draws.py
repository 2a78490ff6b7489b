"""Weighted draws with replacement have the distribution stated: stratified, independent, alias table."""

import numpy as np
import pytest
from scipy import stats

from tests.cases import WeightKind, make_weights
from tests.statistical.draws import (
    compositions,
    count_outcomes,
    counts_of,
    distinct_distribution,
    epochs_of_draws,
    range_of,
)
from tests.statistical.tools import F64, check_chi_square, check_counts, check_normal, pearson
from tombola import _core

MOST = 4_000_000  # draws a test, for the sake of memory
WEIGHTS = np.array([3.0, 0.0, 1.0, 4.0, 1.5, 0.0, 9.0, 2.6])


def strata(weights: F64, draws: int) -> F64:
    """Return the probability of each row in each of the strata of equal mass."""
    edge = np.concatenate([[0.0], np.cumsum(weights / weights.sum())]) * draws
    stratum = np.arange(draws)[:, None]
    overlap = np.minimum(edge[1:], stratum + 1) - np.maximum(edge[:-1], stratum)
    return np.asarray(np.maximum(overlap, 0.0))


@pytest.mark.parametrize("draws", [1, 2, 5, 23, 100])
def test_stratified_draws_are_uniform_in_their_strata(draws: int, effort: int) -> None:
    rows = np.sort(epochs_of_draws(WEIGHTS, range_of(20000, effort), draws, "stratified"), axis=1)
    expected = strata(WEIGHTS, draws) * len(rows)
    observed = counts_of(rows.T, len(WEIGHTS))
    possible = expected > 1e-6 * len(rows)
    assert not observed[~possible].any()
    check_chi_square("strata", pearson(observed[possible], expected[possible]), possible.sum() - draws)


@pytest.mark.parametrize("kind", ["equal", "mixed", "zeros", "steep"])
@pytest.mark.parametrize(("n", "draws"), [(8, 5), (50, 37), (50, 50), (300, 2000), (2000, 300)])
def test_stratified_counts_are_never_2_off(kind: WeightKind, n: int, draws: int, effort: int) -> None:
    weights = make_weights(kind, n)
    expected = draws * weights / weights.sum()
    counts = counts_of(epochs_of_draws(weights, range_of(500, effort), draws, "stratified"), n)
    assert np.abs(counts - expected).max() < 2
    assert not counts[:, weights == 0].any()


@pytest.mark.parametrize("kind", ["equal", "mixed", "zeros"])
def test_stratified_counts_have_their_expectation(kind: WeightKind, effort: int) -> None:
    n, draws = 50, 37
    weights = make_weights(kind, n)
    counts = counts_of(epochs_of_draws(weights, range_of(20000, effort), draws, "stratified"), n)
    p = strata(weights, draws)
    variance = (p * (1 - p)).sum(axis=0)
    varies = variance > 1e-9
    mean = draws * weights / weights.sum()
    z = (counts.sum(axis=0) - len(counts) * mean)[varies] / np.sqrt(len(counts) * variance[varies])
    check_normal(kind, float(np.abs(z).max()), tests=len(z))
    np.testing.assert_allclose(counts[:, ~varies], np.broadcast_to(mean, counts.shape)[:, ~varies], atol=1e-9)


@pytest.mark.parametrize(
    ("weights", "draws"), [([3, 1, 2], 4), ([3, 1, 2], 17), ([5, 1], 600), ([1, 0, 2, 1], 33)]
)
def test_independent_counts_are_multinomial(weights: list[int], draws: int, effort: int) -> None:
    w = np.array(weights, dtype=np.float64)
    rows = epochs_of_draws(w, range_of(min(40000, MOST // draws), effort), draws, "iid")
    known = compositions(draws, len(w))
    probabilities = np.array([stats.multinomial.pmf(c, draws, w / w.sum()) for c in known])
    check_counts(
        "counts", count_outcomes(counts_of(rows, len(w)), known), probabilities / probabilities.sum()
    )


@pytest.mark.parametrize(("n", "draws"), [(40, 40), (100, 16), (100, 17), (1000, 700)])
def test_independent_draws_repeat_as_often_as_they_should(n: int, draws: int, effort: int) -> None:
    rows = epochs_of_draws(np.ones(n), range_of(min(20000, MOST // draws), effort), draws, "iid")
    distinct = (counts_of(rows, n) > 0).sum(axis=1)
    check_counts("distinct rows", np.bincount(distinct, minlength=n + 1), distinct_distribution(n, draws))


@pytest.mark.parametrize("kind", ["equal", "mixed", "zeros"])
def test_many_independent_draws(kind: WeightKind, effort: int) -> None:
    weights = make_weights(kind, 1000)
    rows = epochs_of_draws(weights, range_of(3, effort), 300_000, "iid")
    positive = weights > 0
    for epoch, counts in enumerate(counts_of(rows, 1000)):
        assert not counts[~positive].any()
        check_counts(f"epoch {epoch}", counts[positive], weights[positive] / weights.sum())


def test_epochs_of_independent_draws_are_independent(effort: int) -> None:
    w, draws = np.array([3.0, 1.0, 2.0]), 4
    known = compositions(draws, 3)
    counts = counts_of(epochs_of_draws(w, range_of(60000, effort), draws, "iid"), 3)
    pairs = np.concatenate([counts[0::2], counts[1::2]], axis=1)
    p = np.array([stats.multinomial.pmf(c, draws, w / w.sum()) for c in known])
    outcomes = count_outcomes(pairs, [(*a, *b) for a in known for b in known])
    check_counts("two epochs", outcomes, np.outer(p, p) / p.sum() ** 2)


# ------------------------------------------------------------------------------------------------ alias table


@pytest.mark.parametrize(
    ("kind", "n"),
    [
        *(("equal", n) for n in (1, 2, 300)),
        *(("mixed", n) for n in (2, 300)),
        *(("zeros", n) for n in (2, 300)),
        *(("steep", n) for n in (7, 300)),
        ("one", 7),
    ],
)
def test_alias_draws(kind: WeightKind, n: int, effort: int) -> None:
    weights = make_weights(kind, n)
    positive = weights > 0
    table = _core.AliasTable(_core.WeightTable.from_values(weights))
    for epoch in range_of(2, effort):
        counts = np.bincount(table.draw(300_000, 8, epoch), minlength=n)
        assert not counts[~positive].any()
        if positive.sum() > 1:
            check_counts(f"epoch {epoch}", counts[positive], weights[positive] / weights.sum())


def test_alias_draws_are_independent(effort: int) -> None:
    weights = np.array([3.0, 1.0, 2.0, 0.0, 1.0])
    p = weights / weights.sum()
    table = _core.AliasTable(_core.WeightTable.from_values(weights))
    for epoch in range_of(2, effort):
        rows, after = table.draw(300_000, 9, epoch), table.draw(300_000, 9, epoch + 1)
        neighbours = np.bincount(rows[0::2] * 5 + rows[1::2], minlength=25)
        check_counts(f"neighbours, epoch {epoch}", neighbours, np.outer(p, p))
        check_counts(f"epochs from {epoch}", np.bincount(rows * 5 + after, minlength=25), np.outer(p, p))
