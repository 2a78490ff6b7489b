"""Composed batches: which rows of a class meet, which classes, how strata are ordered, pass after pass.

Small cases by all their outcomes, which are equally likely; classes and strata of more than 64 rows, whose
order is a Feistel network, by where one row is and whom it meets.
"""

import itertools
from collections.abc import Iterable

import numpy as np
import pytest

from tests.statistical.tools import I64, check_counts, uniform
from tombola import Mixture, PerClass

EPOCHS = 20000


def epochs_of(size: int, effort: int) -> range:
    """Return the epochs of a test; those of the long version are other ones."""
    return range(size) if effort == 1 else range(size, size + size * effort)


def check_outcomes(name: str, codes: I64, outcomes: int) -> None:
    """Check that numbers of equally likely outcomes are uniform, and all there can be."""
    assert codes.min() >= 0
    assert codes.max() < outcomes
    check_counts(name, np.bincount(codes, minlength=outcomes), uniform(outcomes))


def numbered(rows: I64, outcomes: Iterable[tuple[int, ...]]) -> I64:
    """Return which of the outcomes each line of an array is."""
    base = int(rows.max()) + 1
    places = base ** np.arange(rows.shape[1])
    codes = [int(np.dot(outcome, places)) for outcome in outcomes]
    order = np.argsort(codes)
    found = np.searchsorted(np.array(codes)[order], rows @ places)
    return np.asarray(order[found])


# ---------------------------------------------------------------------------------------------------- P x K


def tuples(counts: list[int], each: int, classes: int, epochs: range) -> I64:
    """Return the tuples of each epoch: [epochs, batches, classes, rows], their rows in order."""
    strategy = PerClass(np.repeat(np.arange(len(counts)), counts), rows_per_class=each)
    plans = [strategy.plan(batch_size=each * classes, seed=20, epoch=epoch).indices() for epoch in epochs]
    return np.sort(np.array(plans).reshape(len(epochs), -1, classes, each), axis=-1)


def of_class(rows: I64, start: int, stop: int) -> I64:
    """Return the tuples of the class that has those rows: [epochs, tuples, rows], by their first row."""
    epochs, each = len(rows), rows.shape[-1]
    own = rows[(start <= rows[..., 0]) & (rows[..., 0] < stop)].reshape(epochs, -1, each)
    order = np.argsort(own[..., 0], axis=1)
    return np.asarray(np.take_along_axis(own, order[..., None], axis=1)) - start


def cuts(n: int, each: int) -> list[tuple[int, ...]]:
    """Return all ways to cut n rows into two tuples, a row left out if n is odd."""
    found = []
    for first in itertools.combinations(range(n), each):
        rest = [row for row in range(first[0] + 1, n) if row not in first]
        found += [(*first, *second) for second in itertools.combinations(rest, each)]
    return found


@pytest.mark.parametrize(("rows", "each", "ways"), [(6, 3, 10), (7, 3, 70), (4, 2, 3), (5, 2, 15)])
def test_any_rows_of_a_class_make_a_tuple(rows: int, each: int, ways: int, effort: int) -> None:
    """Independently in two classes, and from epoch to epoch."""
    epochs = epochs_of(EPOCHS, effort)
    drawn = tuples([rows, rows], each, 2, epochs)
    outcomes = cuts(rows, each)
    assert len(outcomes) == ways
    one, other = (
        numbered(of_class(drawn, start, start + rows).reshape(len(epochs), -1), outcomes)
        for start in (0, rows)
    )
    check_outcomes("tuples", one, ways)
    check_outcomes("tuples of another class", other, ways)
    if ways <= 15:
        check_outcomes("tuples of two classes", one * ways + other, ways**2)
        check_outcomes("tuples of two epochs", one[:-1:2] * ways + one[1::2], ways**2)


@pytest.mark.parametrize("rows", [64, 65, 70, 129])
def test_a_row_of_a_large_class_meets_any_other(rows: int, effort: int) -> None:
    epochs = epochs_of(EPOCHS // 4, effort)
    drawn = of_class(tuples([rows, rows], 2, 2, epochs), 0, rows)
    for row in (0, rows // 2, rows - 1):
        mine = drawn[(drawn == row).any(axis=-1)]
        met = mine.sum(axis=1) - row
        check_outcomes(f"partners of row {row}", met - (met > row), rows - 1)


@pytest.mark.parametrize(("classes", "in_batch"), [(4, 2), (5, 2), (6, 3)])
def test_classes_meet_and_follow_each_other_in_any_order(classes: int, in_batch: int, effort: int) -> None:
    """Of one tuple each: any order of as many classes as fill batches."""
    epochs = epochs_of(EPOCHS, effort)
    met = tuples([2] * classes, 2, in_batch, epochs)[..., 0].reshape(len(epochs), -1) // 2
    outcomes = list(itertools.permutations(range(classes), met.shape[1]))
    check_outcomes("orders of classes", numbered(met, outcomes), len(outcomes))


# ---------------------------------------------------------------------------------------------- mixtures


def passes(counts: list[int], number: range) -> list[I64]:
    """Return some passes of each stratum: [passes, rows], from 0."""
    labels = np.repeat(np.arange(len(counts)), counts)
    strategy = Mixture(labels, dict(enumerate(counts)), total_size=sum(counts) * len(number))
    epoch = number.start // len(number)
    rows = strategy.plan(batch_size=sum(counts), seed=20, epoch=epoch).indices().reshape(len(number), -1)
    starts = np.cumsum(counts) - counts
    return [rows[:, a : a + n] - a for a, n in zip(starts.tolist(), counts, strict=True)]


def passes_of(effort: int) -> range:
    """Return the passes of a test, which are those of one epoch."""
    return range(EPOCHS) if effort == 1 else range(EPOCHS * effort, 2 * EPOCHS * effort)


def test_any_order_of_a_pass(effort: int) -> None:
    """Independent of the passes before and behind it, and of those of other strata."""
    number = passes_of(effort)
    orders = list(itertools.permutations(range(3)))
    of_four, *of_three = passes([4, 3, 3], number)
    check_outcomes("passes", numbered(of_four, itertools.permutations(range(4))), 24)
    one, other = (numbered(rows, orders) for rows in of_three)
    check_outcomes("passes of two strata", one * 6 + other, 36)
    check_outcomes("passes that follow each other", one[:-1:2] * 6 + one[1::2], 36)
    fours = one[: len(one) // 4 * 4].reshape(-1, 4)
    check_outcomes("passes two apart", fours[:, 0] * 6 + fours[:, 2], 36)


@pytest.mark.parametrize("rows", [64, 65, 97])
def test_a_row_of_a_large_stratum_is_anywhere(rows: int, effort: int) -> None:
    number = passes_of(effort)
    one, other = passes([rows, rows], number)
    for place in (0, rows // 2, rows - 1):
        check_outcomes(f"rows at {place}", one[:, place], rows)
    where = np.argsort(one, axis=1)
    check_outcomes("places of row 7", where[:, 7], rows)
    distance = (where[:, 8] - where[:, 7]) % rows - 1
    check_outcomes("from row 7 to row 8", distance, rows - 1)
    check_counts(
        "two strata",
        np.histogram2d(one[:, 0], other[:, 0], bins=[np.arange(rows + 1)] * 2)[0],
        uniform(rows * rows),
    )
    check_counts(
        "two passes",
        np.histogram2d(one[:-1:2, 0], one[1::2, 0], bins=[np.arange(rows + 1)] * 2)[0],
        uniform(rows * rows),
    )


def test_contexts_come_in_any_order(effort: int) -> None:
    """Of 2, 1 and 2 batches; and independent of the order of the rows."""
    labels, context = np.zeros(10, dtype=np.int8), np.repeat([0, 1, 2], [4, 2, 4])
    strategy = Mixture(labels, {0: 2}, within=context)
    epochs = epochs_of(EPOCHS, effort)
    rows = np.array([strategy.plan(batch_size=2, seed=20, epoch=e).indices() for e in epochs]).reshape(
        -1, 5, 2
    )
    outcomes = sorted(set(itertools.permutations([0, 0, 1, 2, 2])))
    order = numbered(context[rows[..., 0]], outcomes)
    check_outcomes("orders of contexts", order, 30)
    first = rows[context[rows[..., 0]] == 1]
    check_outcomes("with the order of rows", order * 2 + first[:, 0] - 4, 60)


# ------------------------------------------------------------------------------ the tests find what is wrong


def test_orders_that_are_kept_are_found() -> None:
    kept = (
        np.random.default_rng(1).permuted(np.tile(np.arange(3), (EPOCHS // 2, 1)), axis=1).repeat(2, axis=0)
    )
    codes = numbered(kept, itertools.permutations(range(3)))
    check_outcomes("each alone is right", codes[::2], 6)
    with pytest.raises(AssertionError, match="tail"):
        check_outcomes("passes that follow each other", codes[:-1:2] * 6 + codes[1::2], 36)


def test_neighbours_that_stay_together_are_found() -> None:
    cut = np.tile([0, 1, 2, 3, 4, 5], (EPOCHS, 1))
    cut[::11] = [0, 2, 4, 1, 3, 5]
    with pytest.raises(AssertionError, match="tail"):
        check_outcomes("tuples", numbered(cut, cuts(6, 3)), 10)
