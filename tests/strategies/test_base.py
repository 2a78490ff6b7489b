"""What all strategies share: arguments of `plan`, indices, copies, pickle, descriptions, borrowing."""

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
    Mixture,
    PerClass,
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


def shares_of_batch(batch: int) -> dict[int, float]:
    return {0: 1, 1: batch, 2: 2}


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
    "tuples": PerClass(LABELS, rows_per_class=7),
    "tuples of a subset": PerClass(
        LABELS.astype(str), rows_per_class=7, classes_per_batch=1, indices=INDICES
    ),
    "tuples and gaps": PerClass(GAPPED, rows_per_class=7, few="repeat", missing="drop"),
    "a mixture": Mixture(LABELS, {0: 1, 1: 4, 2: 2}),
    "a mixture of a subset": Mixture(LABELS, {0: 0.2, 1: 0.3, 2: 0.5}, ends_with=1, indices=INDICES),
    "a mixture and gaps": Mixture(GAPPED, {"a": 3, "c": 4}, others="drop", missing="drop"),
    "a mixture within": Mixture(LABELS, {2: 3, 0: 2, 1: 2}, within=SERIES % 2, contexts="even"),
    "a mixture of conditions": Mixture(
        LABELS[INDICES], {0: 3, 1: 2, 2: 2}, per_condition=SERIES[::2] % 4 // 2, controls=0, indices=INDICES
    ),
    "a mixture of strategies": Mixture(
        LABELS, {0: 1, 1: 4, 2: 2}, strategies={0: BlockShuffling(4), 1: BlockWeightedSampling(WEIGHTS)}
    ),
    "a mixture by schedule": Mixture(LABELS, shares_of_batch, total_size=50),
    "quantiles": Bucketed(SERIES, n_buckets=4, shuffle=False, indices=INDICES),
}


def chosen_rows(strategy: Strategy) -> list[int]:
    """The rows to choose among; weighted draws keep those of weight 0."""
    chosen = np.arange(N) if strategy.indices is None else INDICES
    leaves_out = isinstance(strategy, SeriesRoundRobin | Bucketed | PerClass) and strategy.missing == "drop"
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
    if not isinstance(strategy, PerClass | Mixture):  # whose epochs are of full batches
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


@every_strategy
def test_options_are_keyword_only(strategy: Strategy) -> None:
    options = {f.name for f in dataclasses.fields(strategy) if f.kw_only}
    assert {"indices"} <= options
    assert options.isdisjoint({"block_size", "weights", "labels", "series_ids", "keys"})
    assert ("shuffle" in options) == isinstance(strategy, SeriesRoundRobin | Bucketed)


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
