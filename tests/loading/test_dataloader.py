"""`tombola.DataLoader`: what it handed out is its state, whatever reads ahead, in how many processes."""

import pickle
from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest

from tests.loading.rows import N_ROWS, as_json, counted, make_loader, make_sampler, planned, rows
from tombola import BlockShuffling, DataLoader, PlanBatchSampler

pytestmark = [
    pytest.mark.filterwarnings("ignore:This process:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
]

KINDS = [
    ("sampler", 0, False),
    ("sampler", 2, False),
    ("sampler", 2, True),
    ("loader", 0, False),
    ("loader", 1, False),
    ("loader", 2, False),
    ("loader", 3, True),
]
every_kind = pytest.mark.parametrize(
    ("kind", "workers", "persistent"), KINDS, ids=[f"{k}-{w}{'-persistent' * p}" for k, w, p in KINDS]
)


def make(kind: str, workers: int = 0, persistent: bool = False, **options: Any) -> DataLoader:
    processes: dict[str, Any] = {}
    if workers:
        processes = {"multiprocessing_context": "fork", "persistent_workers": persistent}
    if kind == "sampler":
        sampler = make_sampler(**options)
        return DataLoader(range(N_ROWS), batch_sampler=sampler, num_workers=workers, **processes)
    return DataLoader(make_loader(prefetch=0, **options), num_workers=workers, **processes)


@every_kind
def test_every_pass_is_an_epoch(kind: str, workers: int, persistent: bool) -> None:
    loader = make(kind, workers, persistent)
    assert len(loader) == loader.remaining == 13
    for epoch in range(3):
        assert loader.epoch == epoch
        assert counted(rows(loader)) == counted(planned(epoch))
    broken = rows(islice(loader, 5))
    assert counted(broken) <= counted(planned(3))
    assert loader.epoch == 4
    iter(loader)  # of which nothing is handed out
    assert loader.epoch == 4
    assert counted(rows(islice(loader, 13))) == counted(planned(4))
    loader.set_epoch(9)
    assert counted(rows(loader)) == counted(planned(9))


@every_kind
def test_resume_at_every_batch(kind: str, workers: int, persistent: bool) -> None:
    whole = rows(make(kind, workers, persistent))
    later = rows(islice(make_from(make(kind, workers, persistent), 1), 13))
    for step in range(14):
        saving = make(kind, workers, persistent)
        batches = iter(saving)
        taken = rows(islice(batches, step))
        state = as_json(saving.state_dict())
        del batches
        assert as_json(saving.state_dict()) == state  # also when the loop was left
        resumed = make(kind, workers, persistent)
        resumed.load_state_dict(state)
        assert resumed.state_dict() == state
        assert resumed.remaining == (13 - step or 13)
        assert len(resumed) == 13
        if step == 13:
            assert rows(resumed) == later
        else:
            assert taken + rows(resumed) == whole  # in the order of the undisturbed run
            assert counted(rows(resumed)) == counted(planned(1))


def make_from(loader: DataLoader, epoch: int) -> DataLoader:
    loader.set_epoch(epoch)
    return loader


@pytest.mark.parametrize(("saved", "loaded"), [(2, 0), (2, 3), (3, 2), (0, 2), (3, 1)])
@pytest.mark.parametrize("step", [0, 1, 4, 6, 7, 11, 12])
def test_another_number_of_workers_takes_the_rest(saved: int, loaded: int, step: int) -> None:
    saving = make("loader", saved)
    taken = rows(islice(saving, step))
    resumed = make("loader", loaded)
    resumed.load_state_dict(as_json(saving.state_dict()))
    assert counted(taken + rows(resumed)) == counted(planned(0))
    plain = make_loader()
    plain.load_state_dict(saving.state_dict())
    assert counted(taken + rows(plain)) == counted(planned(0))


@pytest.mark.parametrize("even", ["drop", "pad", "none"])
@pytest.mark.parametrize("workers", [0, 2])
def test_ranks_resume_at_every_batch(even: str, workers: int) -> None:
    ranks: list[dict[str, Any]] = [{"rank": rank, "world_size": 3, "even": even} for rank in range(3)]
    whole = [rows(make("loader", workers, **rank)) for rank in ranks]
    for step in range(len(whole[-1])):
        for rank, expected in zip(ranks, whole, strict=True):
            saving = make("loader", workers, **rank)
            taken = rows(islice(saving, step))
            resumed = make("loader", workers, **rank)
            resumed.load_state_dict(as_json(saving.state_dict()))
            assert taken + rows(resumed) == expected


@every_kind
def test_a_resumed_run_is_interrupted_again(kind: str, workers: int, persistent: bool) -> None:
    whole = rows(make(kind, workers, persistent))
    taken: list[list[int]] = []
    state = make(kind).state_dict()
    for step in (1, 2, 3, 1, 4):
        loader = make(kind, workers, persistent)
        loader.load_state_dict(state)
        taken += rows(islice(loader, step))
        state = as_json(loader.state_dict())
        assert taken == whole[: len(taken)]


@every_kind
def test_a_loaded_state_wins_over_a_counter(kind: str, workers: int, persistent: bool) -> None:
    saving = make(kind, workers, persistent)
    saving.set_epoch(5)
    taken = rows(islice(saving, 4))
    loader = make(kind, workers, persistent)
    loader.load_state_dict(saving.state_dict())
    for count in range(3):
        loader.set_epoch(count)
        before = taken if count == 0 else []
        assert counted(before + rows(loader)) == counted(planned(5 + count))


def test_states_are_those_of_the_sampler_and_the_loader() -> None:
    loader = make("sampler", 2)
    rows(islice(loader, 6))
    sampler = make_sampler()
    sampler.load_state_dict(loader.state_dict())
    assert list(sampler) == planned(0)[6:]
    other = make("sampler")
    rows(islice(other, 6))
    assert other.state_dict() == loader.state_dict()


def test_passes_side_by_side() -> None:
    loader = make("sampler")
    first, second = iter(loader), iter(loader)
    taken = rows([next(first), next(first)])
    other = rows([next(second)])
    assert loader.state_dict()["position"] == {"epoch": 1, "spans": [[1, 1]]}
    taken += rows([next(first)])
    assert loader.state_dict()["position"] == {"epoch": 0, "spans": [[1, 3]]}
    assert (taken, other) == (planned(0)[:3], planned(1)[:1])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sampler", "loader"])
def test_spawned_workers(kind: str) -> None:
    data: dict[str, Any] = {"batch_sampler": make_sampler()} if kind == "sampler" else {}
    loader = DataLoader(
        range(N_ROWS) if data else make_loader(prefetch=0),
        **data,
        num_workers=2,
        multiprocessing_context="spawn",
        persistent_workers=True,
    )
    taken = rows(islice(loader, 5))
    state = as_json(loader.state_dict())
    assert counted(rows(loader)) == counted(planned(1))
    loader.load_state_dict(state)
    assert counted(taken + rows(loader)) == counted(planned(0))
    loader.set_epoch(7)
    assert counted(rows(loader)) == counted(planned(7))


# ---------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("make_it", "error", "message"),
    [
        (
            lambda: DataLoader(range(4)),
            TypeError,
            r"needs batch_sampler=PlanBatchSampler\(\.\.\.\), or a tombola",
        ),
        (
            lambda: DataLoader(make_sampler()),
            TypeError,
            "needs batch_sampler=PlanBatchSampler.*, but has a Plan",
        ),
        (
            lambda: DataLoader(range(4), batch_size=2, sampler=make_sampler()),
            TypeError,
            r"has sampler=PlanBatchSampler\(\.\.\.\): use batch_sampler=, not sampler=",
        ),
        (lambda: DataLoader(range(4), batch_size=2), TypeError, "but has a range and batch_sampler=<torch"),
        (
            lambda: DataLoader(make_loader(), batch_size=2),
            ValueError,
            "batch_size must be None with a Loader",
        ),
        (lambda: DataLoader(make_loader(), 2), ValueError, "batch_size must be None with a Loader"),
        (
            lambda: DataLoader(range(N_ROWS), batch_sampler=make_sampler(), in_order=False),
            ValueError,
            "in_order must be True",
        ),
    ],
)
def test_bad_input_is_named(make_it: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make_it()


@pytest.mark.parametrize(
    ("length", "said"), [(60, "those beyond never come"), (40, "some that are not there")]
)
def test_data_of_another_length_are_said_to_be_so(
    length: int, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    sampler = make_sampler()
    for _ in range(2):
        DataLoader(range(length), batch_sampler=sampler)
    (record,) = caplog.records
    told = record.getMessage()
    assert told.startswith(f"PlanBatchSampler: the data have {length} rows, but the strategy knows of 50: ")
    assert told.endswith(said)
    chosen = PlanBatchSampler(BlockShuffling(1, indices=range(0, 50, 2)), 50, batch_size=4)
    DataLoader(range(length), batch_sampler=chosen)
    DataLoader(range(50), batch_sampler=make_sampler())
    DataLoader(object(), batch_sampler=make_sampler())
    assert len(caplog.records) == 1


def test_another_configuration_is_refused() -> None:
    state = make("sampler").state_dict()
    with pytest.raises(ValueError, match="window_batches was 1, now is 3"):
        make("loader").load_state_dict(state)


def test_a_loader_can_be_copied_anywhere() -> None:
    """A plain copy has its own passes; it is not a worker's."""
    loader = make_loader()
    next(iter(loader))
    copy = pickle.loads(pickle.dumps(loader))
    assert copy.epoch == loader.epoch == 1
    assert rows(copy) == planned(1)
    assert (copy.epoch, loader.epoch) == (2, 1)
