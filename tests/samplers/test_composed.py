"""The samplers of composed batches: call shapes, epochs, ranks, resume, wrong arguments."""

from collections import Counter
from itertools import chain
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import ConcatDataset, DataLoader, TensorDataset

from tombola import BlendedBatchSampler, Mixture, MPerClassBatchSampler, PerClass, PlanBatchSampler

LABELS = [f"class {i * i % 23}" for i in range(400)]


def test_m_of_each_class() -> None:
    sampler = MPerClassBatchSampler(LABELS, 4, 32)
    for epoch in range(2):
        batches = list(sampler)
        assert len(batches) == len(sampler)
        for batch in batches:
            assert sorted(Counter(LABELS[row] for row in batch).values()) == [4] * 8
        assert max(Counter(chain.from_iterable(batches)).values()) == 1
        plan = PerClass(LABELS, classes_per_batch=8, rows_per_class=4).plan(batch_size=32, epoch=epoch)
        assert batches == [batch.tolist() for batch in plan]


def test_m_of_each_class_under_a_data_loader_and_workers() -> None:
    data: Any = TensorDataset(torch.arange(400))
    loader: Any = DataLoader(data, batch_sampler=MPerClassBatchSampler(LABELS, 4, 32), num_workers=0)
    rows = [batch[0].tolist() for batch in loader]
    assert rows == list(MPerClassBatchSampler(LABELS, 4, 32))


def test_m_of_each_class_over_ranks_and_after_a_state() -> None:
    whole = list(MPerClassBatchSampler(LABELS, 2, 8, seed=3))
    ranks = [list(MPerClassBatchSampler(LABELS, 2, 8, seed=3, rank=r, world_size=2)) for r in range(2)]
    even = len(whole) // 2 * 2
    assert sorted(chain(*ranks)) == sorted(whole[:even])
    sampler = MPerClassBatchSampler(LABELS, 2, 8, seed=3)
    batches = iter(sampler)
    taken = [next(batches) for _ in range(5)]
    resumed = MPerClassBatchSampler(LABELS, 2, 8, seed=3)
    resumed.load_state_dict(sampler.state_dict())
    assert taken + list(resumed) == whole


def test_a_blend_has_its_shares_and_each_row_before_one_comes_again() -> None:
    sizes, weights = [300, 40, 7], [0.6, 0.3, 0.1]
    datasets: list[Any] = [TensorDataset(torch.arange(size)) for size in sizes]
    assert list(BlendedBatchSampler(datasets, weights, 7)) == list(BlendedBatchSampler(sizes, weights, 7))
    sampler = BlendedBatchSampler(datasets, weights, 7, size=700)
    assert len(sampler) == 100
    rows = np.array(list(chain.from_iterable(chain(sampler, sampler))))
    number = np.searchsorted(np.cumsum(sizes), rows, side="right")
    batches = np.arange(1, 201) * 7
    for i, weight in enumerate(weights):
        taken = np.cumsum(number == i)[batches - 1]
        assert (np.abs(taken - batches * weight) < 1 + 1e-9).all()
        mine = rows[number == i]
        for start in range(0, len(mine) - sizes[i], sizes[i]):
            assert len(set(mine[start : start + sizes[i]].tolist())) == sizes[i]
    loader: Any = DataLoader(ConcatDataset(datasets), batch_sampler=sampler)
    assert sum(len(batch[0]) for batch in loader) == 700


def test_weights_need_not_sum_to_one() -> None:
    assert list(BlendedBatchSampler([9, 5], [3, 1], 4)) == list(BlendedBatchSampler([9, 5], [0.75, 0.25], 4))
    strategy = Mixture(np.repeat([0, 1], [9, 5]), {0: 0.75, 1: 0.25})
    assert list(BlendedBatchSampler([9, 5], [3, 1], 4)) == list(PlanBatchSampler(strategy, batch_size=4))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: MPerClassBatchSampler(LABELS, 4, 30),
            ValueError,
            "batch_size must be a multiple of rows_per_cl",
        ),
        (lambda: MPerClassBatchSampler(LABELS, 0, 30), ValueError, "rows_per_class must be an integer >= 1"),
        (
            lambda: MPerClassBatchSampler(LABELS, 1, 40),
            ValueError,
            "classes_per_batch must be at most the number",
        ),
        (
            lambda: MPerClassBatchSampler([0, 0, 1], 2, 2),
            ValueError,
            "every class must have rows_per_class = 2 rows",
        ),
        (
            lambda: BlendedBatchSampler([3, 4], [1.0], 4),
            ValueError,
            "weights must be one for each of 2 data sets",
        ),
        (
            lambda: BlendedBatchSampler([3, 4], [1.0, 0.0], 4),
            ValueError,
            "weights must be above 0 and finite",
        ),
        (
            lambda: BlendedBatchSampler([3, 0], [1.0, 1.0], 4),
            ValueError,
            r"datasets\[1\] must be an integer >= 1",
        ),
        (
            lambda: BlendedBatchSampler([3, 4], [1.0, 1.0], 4, size=0),
            ValueError,
            "total_size must be an integer",
        ),
    ],
)
def test_wrong_arguments(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()
