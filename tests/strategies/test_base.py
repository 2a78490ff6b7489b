"""What all strategies share: arguments of `plan`, indices, equality, pickle, fingerprints, borrowing."""

import copy
import dataclasses
import json
import pickle
from typing import Any

import numpy as np
import pytest

import tombola
from tombola import (
    BlockShuffling,
    BlockWeightedSampling,
    Bucketed,
    Categorical,
    ClassBalancedSampling,
    SeriesRoundRobin,
    Strategy,
    Streaming,
)

N = 60
INDICES = np.arange(0, N, 2)
BOUNDS = np.array([0, 3, 4, 20, 21, 33, 50, N])
WEIGHTS = np.linspace(0, 1, N)
LABELS = np.arange(N) % 3
SERIES = np.arange(N) * 7 % 16
IS_GAP = np.arange(N) % 5 == 2
GAPPED = Categorical(np.where(IS_GAP, -1, LABELS).astype(np.int8), np.array(["a", "b", "c"]), "drug")

CASES = {
    "streaming": Streaming(),
    "windows": Streaming(shuffle=True),
    "blocks": BlockShuffling(4),
    "blocks of a subset": BlockShuffling(4, indices=INDICES),
    "bounded blocks": BlockShuffling(bounds=BOUNDS),
    "bounded blocks of a subset": BlockShuffling(bounds=BOUNDS, indices=INDICES),
    "equal weights": BlockWeightedSampling(),
    "weights": BlockWeightedSampling(WEIGHTS),
    "weights of a subset": BlockWeightedSampling(WEIGHTS, indices=INDICES, draw="iid"),
    "own weights of a subset": BlockWeightedSampling(WEIGHTS[:30], indices=INDICES),
    "rounds": BlockWeightedSampling(WEIGHTS, replace=False, sampling_size=10),
    "classes": ClassBalancedSampling(LABELS),
    "classes of a subset": ClassBalancedSampling(LABELS.astype(str), min_count_baseline=3, indices=INDICES),
    "series": SeriesRoundRobin(SERIES),
    "series of a subset": SeriesRoundRobin(SERIES.astype(str), per_series=2, indices=INDICES),
    "rounds of series": SeriesRoundRobin(SERIES.tolist(), schedule="round_robin"),
    "series in order": SeriesRoundRobin(SERIES, shuffle=False),
    "buckets": Bucketed(LABELS),
    "buckets of a subset": Bucketed(LABELS[::2], indices=INDICES),
    "boundaries": Bucketed(SERIES, boundaries=[3, 9], max_tokens=50),
    "weights and gaps": BlockWeightedSampling(np.where(IS_GAP, np.nan, WEIGHTS), missing="drop"),
    "classes and gaps": ClassBalancedSampling(GAPPED, missing="drop"),
    "classes and gaps of a subset": ClassBalancedSampling(GAPPED, missing="drop", indices=INDICES),
    "series and gaps": SeriesRoundRobin(GAPPED, missing="drop", per_series=3),
    "series and gaps of a subset": SeriesRoundRobin(GAPPED[INDICES], missing="drop", indices=INDICES),
    "buckets and gaps": Bucketed(GAPPED, missing="drop", indices=INDICES),
    "lengths and gaps": Bucketed(np.where(IS_GAP, np.nan, SERIES), n_buckets=3, missing="drop"),
    "quantiles": Bucketed(SERIES, n_buckets=4, shuffle=False, indices=INDICES),
}


def chosen_rows(strategy: Strategy) -> list[int]:
    """The rows to choose among; weighted draws keep those of weight 0."""
    chosen = np.arange(N) if strategy.indices is None else INDICES
    leaves_out = isinstance(strategy, SeriesRoundRobin | Bucketed) and strategy.missing == "drop"
    listed: list[int] = (chosen[~IS_GAP[chosen]] if leaves_out else chosen).tolist()
    return listed


every_strategy = pytest.mark.parametrize("strategy", CASES.values(), ids=CASES.keys())


def rows(strategy: Strategy, **options: Any) -> list[int]:
    plan = strategy.plan(N, **{"batch_size": 7, "fetch_factor": 2, **options})
    listed: list[int] = plan.indices().tolist()
    return listed


@every_strategy
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"batch_size": 0}, ValueError, "batch_size must be an integer >= 1, but is 0"),
        ({"batch_size": 2.0}, TypeError, "batch_size must be an integer >= 1, but is 2.0"),
        ({"batch_size": True}, TypeError, "batch_size must be an integer >= 1, but is True"),
        ({"fetch_factor": 0}, ValueError, "fetch_factor must be an integer >= 1, but is 0"),
        ({"drop_last": 1}, TypeError, "drop_last must be True or False, but is 1"),
        ({"seed": -1}, ValueError, "seed must be an integer >= 0, but is -1"),
        ({"epoch": 2**63}, ValueError, f"epoch must be an integer >= 0 and < 2**63, but is {2**63}"),
        ({"n": -1}, ValueError, "n must be an integer >= 0, but is -1"),
        ({"n": 60.0}, TypeError, "n must be an integer >= 0, but is 60.0"),
        ({"n": 2**61}, ValueError, f"n must be an integer >= 0 and < 2**61, but is {2**61}"),
    ],
)
def test_wrong_arguments_of_plan(
    strategy: Strategy, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        strategy.plan(**{"batch_size": 4, **options})
    assert str(caught.value) == message


@pytest.mark.parametrize("strategy", [Streaming(), BlockShuffling(), BlockWeightedSampling()])
def test_n_is_needed_where_no_array_tells_it(strategy: Strategy) -> None:
    for ask in (strategy.fingerprint, lambda: strategy.plan(batch_size=4)):
        with pytest.raises(TypeError) as caught:
            ask()
        assert str(caught.value) == f"n is needed: {strategy!r} does not tell the number of rows"


@every_strategy
def test_n_may_be_left_out_elsewhere(strategy: Strategy) -> None:
    assert strategy.plan(N, batch_size=7).n == N
    if strategy in (Streaming(), Streaming(shuffle=True), BlockShuffling(4), BlockWeightedSampling()):
        return
    plan = strategy.plan(batch_size=7, fetch_factor=2)
    assert plan.n is None
    assert plan.indices().tolist() == rows(strategy)
    assert strategy.fingerprint() == strategy.fingerprint(N)


@every_strategy
def test_rows_come_from_the_indices(strategy: Strategy) -> None:
    allowed = chosen_rows(strategy)
    assert set(rows(strategy)) <= set(allowed)
    assert len(rows(strategy)) == len(allowed)
    if getattr(strategy, "missing", "error") == "drop":
        assert not IS_GAP[rows(strategy)].any()


@pytest.mark.parametrize("make", [Streaming, BlockShuffling, BlockWeightedSampling])
@pytest.mark.parametrize(
    ("indices", "error", "message"),
    [
        ([0, 2, 2], ValueError, "indices must be strictly increasing, but indices[2] = 2 follows 2"),
        ([3, 2], ValueError, "indices must be strictly increasing, but indices[1] = 2 follows 3"),
        ([-1, 2], ValueError, "indices must be >= 0, but indices[0] = -1"),
        ([0.0, 1.0], TypeError, "indices must be integers, but the dtype is float64"),
        ([True, False], TypeError, "indices must be integers, but the dtype is bool"),
        ([[0, 1]], ValueError, "indices must be one-dimensional, but the shape is (1, 2)"),
    ],
)
def test_wrong_indices(make: Any, indices: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        make(indices=indices)
    assert str(caught.value).startswith(message)


def test_the_message_on_order_names_the_cure() -> None:
    with pytest.raises(ValueError, match=r"; pass numpy\.unique\(indices\)$"):
        Streaming(indices=[1, 0])


@pytest.mark.parametrize("make", [Streaming, BlockShuffling, BlockWeightedSampling])
def test_indices_beyond_n(make: Any) -> None:
    strategy = make(indices=[0, 5, 9, 10])
    assert len(strategy.plan(11, batch_size=2)) == 2
    message = r"^indices must lie in \[0, 10\), but indices\[3\] = 10$"
    with pytest.raises(ValueError, match=message):
        strategy.plan(10, batch_size=2)
    with pytest.raises(ValueError, match=message):
        strategy.fingerprint(10)


@pytest.mark.parametrize(
    "strategy", [Streaming(), Streaming(shuffle=True), BlockShuffling(4), BlockShuffling(1)]
)
def test_no_rows_make_no_batches(strategy: Strategy) -> None:
    for empty in (
        strategy.plan(0, batch_size=4),
        dataclasses.replace(strategy, indices=[]).plan(9, batch_size=4),
    ):
        assert len(empty) == empty.n_rows == len(empty.indices()) == 0
        assert list(empty) == empty[:] == []


@every_strategy
def test_arrays_are_borrowed(strategy: Strategy) -> None:
    if strategy.indices is not None:
        assert np.shares_memory(np.asarray(strategy.indices), INDICES)
    weights = getattr(strategy, "weights", None)
    if weights is not None:  # gaps are filled in a copy
        assert np.shares_memory(weights, WEIGHTS) == (getattr(strategy, "missing", None) == "error")


@every_strategy
def test_equality_hash_copies_and_pickle(strategy: Strategy) -> None:
    expected = rows(strategy)
    for other in (
        pickle.loads(pickle.dumps(strategy)),
        copy.copy(strategy),
        copy.deepcopy(strategy),
        dataclasses.replace(strategy),
    ):
        assert other is not strategy
        assert other == strategy
        assert hash(other) == hash(strategy)
        assert repr(other) == repr(strategy)
        assert rows(other) == expected
        assert other.fingerprint(N) == strategy.fingerprint(N)
    assert [other == strategy for other in CASES.values()].count(True) == 1
    assert (strategy == "something else") is False


def test_pickles_hold_no_prepared_state() -> None:
    strategy = BlockWeightedSampling(np.ones(100_000, dtype=np.float32))
    before = pickle.dumps(strategy)
    strategy.plan(batch_size=8)
    strategy.fingerprint()
    assert pickle.dumps(strategy) == before
    assert len(before) < 401_000


def test_equality_looks_into_arrays() -> None:
    assert BlockWeightedSampling([1, 2]) == BlockWeightedSampling(np.array([1.0, 2.0]))
    assert BlockWeightedSampling([1, 2]) != BlockWeightedSampling([1, 3])
    assert BlockWeightedSampling([1, 2]) != BlockWeightedSampling()
    assert Streaming(indices=[1, 2]) == Streaming(indices=np.array([1, 2], dtype=np.int8))
    assert Streaming(indices=[1, 2]) != Streaming(indices=[1, 3])
    assert BlockShuffling(bounds=[0, 2]) == BlockShuffling(bounds=np.array([0, 2], dtype=np.uint8))
    assert BlockShuffling(bounds=[0, 2]) != BlockShuffling(bounds=[0, 1, 2])
    assert BlockShuffling(bounds=[0, 2]) != BlockShuffling()
    assert ClassBalancedSampling(["a", "b"]) == ClassBalancedSampling([["a", "b"]])
    assert ClassBalancedSampling([0, 1]) != ClassBalancedSampling([1, 0])
    assert ClassBalancedSampling([0, 1]) != ClassBalancedSampling([0, 1], min_count_baseline=1)
    assert SeriesRoundRobin([4, 4, 7]) == SeriesRoundRobin(np.array([4, 4, 7], dtype=np.uint8))
    assert SeriesRoundRobin([4, 4, 7]) != SeriesRoundRobin([4, 7, 7])
    assert Bucketed([4, 5], boundaries=[5]) == Bucketed([4, 5], boundaries=np.array([5]))
    assert Bucketed([4, 5], boundaries=[5]) != Bucketed([4, 5])
    assert Bucketed([4, 5], max_tokens=8) != Bucketed([4, 6], max_tokens=8)


@every_strategy
def test_strategies_are_frozen(strategy: Strategy) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        strategy.indices = None  # type: ignore[misc]


@every_strategy
def test_descriptions_and_fingerprints_are_json(strategy: Strategy) -> None:
    for made in (strategy.describe(), strategy.fingerprint(N)):
        assert json.loads(json.dumps(made)) == made
        assert made["strategy"] == type(strategy).__name__
    assert strategy.fingerprint(N)["plan_version"] == 1
    assert strategy.fingerprint(N)["rows"] == len(chosen_rows(strategy))


def test_fingerprints_tell_what_differs() -> None:
    def differing(a: Strategy, b: Strategy, n: int | None = None) -> set[str]:
        first, second = a.fingerprint(n), b.fingerprint(n)
        return {name for name in first | second if first.get(name) != second.get(name)}

    assert differing(BlockShuffling(4), BlockShuffling(8), 9) == {"block_size"}
    assert differing(BlockShuffling(bounds=[0, 4, 9]), BlockShuffling(bounds=[0, 5, 9])) == {"bounds"}
    assert differing(BlockShuffling(bounds=[0, 9]), BlockShuffling(), 9) == {"bounds", "block_size"}
    assert differing(Streaming(indices=[1, 2]), Streaming(indices=[1, 3])) == {"indices"}
    assert differing(Streaming(indices=[0]), Streaming(), 1) == {"indices"}
    assert differing(BlockWeightedSampling([1, 2]), BlockWeightedSampling([1, 3])) == {"weights"}
    assert differing(BlockWeightedSampling([1, 1]), BlockWeightedSampling(), 2) == {"weights"}
    assert differing(BlockWeightedSampling([1], draw="iid"), BlockWeightedSampling([1])) == {"draw"}
    assert differing(ClassBalancedSampling([0, 1, 1]), ClassBalancedSampling([0, 1, 0])) == {"labels"}
    assert differing(SeriesRoundRobin([0, 1, 1]), SeriesRoundRobin([0, 1, 0])) == {"series_ids"}
    assert differing(SeriesRoundRobin([0]), SeriesRoundRobin([0], per_series=2)) == {"per_series"}
    assert differing(Bucketed([0, 1, 1]), Bucketed([0, 1, 0])) == {"keys"}
    assert differing(Bucketed([0, 9], boundaries=[5]), Bucketed([0, 9], boundaries=[4])) == {"boundaries"}
    assert differing(Bucketed([8, 9], max_tokens=9), Bucketed([7, 9], max_tokens=9)) == {"longest_rows"}
    assert Streaming().fingerprint(5)["rows"] != Streaming().fingerprint(6)["rows"]


def test_fingerprints_are_taken_once() -> None:
    weights = np.array([1.0, 2.0])
    strategy = BlockWeightedSampling(weights)
    before = strategy.fingerprint()
    weights[0] = 5.0
    assert strategy.fingerprint() == before


@every_strategy
def test_options_are_keyword_only(strategy: Strategy) -> None:
    options = {f.name for f in dataclasses.fields(strategy) if f.kw_only}
    assert {"indices"} <= options
    assert options.isdisjoint({"block_size", "weights", "labels", "series_ids", "keys"})
    assert ("shuffle" in options) == isinstance(strategy, SeriesRoundRobin | Bucketed)


def test_short_names() -> None:
    assert repr(CASES["streaming"]) == "Streaming(shuffle=False)"
    assert repr(CASES["blocks of a subset"]) == "BlockShuffling(block_size=4, indices=<int64 of 30>)"
    assert repr(CASES["bounded blocks"]) == "BlockShuffling(bounds=<int64 of 8>)"
    text = "BlockWeightedSampling(weights=<float64 of 60>, block_size=16, replace=False, sampling_size=10)"
    assert repr(CASES["rounds"]) == text
    assert repr(ClassBalancedSampling(["a"] * 9, total_size=4)) == (
        "ClassBalancedSampling(labels=<list of 9>, block_size=16, total_size=4)"
    )
    assert repr(CASES["rounds of series"]) == (
        "SeriesRoundRobin(series_ids=<list of 60>, schedule='round_robin')"
    )
    assert repr(CASES["boundaries"]) == "Bucketed(keys=<int64 of 60>, boundaries=(3, 9), max_tokens=50)"
    assert repr(Bucketed([1, 2], boundaries=range(9))) == (
        "Bucketed(keys=<list of 2>, boundaries=<tuple of 9>)"
    )


def test_changed_indices_stay_in_bounds_of_what_is_checked() -> None:
    indices = np.arange(10)
    strategy = Streaming(indices=indices)
    indices[-1] = 100
    with pytest.raises(ValueError, match=r"^indices must lie in \[0, 10\), but indices\[9\] = 100$"):
        strategy.plan(10, batch_size=2)


@pytest.mark.parametrize("make", [BlockWeightedSampling, ClassBalancedSampling])
@pytest.mark.parametrize("draw", ["stratified", "iid"])
def test_keys_that_change_never_lead_out_of_bounds(make: Any, draw: str) -> None:
    key = np.ones(1000, dtype=np.float64 if make is BlockWeightedSampling else np.int64)
    strategy = make(key, 4, draw=draw)
    plan = strategy.plan(batch_size=16)
    for change in (0, -1, 10**9):
        key[::3] = change
        for chosen in (plan, strategy.plan(batch_size=16, epoch=1)):
            drawn = chosen.indices()
            assert 0 <= drawn.min()
            assert drawn.max() < 1000


def test_plans_keep_their_arrays_alive() -> None:
    expected = BlockWeightedSampling(WEIGHTS, indices=INDICES).plan(batch_size=7).indices().tolist()
    plan = tombola.BlockWeightedSampling(WEIGHTS.tolist(), indices=INDICES.tolist()).plan(batch_size=7)
    _ = [np.full(N, 10**6) for _ in range(100)]
    assert plan.indices().tolist() == expected


def test_states_from_before_an_option_came_fit_its_default() -> None:
    assert BlockShuffling(4, indices=[1, 2]).fingerprint(9) == {
        "strategy": "BlockShuffling",
        "plan_version": 1,
        "rows": 2,
        "block_size": 4,
        "indices": Streaming(indices=[1, 2]).fingerprint(9)["indices"],
    }
    assert BlockShuffling(4).describe() == {"strategy": "BlockShuffling", "block_size": 4, "indices": None}
    assert BlockShuffling(bounds=[0, 4]).describe() == {
        "strategy": "BlockShuffling",
        "bounds": "int64 of 2",
        "indices": None,
    }
