"""Copies and helpers of what is read: where they go on, for which rank, and what is left when they go."""

import copy
import gc
import multiprocessing
import pickle
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import chain, islice
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader as TorchDataLoader
from torch.utils.data import IterableDataset
from torchdata.stateful_dataloader import StatefulDataLoader

from tests.loading.rows import DATA, counted, make_loader, make_sampler, planned, rows
from tombola import DataLoader, Position

pytestmark = [
    pytest.mark.filterwarnings("ignore:This process:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
    pytest.mark.filterwarnings("ignore:'set_vital' is deprecated:UserWarning"),
]
FORKED: dict[str, Any] = {"num_workers": 2, "multiprocessing_context": "fork"}


def as_rank(monkeypatch: pytest.MonkeyPatch, rank: int, world_size: int) -> None:
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: rank)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: world_size)


KINDS: dict[str, Callable[[], DataLoader]] = {
    "sampler": lambda: DataLoader(DATA, batch_sampler=make_sampler()),
    "sampler, workers": lambda: DataLoader(DATA, batch_sampler=make_sampler(), **FORKED),
    "loader": lambda: DataLoader(make_loader(prefetch=0)),
    "loader, workers": lambda: DataLoader(make_loader(prefetch=0), **FORKED),
}
every_kind = pytest.mark.parametrize("make", KINDS.values(), ids=KINDS.keys())


@every_kind
@pytest.mark.parametrize("done", [0, 1, 4, 13])
def test_copies_in_the_middle_of_a_pass_go_on_from_there(make: Callable[[], DataLoader], done: int) -> None:
    loader = make()
    batches = iter(loader)
    taken = rows(next(batches) for _ in range(done))
    for duplicate in (copy.deepcopy(loader), pickle.loads(pickle.dumps(loader))):
        assert duplicate.state_dict() == loader.state_dict()
        resumed = make()
        resumed.load_state_dict(duplicate.state_dict())
        assert counted(taken + rows(resumed)) == counted(planned(0) if done < 13 else planned(0) + planned(1))


@every_kind
def test_nothing_is_left_when_a_dataloader_goes(make: Callable[[], DataLoader]) -> None:
    gc.collect()
    gc.disable()
    try:
        loader = make()
        rows(loader)
        epochs = weakref.ref(loader._epochs)
        del loader
        assert epochs() is None
    finally:
        gc.enable()


def test_two_dataloaders_over_one_loader_that_begin_in_threads() -> None:
    shared = make_loader(prefetch=0)
    loaders = [DataLoader(shared, num_workers=1, multiprocessing_context="fork") for _ in range(2)]
    first = [iter(loader) for loader in loaders]
    taken = [rows([next(batches)])[0] for batches in first]
    for batch, loader in zip(taken, loaders, strict=True):
        epoch = next(epoch for epoch in range(2) if batch in planned(epoch)[:3])
        assert loader._pass is not None
        assert loader._pass.position() == Position(epoch).advanced(1, 0, workers=1, more=0).advanced(1, 1)


def test_helpers_of_helpers_read_for_their_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    contents = []
    for rank in range(3):
        as_rank(monkeypatch, rank, 3)
        contents.append(pickle.dumps(make_loader(prefetch=0)))
    monkeypatch.undo()
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as helper:
        shares = list(helper.map(_rows_in_workers, contents, timeout=100))
    assert [len(share) for share in shares] == [4, 4, 4]
    assert counted([*chain(*shares)]) <= counted(planned(0))


def _rows_in_workers(content: bytes) -> list[list[int]]:
    return rows(DataLoader(pickle.loads(content), **FORKED))


def test_copies_know_who_made_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is loaded later, in a process that stems from another one, is no rank."""
    as_rank(monkeypatch, 1, 2)
    sampler = make_sampler(as_array=True)
    content = pickle.dumps(sampler)
    monkeypatch.undo()
    stranger = pickle.loads(content)
    stranger._epochs._told = stranger._epochs._told._replace(process=2**22 + 1)
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as helper:
        assert helper.submit(rows, stranger).result(timeout=60) == planned(0)


def test_workers_load_states_of_their_own() -> None:
    """As torchdata has data in workers do that delegate their state."""

    class Delegating(IterableDataset[Any]):
        def __init__(self) -> None:
            self.reader = make_loader(prefetch=0)

        def __iter__(self) -> Iterator[Any]:
            for batch in self.reader:
                yield batch["row"]

        def state_dict(self) -> dict[str, Any]:
            return self.reader.state_dict()

        def load_state_dict(self, state: dict[str, Any]) -> None:
            self.reader.load_state_dict(state)

    def make() -> Any:
        return StatefulDataLoader(Delegating(), batch_size=None, num_workers=2, persistent_workers=True)

    for done in (1, 3, 4, 7):
        loader = make()
        batches = iter(loader)
        taken = rows(next(batches) for _ in range(done))
        resumed = make()
        resumed.load_state_dict(loader.state_dict())
        assert counted(taken + rows(resumed)) == counted(planned(0))
        assert [counted(rows(resumed)) for _ in range(2)] == [counted(planned(1)), counted(planned(2))]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_loader_in_persistent_workers_of_torchdata_goes_on(workers: int) -> None:
    def make() -> Any:
        return StatefulDataLoader(
            make_loader(prefetch=0), batch_size=None, num_workers=workers, persistent_workers=True
        )

    saved = make()
    batches = iter(saved)
    taken = rows(next(batches) for _ in range(3))
    resumed = make()
    resumed.load_state_dict(saved.state_dict())
    passes = [rows(resumed) for _ in range(3)]
    passes[0] += taken
    assert [counted(one) for one in passes] == [counted(planned(epoch)) for epoch in range(3)]


def test_wrappers_of_others_are_not_looked_into() -> None:
    class Twice:
        def __init__(self, inner: Any) -> None:
            self._batch_sampler = inner

        def __iter__(self) -> Iterator[Any]:
            for batch in self._batch_sampler:
                yield from (batch, batch)

    with pytest.raises(TypeError, match=r"^tombola\.DataLoader needs batch_sampler=PlanBatchSampler"):
        DataLoader(DATA, batch_sampler=Twice(make_sampler()))


class Eager:
    """Asks for all batches at once."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self.inner))


class Buffering(Eager):
    """Asks for some batches at once."""

    def __iter__(self) -> Iterator[Any]:
        batches = iter(self.inner)
        while part := list(islice(batches, 4)):
            yield from part


@pytest.mark.parametrize("wrap", [Eager, Buffering])
def test_a_wrapper_that_may_pull_ahead_makes_the_state_unknown(wrap: Any) -> None:
    sampler = make_sampler()
    next(iter(TorchDataLoader(DATA, batch_sampler=wrap(sampler))))
    with pytest.raises(RuntimeError, match=r"a DataLoader, through a wrapper, asks ahead"):
        sampler.state_dict()


def test_workers_that_are_added_later_count() -> None:
    loader = DataLoader(make_loader(prefetch=0))
    loader.num_workers, loader.prefetch_factor = 3, 2
    batches = iter(loader)
    taken = rows(next(batches) for _ in range(4))
    resumed = DataLoader(make_loader(prefetch=0))
    resumed.load_state_dict(loader.state_dict())
    assert counted(taken + rows(resumed)) == counted(planned(0))
