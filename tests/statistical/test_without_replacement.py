"""Rounds without replacement are successive draws: every set of rows has its exact probability.

Small rounds are drawn and repeats rejected; large ones, and what rejection leaves undone, take the rows with
the smallest exponential keys. Sets are enumerated on both ways and where one passes into the other.
"""

import itertools
import math

import numpy as np
import pytest

from tests.oracle import quantise_values
from tests.oracle.draws import draw_and_reject
from tests.statistical.draws import count_outcomes, counts_of, epochs_of_draws, range_of, successive_sampling
from tests.statistical.tools import check_chi_square, check_counts
from tombola import _core

FOUR = [4.0, 1.0, 2.0, 0.5]
EIGHT = [4.0, 1.0, 2.0, 0.5, 3.0, 1.0, 2.5, 6.0]
TWELVE = [*EIGHT, 1.0, 2.0, 3.0, 4.0]
# One row so heavy that the 68 attempts of a round of 2 end, half of the time, before a second row came.
HALF_DONE = [693.0, 1.0, 2.0, 0.5, 0.0, 0.7, 1.3, 0.6, 0.9]
# One row so heavy that rejection never finds a second one.
NEVER_DONE = [2.0**40, 1.0, 2.0, 0.5, 0.0, 3.0, 1.0, 2.5, 6.0]

CASES = {
    "keys-2-of-4": (FOUR, 2),
    "keys-3-of-4": (FOUR, 3),
    "keys-1-of-3": ([1.0, 0.0, 2.0, 3.0], 1),
    "keys-4-of-7": (EIGHT[:7], 4),
    "keys-3-of-11": (TWELVE[:11], 3),
    "rejection-1-of-4": (FOUR, 1),
    "rejection-2-of-8": (EIGHT, 2),
    "rejection-2-of-8-among-zeros": ([0.0, *EIGHT, 0.0, 0.0], 2),
    "rejection-3-of-12": (TWELVE, 3),
    "rejection-passes-into-keys": (HALF_DONE, 2),
    "rejection-fails": (NEVER_DONE, 2),
}


@pytest.mark.parametrize("name", CASES)
def test_every_set_has_its_probability(name: str, effort: int) -> None:
    weights, size = CASES[name]
    rows = np.sort(epochs_of_draws(np.array(weights), range_of(60000, effort), size, "stratified", size=size))
    expected = successive_sampling(weights, size)
    check_counts(name, count_outcomes(rows, list(expected)), list(expected.values()))


def test_the_cases_take_the_ways_they_are_named_for() -> None:
    for name, (weights, size) in CASES.items():
        table = quantise_values(weights)
        rejects = 4 * size <= table.n_positive
        assert rejects == name.startswith("rejection"), name
        if rejects:
            accepted = [len(draw_and_reject(table, size, 0, 20, epoch)) for epoch in range(100)]
            expected = {"rejection-passes-into-keys": {1, 2}, "rejection-fails": {1}}.get(name, {size})
            assert set(accepted) == expected, name


@pytest.mark.parametrize(("weights", "size"), [(FOUR, 3), (TWELVE, 3)])
def test_blocks_of_one_are_shuffled_within_the_round(weights: list[float], size: int, effort: int) -> None:
    rows = epochs_of_draws(
        np.array(weights), range_of(60000, effort), size, "stratified", size=size, block_size=1
    )
    sets = successive_sampling(weights, size)
    expected = {
        order: p / math.factorial(size) for s, p in sets.items() for order in itertools.permutations(s)
    }
    check_counts("orders", count_outcomes(rows, list(expected)), list(expected.values()))


@pytest.mark.parametrize(("weights", "size"), [(FOUR, 2), (EIGHT[:5], 1), (EIGHT, 2)])
def test_rounds_are_independent(weights: list[float], size: int, effort: int) -> None:
    rows = epochs_of_draws(np.array(weights), range_of(40000, effort), 2 * size, "stratified", size=size)
    rows = np.sort(rows.reshape(-1, 2, size)).reshape(-1, 2 * size)
    sets = successive_sampling(weights, size)
    expected = {(*a, *b): p * q for a, p in sets.items() for b, q in sets.items()}
    check_counts("two rounds", count_outcomes(rows, list(expected)), list(expected.values()))


@pytest.mark.parametrize("weights", [FOUR, TWELVE])
def test_a_shorter_last_round(weights: list[float], effort: int) -> None:
    rows = epochs_of_draws(np.array(weights), range_of(30000, effort), 7, "stratified", size=3)
    last = np.bincount(rows[:, 6], minlength=len(weights))
    check_counts("last round", last, np.array(weights) / sum(weights))


@pytest.mark.parametrize(("n", "size"), [(1000, 10), (1000, 250), (1000, 251), (1000, 300), (1000, 999)])
def test_equal_weights_are_included_equally(n: int, size: int, effort: int) -> None:
    epochs = range_of(1000, effort)
    share = counts_of(epochs_of_draws(np.ones(n), epochs, size, "stratified", size=size), n)
    assert share.max() == 1
    p = size / n
    chi = ((share.sum(axis=0) - len(epochs) * p) ** 2).sum() / (len(epochs) * p * (1 - p))
    check_chi_square("inclusion", float(chi) * (n - 1) / n, n - 1)


def test_a_round_of_all_rows_of_positive_weight() -> None:
    weights = np.where(np.arange(500) % 3 == 0, 0.0, np.arange(500.0) + 1)
    table = _core.WeightTable.from_values(weights)
    rows = epochs_of_draws(weights, range(20), table.n_positive, "stratified", size=table.n_positive)
    np.testing.assert_array_equal(np.sort(rows), np.tile(np.flatnonzero(weights), (20, 1)))
