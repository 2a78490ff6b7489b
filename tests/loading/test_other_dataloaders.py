"""The batch sampler and the loader under torch's DataLoader and torchdata's StatefulDataLoader."""

import multiprocessing
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from tests.loading.rows import DATA, N_ROWS, counted, lazily, make_loader, make_sampler, planned
from tombola import (
    BalancedSeriesBatchSampler,
    BucketSampler,
    PlanBatchSampler,
)

pytestmark = [
    # Python 3.12 and later warn of any fork in a process that has threads; torch's DataLoader forks.
    pytest.mark.filterwarnings("ignore:This process:DeprecationWarning"),
    # More workers than cores is what some tests are about.
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
    # torchdata 0.11 calls what torch 2.13 deprecates.
    pytest.mark.filterwarnings("ignore:'set_vital' is deprecated:UserWarning"),
]


@pytest.mark.parametrize("persistent_workers", [False, True])
@pytest.mark.parametrize("num_workers", [0, 2])
def test_the_sampler_under_a_dataloader(num_workers: int, persistent_workers: bool) -> None:
    if persistent_workers and not num_workers:
        persistent_workers = False
    sampler = make_sampler()
    loader = DataLoader(
        DATA,
        batch_sampler=sampler,
        num_workers=num_workers,
        persistent_workers=persistent_workers,
        multiprocessing_context="fork" if num_workers else None,
    )
    assert len(loader) == 13
    for epoch in range(3):
        assert list(lazily(loader)) == planned(epoch)
        assert sampler.epoch == epoch + 1
    batches = lazily(loader)
    assert [next(batches) for _ in range(4)] == planned(3)[:4]
    sampler.set_epoch(7)
    assert list(lazily(loader)) == planned(7)


SERIES = [i * i % 17 for i in range(N_ROWS)]
DROP_INS = {
    "series": lambda: BalancedSeriesBatchSampler(SERIES, 4),
    "buckets": lambda: BucketSampler([i * i % 3 for i in range(N_ROWS)], 4),
}
every_drop_in = pytest.mark.parametrize("make", DROP_INS.values(), ids=DROP_INS.keys())


def check_drop_in(make: Callable[[], PlanBatchSampler], epochs: int, **options: Any) -> None:
    """Batches under a DataLoader are those of a bare sampler, and others in each epoch."""
    sampler, bare = make(), make()
    loader = DataLoader(DATA, batch_sampler=sampler, **options)
    delivered = []
    for epoch in range(epochs):
        delivered.append(list(lazily(loader)))
        assert delivered[-1] == list(bare)
        assert len(loader) == len(delivered[-1])
        assert sampler.epoch == epoch + 1
    assert delivered[0] != delivered[1]
    broken_off = lazily(loader)
    assert next(broken_off) == next(iter(bare))
    assert list(lazily(loader)) == list(bare), "a pass that is broken off is an epoch"


@every_drop_in
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_workers": 2, "multiprocessing_context": "fork"},
        {"num_workers": 2, "multiprocessing_context": "fork", "persistent_workers": True},
    ],
    ids=["no workers", "workers", "persistent workers"],
)
def test_drop_ins_under_a_dataloader(make: Callable[[], PlanBatchSampler], options: dict[str, Any]) -> None:
    check_drop_in(make, 3, **options)


@pytest.mark.slow
@every_drop_in
def test_drop_ins_under_spawned_workers(make: Callable[[], PlanBatchSampler]) -> None:
    check_drop_in(make, 2, num_workers=2, multiprocessing_context="spawn", persistent_workers=True)


@pytest.mark.slow
def test_everything_under_spawned_workers() -> None:
    context = multiprocessing.get_context("spawn")
    options: dict[str, Any] = {
        "num_workers": 2,
        "multiprocessing_context": context,
        "persistent_workers": True,
    }
    sampler = make_sampler()
    from_sampler = DataLoader(DATA, batch_sampler=sampler, **options)
    from_loader = DataLoader(make_loader(), batch_size=None, **options)
    for epoch in range(2):
        assert list(lazily(from_sampler)) == planned(epoch)
        assert counted(list(lazily(from_loader))) == counted(planned(epoch))


def test_the_loader_under_a_dataloader() -> None:
    loader = make_loader()
    wrapped = DataLoader(loader, batch_size=None)
    assert len(wrapped) == 13
    for epoch in range(2):
        assert list(lazily(wrapped)) == planned(epoch)
        assert loader.epoch == epoch + 1


@pytest.mark.parametrize("prefetch", [0, 2])
@pytest.mark.parametrize("num_workers", [1, 2, 3])
def test_the_loader_in_worker_processes(num_workers: int, prefetch: int) -> None:
    list(make_loader(prefetch=prefetch))  # threads have run here before the fork
    loader = make_loader(prefetch=prefetch)
    wrapped = DataLoader(
        loader,
        batch_size=None,
        num_workers=num_workers,
        persistent_workers=True,
        multiprocessing_context="fork",
    )
    for epoch in range(3):
        delivered = list(lazily(wrapped))
        assert counted(delivered) == counted(planned(epoch))
    for epoch in (5, 6):
        loader.set_epoch(epoch)
        fresh = DataLoader(loader, batch_size=None, num_workers=num_workers, multiprocessing_context="fork")
        assert counted(list(lazily(fresh))) == counted(planned(epoch))


@pytest.mark.parametrize("even", ["drop", "pad", "none"])
def test_workers_of_ranks_share_what_their_rank_has(even: str) -> None:
    delivered: list[list[int]] = []
    for rank in range(3):
        loader = make_loader(rank=rank, world_size=3, even=even, prefetch=0)
        wrapped = DataLoader(loader, batch_size=None, num_workers=2, multiprocessing_context="fork")
        batches = list(lazily(wrapped))
        assert len(batches) == len(loader)
        delivered += batches
    surplus = counted(delivered) - counted(planned(0))
    missing = counted(planned(0)) - counted(delivered)
    assert surplus.total() == (2 if even == "pad" else 0)  # 13 batches, 3 ranks
    assert missing.total() == (1 if even == "drop" else 0)


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("kind", ["sampler", "loader"])
def test_stateful_dataloader(kind: str, num_workers: int) -> None:
    stateful = pytest.importorskip("torchdata.stateful_dataloader")

    def make() -> Any:
        context = {"multiprocessing_context": "fork"} if num_workers else {}
        if kind == "sampler":
            return stateful.StatefulDataLoader(
                DATA, batch_sampler=make_sampler(), num_workers=num_workers, **context
            )
        return stateful.StatefulDataLoader(
            make_loader(prefetch=0), batch_size=None, num_workers=num_workers, **context
        )

    whole = list(lazily(make()))
    assert counted(whole) == counted(planned(0))
    for step in (0, 1, 6, 12, 13):
        saving = make()
        batches = lazily(saving)
        for _ in range(step):
            next(batches)
        state = pickle.loads(pickle.dumps(saving.state_dict()))
        loading = make()
        loading.load_state_dict(state)
        assert list(lazily(loading)) == whole[step:]
        assert counted(list(lazily(loading))) == counted(planned(1))
    finished = make()
    list(lazily(finished))
    loading = make()
    loading.load_state_dict(finished.state_dict())
    assert counted(list(lazily(loading))) == counted(planned(1))


def test_threads_before_a_fork_do_no_harm() -> None:
    loader = make_loader(prefetch=2)
    batches = iter(loader)
    next(batches)
    queue: Any = multiprocessing.get_context("fork").SimpleQueue()
    child = multiprocessing.get_context("fork").Process(
        target=lambda: queue.put([batch["row"].tolist() for batch in loader])
    )
    child.start()
    received = queue.get()
    child.join(30)
    assert child.exitcode == 0
    assert received == planned(1)  # of epoch 0 a batch was handed out here
    assert [batch["row"].tolist() for batch in batches] == planned(0)[1:]
    assert torch.is_tensor(next(iter(loader))["X"])
