"""Draws from the sum tree and from groups have the distribution stated, and draws without replacement that of
successive sampling, by exact enumeration.
"""

import itertools

import numpy as np
import pytest
from scipy import stats

from tests.cases import WeightKind, make_weights
from tests.statistical.draws import Composition, count_outcomes, counts_of, range_of, successive_sampling
from tests.statistical.tools import F64, I64, check_chi_square, check_counts, check_normal, pearson
from tombola import _core

WEIGHTS = np.array([3.0, 0.0, 1.0, 4.0, 1.5, 0.0, 9.0, 2.6])


def tree_of(weights: F64) -> _core.SumTree:
    """Return a tree that comes to its weights by updates, others in between."""
    tree = _core.SumTree(len(weights))
    tree.fill(np.ones(len(weights)))
    slots = np.random.default_rng(3).permutation(len(weights))
    tree.update(slots, weights[slots][::-1].copy())
    tree.update(slots, weights[slots])
    return tree


def steps_of_draws(tree: _core.SumTree, steps: range, size: int, *, replace: bool = True) -> I64:
    return np.array([tree.draw(size, 13, step, replace=replace)[0] for step in steps])


@pytest.mark.parametrize("kind", ["equal", "mixed", "zeros"])
@pytest.mark.parametrize("n", [2, 300, 5000])
def test_tree_draws(kind: WeightKind, n: int, effort: int) -> None:
    weights = make_weights(kind, n)
    positive = weights > 0
    for step in range_of(2, effort):
        counts = np.bincount(tree_of(weights).draw(300_000, 8, step)[0], minlength=n)
        assert not counts[~positive].any()
        if positive.sum() > 1:
            check_counts(f"step {step}", counts[positive], weights[positive] / weights.sum())


def test_tree_draws_are_independent(effort: int) -> None:
    p, tree = WEIGHTS / WEIGHTS.sum(), tree_of(WEIGHTS)
    for step in range_of(2, effort):
        slots, after = tree.draw(300_000, 9, step)[0], tree.draw(300_000, 9, step + 1)[0]
        pairs = np.outer(p, p).ravel() > 0
        for name, first, second in (
            ("neighbours", slots[0::2], slots[1::2]),
            ("steps", slots, after),
        ):
            observed = np.bincount(first * 8 + second, minlength=64)
            assert not observed[~pairs].any()
            check_counts(f"{name}, step {step}", observed[pairs], np.outer(p, p).ravel()[pairs])


@pytest.mark.parametrize("draws", [1, 5, 23])
def test_stratified_tree_draws_are_uniform_in_their_strata(draws: int, effort: int) -> None:
    tree = tree_of(WEIGHTS)
    rows = np.array([tree.draw(draws, 13, step, stratified=True)[0] for step in range_of(20000, effort)])
    edge = np.concatenate([[0.0], np.cumsum(WEIGHTS / WEIGHTS.sum())]) * draws
    stratum = np.arange(draws)[:, None]
    overlap = np.maximum(np.minimum(edge[1:], stratum + 1) - np.maximum(edge[:-1], stratum), 0.0)
    expected, observed = overlap * len(rows), counts_of(rows.T, len(WEIGHTS))
    possible = expected > 1e-6 * len(rows)
    assert not observed[~possible].any()
    check_chi_square("strata", pearson(observed[possible], expected[possible]), possible.sum() - draws)


def orders(weights: F64, size: int) -> dict[Composition, float]:
    """Return the probability of each order of rows drawn one after another without replacement."""
    w, out = weights.tolist(), {}
    for order in itertools.permutations([i for i, weight in enumerate(w) if weight > 0], size):
        probability, left = 1.0, sum(w)
        for row in order:
            probability *= w[row] / left
            left -= w[row]
        out[order] = probability
    return out


@pytest.mark.parametrize(
    ("weights", "size"),
    [
        ([3.0, 0.0, 1.0, 4.0, 1.5], 2),
        ([3.0, 0.0, 1.0, 4.0, 1.5], 4),
        ([100.0, 1.0, 2.0, 30.0, 0.0], 3),  # half of the line is gone after one draw
        ([1.0, 1.0, 1.0, 1.0], 4),
    ],
)
def test_orders_without_replacement(weights: list[float], size: int, effort: int) -> None:
    """Enumerate all orders: not only the set but the order is that of successive draws."""
    w = np.array(weights)
    expected = orders(w, size)
    drawn = steps_of_draws(tree_of(w), range_of(40_000, effort), size, replace=False)
    check_counts("orders", count_outcomes(drawn, list(expected)), list(expected.values()))


def test_sets_without_replacement(effort: int) -> None:
    expected = successive_sampling(WEIGHTS, 5)
    drawn = np.sort(steps_of_draws(tree_of(WEIGHTS), range_of(40_000, effort), 5, replace=False), axis=1)
    check_counts("sets", count_outcomes(drawn, list(expected)), list(expected.values()))


def test_many_slots_without_replacement(effort: int) -> None:
    """Of equal weights every slot is in a minibatch equally often, across the rounds of closed gaps."""
    n, size = 1000, 900
    drawn = steps_of_draws(tree_of(np.ones(n)), range_of(2000, effort), size, replace=False)
    counts = np.bincount(drawn.ravel(), minlength=n)
    # Counts are Binomial(steps, size / n), their covariances -1 / (n - 1) of the variances.
    variance = len(drawn) * (size / n) * (1 - size / n) * n / (n - 1)
    check_chi_square("slots", float(((counts - len(drawn) * size / n) ** 2).sum() / variance), n - 1)
    last = np.bincount(drawn[:, -1], minlength=n)
    check_counts("last slots", last, np.full(n, 1 / n), least=1.0 if effort == 1 else 10.0)


def test_correction_weights_make_the_mean_unbiased(effort: int) -> None:
    """Estimate a mean over all slots from draws by weight: its deviation is what the variance allows."""
    values = np.array([1.0, 7.0, -2.0, 0.5, 3.0])
    weights = np.array([1.0, 2.0, 0.3, 5.0, 0.7])
    size = 200_000 * effort
    slots, p, positive = tree_of(weights).draw(size, 17, effort)
    assert positive == 5
    terms = values[slots] / (5 * p)
    exact = weights / weights.sum()
    variance = float((exact * (values / (5 * exact)) ** 2).sum()) - values.mean() ** 2
    check_normal("mean", (terms.mean() - values.mean()) / np.sqrt(variance / size))


@pytest.mark.parametrize(
    ("sizes", "weights"),
    [([1, 1, 1], [1, 2, 3]), ([5, 0, 20, 3], [2, 9, 0.5, 0]), ([300, 1, 40, 7], [1, 100, 3, 0.1])],
)
def test_grouped_draws(sizes: list[int], weights: list[float], effort: int) -> None:
    p = np.repeat(np.array(weights, dtype=np.float64), sizes)
    p /= p.sum()
    table = _core.GroupedAlias(np.concatenate([[0], np.cumsum(sizes)]), np.array(weights, dtype=np.float64))
    for epoch in range_of(2, effort):
        counts = np.bincount(table.draw(300_000, 8, epoch), minlength=len(p))
        assert not counts[p == 0].any()
        check_counts(f"epoch {epoch}", counts[p > 0], p[p > 0])
        rows = table.draw(300_000, 8, epoch)
        if len(p) <= 30:
            pairs = np.bincount(rows[0::2] * len(p) + rows[1::2], minlength=len(p) ** 2)
            both = np.outer(p, p).ravel()
            check_counts(f"neighbours, epoch {epoch}", pairs[both > 0], both[both > 0])


def test_many_rows_of_a_table_in_chunks(effort: int) -> None:
    """A table that several tasks made: rows in cells of 100, light and heavy mixed and apart."""
    weights = np.random.default_rng(5).standard_exponential(200_000)
    weights[50_000:90_000] *= 0.01
    weights[90_000:91_000] *= 50.0
    cells = np.add.reduceat(weights, np.arange(0, 200_000, 100))
    table = _core.AliasTable(_core.WeightTable.from_values(weights))
    for epoch in range_of(2, effort):
        counts = np.bincount(table.draw(2_000_000, 21, epoch) // 100, minlength=2000)
        check_counts(f"cells, epoch {epoch}", counts, cells / cells.sum())
    assert stats.chi2(1999).sf(pearson(counts, np.full(2000, 1000.0))) < 1e-9  # the test can tell
