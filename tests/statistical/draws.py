"""Epochs of weighted draws for the statistical tests, and the exact probabilities they are held against."""

import itertools
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tests.statistical.tools import F64, I64, options
from tombola import _core

Composition = tuple[int, ...]


def epochs_of_draws(
    weights: F64, epochs: range, draws: int, draw: Any, *, size: int = 0, block_size: int = 10**6
) -> I64:
    """Return the rows of each epoch; a round, or without rounds the epoch, is one fetch window."""
    table = _core.WeightTable.from_values(weights)
    window = size or draws
    out = np.empty((len(epochs), draws), dtype=np.int64)
    for row, epoch in zip(out, epochs, strict=True):
        plan = _core.plan_weighted(
            table,
            block_size=block_size,
            draws=draws,
            draw=draw,
            sampling_size=size,
            **options(batch_size=window, epoch=epoch),
        )
        row[:] = plan.batches(0, len(plan))[0]
    return out


def range_of(size: int, effort: int) -> range:
    """Return the epochs of a test; those of the long version are other ones."""
    return range(size) if effort == 1 else range(size, size + size * effort)


def counts_of(rows: I64, n: int) -> I64:
    """Return how often each epoch drew each row."""
    shifted = rows + np.arange(len(rows))[:, None] * n
    return np.bincount(shifted.ravel(), minlength=len(rows) * n).reshape(len(rows), n)


def count_outcomes(outcomes: I64, known: list[Composition]) -> F64:
    """Return how often each known outcome came, and check that no other did."""
    number = {outcome: i for i, outcome in enumerate(known)}
    found, counts = np.unique(outcomes, axis=0, return_counts=True)
    out = np.zeros(len(known))
    for outcome, count in zip(found.tolist(), counts.tolist(), strict=True):
        out[number[tuple(outcome)]] = count
    return out


def compositions(total: int, parts: int) -> list[Composition]:
    """Return all ways to write ``total`` as an ordered sum of ``parts`` numbers >= 0."""
    if parts == 1:
        return [(total,)]
    return [(first, *rest) for first in range(total + 1) for rest in compositions(total - first, parts - 1)]


def successive_sampling(weights: ArrayLike, size: int) -> dict[Composition, float]:
    """Return the probability of each set of rows drawn one after another without replacement."""
    w = np.asarray(weights, dtype=np.float64).tolist()
    positive = [row for row, weight in enumerate(w) if weight > 0]
    out: dict[Composition, float] = dict.fromkeys(itertools.combinations(positive, size), 0.0)
    for order in itertools.permutations(positive, size):
        probability, left = 1.0, sum(w)
        for row in order:
            probability *= w[row] / left
            left -= w[row]
        out[tuple(sorted(order))] += probability
    return out


def distinct_distribution(n: int, draws: int) -> F64:
    """Return the probability of 0..n distinct rows among equally likely independent draws (occupancy)."""
    p = np.zeros(n + 1)
    p[0] = 1.0
    seen = np.arange(n + 1)
    for _ in range(draws):
        p = p * seen / n + np.concatenate([[0.0], (p * (n - seen) / n)[:-1]])
    return p
