"""The alias tables as users call them; their draws are compared with the oracle in `property`."""

import pickle
from typing import Any

import numpy as np
import pytest

import tombola
from tests import oracle


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int64, np.uint8, np.bool_])
def test_draws_are_the_oracles_for_any_dtype(dtype: Any) -> None:
    weights = (np.arange(50) % 7).astype(dtype)
    rows = tombola.AliasTable(weights).draw(200, seed=4, epoch=2)
    expected = oracle.AliasTable(weights.astype(np.float64)).draw(200, 4, 2)
    assert rows.dtype == np.int64
    assert rows.tolist() == expected.tolist()


def test_seed_epoch_and_size() -> None:
    table = tombola.AliasTable([1, 2, 3])
    long = table.draw(1000).tolist()
    assert long[:10] == table.draw(10, seed=0, epoch=0).tolist()
    assert long != table.draw(1000, seed=1).tolist()
    assert long != table.draw(1000, epoch=1).tolist()
    assert table.draw(1000, seed=1).tolist() != table.draw(1000, epoch=1).tolist()
    assert table.draw(0).tolist() == []


def test_later_changes_change_nothing_and_pickle_works() -> None:
    weights = np.array([1.0, 2.0, 3.0])
    table = tombola.AliasTable(weights)
    draws = table.draw(50).tolist()
    weights[:] = [1.0, 0.0, 0.0]
    assert pickle.loads(pickle.dumps(table)).draw(50).tolist() == draws
    assert table.draw(50).tolist() == draws
    assert len(table) == table.n == 3
    assert repr(table) == "AliasTable(n=3)"


@pytest.mark.parametrize("weights", [[3, 1], [1, 2, 1], [0, 5, 5, 6], [1, 1, 1, 13], [2, 0, 0, 62]])
def test_small_tables_are_exact(weights: list[int]) -> None:
    """Sum the parts of all columns: every row has its share to the last unit."""
    n, total = len(weights), sum(weights)
    columns = tombola.AliasTable(weights)._table.columns().astype(object)
    given = [0] * n
    for row, (cut, alias) in enumerate(zip(columns[::2], columns[1::2], strict=True)):
        own = 2**32 if alias == row else cut
        given[row] += own
        given[alias] += 2**32 - own
    assert [share * total for share in given] == [w * n * 2**32 for w in weights]


def test_a_share_is_less_than_one_unit_off() -> None:
    weights = np.random.default_rng(0).lognormal(sigma=2.0, size=1000)
    columns = tombola.AliasTable(weights)._table.columns().astype(np.int64)
    own = np.where(columns[1::2] == np.arange(1000), 2**32, columns[::2])
    given = own + np.bincount(columns[1::2], weights=2**32 - own, minlength=1000).astype(np.int64)
    assert int(given.sum()) == 1000 * 2**32
    rounding = 0.001  # of the division in float64
    assert np.abs(given - weights / weights.sum() * 1000 * 2**32).max() < 1 + rounding


def test_subsets() -> None:
    weights = np.array([9.0, 1.0, 0.0, 2.0, 9.0])
    rows = np.array([1, 2, 3])
    of_whole, of_subset = (
        tombola.AliasTable(w, indices=rows) for w in (weights, weights[rows].astype(np.float32))
    )
    drawn = of_whole.draw(300, seed=2)
    assert drawn.tolist() == rows[tombola.AliasTable(weights[rows]).draw(300, seed=2)].tolist()
    assert of_subset.draw(300, seed=2).tolist() == drawn.tolist()
    assert pickle.loads(pickle.dumps(of_whole)).draw(300, seed=2).tolist() == drawn.tolist()
    assert (of_whole.n, sorted(set(drawn.tolist()))) == (3, [1, 3])


@pytest.mark.parametrize(
    ("indices", "error", "message"),
    [
        ([2, 1], ValueError, "increasing"),
        ([0, 3], ValueError, r"indices must lie in \[0, 3\), but indices\[1\] = 3"),
        ([-1, 2], ValueError, "indices"),
        ([0.0], TypeError, "indices must be integers"),
        ([], ValueError, "must not be empty"),
    ],
)
def test_wrong_indices(indices: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        tombola.AliasTable([1.0, 2.0, 3.0], indices=indices)


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ([1, -0.5], ValueError, "weights must be finite and >= 0, but weights[1] = -0.5"),
        ([0.0, 0.0], ValueError, "at least one weight must be > 0, but all 2 are 0"),
        ([], ValueError, "weights must not be empty"),
        ([1j], TypeError, "weights must be real numbers that float64 holds, but the dtype is complex128"),
    ],
)
def test_wrong_weights(weights: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        tombola.AliasTable(weights)
    assert str(caught.value) == message


def test_wrong_sizes() -> None:
    with pytest.raises(ValueError, match=r"^size must be an integer >= 0, but is -1$"):
        tombola.AliasTable([1]).draw(-1)


# ----------------------------------------------------------------------------------------------------- groups


def test_groups_with_and_without_members() -> None:
    offsets, weights = [0, 2, 2, 7], [3.0, 100.0, 0.5]
    plain = tombola.GroupedAliasTable(offsets, weights)
    positions = plain.draw(400, seed=6, epoch=1)
    assert positions.tolist() == oracle.GroupedAlias(offsets, weights).draw(400, 6, 1).tolist()
    for dtype in (np.int64, np.int32, np.uint8):
        members = np.array([60, 50, 40, 30, 20, 10, 0], dtype=dtype)
        table = tombola.GroupedAliasTable(offsets, weights, members)
        assert table.draw(400, seed=6, epoch=1).tolist() == members[positions].tolist()
        assert pickle.loads(pickle.dumps(table)).draw(5).tolist() == table.draw(5).tolist()
    assert (len(plain), plain.n, plain.n_groups) == (7, 7, 3)
    assert repr(plain) == "GroupedAliasTable(n=7, n_groups=3)"
    assert plain.draw(400)[:7].tolist() == plain.draw(7).tolist()


def test_members_are_borrowed_and_weights_are_not() -> None:
    members, weights = np.arange(4), np.array([1.0, 1.0])
    table = tombola.GroupedAliasTable([0, 2, 4], weights, members)
    before = table.draw(100).tolist()
    weights[0] = 0.0
    assert table.draw(100).tolist() == before
    members += 10
    assert table.draw(100).tolist() == [row + 10 for row in before]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([0, 2], [1.0], [5]), ValueError, "members must have 2 entries, as offsets say, but have 1"),
        (([0, 2], [1.0], [0.5, 1.5]), TypeError, "members must be integers, but the dtype is float64"),
        (([0.0, 2.0], [1.0]), TypeError, "offsets must be integers, but the dtype is float64"),
        (([1, 2], [1.0]), ValueError, "offsets must begin with 0, but offsets[0] = 1"),
        (([0, 2, 1], [1, 1]), ValueError, "offsets must not descend, but offsets[2] = 1 follows 2"),
        (([0, 2], [1, 1]), ValueError, "there must be one weight for each of the 1 groups, but are 2"),
        (([0, 0, 1], [1, 0]), ValueError, "at least one weight must be > 0, but all 2 are 0"),
        (([0, 2], [np.nan]), ValueError, "weights must be finite and >= 0, but weights[0] = nan"),
    ],
)
def test_wrong_groups(arguments: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        tombola.GroupedAliasTable(*arguments)
    assert str(caught.value) == message
