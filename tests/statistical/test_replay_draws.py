"""The distribution of what a buffer keeps and draws: exact for tiny cases, chi-square beyond."""

import numpy as np
import pytest
import torch

from tests.statistical.draws import count_outcomes, range_of
from tests.statistical.test_tree_draws import orders
from tests.statistical.tools import F64, I64, check_counts
from tombola import BalancedBuffer, _core
from tombola.replay.buffer.items import arrivals
from tombola.replay.buffer.weights import ItemWeights


def kept(seed: int, items: int, size: int) -> tuple[int, ...]:
    held = [-1] * size
    rows, slots = arrivals(seed, 0, items, size)
    for row, slot in zip(rows.tolist(), slots.tolist(), strict=True):
        held[slot] = row
    return tuple(sorted(held))


def test_every_sample_is_equally_likely(effort: int) -> None:
    """Of 6 items 3 stay: each of the 20 sets comes equally often."""
    counts: dict[tuple[int, ...], int] = {}
    for seed in range_of(20_000, effort):
        sample = kept(seed, 6, 3)
        counts[sample] = counts.get(sample, 0) + 1
    assert len(counts) == 20
    check_counts("sets", list(counts.values()), np.full(20, 1 / 20))


def test_every_item_of_a_long_stream_is_as_likely(effort: int) -> None:
    counts = np.zeros(100)
    for seed in range_of(3000, effort):
        sample = np.array(kept(seed, 1000, 10))
        counts += np.bincount(sample[:1] // 10 if seed % 2 else sample[-1:] // 10, minlength=100)
    # the smallest and the largest of ten items of a uniform sample, by cells of ten
    edges = np.arange(0, 1001, 10)
    below = np.array([np.prod([(1000 - e - k) / (1000 - k) for k in range(10)]) for e in edges])
    smallest = below[:-1] - below[1:]
    check_counts("extremes", counts, (smallest + smallest[::-1]) / 2)


@pytest.mark.parametrize("replace", [False, True])
def test_uniform_draws(replace: bool, effort: int) -> None:
    drawn = np.array(
        [_core.uniform_draws(7, step, 5, 3, replace=replace) for step in range_of(30_000, effort)]
    )
    codes = drawn @ np.array([25, 5, 1])
    cells = np.indices((5, 5, 5)).reshape(3, -1).T
    possible = np.array([replace or len(set(cell)) == 3 for cell in cells.tolist()])
    counts = np.bincount(codes, minlength=125)
    assert not counts[~possible].any()
    check_counts("outcomes", counts[possible], np.full(possible.sum(), 1 / possible.sum()))


OWN: F64 = np.array([3.0, 1.0, 4.0, 0.0, 1.5, 2.0])
CODES = np.array([0, 0, 1, 1, 2, 2], dtype=np.int32)


def thinned(factors: F64) -> ItemWeights:
    """Return weights whose applied factors are not the present ones, but not far enough to be made anew."""
    weights = ItemWeights(6)
    weights.extend(3)
    counts = np.array([2, 2, 2])
    weights.write(np.arange(6), CODES, OWN, factors * np.array([1.0, 2.0, 3.0]), counts)
    assert np.ptp(factors / weights.applied) > 0.1
    return weights


@pytest.mark.parametrize("size", [1, 2, 3])
def test_thinned_draws_without_replacement(size: int, effort: int) -> None:
    """Not only the sets but the orders are those of successive draws by own weight times factor."""
    factors, counts = np.array([0.5, 1.0, 2.0]), np.array([2, 2, 2])
    weights = thinned(factors)
    expected = orders(OWN * factors[CODES], size)
    drawn: list[I64] = []
    for step in range_of(20_000, effort):
        drawn.append(weights.draw(size, 3, 100 * step, factors, counts, replace=False).slots)
    check_counts("orders", count_outcomes(np.array(drawn), list(expected)), list(expected.values()))


def test_thinned_draws_with_replacement(effort: int) -> None:
    factors, counts = np.array([0.5, 1.0, 2.0]), np.array([2, 2, 2])
    weights = thinned(factors)
    p = OWN * factors[CODES] / (OWN * factors[CODES]).sum()
    slots = weights.draw(300_000 * effort, 3, effort, factors, counts, replace=True).slots
    pairs = np.bincount(slots[0::2] * 6 + slots[1::2], minlength=36)
    both = np.outer(p, p).ravel()
    assert not pairs[both == 0].any()
    check_counts("pairs", pairs[both > 0], both[both > 0])


def test_balanced_draws_follow_the_scores(effort: int) -> None:
    """A buffer after replacements, its factors not applied: the shares are those of `importance_scores`."""
    from tests.replay.scored import CENTRES, batch, scores_from_scratch

    buffer = BalancedBuffer(60, replace=True, seed=effort)
    buffer.add_data(**batch(0, 60))
    buffer.get_balanced_data(1, op_prototypes=CENTRES)
    buffer.add_data(**batch(1, 25, [0, 1, 2]))
    slots = buffer.get_balanced_data(200_000 * effort, op_prototypes=CENTRES, return_index=True)[-1]
    ratios = buffer._balance.factors() / buffer._balance.weights.applied
    assert np.ptp(ratios[buffer._balance.classes.counts > 0]) > 0.1
    scores = scores_from_scratch(buffer, CENTRES, 1.0)
    check_counts("slots", np.bincount(slots.numpy(), minlength=60), scores / scores.sum())
    assert isinstance(slots, torch.Tensor)


def test_draws_without_scores_follow_task_weights(effort: int) -> None:
    """One group only: each item in proportion to its task's factor, all of a task alike."""
    buffer = BalancedBuffer(30, task_weights={0: 3.0, 2: 0.5}, replace=True, seed=effort)
    tasks = torch.arange(30) % 3
    buffer.add_data(torch.arange(30), torch.zeros(30, dtype=torch.int64), None, torch.ones(30, 2), tasks)
    slots = buffer.get_balanced_data(200_000 * effort, return_index=True)[-1]
    factors = np.array([3.0, 1.0, 0.5])[tasks.numpy()]
    check_counts("slots", np.bincount(slots.numpy(), minlength=30), factors / factors.sum())
    assert buffer.report()["balanced_draws"] == 0
