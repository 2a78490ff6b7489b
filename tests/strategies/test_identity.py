"""What strategies say of themselves: which are equal, fingerprints, names."""

import dataclasses

import numpy as np

from tests.strategies.test_base import CASES, shares_of_batch
from tombola import (
    BlockShuffling,
    BlockWeightedSampling,
    Bucketed,
    ClassBalancedSampling,
    Mixture,
    PerClass,
    SeriesRoundRobin,
    Strategy,
    Streaming,
)


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
    assert PerClass(["b", "a", "b"], rows_per_class=1) == PerClass(["y", "x", "y"], rows_per_class=1)
    assert PerClass([0, 0, 1], rows_per_class=1) != PerClass([0, 1, 1], rows_per_class=1)
    assert Mixture([0, 1], {0: 1, 1: 1}) == Mixture(np.array([0, 1], dtype=np.uint8), {0: 1, 1: 1})
    assert Mixture([0, 1], {0: 1, 1: 1}) != Mixture([1, 0], {0: 1, 1: 1})
    assert Mixture([0, 1], {0: 1, 1: 1}) != Mixture([0, 1], {1: 1, 0: 1}), "another order in the batch"
    assert Mixture([0, 1], {0: 1, 1: 1}) != Mixture([0, 1], {0: 1, 1: 2})


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
    assert differing(PerClass([0, 1], rows_per_class=1), PerClass([1, 1], rows_per_class=1)) == {"labels"}
    assert differing(PerClass([0], rows_per_class=1), PerClass([0], rows_per_class=2)) == {"rows_per_class"}
    mixture = Mixture([0, 1, 0], {0: 1, 1: 2})
    assert differing(mixture, Mixture([0, 1, 1], {0: 1, 1: 2})) == {"labels"}
    assert differing(mixture, Mixture([0, 1, 0], {0: 2, 1: 2})) == {"shares"}
    assert differing(mixture, Mixture([0, 1, 0], {0: 1, 1: 2}, ends_with=0)) == {"ends_with"}
    inner = dataclasses.replace(mixture, strategies={0: BlockShuffling(2)})
    assert differing(mixture, inner) == {"strategies"}
    assert differing(inner, dataclasses.replace(mixture, strategies={0: BlockShuffling(3)})) == {"strategies"}
    assert Streaming().fingerprint(5)["rows"] != Streaming().fingerprint(6)["rows"]


def test_fingerprints_are_taken_once() -> None:
    weights = np.array([1.0, 2.0])
    strategy = BlockWeightedSampling(weights)
    before = strategy.fingerprint()
    weights[0] = 5.0
    assert strategy.fingerprint() == before


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
    assert repr(CASES["tuples"]) == "PerClass(labels=<int64 of 60>, rows_per_class=7)"
    assert repr(CASES["a mixture of strategies"]) == (
        "Mixture(labels=<int64 of 60>, shares={0: 1, 1: 4, 2: 2}, strategies={0: "
        "BlockShuffling(block_size=4), 1: BlockWeightedSampling(weights=<float64 of 60>, block_size=16)})"
    )
    assert repr(CASES["a mixture by schedule"]) == (
        "Mixture(labels=<int64 of 60>, shares=<shares_of_batch>, total_size=50)"
    )
    assert repr(CASES["boundaries"]) == "Bucketed(keys=<int64 of 60>, boundaries=(3, 9), max_tokens=50)"
    assert repr(Bucketed([1, 2], boundaries=range(9))) == (
        "Bucketed(keys=<list of 2>, boundaries=<tuple of 9>)"
    )


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


def test_fingerprints_tell_functions_of_the_batch_number_apart() -> None:
    """By what they give for each batch where the batch size is there, else by their names."""

    def other(batch: int) -> dict[int, float]:
        return {0: 2, 1: 2 * batch, 2: 4}

    def another(batch: int) -> dict[int, float]:
        return shares_of_batch(batch) if batch < 6 else {0: 1, 1: 1, 2: 1}

    labels = np.arange(60) % 3
    one, same, different = (
        Mixture(labels, schedule, total_size=50) for schedule in (shares_of_batch, other, another)
    )
    assert one.fingerprint()["shares"] == "shares_of_batch"
    assert one.fingerprint(batch_size=7) == same.fingerprint(batch_size=7)
    assert one.fingerprint(batch_size=7) != different.fingerprint(batch_size=7)
    assert one.fingerprint(batch_size=10) == different.fingerprint(batch_size=10), "5 batches, all alike"
    assert BlockShuffling(4).fingerprint(9, batch_size=3) == BlockShuffling(4).fingerprint(9)
