"""The drop-in samplers: call shapes, what they log, batches, epochs, ranks, resume, wrong arguments."""

import inspect
import logging
from array import array
from collections import UserList, deque
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import BatchSampler, Dataset

from tombola import BalancedSeriesBatchSampler, Bucketed, BucketSampler, PlanBatchSampler, SeriesRoundRobin

N_PAIRS, N_SERIES = 9_760, 3_466


def make_series() -> list[int]:
    """Return the series of 9,760 pairs: 3,466 series of unequal length, in no order."""
    pair = np.arange(N_PAIRS)
    series = np.where(pair < N_SERIES, pair, (pair * 7919 % N_SERIES) * (pair * 31 % N_SERIES) // N_SERIES)
    listed: list[int] = (series[pair * 4241 % N_PAIRS] * 1009 + 17).tolist()
    return listed


SERIES = make_series()
DEPTHS = [(i * i + i // 3) % 4 for i in range(50)]


class Histories(Dataset[Any]):
    """A dataset as users have it."""

    def __init__(self, depths: Any = DEPTHS) -> None:
        self.samples = [{"compression_depth": depth, "path": f"{i}.h5"} for i, depth in enumerate(depths)]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, i: int) -> Any:
        return self.samples[i]


class Listed(Sequence[Any]):
    """A dataset that is a sequence as well."""

    def __init__(self) -> None:
        self.samples = Histories().samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, i: Any) -> Any:
        return self.samples[i]


class Categories(Histories):
    """A dataset with an attribute that pandas categoricals have too."""

    categories = ("darkroom", "key to door")


def test_the_pairs_of_the_issue(caplog: pytest.LogCaptureFixture) -> None:
    assert len(SERIES) == N_PAIRS
    assert len(set(SERIES)) == N_SERIES
    with caplog.at_level(logging.INFO, logger="tombola"):
        sampler = BalancedSeriesBatchSampler(SERIES, 64)
    assert [(record.name, record.levelname, record.getMessage()) for record in caplog.records] == [
        (
            "tombola.samplers.dropins",
            "INFO",
            "BalancedSeriesBatchSampler: 9,760 pairs, 3,466 unique series, batch size 64, shuffle on, "
            "153 batches of 63 or 64",
        )
    ]
    assert len(sampler) == 153
    first_batches = []
    for epoch in range(3):
        batches = list(sampler)
        assert sampler.epoch == epoch + 1
        assert len(batches) == 153
        assert sorted(row for batch in batches for row in batch) == list(range(N_PAIRS))
        assert {len(batch) for batch in batches} == {63, 64}
        assert all(len({SERIES[row] for row in batch}) == len(batch) for batch in batches)
        first_batches.append(set(batches[0]))
    assert len(first_batches[0] & first_batches[1]) < 8  # about 64 * 64 / 9,760 of chance
    assert first_batches[0] != first_batches[1] != first_batches[2] != first_batches[0]


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (BalancedSeriesBatchSampler, ["series_ids", "batch_size", "drop_last", "shuffle"]),
        (BucketSampler, ["dataset_or_keys", "batch_size", "shuffle", "drop_last"]),
    ],
)
def test_call_shapes(make: Any, names: list[str]) -> None:
    parameters = inspect.signature(make).parameters.values()
    assert [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD] == names
    defaults = {p.name: p.default for p in parameters}
    assert (defaults["drop_last"], defaults["shuffle"]) == (False, True)
    assert issubclass(make, PlanBatchSampler)
    assert issubclass(make, BatchSampler)


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("shuffle", [False, True])
def test_arguments_by_position(shuffle: bool, drop_last: bool) -> None:
    series = [i * i % 17 for i in range(50)]
    options: dict[str, Any] = {"batch_size": 4, "drop_last": drop_last, "epoch": 1}
    by_series = BalancedSeriesBatchSampler(series, 4, drop_last, shuffle)
    by_bucket = BucketSampler(Histories(), 4, shuffle, drop_last)
    for sampler, strategy in (
        (by_series, SeriesRoundRobin(series, shuffle=shuffle)),
        (by_bucket, Bucketed(DEPTHS, shuffle=shuffle)),
    ):
        first = list(sampler)
        assert list(sampler) == [batch.tolist() for batch in strategy.plan(**options)]
        assert (list(sampler) == first) == (not shuffle)
        assert (sampler.batch_size, sampler.drop_last) == (4 if drop_last else None, drop_last)


def test_options_reach_the_strategy_and_the_sampler() -> None:
    series = [i % 6 for i in range(40)]
    sampler: Any = BalancedSeriesBatchSampler(
        series, 9, schedule="round_robin", seed=5, rank=1, world_size=2, even="none", as_array=True
    )
    plan = SeriesRoundRobin(series, schedule="round_robin").plan(batch_size=9, seed=5)
    assert [batch.tolist() for batch in sampler] == [batch.tolist() for batch in plan[1::2]]
    sampler = BalancedSeriesBatchSampler(series, 9, per_series=2)
    plan = SeriesRoundRobin(series, per_series=2).plan(batch_size=9)
    assert list(sampler) == [batch.tolist() for batch in plan]
    sampler = BalancedSeriesBatchSampler([*series, None], 9, missing="drop")
    assert list(sampler) == [batch.tolist() for batch in SeriesRoundRobin(series).plan(batch_size=9)]
    sampler = BucketSampler([*series, None], 9, missing="drop")
    assert list(sampler) == [batch.tolist() for batch in Bucketed(series).plan(batch_size=9)]
    lengths = [(i * 7919) % 90 + 1 for i in range(40)]
    for options in ({"boundaries": [30, 60]}, {"n_buckets": 3}, {"n_buckets": 4, "max_tokens": 200}):
        sampler = BucketSampler(lengths, 9, **options, seed=3, rank=0, world_size=2, even="none")
        plan = Bucketed(lengths, **options).plan(batch_size=9, seed=3)
        assert list(sampler) == [batch.tolist() for batch in plan[::2]]


@pytest.mark.parametrize(
    "keys",
    [
        DEPTHS,
        tuple(DEPTHS),
        array("b", DEPTHS),
        deque(DEPTHS),
        UserList(DEPTHS),
        bytearray(DEPTHS),
        memoryview(bytes(DEPTHS)),
        np.array(DEPTHS, dtype=np.int16),
        torch.tensor(DEPTHS),
        pd.Series(DEPTHS),
        pd.Categorical(DEPTHS),
        Histories(),
        Histories(np.array(DEPTHS)),
        Histories(torch.tensor(DEPTHS)),
        Categories(),
        Listed(),
    ],
    ids=[
        "list",
        "tuple",
        "array.array",
        "deque",
        "user list",
        "bytearray",
        "memoryview",
        "array",
        "tensor",
        "series",
        "categories",
        "dataset",
        "of numpy",
        "of tensors",
        "with categories",
        "a sequence",
    ],
)
def test_keys_or_a_dataset(keys: Any) -> None:
    batches = list(BucketSampler(keys, 4))
    assert batches == list(BucketSampler(DEPTHS, 4))
    assert all(len({DEPTHS[row] for row in batch}) == 1 for batch in batches)
    assert sorted(row for batch in batches for row in batch) == list(range(50))


@pytest.mark.parametrize("keys", [["b", "a", "b"], [("a", 1), ("b", 2), ("a", 1)]], ids=["text", "tuples"])
def test_a_deque_is_as_a_list(keys: Any) -> None:
    assert list(BucketSampler(deque(keys), 2)) == list(BucketSampler(keys, 2))
    assert list(BalancedSeriesBatchSampler(deque(keys), 2)) == list(BalancedSeriesBatchSampler(keys, 2))


def test_text_is_neither_keys_nor_a_dataset() -> None:
    with pytest.raises(TypeError, match=r"^dataset_or_keys must be keys, .*, but str has no samples$"):
        BucketSampler("abc", 2)


def test_buckets_in_order_come_in_ascending_order_of_key() -> None:
    depths = [7 * 10**12, -5, 10**15, 7 * 10**12, -(2**62), 10**15, -5]
    for keys in (depths, Histories(depths)):
        batches = list(BucketSampler(keys, 2, False))
        assert batches == [[4], [1, 6], [0, 3], [2, 5]]


def test_a_range_is_keys() -> None:
    assert len(BucketSampler(range(5), 2)) == 5


def test_names_as_series() -> None:
    series = pd.Series([f"holiday {i % 7}" for i in range(50)])
    batches = list(BalancedSeriesBatchSampler(series, 5))
    assert all(series[batch].nunique() == len(batch) for batch in batches)


@pytest.mark.parametrize("make", [BalancedSeriesBatchSampler, BucketSampler])
def test_resume(make: Any) -> None:
    sampler, resumed = make(SERIES[:200], 8), make(SERIES[:200], 8)
    list(sampler)
    batches = iter(sampler)
    for _ in range(5):
        next(batches)
    resumed.load_state_dict(sampler.state_dict())
    assert list(resumed) == list(batches)
    with pytest.raises(ValueError, match="the state was saved under another configuration: "):
        make(SERIES[1:201], 8).load_state_dict(sampler.state_dict())


def broken(change: Any) -> Histories:
    dataset = Histories([0, 1, 2])
    change(dataset)
    return dataset


def set_sample(row: int, sample: Any) -> Any:
    return lambda dataset: dataset.samples.__setitem__(row, sample)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: BalancedSeriesBatchSampler([1, 2], 0),
            ValueError,
            "batch_size must be an integer >= 1, but is 0",
        ),
        (lambda: BalancedSeriesBatchSampler([], 4), ValueError, "series_ids must not be empty"),
        (
            lambda: BalancedSeriesBatchSampler(["a", None], 4),
            ValueError,
            'series_ids must not be missing, but series_ids[1] is (1 of 2 rows): missing="drop" leaves them '
            "out, or give them a series of their own",
        ),
        (
            lambda: BalancedSeriesBatchSampler(["a", ["b"]], 4),
            TypeError,
            "series_ids must be integers, strings or objects that hash, but series_ids[1] does not: "
            "unhashable type: 'list'",
        ),
        (lambda: BucketSampler(DEPTHS, 0), ValueError, "batch_size must be an integer >= 1, but is 0"),
        (lambda: BucketSampler(Histories([]), 4), ValueError, "keys must not be empty"),
        (
            lambda: BucketSampler(broken(lambda dataset: delattr(dataset, "samples")), 4),
            TypeError,
            'dataset_or_keys must be keys, one a row, or a dataset with samples[i]["compression_depth"], '
            "but Histories has no samples",
        ),
        (
            lambda: BucketSampler(None, 4),
            TypeError,
            'dataset_or_keys must be keys, one a row, or a dataset with samples[i]["compression_depth"], '
            "but NoneType has no samples",
        ),
        (
            lambda: BucketSampler(broken(set_sample(1, {"path": "1.h5", "depth": 3})), 4),
            ValueError,
            "samples[1][\"compression_depth\"] must be there, but samples[1] has the keys 'path', 'depth'",
        ),
        (
            lambda: BucketSampler(broken(set_sample(2, {})), 4),
            ValueError,
            'samples[2]["compression_depth"] must be there, but samples[2] has no keys',
        ),
        (
            lambda: BucketSampler(broken(set_sample(0, ("0.h5", 1))), 4),
            ValueError,
            "samples[0][\"compression_depth\"] must be there, but samples[0] is ('0.h5', 1)",
        ),
        (
            lambda: BucketSampler(broken(set_sample(1, {"compression_depth": None})), 4),
            ValueError,
            'keys must not be missing, but keys[1] is (1 of 3 rows): missing="drop" leaves them out, or give '
            "them a bucket of their own",
        ),
        (
            lambda: BucketSampler(broken(set_sample(1, {"compression_depth": 1.5})), 4),
            TypeError,
            "keys must be integers, strings or objects that hash, but keys[1] = 1.5",
        ),
        (
            lambda: BucketSampler(Longer([0, 1, 2]), 4),
            ValueError,
            "samples must be as long as the dataset, 4, but the length is 3",
        ),
    ],
)
def test_wrong_arguments(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == message


class Longer(Histories):
    """Longer than its samples."""

    def __len__(self) -> int:
        return len(self.samples) + 1


@pytest.mark.parametrize(
    "keys",
    [
        ["sea", "wood", "sea", "hill", "wood", "sea"],
        np.array([5, -9, 5, 7, -9, 5]),
        pd.Series([5, -9, 5, 7, -9, 5], index=[9, 8, 7, 6, 5, 4]),
        pd.Categorical(["sea", "wood", "sea", "hill", "wood", "sea"]),
        torch.tensor([5, -9, 5, 7, -9, 5]),
    ],
    ids=["texts", "integers", "pandas", "categorical", "tensor"],
)
def test_groups_are_told_by_name(keys: Any) -> None:
    series, buckets = BalancedSeriesBatchSampler(keys, 2), BucketSampler(keys, 2)
    a, b, c = ("sea", "wood", "hill") if "sea" in list(keys) else (5, -9, 7)
    assert series.series_to_indices == {a: [0, 2, 5], b: [1, 4], c: [3]} == buckets.buckets
    assert series.unique_series == [a, b, c]
    assert [type(name) for name in series.unique_series] == [type(a)] * 3


def test_buckets_of_lengths_go_by_number() -> None:
    sampler = BucketSampler([3, 60, 4, 15, 2, 60], 2, boundaries=[10, 20])
    assert sampler.buckets == {0: [0, 2, 4], 2: [1, 5], 1: [3]}


def test_groups_without_the_rows_that_have_no_key() -> None:
    sampler = BalancedSeriesBatchSampler(["sea", None, "wood", "sea"], 2, missing="drop")
    assert sampler.series_to_indices == {"sea": [0, 3], "wood": [2]}
