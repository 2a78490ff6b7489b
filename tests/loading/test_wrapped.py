"""`tombola.DataLoader` where others stand between it and its batch sampler, or read that one instead."""

from collections.abc import Iterator
from typing import Any

import pytest
from torch.utils.data import DataLoader as TorchDataLoader
from torch.utils.data.distributed import DistributedSampler

from tombola import BlockShuffling, DataLoader, PlanBatchSampler

pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")


class Wrapper:
    """Hands on what a batch sampler gives, as Lightning's wrapper does for predictions."""

    __module__ = "lightning.pytorch.overrides.distributed"  # others are not looked into

    def __init__(self, batch_sampler: PlanBatchSampler) -> None:
        self.__dict__ = dict(vars(batch_sampler))
        self._batch_sampler = batch_sampler

    def __iter__(self) -> Iterator[Any]:
        return iter(self._batch_sampler)

    def __len__(self) -> int:
        return len(self._batch_sampler)


def make_sampler() -> PlanBatchSampler:
    return PlanBatchSampler(BlockShuffling(4), 50, batch_size=4)


def rows(batches: Any) -> list[list[int]]:
    return [batch.tolist() for batch in batches]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_wrapped_batch_sampler_is_known(num_workers: int) -> None:
    options: dict[str, Any] = {"num_workers": num_workers}
    if num_workers:
        options["multiprocessing_context"] = "fork"
    wrapper: Any = Wrapper(make_sampler())
    loader = DataLoader(range(50), batch_sampler=wrapper, **options)
    batches = iter(loader)
    assert rows(next(batches) for _ in range(5)) == list(make_sampler())[:5]
    resumed = DataLoader(range(50), batch_sampler=make_sampler())
    resumed.load_state_dict(loader.state_dict())
    assert rows(resumed) == list(make_sampler())[5:]


def test_another_wrapper_is_refused() -> None:
    wrapper: Any = Wrapper(make_sampler())
    del wrapper._batch_sampler
    with pytest.raises(TypeError, match=r"tombola.DataLoader needs .* has a range and batch_sampler=<"):
        DataLoader(range(50), batch_sampler=wrapper)


def test_a_state_is_right_where_another_dataloader_reads_the_sampler() -> None:
    """Trainers make DataLoaders of their own from the one that they are given."""
    given = DataLoader(range(50), batch_sampler=make_sampler())
    made: TorchDataLoader[int] = TorchDataLoader(given.dataset, batch_sampler=given.batch_sampler)
    batches = iter(made)
    for _ in range(3):
        next(batches)
    assert given.state_dict()["position"] == {"epoch": 0, "spans": [[1, 3]]}
    list(batches)
    assert given.state_dict()["position"] == {"epoch": 1, "spans": []}
    own = iter(given)
    next(own)
    assert given.state_dict()["position"] == {"epoch": 1, "spans": [[1, 1]]}


def test_trainers_see_that_rows_are_dealt_out() -> None:
    """They ask for this class before they put in a sampler of their own."""
    loader = DataLoader(range(50), batch_sampler=make_sampler())
    assert isinstance(loader.sampler, DistributedSampler)
    assert sorted(loader.sampler) == list(range(50))
    assert len(loader.sampler) == 50
    loader.sampler.set_epoch(3)
    assert loader.epoch == 3
    assert rows(loader) == [batch.tolist() for batch in make_sampler().plan(3)[:]]


def test_a_batch_that_a_trainer_holds_back_is_not_consumed() -> None:
    """Ray's DataLoader is known by its name on the stack."""
    program = """
class _WrappedDataLoader:
    def _prefetch_next_batch(self, batches):
        return next(batches, None)
"""
    namespace: dict[str, Any] = {"__name__": "ray.train.torch.train_loop_utils"}
    exec(program, namespace)
    wrapper = namespace["_WrappedDataLoader"]()
    loader = DataLoader(range(50), batch_sampler=make_sampler())
    batches = iter(loader)
    wrapper._prefetch_next_batch(batches)
    for step in range(len(loader)):
        assert loader.state_dict()["position"]["spans"] == ([[1, step]] if step else [])
        wrapper._prefetch_next_batch(batches)
    assert loader.state_dict()["position"] == {"epoch": 1, "spans": []}
