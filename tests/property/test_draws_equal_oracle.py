"""Draws from tables and the sum tree equal the oracle byte for byte, however they are computed.

Every instruction set and 1, 4 and 7 threads give the same. Trees go through random histories of updates, with
growth and decline beyond the scale, duplicates and zeros.
"""

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import oracle
from tests.cases import WEIGHT_KINDS, WeightKind, make_weights
from tests.oracle.permutations import I64
from tests.property.searches import searching
from tombola import _core

search = searching(300)

DRAWS = [(0, 1, 0), (1, 1, 0), (777, 1, 0), (3001, 2**63 - 1, 2**63 - 1)]


def alias_table(weights: Any) -> _core.AliasTable:
    return _core.AliasTable(_core.WeightTable.from_values(weights))


@pytest.mark.parametrize("n", [1, 2, 5, 100, 3000])
@pytest.mark.parametrize("kind", WEIGHT_KINDS)
def test_alias_table(kind: WeightKind, n: int) -> None:
    weights = make_weights(kind, n)
    expected, table = oracle.AliasTable(weights), alias_table(weights)
    assert table.n == n
    columns = table.columns()
    np.testing.assert_array_equal(columns[1::2], expected.alias)
    np.testing.assert_array_equal(columns[::2], expected.cut)
    for size, seed, epoch in DRAWS:
        np.testing.assert_array_equal(
            table.draw(size, seed, epoch), expected.draw(size, seed, epoch), strict=True
        )


@given(st.lists(st.integers(0, 12).map(lambda e: 0.0 if e == 0 else 1.7**e), min_size=1, max_size=60))
@search
def test_alias_columns(weights: list[float]) -> None:
    if not any(weights):
        return
    columns, expected = alias_table(np.array(weights)).columns(), oracle.AliasTable(weights)
    assert columns[1::2].tolist() == expected.alias
    assert columns[::2].tolist() == expected.cut


@cache
def large_alias() -> tuple[Any, I64]:
    """Return weights of several chunks, and the oracle's draws."""
    weights = np.random.default_rng(1).lognormal(sigma=3.0, size=12345)
    weights[2000:6000] = 0.0
    return weights, oracle.AliasTable(weights).draw(20011, 5, 6)


@pytest.mark.usefixtures("everywhere")
def test_alias_table_everywhere() -> None:
    weights, expected = large_alias()
    np.testing.assert_array_equal(alias_table(weights).draw(20011, 5, 6), expected)


@pytest.mark.parametrize(
    ("offsets", "weights"),
    [
        ([0, 1], [2.0]),
        ([0, 0, 5, 5, 2**40], [1.0, 0.5, 3.0, 1e-9]),
        ([0, 3, 1003, 1010], [0.0, 1.0, 20.0]),
        (np.arange(0, 4000, 7), make_weights("mixed", 571)),
    ],
)
@pytest.mark.usefixtures("everywhere")
def test_grouped_alias(offsets: Any, weights: Any) -> None:
    offsets, weights = np.asarray(offsets, dtype=np.int64), np.asarray(weights, dtype=np.float64)
    expected, table = oracle.GroupedAlias(offsets, weights), _core.GroupedAlias(offsets, weights)
    assert (table.n, table.n_groups) == (offsets[-1], len(weights))
    for size, seed, epoch in [(0, 1, 0), (777, 1, 0), (1025, 2**63 - 1, 2**63 - 1)]:
        positions = expected.draw(size, seed, epoch)
        np.testing.assert_array_equal(table.draw(size, seed, epoch), positions, strict=True)
        if offsets[-1] < 10**6:
            members: I64 = np.arange(offsets[-1])[::-1].copy()
            for given in (members, members.astype(np.int32)):
                drawn = table.draw(size, seed, epoch, given)
                np.testing.assert_array_equal(drawn, members[positions], strict=True)


def check_tree(tree: _core.SumTree, expected: oracle.SumTree, size: int, seed: int) -> None:
    """Check weights, masses and all kinds of draws."""
    np.testing.assert_array_equal(tree.weights(), expected.weights)
    masses = expected.masses
    assert tree.scaled_total == (sum(masses), expected.exponent or 0)
    assert tree.n_positive == expected.positive
    if not expected.positive:
        with pytest.raises(ValueError, match="at least one weight must be > 0"):
            tree.draw(1, seed)
        return
    p = np.array(masses) / float(sum(masses))
    np.testing.assert_array_equal(tree.probabilities(np.arange(expected.n)), p)
    for stratified in (False, True):
        slots, probabilities, positive = tree.draw(size, seed, 3, stratified=stratified)
        np.testing.assert_array_equal(slots, expected.draw(size, seed, 3, stratified=stratified), strict=True)
        np.testing.assert_array_equal(probabilities, p[slots])
        assert positive == expected.positive
    distinct = min(size, expected.positive)
    slots, probabilities, _ = tree.draw(distinct, seed, 3, replace=False)
    np.testing.assert_array_equal(slots, expected.draw_distinct(distinct, seed, 3), strict=True)
    np.testing.assert_array_equal(probabilities, p[slots])


far = st.sampled_from([1e-6, 1e-3, 30.0, 1e9, 2.0**900, 5e-324])
weights_of_updates = st.just(0.0) | st.floats(0.5, 2.0) | far


@given(
    n=st.integers(1, 90),
    seed=st.integers(0, 2**63 - 1),
    updates=st.lists(
        st.lists(st.tuples(st.floats(0, 1, exclude_max=True), weights_of_updates), max_size=30), max_size=8
    ),
)
@search
def test_sum_tree(n: int, seed: int, updates: list[list[tuple[float, float]]]) -> None:
    tree, expected = _core.SumTree(n), oracle.SumTree(n)
    for update in updates:
        slots = np.array([int(x * n) for x, _ in update], dtype=np.int64)
        weights = np.array([w for _, w in update], dtype=np.float64)
        tree.update(slots, weights)
        expected.update(slots, weights)
        check_tree(tree, expected, 20, seed)
    restored = _core.SumTree(n)
    restored.restore(*tree.state())
    check_tree(restored, expected, 20, seed)


MANY = 20_000


@given(
    counts=st.lists(
        st.one_of(
            st.integers(1, MANY - 1),
            st.sampled_from([2047, 2048, 4095, 4096, 8191, 8192, 8193, 16383, 16384, 16385]),
        ),
        min_size=1,
        max_size=4,
    ),
    calls=st.sampled_from([1, 1, 2, 5]),
    share=st.sampled_from([1.0, 1.0, 0.5, 0.75]) | st.floats(0.2, 1.0),
    seed=st.integers(0, 2**63 - 1),
)
@searching(40)
def test_sum_tree_near_the_limit(counts: list[int], calls: int, share: float, seed: int) -> None:
    """Small weights, then ones near the largest mass: 2^11 of them reach the limit, 2^13 of them 2^64."""
    tree, expected = _core.SumTree(MANY), oracle.SumTree(MANY)
    small = np.zeros(MANY)
    small[0] = 1.0
    tree.fill(small)
    expected.fill(small)
    for count in counts:
        weight = share * 2.0 ** (51 - (expected.exponent or 0))
        for slots in np.array_split(np.arange(1, count + 1), calls):
            tree.update(slots, np.full(len(slots), weight))
            expected.update(slots, np.full(len(slots), weight))
            assert tree.scaled_total == (sum(expected.masses), expected.exponent)
            assert tree.scaled_total[0] < 2**62
    check_tree(tree, expected, 20, seed)
    restored = _core.SumTree(MANY)
    restored.restore(*tree.state())
    check_tree(restored, expected, 20, seed)


@pytest.mark.parametrize("kind", WEIGHT_KINDS)
@pytest.mark.parametrize("n", [1, 8, 9, 64, 65, 513])
def test_filled_sum_tree(kind: WeightKind, n: int) -> None:
    weights = make_weights(kind, n)
    tree, expected = _core.SumTree(n), oracle.SumTree(n)
    if weights.max() > 2.0**900:
        with pytest.raises(ValueError, match=r"at most 2\*\*900"):
            tree.fill(weights)
        return
    tree.fill(weights)
    expected.fill(weights)
    check_tree(tree, expected, 60, 5)
    if weights.astype(np.float32).astype(np.float64).tolist() == weights.tolist():
        tree.fill(weights.astype(np.float32))
        check_tree(tree, expected, 60, 5)


@cache
def large_tree() -> tuple[oracle.SumTree, I64, I64, I64]:
    """Return a tree of several tasks, updated; independent draws and draws without replacement."""
    generator = np.random.default_rng(2)
    tree = oracle.SumTree(70001)
    tree.fill(generator.standard_exponential(70001))
    slots = generator.integers(70001, size=5000)
    tree.update(slots, generator.standard_exponential(5000) * 3)
    return tree, slots, tree.draw(20011, 5, 6), tree.draw_distinct(1500, 5, 6)


@pytest.mark.usefixtures("everywhere")
def test_sum_tree_everywhere() -> None:
    expected, slots, independent, distinct = large_tree()
    tree = _core.SumTree(70001)
    generator = np.random.default_rng(2)
    tree.fill(generator.standard_exponential(70001))
    tree.update(slots, expected.weights[slots])
    assert tree.scaled_total == (sum(expected.masses), expected.exponent)
    np.testing.assert_array_equal(tree.draw(20011, 5, 6)[0], independent)
    np.testing.assert_array_equal(tree.draw(1500, 5, 6, replace=False)[0], distinct)
