"""States while a batch is on its way, after one failed, beside other readers, and as another rank."""

import copy
import multiprocessing
import signal
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader as TorchDataLoader
from torch.utils.data import get_worker_info
from torchdata.stateful_dataloader import StatefulDataLoader

from tests.loading.rows import DATA, as_json, counted, make_loader, make_sampler, planned, rows
from tombola import DataLoader, Position

pytestmark = [
    pytest.mark.filterwarnings("ignore:This process:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
    pytest.mark.filterwarnings("ignore:'set_vital' is deprecated:UserWarning"),
]
FORKED: dict[str, Any] = {"num_workers": 2, "multiprocessing_context": "fork"}


def position(owner: Any) -> dict[str, Any]:
    return as_json(owner.state_dict()["position"])


def at(epoch: int, batches: int) -> dict[str, Any]:
    return {"epoch": epoch, "spans": [[1, batches]] if batches else []}


def as_rank(monkeypatch: pytest.MonkeyPatch, rank: int, world_size: int) -> None:
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: rank)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: world_size)


@pytest.mark.parametrize("start", [0, 3])
@pytest.mark.parametrize("torchs", [False, True])
def test_a_state_while_a_batch_is_on_its_way_leaves_it_unconsumed(start: int, torchs: bool) -> None:
    said: list[Any] = []

    def collate(batch: list[int]) -> Any:
        said.append(position(owner))
        return torch.tensor(batch)

    sampler = make_sampler()
    loader: Any = (TorchDataLoader if torchs else DataLoader)(DATA, batch_sampler=sampler, collate_fn=collate)
    owner: Any = sampler if torchs else loader
    owner.load_state_dict(sampler.state_at(Position(0).advanced(1, start)))
    list(loader)
    assert said == [at(0, done) for done in range(start, 13)]
    assert position(owner) == at(1, 0)


def test_a_signal_while_the_first_batch_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Any] = []

    class Slow:
        def __len__(self) -> int:
            return 50

        def __getitem__(self, row: int) -> int:
            if not said:
                signal.raise_signal(signal.SIGUSR1)
            return row

    loader = DataLoader(Slow(), batch_sampler=make_sampler())
    before = signal.signal(signal.SIGUSR1, lambda *_: said.append(position(loader)))
    try:
        assert rows(loader) == planned(0)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert said == [at(0, 0)]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
@pytest.mark.parametrize("kind", ["sampler", "loader"])
def test_a_batch_that_failed_in_this_process_is_not_consumed(kind: str, error: type[BaseException]) -> None:
    broken = [True]

    def collate(batch: Any) -> Any:
        if broken and sorted(batch["row"].tolist() if kind == "loader" else batch) == sorted(planned(0)[3]):
            broken.clear()
            raise error
        return batch if kind == "loader" else torch.tensor(batch)

    reader: Any = make_loader() if kind == "loader" else make_sampler()
    options: dict[str, Any] = {"batch_size": None} if kind == "loader" else {"batch_sampler": reader}
    loader = TorchDataLoader(reader if kind == "loader" else DATA, collate_fn=collate, **options)
    batches = iter(loader)
    assert [rows([next(batches)])[0] for _ in range(3)] == planned(0)[:3]
    with pytest.raises(error):
        next(batches)
    state = as_json(reader.state_dict())
    assert state["position"] == at(0, 3)
    assert rows([next(batches)]) == [planned(0)[4]]  # torch goes on without it
    with pytest.raises(RuntimeError, match=r"but a batch failed on its way, so this \w+ does not"):
        reader.state_dict()
    reader.load_state_dict(state)
    assert rows(loader) == planned(0)[3:]


def test_workers_may_say_the_epoch() -> None:
    def say(_: int) -> None:
        info: Any = get_worker_info()
        info.dataset.set_epoch(3)

    loader = DataLoader(make_loader(prefetch=0), worker_init_fn=say, **FORKED)
    batches = iter(loader)
    taken = rows([next(batches) for _ in range(5)])
    state = as_json(loader.state_dict())
    assert state["position"]["epoch"] == 3
    resumed = DataLoader(make_loader(prefetch=0), **FORKED)
    resumed.load_state_dict(state)
    assert counted(taken + rows(resumed)) == counted(planned(3))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_that_persist_are_those_of_one_rank(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loader = DataLoader(
        make_loader(prefetch=0), num_workers=1, persistent_workers=True, multiprocessing_context=method
    )
    next(iter(loader))  # a look at the shapes
    as_rank(monkeypatch, 1, 2)
    message = (
        r"^workers that persist must read for the rank that they were started for, 0 of 1, but this "
        r"process is rank 1 of 2 by now: make the DataLoader after init_process_group$"
    )
    with pytest.raises(RuntimeError, match=message):
        next(iter(loader))
    monkeypatch.undo()
    assert counted(rows(loader)) == counted(planned(1))


def test_copies_stand_alone_when_torch_distributed_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    as_rank(monkeypatch, 1, 2)
    made: list[Any] = [make_sampler(as_array=True), make_loader(), DataLoader(make_loader())]
    assert [rows(one) for one in made] == [planned(0)[1:12:2], *[rows(make_loader())] * 2]
    copies = [copy.deepcopy(one) for one in made]
    monkeypatch.undo()
    for one in copies:
        assert rows(one) == planned(1)


def test_persistent_workers_of_torchdata_after_a_loaded_state() -> None:
    def make() -> Any:
        return StatefulDataLoader(
            DATA,
            batch_sampler=make_sampler(),
            num_workers=1,
            persistent_workers=True,
            multiprocessing_context=multiprocessing.get_context("fork"),
        )

    saved = make()
    next(iter(saved))
    resumed = make()
    resumed.load_state_dict(saved.state_dict())
    assert rows(resumed) == planned(0)[1:]
    assert rows(resumed) == planned(1)
    assert rows(resumed) == planned(2)


def test_batches_in_another_order_are_said_to_be_so() -> None:
    sampler = make_sampler()
    next(iter(TorchDataLoader(DATA, batch_sampler=sampler, in_order=False, **FORKED)))
    with pytest.raises(RuntimeError, match=r"with worker processes and in_order=False asks ahead"):
        sampler.state_dict()


def test_a_count_that_began_before_the_state_was_loaded_goes_on_from_it() -> None:
    sampler = make_sampler(as_array=True)
    sampler.set_epoch(0)
    sampler.load_state_dict(sampler.state_at(Position(0).advanced(1, 4)))
    other = make_sampler(as_array=True)
    other.set_epoch(5)
    saved = other.state_dict()
    sampler.load_state_dict(saved)
    assert rows(sampler) == planned(5)
    for count in (1, 2):
        sampler.set_epoch(count)
        assert rows(sampler) == planned(5 + count)
    absolute = make_sampler(as_array=True)
    absolute.set_epoch(0)
    absolute.load_state_dict(saved)
    assert rows(absolute) == planned(5)
    for epoch in (6, 7):
        absolute.set_epoch(epoch)
        assert rows(absolute) == planned(epoch)


def test_a_count_goes_on_from_a_state_that_an_iterator_loaded() -> None:
    sampler = make_sampler(as_array=True)
    sampler.set_epoch(1)
    batches = iter(sampler)
    next(batches)
    state = batches.state_dict()
    resumed = make_sampler(as_array=True)
    for count in range(3):
        resumed.set_epoch(count)
        batches = iter(resumed)
        if count == 0:
            batches.load_state_dict(state)
        assert rows(batches) == planned(1 + count)[count == 0 :]
