"""Bucketed: equal to the oracle, with keys as they are, boundaries, quantiles and a limit of tokens."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests import oracle
from tombola import Bucketed
from tombola.labels.boundaries import count_lengths, quantile_boundaries

N = 90
ROWS = np.arange(N)
LENGTHS = ROWS * 40503 % 97 % 23 + 1
DEPTHS = ROWS % 7 % 4
INDICES = np.flatnonzero(ROWS % 5 != 2)
OPTIONS: dict[str, Any] = {"batch_size": 7, "fetch_factor": 3, "seed": 5, "epoch": 2}
CUTS = {
    "one": (10,),
    "three": (4, 9, 17),
    "outside": (-5, 0, 12, 24, 10**12),
    "none": (),
    "more than rows": tuple(range(-100, 200)),
}


def by_oracle(
    codes: Any,
    indices: Any = None,
    *,
    lengths: Any = None,
    max_tokens: int = 0,
    drop_last: bool,
    **options: Any,
) -> list[list[int]]:
    """Return the plan of the oracle; the rows of batches follow from the longest of each bucket."""
    groups = oracle.group(codes, indices)
    sizes = None
    if max_tokens:
        of_row = dict(
            zip((np.arange(len(codes)) if indices is None else indices).tolist(), lengths, strict=True)
        )
        longest = [
            max(of_row[row] for row in groups.members[a:b].tolist())
            for a, b in zip(groups.offsets[:-1], groups.offsets[1:], strict=True)
        ]
        sizes = [min(7, max_tokens // length) if length else 7 for length in longest]
    plan = oracle.buckets(
        groups, oracle.Batching(**OPTIONS, drop_last=drop_last), batch_sizes=sizes, **options
    )
    return [plan.batch(k).tolist() for k in range(len(plan))]


def batches(strategy: Bucketed, n: int | None = None, **options: Any) -> list[list[int]]:
    return [batch.tolist() for batch in strategy.plan(n, **{**OPTIONS, **options})]


every_end = pytest.mark.parametrize("drop_last", [False, True])
every_order = pytest.mark.parametrize("shuffle", [False, True])


@every_end
@every_order
def test_keys_as_they_are(shuffle: bool, drop_last: bool) -> None:
    options = {"shuffle": shuffle, "drop_last": drop_last}
    for n in (None, N):
        assert batches(Bucketed(DEPTHS, shuffle=shuffle), n, drop_last=drop_last) == by_oracle(
            DEPTHS, **options
        )
    expected = by_oracle(DEPTHS[INDICES], INDICES, **options)
    for keys in (DEPTHS, DEPTHS[INDICES]):
        assert batches(Bucketed(keys, indices=INDICES, shuffle=shuffle), N, drop_last=drop_last) == expected


@every_end
@pytest.mark.parametrize("cuts", CUTS.values(), ids=CUTS.keys())
def test_boundaries(cuts: tuple[int, ...], drop_last: bool) -> None:
    codes = np.searchsorted(cuts, LENGTHS, side="right")
    strategy = Bucketed(LENGTHS, boundaries=cuts)
    assert batches(strategy, drop_last=drop_last) == by_oracle(codes, drop_last=drop_last)
    assert strategy == Bucketed(LENGTHS, boundaries=list(cuts)) == Bucketed(LENGTHS.tolist(), boundaries=cuts)
    strategy = Bucketed(LENGTHS, boundaries=cuts, indices=INDICES)
    assert batches(strategy, drop_last=drop_last) == by_oracle(codes[INDICES], INDICES, drop_last=drop_last)


@every_end
@pytest.mark.parametrize("n_buckets", [1, 2, 5, 22, 23, 100])
def test_quantiles_are_boundaries(n_buckets: int, drop_last: bool) -> None:
    cuts = quantile_boundaries(*count_lengths(LENGTHS), n_buckets)
    assert len(cuts) == min(n_buckets, 23) - 1
    expected = batches(Bucketed(LENGTHS, boundaries=cuts), drop_last=drop_last)
    assert batches(Bucketed(LENGTHS, n_buckets=n_buckets), drop_last=drop_last) == expected


def test_quantiles_are_those_of_the_rows_chosen_among() -> None:
    lengths = np.where(ROWS % 5 == 2, 1000 + ROWS, LENGTHS)
    chosen = lengths[INDICES]
    cuts = quantile_boundaries(*count_lengths(chosen), 4)
    assert max(cuts) < 24
    expected = batches(Bucketed(chosen, boundaries=cuts, indices=INDICES))
    for keys in (lengths, chosen):
        assert batches(Bucketed(keys, n_buckets=4, indices=INDICES)) == expected


@every_end
@every_order
@pytest.mark.parametrize("max_tokens", [23, 24, 50, 10**9])
@pytest.mark.parametrize("how", ["keys", "boundaries", "quantiles"])
def test_tokens(how: str, max_tokens: int, shuffle: bool, drop_last: bool) -> None:
    for lengths in (LENGTHS, LENGTHS - 1, LENGTHS - LENGTHS % 7):
        cuts = (
            quantile_boundaries(*count_lengths(lengths[INDICES]), 5) if how == "quantiles" else CUTS["three"]
        )
        codes = lengths if how == "keys" else np.searchsorted(cuts, lengths, side="right")
        ways: dict[str, dict[str, Any]] = {
            "keys": {},
            "boundaries": {"boundaries": cuts},
            "quantiles": {"n_buckets": 5},
        }
        expected = by_oracle(
            codes[INDICES],
            INDICES,
            lengths=lengths[INDICES].tolist(),
            max_tokens=max_tokens,
            shuffle=shuffle,
            drop_last=drop_last,
        )
        for keys in (lengths, lengths[INDICES]):
            strategy = Bucketed(keys, **ways[how], max_tokens=max_tokens, shuffle=shuffle, indices=INDICES)
            made = batches(strategy, drop_last=drop_last)
            assert made == expected
            assert all(len(batch) * max(lengths[batch]) <= max_tokens for batch in made)


@pytest.mark.parametrize(
    ("options", "sizes"), [({}, {7, 3, 1}), ({"boundaries": [2**45]}, {3, 1}), ({"n_buckets": 3}, {7, 3, 1})]
)
def test_tokens_of_lengths_far_apart(options: dict[str, Any], sizes: set[int]) -> None:
    """Groups come in the order of a hash of such keys."""
    lengths = DEPTHS * 2**44 + 2**40
    made = batches(Bucketed(lengths, max_tokens=2**46, **options))
    for batch in made:
        assert len(batch) * max(lengths[batch]) <= 2**46
    assert sorted(row for batch in made for row in batch) == ROWS.tolist()
    assert set(map(len, made)) >= sizes
    assert max(map(len, made)) == max(sizes)


def test_rows_without_length_fill_batches() -> None:
    made = batches(Bucketed(np.zeros(20, dtype=int), max_tokens=3))
    assert [len(batch) for batch in made].count(7) == 2
    assert sorted(map(len, made)) == [6, 7, 7]


SAME = {
    "list": DEPTHS.tolist(),
    "uint8": DEPTHS.astype(np.uint8),
    "objects": DEPTHS.astype(object),
    "series": pd.Series(DEPTHS),
    "text": ["abcd"[depth] for depth in DEPTHS],
    "categories": pd.Categorical(["abcd"[depth] for depth in DEPTHS]),
}


@pytest.mark.parametrize("keys", SAME.values(), ids=SAME.keys())
def test_labels_of_any_kind(keys: Any) -> None:
    codes = DEPTHS if not isinstance(keys, list) or isinstance(keys[0], int) else as_they_appear(DEPTHS)
    assert batches(Bucketed(keys)) == by_oracle(codes, drop_last=False)


def as_they_appear(codes: Any) -> Any:
    numbers = {code: number for number, code in enumerate(dict.fromkeys(codes.tolist()))}
    return np.array([numbers[code] for code in codes.tolist()])


@pytest.mark.parametrize(
    ("keys", "options", "error", "message"),
    [
        ([], {}, ValueError, "keys must not be empty"),
        (
            np.array([1.0]),
            {},
            TypeError,
            "keys must be integers, strings or objects that hash, but the dtype is float64",
        ),
        (
            [1, None],
            {},
            ValueError,
            'keys must not be missing, but keys[1] is (1 of 2 rows): missing="drop" leaves them out, or give '
            "them a bucket of their own",
        ),
        (
            [1],
            {"boundaries": [1], "n_buckets": 2},
            ValueError,
            "give boundaries or n_buckets, but not both: n_buckets makes boundaries of its own",
        ),
        (
            [1],
            {"boundaries": [1, 5, 5]},
            ValueError,
            "boundaries must be strictly increasing, but boundaries[2] = 5 follows 5",
        ),
        (
            [1],
            {"boundaries": [4, 3]},
            ValueError,
            "boundaries must be strictly increasing, but boundaries[1] = 3 follows 4",
        ),
        (
            [1],
            {"boundaries": [2**63 - 1, -(2**63)]},
            ValueError,
            f"boundaries must be strictly increasing, but boundaries[1] = {-(2**63)} follows {2**63 - 1}",
        ),
        ([1], {"boundaries": [1.5]}, TypeError, "boundaries must be integers, but the dtype is float64"),
        ([1], {"boundaries": 5}, ValueError, "boundaries must be one-dimensional, but is one int"),
        ([1], {"n_buckets": 0}, ValueError, "n_buckets must be an integer >= 1, but is 0"),
        ([1], {"n_buckets": 2.0}, TypeError, "n_buckets must be an integer >= 1, but is 2.0"),
        ([1], {"max_tokens": 0}, ValueError, "max_tokens must be an integer >= 1, but is 0"),
        ([1], {"shuffle": None}, TypeError, "shuffle must be True or False, but is None"),
        (
            [3, 9, 130, 5, 130],
            {"max_tokens": 100},
            ValueError,
            "max_tokens must be at least the longest row, but is 100, and keys[2] = 130",
        ),
        (
            [3, 900, 130, 5, 130],
            {"max_tokens": 100, "n_buckets": 2, "indices": [0, 3, 4]},
            ValueError,
            "max_tokens must be at least the longest row, but is 100, and keys[4] = 130",
        ),
        (
            [3, -1, 2, -5],
            {"max_tokens": 9},
            ValueError,
            "keys must be lengths >= 0 with max_tokens=, but keys[1] = -1",
        ),
        (
            ["a", "b"],
            {"boundaries": [1]},
            TypeError,
            "keys must be integers below 2**63 with boundaries=, but keys[0] is 'a'",
        ),
        (
            pd.Categorical([5, 6]),
            {"n_buckets": 2},
            TypeError,
            "keys must be integers below 2**63 with n_buckets=, but keys[0] is 5",
        ),
        (
            np.array([2**63], dtype=np.uint64),
            {"max_tokens": 2},
            TypeError,
            f"keys must be integers below 2**63 with max_tokens=, but keys[0] is {2**63}",
        ),
        ([1], {"indices": []}, ValueError, "indices must not be empty, for there is no bucket without rows"),
    ],
)
def test_wrong_arguments(keys: Any, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        Bucketed(keys, **options)
    assert str(caught.value) == message


def test_boundaries_as_far_apart_as_can_be() -> None:
    strategy = Bucketed([1, 2, 3], boundaries=[-(2**63), 2, 2**63 - 1], shuffle=False)
    assert batches(strategy) == [[0], [1, 2]]


def test_lengths_of_rows_left_out_do_not_matter() -> None:
    strategy = Bucketed([3, -1, 900, 5], max_tokens=5, indices=[0, 3])
    assert sorted(map(tuple, batches(strategy))) == [(0,), (3,)]


def test_keys_that_differ_from_n() -> None:
    with pytest.raises(ValueError, match=r"^keys must be as long as the whole, n = 3, but the length is 2$"):
        Bucketed([1, 2]).plan(3, batch_size=1)


def test_keys_that_change_later_stay_in_bounds() -> None:
    keys = LENGTHS.copy()
    strategy = Bucketed(keys, n_buckets=4, max_tokens=100)
    keys[::3] = 10**9
    made = batches(strategy)
    assert sorted(row for batch in made for row in batch) == ROWS.tolist()
    keys[::2] = -(10**9)
    assert batches(strategy) == made
    strategy.plan(batch_size=7).report()


def test_descriptions() -> None:
    described = Bucketed(LENGTHS, boundaries=(4, 9), max_tokens=50).describe()
    assert described == {
        "strategy": "Bucketed",
        "keys": "int64 of 90",
        "boundaries": [4, 9],
        "n_buckets": None,
        "max_tokens": 50,
        "shuffle": True,
        "indices": None,
        "n_groups": 3,
    }
    many = Bucketed(LENGTHS, boundaries=range(1000))
    other = Bucketed(LENGTHS, boundaries=[*range(999), 1500])
    assert many.describe()["boundaries"].startswith("1000 of hash ")
    assert many.fingerprint()["boundaries"] != other.fingerprint()["boundaries"]
