"""When a pass of `tombola.DataLoader` begins, what moves it, what is not known after an error or a fork."""

import copy
import multiprocessing
import os
from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch

from tests.loading.rows import DATA, STRATEGY, counted, make_loader, make_sampler, place, planned, rows
from tombola import ArraySource, DataLoader, Loader, PlanBatchSampler

pytestmark = [
    pytest.mark.filterwarnings("ignore:This process:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
]

KINDS = {
    "sampler": lambda: DataLoader(DATA, batch_sampler=make_sampler()),
    "sampler, workers": lambda: DataLoader(
        DATA, batch_sampler=make_sampler(), num_workers=2, multiprocessing_context="fork"
    ),
    "loader": lambda: DataLoader(make_loader(prefetch=0)),
    "loader, workers": lambda: DataLoader(
        make_loader(prefetch=0), num_workers=2, multiprocessing_context="fork"
    ),
}
every_kind = pytest.mark.parametrize("make", KINDS.values(), ids=KINDS.keys())


@every_kind
def test_a_pass_begins_with_its_first_batch(make: Callable[[], DataLoader]) -> None:
    """Trainers set epochs and load states when they hold an iterator already, as Lightning does."""
    loader = make()
    batches = iter(loader)
    loader.set_epoch(5)
    next(batches)
    assert place(loader) == (5, 1)
    assert loader.epoch == 6
    other = make()
    batches = iter(other)
    other.load_state_dict(loader.state_dict())
    next(batches)
    assert place(other) == (5, 2)


@every_kind
def test_looking_moves_nothing(make: Callable[[], DataLoader]) -> None:
    loader = make()
    batches = iter(loader)
    assert (loader.epoch, loader.remaining, place(loader)) == (0, 13, (0, 0))
    next(batches)
    iter(loader)
    assert (loader.epoch, loader.remaining, place(loader)) == (1, 13, (0, 1))
    assert len(list(batches)) == 12
    assert (loader.epoch, place(loader)) == (1, (1, 0))


@every_kind
def test_an_epoch_that_is_set_within_a_pass_is_the_next(make: Callable[[], DataLoader]) -> None:
    loader = make()
    batches = iter(loader)
    next(batches)
    loader.set_epoch(5)
    assert place(loader) == (5, 0)
    next(batches)
    assert place(loader) == (0, 2)
    assert len(list(batches)) == 11
    assert counted(rows(loader)) == counted(planned(5))


@every_kind
def test_iterators_side_by_side_are_passes_of_their_own(make: Callable[[], DataLoader]) -> None:
    loader = make()
    first, second = iter(loader), iter(loader)
    taken, other = rows(islice(first, 2)), rows(islice(second, 1))
    assert place(loader) == (1, 1)
    taken += rows(first)
    other += rows(second)
    assert counted(taken) == counted(planned(0))
    assert counted(other) == counted(planned(1))
    assert loader.epoch == 2


def test_two_dataloaders_over_one_loader_in_workers() -> None:
    loader = make_loader(prefetch=0)
    pair = [DataLoader(loader, num_workers=2, multiprocessing_context="fork") for _ in range(2)]
    both: tuple[list[Any], list[Any]] = ([], [])
    for batches in zip(*pair, strict=True):
        for taken, batch in zip(both, batches, strict=True):
            taken.append(batch)
    assert [counted(rows(taken)) for taken in both] == [counted(planned(epoch)) for epoch in range(2)]


def test_workers_that_persist_serve_one_pass() -> None:
    loader = DataLoader(
        DATA,
        batch_sampler=make_sampler(),
        num_workers=2,
        persistent_workers=True,
        multiprocessing_context="fork",
    )
    old = iter(loader)
    next(old)
    new = iter(loader)
    assert rows(islice(new, 3)) == planned(1)[:3]
    with pytest.raises(RuntimeError, match="workers that persist serve one pass at a time, but another"):
        next(old)
    assert rows(new) == planned(1)[3:]


class Failing:
    """Row 7 cannot be read."""

    def __len__(self) -> int:
        return 50

    def __getitem__(self, row: int) -> int:
        if row == 7:
            raise OSError("disk on fire")
        return row


@pytest.mark.parametrize("workers", [0, 2])
def test_after_a_batch_that_failed_the_state_is_refused(workers: int) -> None:
    data: Any = Failing()
    context = "fork" if workers else None
    loader = DataLoader(
        data, batch_sampler=make_sampler(), num_workers=workers, multiprocessing_context=context
    )
    with pytest.raises(OSError, match="disk on fire"):
        list(loader)
    with pytest.raises(RuntimeError, match="must be known which batches were handed out, but reading one"):
        loader.state_dict()
    loader.set_epoch(3)
    assert place(loader) == (3, 0)


def test_a_loader_whose_worker_failed_goes_no_further() -> None:
    def fail(batch: dict[str, Any]) -> dict[str, Any]:
        if 7 in batch["row"]:
            raise OSError("disk on fire")
        return batch

    loader = DataLoader(
        make_loader(prefetch=0, batch_transform=fail), num_workers=2, multiprocessing_context="fork"
    )
    batches = iter(loader)
    with pytest.raises(OSError, match="disk on fire"):
        list(batches)
    with pytest.raises(RuntimeError, match="a batch of this pass failed in a worker"):
        next(batches)


@pytest.mark.parametrize("make", [KINDS["loader"], lambda: make_loader(prefetch=2)], ids=["own", "bare"])
def test_a_pass_is_not_gone_on_with_in_a_forked_process(make: Callable[[], Any]) -> None:
    source = make()
    loader = source if isinstance(source, Loader) else DataLoader(make_loader(prefetch=2))
    batches = iter(loader)
    next(batches)
    pid = os.fork()
    if pid == 0:
        try:
            list(batches)
        except RuntimeError as error:
            os._exit(int("forked since" not in str(error)))
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert len(list(batches)) == 12


def _trained(loader: Loader, rank: int, queue: Any) -> None:
    torch_loader = DataLoader(
        Loader(loader.source, STRATEGY, 4, 3, prefetch=0, rank=rank, world_size=2, even="none"),
        num_workers=2,
        multiprocessing_context="fork",
    )
    shared = DataLoader(loader, num_workers=2, multiprocessing_context="fork")
    queue.put(([rows(shared) for _ in range(3)], rows(torch_loader)))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_that_train_do_not_share_their_passes(method: str) -> None:
    """Each was started with the same loader, and reads it by workers of its own."""
    context: Any = multiprocessing.get_context(method)
    queue = context.SimpleQueue()
    loader = make_loader(prefetch=0)
    processes = [context.Process(target=_trained, args=(loader, rank, queue)) for rank in range(2)]
    for process in processes:
        process.start()
    found = [queue.get() for _ in processes]
    for process in processes:
        process.join(60)
    for epochs, _ in found:
        assert [counted(epoch) for epoch in epochs] == [counted(planned(epoch)) for epoch in range(3)]
    assert counted(found[0][1] + found[1][1]) == counted(planned(0))
    assert loader.epoch == 0


def test_a_copied_sampler_has_no_rank_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 1)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    sampler = copy.deepcopy(make_sampler())
    assert list(sampler) == planned(0)[1:12:2]
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 0)
    assert list(sampler) == planned(1)[0:12:2]


def test_few_batches_and_many_ranks_stay_in_step() -> None:
    loaders = [
        DataLoader(
            DATA,
            batch_sampler=PlanBatchSampler(STRATEGY, 6, batch_size=4, rank=rank, world_size=3, even="none"),
            num_workers=1,
            multiprocessing_context="fork",
        )
        for rank in range(3)
    ]
    for epoch in range(2):
        taken = [rows(loader) for loader in loaders]
        assert [len(batches) for batches in taken] == [1, 1, 0]
        assert [loader.epoch for loader in loaders] == [epoch + 1] * 3


def test_ranks_are_not_taken_for_workers() -> None:
    """One rank with two workers has taken a batch: two ranks then have equally many steps."""
    source = ArraySource(np.zeros((16, 1)))
    one = DataLoader(
        Loader(source, STRATEGY, 2, 1, prefetch=0), num_workers=2, multiprocessing_context="fork"
    )
    taken = rows(islice(one, 1))
    left = []
    for rank in range(2):
        loader = Loader(source, STRATEGY, 2, 1, prefetch=0, rank=rank, world_size=2)
        loader.load_state_dict(one.state_dict())
        left.append(rows(loader))
    assert [len(batches) for batches in left] == [3, 3]
    whole = [batch.tolist() for batch in STRATEGY.plan(16, batch_size=2)]
    assert counted(taken + left[0] + left[1]) <= counted(whole)
