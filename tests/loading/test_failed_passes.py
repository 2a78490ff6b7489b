"""Passes of DataLoaders that handed out nothing are none: a retry gives the same epoch, or what is left."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.loading.rows import DATA, counted, make_loader, make_sampler, place, planned, rows
from tombola import DataLoader, Position

pytestmark = [
    pytest.mark.filterwarnings("ignore:This process:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
]


def place_at(reader: Any, epoch: int, batches: int) -> dict[str, Any]:
    """A state in which so many batches of an epoch are consumed."""
    state: dict[str, Any] = reader.state_at(Position(epoch).advanced(1, batches))
    return state


def fail_while_there_is(path: Path) -> bool:
    if path.exists():
        raise OSError("disk on fire")
    return False


class OnFire:
    """No row can be read as long as there is a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __len__(self) -> int:
        return 50

    def __getitem__(self, row: int) -> int:
        fail_while_there_is(self.path)
        return row


FAILING: dict[str, Callable[[Path], Any]] = {
    "sampler": OnFire,
    "loader": lambda path: make_loader(
        prefetch=0, batch_transform=lambda batch: batch | {"fire": fail_while_there_is(path)}
    ),
}


@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("own", [True, False], ids=["own", "torch's"])
@pytest.mark.parametrize("kind", ["sampler", "loader"])
def test_a_pass_whose_first_batch_failed_is_none(
    kind: str, own: bool, workers: int, persistent: bool, tmp_path: Path
) -> None:
    """Begun again, it gives the same epoch, or what a loaded state leaves of it: no row is lost."""
    if (persistent and not workers) or (not own and workers and (kind == "loader" or persistent)):
        pytest.skip("torch has no such thing, or nobody can know")
    make: Any = DataLoader if own else torch.utils.data.DataLoader
    fire = tmp_path / "fire"
    data = FAILING[kind](fire)
    reader = make_sampler() if kind == "sampler" else data
    options: dict[str, Any] = {"batch_sampler": reader} if kind == "sampler" else {"batch_size": None}
    if workers:
        options |= {"multiprocessing_context": "fork", "persistent_workers": persistent}
    loader = make(data, num_workers=workers, **options)
    fire.touch()
    with pytest.raises(OSError, match="disk on fire"):
        list(loader)
    if own:
        assert place(loader) == (0, 0)
    assert (loader if own else reader).epoch == 0
    fire.unlink()
    assert counted(rows(loader)) == counted(planned(0))
    assert reader.epoch == 1
    state = place_at(reader, 1, 5)
    (loader if own else reader).load_state_dict(state)
    fire.touch()
    with pytest.raises(OSError, match="disk on fire"):
        next(iter(loader))
    fire.unlink()
    assert counted(rows(loader)) == counted(planned(1)[5:])
    assert counted(rows(loader)) == counted(planned(2))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_pass_that_nobody_took_a_batch_of_is_none(workers: int) -> None:
    """Workers read ahead from the beginning; whoever only makes an iterator has seen nothing yet."""
    reader = make_sampler()
    context = "fork" if workers else None
    for loader in (
        DataLoader(DATA, batch_sampler=reader, num_workers=workers, multiprocessing_context=context),
        torch.utils.data.DataLoader(
            DATA, batch_sampler=reader, num_workers=workers, multiprocessing_context=context
        ),
    ):
        reader.set_epoch(3)
        iter(loader)
        assert reader.epoch == 3
        assert rows(loader) == planned(3)
        first, second = iter(loader), iter(loader)
        assert next(first).tolist() == planned(4)[0]  # which is there still, so that they are two
        assert next(second).tolist() == planned(5)[0]


@pytest.mark.parametrize("is_told", [False, True])
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("own", [True, False], ids=["own", "torch's"])
@pytest.mark.parametrize("kind", ["sampler", "loader"])
def test_a_retry_while_the_error_is_dealt_with(
    kind: str, own: bool, workers: int, is_told: bool, tmp_path: Path
) -> None:
    """The error keeps torch's iterator alive; a trainer says the epoch of each attempt, counted from 0."""
    if not own and workers and kind == "loader":
        pytest.skip("nobody can know")
    make: Any = DataLoader if own else torch.utils.data.DataLoader
    fire = tmp_path / "fire"
    data = FAILING[kind](fire)
    reader = make_sampler() if kind == "sampler" else data
    options: dict[str, Any] = {"batch_sampler": reader} if kind == "sampler" else {"batch_size": None}
    context = "fork" if workers else None
    loader = make(data, num_workers=workers, multiprocessing_context=context, **options)
    stateful = loader if own else reader
    stateful.load_state_dict(place_at(reader, 3, 5))

    def attempt() -> list[list[int]]:
        if is_told:
            stateful.set_epoch(0)
        return rows(loader)

    fire.touch()
    try:
        attempt()
    except OSError:
        fire.unlink()
        assert counted(attempt()) == counted(planned(3)[5:])
    assert stateful.epoch == 4
    assert counted(rows(loader)) == counted(planned(4))


@pytest.mark.parametrize("own", [True, False], ids=["own", "torch's"])
def test_a_state_after_workers_that_persist_failed_at_once(own: bool, tmp_path: Path) -> None:
    """They serve another pass by now, so how far the one before came is no longer known: it is over."""
    make: Any = DataLoader if own else torch.utils.data.DataLoader
    reader = make_sampler()
    fire = tmp_path / "fire"
    loader = make(
        OnFire(fire),
        batch_sampler=reader,
        num_workers=2,
        multiprocessing_context="fork",
        persistent_workers=True,
    )
    assert len(rows(islice(loader, 5))) == 5
    fire.touch()
    with pytest.raises(OSError, match="disk on fire"):
        next(iter(loader))
    fire.unlink()
    assert reader.epoch == 1
    assert place(loader if own else reader) == (1, 0)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("kind", ["sampler", "loader"])
def test_an_epoch_is_given_back_once(kind: str, workers: int, tmp_path: Path) -> None:
    """Another DataLoader may have taken it since."""
    fire = tmp_path / "fire"
    data = FAILING[kind](fire)
    options: dict[str, Any] = {"batch_sampler": make_sampler()} if kind == "sampler" else {}
    options |= {"num_workers": workers, "multiprocessing_context": "fork" if workers else None}
    train, val = DataLoader(data, **options), DataLoader(data, **options)
    fire.touch()
    with pytest.raises(OSError, match="disk on fire"):
        next(iter(train))
    fire.unlink()
    assert train.epoch == 0
    assert counted(rows(val)) == counted(planned(0))
    assert train.epoch == 1
    assert counted(rows(train)) == counted(planned(1))


def test_a_batch_that_fails_before_the_one_that_is_held_back_was_handed_out() -> None:
    """Ray's DataLoader, known by its name on the stack, hands out a batch when it has the next one."""
    program = """
class _WrappedDataLoader:
    def _prefetch_next_batch(self, batches):
        return next(batches, None)
"""
    namespace: dict[str, Any] = {"__name__": "ray.train.torch.train_loop_utils"}
    exec(program, namespace)
    ask_ahead = namespace["_WrappedDataLoader"]()._prefetch_next_batch

    class SecondFails:
        is_on_fire = True

        def __getitem__(self, row: int) -> int:
            if self.is_on_fire and row in planned(3)[6]:
                raise OSError("disk on fire")
            return row

    data: Any = SecondFails()
    loader = DataLoader(data, batch_sampler=make_sampler())
    loader.load_state_dict(place_at(loader, 3, 5))
    batches = iter(loader)
    ask_ahead(batches)
    with pytest.raises(OSError, match="disk on fire"):
        ask_ahead(batches)
    assert place(loader) == (3, 5)
    data.is_on_fire = False
    assert rows(loader) == planned(3)[5:]
    assert rows(loader) == planned(4)
