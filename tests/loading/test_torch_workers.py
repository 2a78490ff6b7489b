"""Batch sampler and loader under torch's own DataLoader with worker processes: epochs, states, refusals."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import chain, islice
from typing import Any

import pytest
import torch
from torch.utils.data import ChainDataset, IterableDataset, Sampler
from torch.utils.data import DataLoader as TorchDataLoader

from tests.loading.rows import DATA, as_json, counted, make_loader, make_sampler, planned, rows
from tombola import DataLoader, PlanBatchSampler

pytestmark = [
    pytest.mark.filterwarnings("ignore:This process:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
]


@pytest.mark.parametrize("persistent", [False, True])
def test_torchs_loader_over_a_loader_in_workers(persistent: bool) -> None:
    """Epochs advance and are set as in one process; what was handed out is not known, and refused."""
    loader = make_loader(prefetch=0)
    wrapped: TorchDataLoader[Any] = TorchDataLoader(
        loader, batch_size=None, num_workers=2, persistent_workers=persistent, multiprocessing_context="fork"
    )
    for epoch in range(3):
        assert counted(rows(wrapped)) == counted(planned(epoch))
        assert loader.epoch == epoch + 1
    assert counted(rows(islice(wrapped, 3))) <= counted(planned(3))
    assert counted(rows(wrapped)) == counted(planned(4))
    with pytest.raises(RuntimeError, match=r"worker processes read copies of this Loader: use tombola\.Data"):
        loader.state_dict()
    loader.set_epoch(8)
    assert loader.state_dict()["position"] == {"epoch": 8, "spans": []}
    assert counted(rows(wrapped)) == counted(planned(8))
    loader.load_state_dict({**make_loader().state_dict(), "position": {"epoch": 2, "spans": [[1, 5]]}})
    assert counted(rows(wrapped)) == counted(planned(2)[5:])
    assert counted(rows(wrapped)) == counted(planned(3))


@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("seed", [None, 1])
def test_workers_of_a_pass_find_each_other(persistent: bool, seed: int | None) -> None:
    """Also where every pass draws the same seed for its workers."""
    wrapped: TorchDataLoader[Any] = TorchDataLoader(
        make_loader(prefetch=0),
        batch_size=None,
        num_workers=3,
        persistent_workers=persistent,
        multiprocessing_context="fork",
    )
    for epoch in range(4):
        if seed is not None:
            torch.manual_seed(seed)
        assert counted(rows(wrapped)) == counted(planned(epoch))


@pytest.mark.parametrize("persistent", [False, True])
def test_a_sampler_under_workers_knows_what_was_handed_out(persistent: bool) -> None:
    sampler = make_sampler()
    loader: TorchDataLoader[Any] = TorchDataLoader(
        DATA,
        batch_sampler=sampler,
        num_workers=2,
        persistent_workers=persistent,
        multiprocessing_context="fork",
    )
    for epoch in range(2):
        for step in (1, 5, 12, 13):
            sampler.set_epoch(epoch)
            batches = iter(loader)
            taken = rows(islice(batches, step))
            state = as_json(sampler.state_dict())
            resumed = make_sampler()
            resumed.load_state_dict(state)
            assert taken == planned(epoch)[:step]
            assert list(resumed) == (planned(epoch)[step:] or planned(epoch + 1))
            del batches
            assert sampler.state_dict() == state


def test_an_epoch_that_is_set_too_late_is_said_to_be(caplog: pytest.LogCaptureFixture) -> None:
    """Workers are sent batches when torch's iterator is made; trainers may say the epoch after that."""
    sampler = make_sampler()
    loader = TorchDataLoader(DATA, batch_sampler=sampler, num_workers=2, multiprocessing_context="fork")
    batches = iter(loader)
    sampler.set_epoch(0)  # as it is
    assert not caplog.records
    batches = iter(loader)
    sampler.set_epoch(3)
    assert "set_epoch(3) comes too late for the pass that has begun: batches of epoch 0 " in caplog.text
    assert rows(batches) == planned(0)
    assert rows(loader) == planned(3)


def test_nothing_is_said_when_the_interpreter_ends() -> None:
    code = (
        "from torchdata.stateful_dataloader import StatefulDataLoader\n"
        "from tombola import PlanBatchSampler, Streaming\n"
        "sampler = PlanBatchSampler(Streaming(), 12, batch_size=4)\n"
        "loader = StatefulDataLoader(range(12), batch_sampler=sampler)\n"
        "for batch in loader:\n"
        "    pass\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "HandedOut" not in done.stderr


def test_a_sampler_behind_a_wrapper_cannot_know() -> None:
    class Wrapper:
        def __init__(self, inner: PlanBatchSampler) -> None:
            self.inner = inner

        def __iter__(self) -> Any:
            yield from self.inner

    sampler = make_sampler()
    loader: TorchDataLoader[Any] = TorchDataLoader(
        DATA,
        batch_sampler=Wrapper(sampler),
        num_workers=2,
        multiprocessing_context="fork",
    )
    assert rows(islice(loader, 3)) == planned(0)[:3]
    with pytest.raises(
        RuntimeError, match="a DataLoader with worker processes, through a wrapper, asks ahead"
    ):
        sampler.state_dict()
    assert rows(loader) == planned(1)
    sampler.set_epoch(4)
    assert sampler.state_dict()["position"] == {"epoch": 4, "spans": []}


class Single(IterableDataset[torch.Tensor]):
    """A user's own: cuts the batches of a loader, or of a DataLoader over it, into rows."""

    def __init__(self, batches: Any) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[torch.Tensor]:
        for batch in self.batches:
            yield from batch["row"]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("wrap", [lambda loader: loader, lambda loader: ChainDataset([loader])])
def test_batches_are_not_joined(wrap: Callable[[Any], Any], workers: int) -> None:
    loader: TorchDataLoader[Any] = TorchDataLoader(
        wrap(make_loader()), num_workers=workers, multiprocessing_context="fork" if workers else None
    )
    with pytest.raises(ValueError, match="a DataLoader around a Loader must have batch_size=None"):
        next(iter(loader))
    assert make_loader().epoch == 0


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("workers", [0, 2])
def test_a_batch_sampler_in_the_place_of_a_sampler_is_refused(workers: int, drop_last: bool) -> None:
    """Of tensors torch would make batches of batches, and leave the last ones out."""
    options: dict[str, Any] = {"num_workers": workers, "multiprocessing_context": "fork" if workers else None}
    data: Any = torch.arange(50)
    sampler = make_sampler()
    loader: TorchDataLoader[Any] = TorchDataLoader(
        data, sampler=sampler, batch_size=3, drop_last=drop_last, **options
    )
    with pytest.raises(
        ValueError,
        match=r"must be given a PlanBatchSampler as batch_sampler, .* use batch_sampler=, not sampler=",
    ):
        next(iter(loader))
    assert sampler.epoch == 0
    assert rows(TorchDataLoader(data, sampler=sampler, batch_size=None, **options)) == planned(0)
    for rows_of, epoch in ((sampler.sampler, 1), (chain.from_iterable(sampler), 2), (_Flat(sampler), 3)):
        single: TorchDataLoader[Any] = TorchDataLoader(data, sampler=rows_of, batch_size=10, **options)
        assert sorted(chain.from_iterable(rows(single))) == sorted(chain.from_iterable(planned(epoch)))


class _Flat(Sampler[int]):
    """A user's own, of single rows."""

    def __init__(self, batches: PlanBatchSampler) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[int]:
        for batch in self.batches:
            yield from batch


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("wrap", [lambda loader: loader, DataLoader])
def test_rows_that_a_dataset_of_the_users_made_of_batches_are_joined(
    wrap: Callable[[Any], Any], workers: int
) -> None:
    loader: TorchDataLoader[Any] = TorchDataLoader(
        Single(wrap(make_loader(prefetch=0))),
        batch_size=7,
        num_workers=workers,
        multiprocessing_context="fork" if workers else None,
    )
    for _ in range(2):
        batches = [batch.tolist() for batch in loader]
        assert sorted(chain.from_iterable(batches)) == list(range(50))
        assert [len(batch) for batch in batches].count(7) >= 50 // 7 - workers
