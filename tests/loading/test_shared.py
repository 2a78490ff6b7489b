"""Several DataLoaders over one sampler or loader: each knows its own pass, whatever the others do."""

import copy
import gc
import logging
import pickle
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader as TorchDataLoader

from tests.loading.rows import DATA, as_json, counted, make_loader, make_sampler, place, planned, rows
from tombola import DataLoader, Position

pytestmark = [
    pytest.mark.filterwarnings("ignore:This process:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
]
FORKED: dict[str, Any] = {"num_workers": 2, "multiprocessing_context": "fork"}
PERSISTENT: dict[str, Any] = {**FORKED, "persistent_workers": True}
Make = Callable[[], DataLoader]


def over_sampler(**options: Any) -> Callable[[], Make]:
    def share() -> Make:
        sampler = make_sampler()
        return lambda: DataLoader(DATA, batch_sampler=sampler, **options)

    return share


def over_loader(**options: Any) -> Callable[[], Make]:
    def share() -> Make:
        loader = make_loader(prefetch=0)
        return lambda: DataLoader(loader, **options)

    return share


KINDS: dict[str, Callable[[], Make]] = {
    "sampler": over_sampler(),
    "sampler, workers": over_sampler(**FORKED),
    "sampler, persistent": over_sampler(**PERSISTENT),
    "loader": over_loader(),
    "loader, workers": over_loader(**FORKED),
    "loader, persistent": over_loader(**PERSISTENT),
}
every_kind = pytest.mark.parametrize("share", KINDS.values(), ids=KINDS.keys())
copied_kinds = pytest.mark.parametrize(  # iterators that persist cannot be copied
    "share",
    [share for kind, share in KINDS.items() if "persistent" not in kind],
    ids=[kind for kind in KINDS if "persistent" not in kind],
)
few_kinds = pytest.mark.parametrize(
    "share", [KINDS["sampler"], KINDS["loader, workers"]], ids=["sampler", "loader, workers"]
)


def take(batches: Iterator[Any], count: int) -> list[list[int]]:
    return rows(islice(batches, count))


@pytest.mark.parametrize("goes_on", [True, False])
@pytest.mark.parametrize("validated", [1, 13])
@every_kind
def test_a_pass_that_is_unfinished_is_the_state(
    share: Callable[[], Make], validated: int, goes_on: bool
) -> None:
    """As a validation in the middle of an epoch would have it, also where the loop was left."""
    make = share()
    train, val = make(), make()
    batches = iter(train)
    taken = take(batches, 4)
    if not goes_on:
        del batches
    validation = iter(val)
    assert counted(take(validation, validated)) <= counted(planned(1))
    state = as_json(train.state_dict())
    assert place(train) == (0, 4)
    assert place(val) == ((1, 1) if validated == 1 else (2, 0))
    if goes_on:
        assert counted(taken + rows(batches)) == counted(planned(0))
        assert place(train) == (2, 0)
        assert place(val) == ((1, 1) if validated == 1 else (2, 0))
    resumed, other = (lambda make: (make(), make()))(share())
    resumed.load_state_dict(state)
    again = iter(resumed)
    taken += take(again, 2)
    assert counted(rows(other)) == counted(planned(1))
    assert place(resumed) == (0, 6)
    assert counted(taken + rows(again)) == counted(planned(0))


@every_kind
def test_after_a_complete_pass_the_next_one_is_that_which_comes(share: Callable[[], Make]) -> None:
    make = share()
    train, val = make(), make()
    rows(train)
    assert place(train) == (1, 0)
    validation = iter(val)
    for done in range(1, 14):
        next(validation)
        assert place(train) == (2, 0)
        assert place(val) == ((1, done) if done < 13 else (2, 0))
    assert counted(rows(train)) == counted(planned(2))


@few_kinds
def test_a_dataloader_that_handed_out_nothing(share: Callable[[], Make]) -> None:
    """It cannot know whether another one reads in its place, as those do that trainers make."""
    make = share()
    train, val = make(), make()
    assert place(train) == (0, 0)
    validation = iter(val)
    next(validation)
    with pytest.raises(RuntimeError, match=r"^the state must be asked of the DataLoader that handed out bat"):
        train.state_dict()
    rows(validation)
    assert place(train) == (1, 0)
    assert counted(rows(train)) == counted(planned(1))


def say_as_lightning_does(loader: Any, epoch: int) -> None:
    loader.sampler.set_epoch(epoch)
    if loader.batch_sampler is not None:
        loader.batch_sampler.sampler.set_epoch(epoch)


@every_kind
def test_an_epoch_that_is_set_for_another_one(share: Callable[[], Make]) -> None:
    make = share()
    train, val = make(), make()
    say_as_lightning_does(train, 3)
    batches = iter(train)
    taken = take(batches, 4)
    for _ in range(2):
        say_as_lightning_does(val, 3)
        assert place(train) == (3, 4)
        assert counted(rows(val)) == counted(planned(3))
        assert place(train) == (3, 4)
    del batches
    val.set_epoch(3)
    assert place(train) == (3, 4)
    say_as_lightning_does(train, 4)
    assert place(train) == place(val) == (4, 0)
    next(iter(val))
    assert place(train) == (5, 0)
    assert len(taken) == 4


def test_an_epoch_that_is_set_for_anybody() -> None:
    """It is for whoever asks, until somebody has read."""
    make = over_sampler()()
    train, val = make(), make()
    batches = iter(train)
    next(batches)
    sampler: Any = train.batch_sampler
    sampler.set_epoch(7)
    assert place(train) == (7, 0)
    sampler.set_epoch(7)  # as for nobody in particular before
    assert place(train) == (7, 0)
    next(iter(val))
    assert place(train) == (0, 1)
    val.set_epoch(8)
    next(iter(val))
    sampler.set_epoch(8)  # no repetition, as somebody has read
    assert place(train) == (8, 0)


@few_kinds
def test_a_state_that_is_loaded_for_one(share: Callable[[], Make], caplog: pytest.LogCaptureFixture) -> None:
    make = share()
    train, val = make(), make()
    batches = iter(train)
    next(batches)
    state = val._epochs.state_at(Position(5).advanced(1, 3))
    val.load_state_dict(state)
    assert (place(train), place(val)) == ((0, 1), (5, 3))
    train.load_state_dict(state)
    assert (place(train), place(val)) == ((5, 3), (5, 3))
    with caplog.at_level(logging.WARNING, "tombola.passes"):
        train.set_epoch(5)
        assert len(rows(train)) == 10
        assert not caplog.records
        train.load_state_dict(state)
        assert len(rows(val)) == 10
    assert [record.message.partition(": ")[2][:48] for record in caplog.records] == [
        "a state that was loaded into one DataLoader is g"
    ]
    assert place(train) == (6, 0)


@pytest.mark.parametrize("validated", [0, 2, 13])
@pytest.mark.parametrize("done", [1, 4, 13])
@copied_kinds
def test_copies_have_the_same_state(share: Callable[[], Make], done: int, validated: int) -> None:
    make = share()
    train, val = make(), make()
    batches = iter(train)
    taken = take(batches, done)
    validation = iter(val)
    take(validation, validated)
    for duplicate in (copy.deepcopy(train), pickle.loads(pickle.dumps(train))):
        assert duplicate.state_dict() == train.state_dict()
        whole = share()()
        whole.load_state_dict(duplicate.state_dict())
        left = planned(2 if validated else 1) if done == 13 else planned(0)
        assert counted(rows(whole)) == counted(left) - (counted(taken) if done < 13 else counted([]))


def test_a_batch_that_failed_is_not_forgotten_when_others_read() -> None:
    def fail(batch: list[int]) -> Any:
        if 7 in batch:
            raise OSError("disk on fire")
        return torch.tensor(batch)

    sampler = make_sampler()
    train = DataLoader(DATA, batch_sampler=sampler, collate_fn=fail)
    val = DataLoader(DATA, batch_sampler=sampler)
    with pytest.raises(OSError, match="disk on fire"):
        list(train)
    rows(val)
    for one in (train, copy.deepcopy(train)):
        with pytest.raises(RuntimeError, match="but reading one failed"):
            one.state_dict()
    train.set_epoch(4)
    assert place(train) == (4, 0)


# ----------------------------------------------------------------------- readers that are no such DataLoaders


class Ahead:
    """Asks for two batches at once."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __iter__(self) -> Iterator[Any]:
        batches = iter(self.inner)
        while part := list(islice(batches, 2)):
            yield from part


READERS: dict[str, Callable[[DataLoader], Iterator[Any]]] = {
    "torch's": lambda loader: iter(TorchDataLoader(DATA, batch_sampler=loader.batch_sampler)),
    "torch's, workers": lambda loader: iter(
        TorchDataLoader(DATA, batch_sampler=loader.batch_sampler, **FORKED)
    ),
    "sampler": lambda loader: iter(loader.batch_sampler or ()),
}
every_reader = pytest.mark.parametrize("read", READERS.values(), ids=READERS.keys())


@every_reader
def test_whoever_reads_beside_a_pass_that_may_go_on(read: Callable[[DataLoader], Iterator[Any]]) -> None:
    loader = DataLoader(DATA, batch_sampler=make_sampler())
    first = iter(loader)
    next(first)
    second = read(loader)
    for _ in range(2):
        next(second)
    assert place(loader) == (0, 1)
    assert place(loader.batch_sampler) == (1, 2)  # of whoever advanced last
    next(first)
    assert place(loader) == place(loader.batch_sampler) == (0, 2)


@every_reader
def test_whoever_reads_after_a_pass_was_left_may_be_in_its_place(
    read: Callable[[DataLoader], Iterator[Any]],
) -> None:
    """As a trainer's loader is, after a look at the first batch."""
    loader = DataLoader(DATA, batch_sampler=make_sampler())
    next(iter(loader))
    second = read(loader)
    for done in (1, 2):
        next(second)
        assert place(loader) == place(loader.batch_sampler) == (1, done)


def test_whoever_asks_ahead_may_be_in_its_place() -> None:
    loader = DataLoader(DATA, batch_sampler=make_sampler())
    first = iter(loader)
    next(first)
    second = iter(TorchDataLoader(DATA, batch_sampler=Ahead(loader.batch_sampler)))
    next(second)
    with pytest.raises(RuntimeError, match="a DataLoader, through a wrapper, asks ahead"):
        loader.state_dict()
    next(first)
    assert place(loader) == (0, 2)


def test_a_shallow_copy_counts_as_the_same() -> None:
    loader = DataLoader(DATA, batch_sampler=make_sampler())
    first = iter(loader)
    next(first)
    second = iter(copy.copy(loader))
    for _ in range(2):
        next(second)
    assert place(loader) == place(loader.batch_sampler) == (1, 2)
    next(first)
    assert place(loader) == (0, 2)


@every_kind
def test_iterators_are_not_kept_alive(share: Callable[[], Make]) -> None:
    gc.collect()
    gc.disable()
    try:
        make = share()
        train, val = make(), make()
        batches = iter(train)
        next(batches)
        rows(val)
        epochs = train._epochs
        assert train._pass is not None
        assert train._pass.may_go_on()
        del batches
        assert not train._pass.may_go_on()
        assert epochs.readers.handed is not None
    finally:
        gc.enable()
