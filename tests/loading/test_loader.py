"""The loader: batches are the plan's rows, windows are read once, hooks and states work."""

import json
import pickle
import re
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from tombola import ArraySource, BlockShuffling, BlockWeightedSampling, Loader, PlanBatchSampler, Streaming
from tombola.loading.windows import by_window
from tombola.sources.base import CsrRows, Source

N_ROWS = 50
VALUES: npt.NDArray[np.float32] = np.arange(N_ROWS * 3, dtype=np.float32).reshape(N_ROWS, 3)
LABELS = np.arange(N_ROWS, dtype=np.int8) % 7
STRATEGY = BlockShuffling(block_size=4)


class SparseRows:
    """Row i holds i + 1 in column i % 5 and -1 in column 5."""

    def __init__(self, as_dense: bool) -> None:
        self.as_dense = as_dense

    def __len__(self) -> int:
        return N_ROWS

    def read(self, rows: npt.NDArray[np.int64]) -> dict[str, Any]:
        data = np.stack([rows + 1.0, np.full(len(rows), -1.0)], axis=1).ravel().astype(np.float32)
        indices = np.stack([rows % 5, np.full(len(rows), 5)], axis=1).ravel().astype(np.int32)
        indptr = np.arange(len(rows) + 1, dtype=np.int64) * 2
        return {"X": CsrRows(data, indices, indptr, (len(rows), 6), self.as_dense)}

    def expected(self, rows: list[int]) -> list[list[float]]:
        return [[(row + 1.0) * (column == row % 5) - (column == 5) for column in range(6)] for row in rows]


class Watched:
    """A source that remembers the windows it has read."""

    def __init__(self) -> None:
        self.windows: list[list[int]] = []

    def __len__(self) -> int:
        return N_ROWS

    def read(self, rows: npt.NDArray[np.int64]) -> dict[str, Any]:
        self.windows.append(rows.tolist())
        return {"X": VALUES[rows]}


def make_loader(source: Source | None = None, strategy: Any = STRATEGY, **options: Any) -> Loader:
    source = ArraySource(VALUES, label=LABELS) if source is None else source
    return Loader(source, strategy, **{"batch_size": 4, "fetch_factor": 3, "seed": 7, **options})


def planned(epoch: int = 0, strategy: Any = STRATEGY) -> list[list[int]]:
    plan = strategy.plan(N_ROWS, batch_size=4, fetch_factor=3, seed=7, epoch=epoch)
    return [plan[k].tolist() for k in range(len(plan))]


def rows(batches: Any) -> Iterator[list[int]]:
    for batch in batches:
        yield batch["row"].tolist()


@pytest.mark.parametrize("prefetch", [0, 1, 5])
def test_batches_are_the_rows_of_the_plan(prefetch: int) -> None:
    loader = make_loader(prefetch=prefetch)
    assert len(loader) == 13
    for epoch in range(2):
        assert loader.epoch == epoch
        batches = list(loader)
        assert list(rows(batches)) == planned(epoch)
        for batch in batches:
            assert list(batch) == ["X", "label", "row"]
            assert [batch[name].dtype for name in batch] == [torch.float32, torch.int64, torch.int64]
            numbers = batch["row"].numpy()
            np.testing.assert_array_equal(batch["X"].numpy(), VALUES[numbers])
            np.testing.assert_array_equal(batch["label"].numpy(), LABELS[numbers])


@pytest.mark.parametrize("as_dense", [False, True])
def test_sparse_rows(as_dense: bool) -> None:
    source = SparseRows(as_dense)
    for batch in make_loader(source):
        features = batch["X"]
        assert features.layout == (torch.strided if as_dense else torch.sparse_csr)
        assert features.dtype == torch.float32
        assert features.to_dense().tolist() == source.expected(batch["row"].tolist())
        if not as_dense:
            torch.sparse_csr_tensor(
                features.crow_indices(),
                features.col_indices(),
                features.values(),
                size=features.shape,
                check_invariants=True,
            )


@pytest.mark.parametrize(
    "strategy", [STRATEGY, Streaming(), BlockWeightedSampling(np.arange(N_ROWS), draw="iid")], ids=repr
)
def test_each_window_is_read_once_sorted_and_distinct(strategy: Any) -> None:
    source = Watched()
    loader = make_loader(source, strategy, prefetch=0)
    batches = list(rows(loader))
    assert batches == planned(strategy=strategy)
    expected = [
        sorted({row for batch in batches[first : first + 3] for row in batch}) for first in range(0, 13, 3)
    ]
    assert source.windows == expected


@pytest.mark.parametrize("prefetch", [0, 1, 3])
def test_windows_are_let_go(prefetch: int) -> None:
    alive = weakref.WeakSet[Any]()
    most = 0

    class Counted(Watched):
        def read(self, rows: npt.NDArray[np.int64]) -> dict[str, Any]:
            nonlocal most
            most = max(most, len(alive))
            tensor = torch.from_numpy(VALUES[rows])
            alive.add(tensor)
            return {"X": tensor}

    for _ in make_loader(Counted(), fetch_factor=1, prefetch=prefetch):
        pass
    assert most <= prefetch
    assert len(alive) == 0


@pytest.mark.parametrize(
    ("runs", "windows"),
    [
        ([range(0, 7)], [range(0, 3), range(3, 6), range(6, 7)]),
        ([range(2, 6), range(7, 9)], [range(2, 3), range(3, 6), range(7, 9)]),
        (
            [range(1, 14, 2)],
            [range(1, 3, 2), range(3, 7, 2), range(7, 9, 2), range(9, 13, 2), range(13, 15, 2)],
        ),
        ([range(1, 20, 5)], [range(1, 6, 5), range(6, 11, 5), range(11, 16, 5), range(16, 21, 5)]),
    ],
)
def test_runs_are_cut_at_windows(runs: list[range], windows: list[range]) -> None:
    assert [list(window) for window in by_window(runs, 3)] == [list(window) for window in windows]


def test_columns_of_any_kind() -> None:
    class Mixed:
        def __len__(self) -> int:
            return N_ROWS

        def read(self, rows: npt.NDArray[np.int64]) -> dict[str, Any]:
            return {
                "X": VALUES[rows].astype(np.float64),
                "name": np.array([f"cell {row}" for row in rows.tolist()]),
                "flag": rows % 2 == 0,
                "size": rows.astype(np.uint16),
                "score": rows.astype(np.float32),
                "latent": torch.from_numpy(np.outer(rows, [1, 2])),
            }

    for batch in make_loader(Mixed()):
        numbers = batch["row"]
        assert batch["X"].dtype == torch.float64
        assert batch["name"] == [f"cell {row}" for row in numbers.tolist()]
        assert torch.equal(batch["flag"], numbers % 2 == 0)
        assert torch.equal(batch["size"], numbers)
        assert torch.equal(batch["score"], numbers.float())
        assert torch.equal(batch["latent"], numbers[:, None] * torch.tensor([1, 2]))


def test_hooks() -> None:
    seen: list[int] = []

    def fetch_transform(window: dict[str, Any]) -> dict[str, Any]:
        seen.append(len(window["row"]))
        assert (np.diff(window["row"]) > 0).all()
        return {"X": window["X"] * 2, "double": torch.from_numpy(window["row"] * 2)}

    def batch_transform(batch: dict[str, Any]) -> tuple[torch.Tensor, ...]:
        return batch["X"] + 1, batch["double"], batch["row"]

    loader = make_loader(fetch_transform=fetch_transform, batch_transform=batch_transform)
    batches: list[Any] = list(iter(loader))
    assert [numbers.tolist() for _, _, numbers in batches] == planned()
    for features, double, numbers in batches:
        np.testing.assert_array_equal(features.numpy(), VALUES[numbers.numpy()] * 2 + 1)
        assert torch.equal(double, numbers * 2)
    assert sorted(seen) == [2, 12, 12, 12, 12]


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (None, "fetch_transform must give a mapping of columns, but gave NoneType"),
        ({"X": [1, 2]}, "fetch_transform must give columns that are arrays.* but column 'X' is list"),
        ({"X": np.ones((2, 2))}, "fetch_transform must give 12 rows of each column, but column 'X' has 2"),
        ({"X": np.array(1)}, "fetch_transform must give 12 rows of each column, but column 'X' has 0"),
    ],
)
def test_a_bad_fetch_transform_is_named(result: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        next(iter(make_loader(fetch_transform=lambda _: result)))


def test_a_source_must_not_have_a_row_column() -> None:
    class Rowed(Watched):
        def read(self, rows: npt.NDArray[np.int64]) -> dict[str, Any]:
            return {"row": rows}

    with pytest.raises(ValueError, match="a source must not have a column named 'row'"):
        next(iter(make_loader(Rowed())))


@pytest.mark.parametrize("prefetch", [0, 1, 3])
@pytest.mark.parametrize("broken", [0, 2, 4])
def test_an_error_comes_in_its_place(prefetch: int, broken: int) -> None:
    delivered: list[list[int]] = []

    def fetch_transform(window: dict[str, Any]) -> dict[str, Any]:
        if set(planned()[broken * 3]) <= set(window["row"].tolist()):
            raise OSError("disk on fire")
        return window

    loader = make_loader(prefetch=prefetch, fetch_transform=fetch_transform)
    batches = iter(loader)
    with pytest.raises(OSError, match="disk on fire"):
        delivered.extend(rows(batches))
    assert delivered == planned()[: broken * 3]
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"^a batch of this pass could not be read, and no more come"):
            next(batches)
    assert loader.epoch == (broken > 0)  # a pass that handed out batches is an epoch
    assert loader.state_dict()["position"]["spans"] == ([[1, broken * 3]] if broken else [])


def test_an_error_of_the_batch_transform_leaves_the_batch_unconsumed() -> None:
    def batch_transform(batch: dict[str, Any]) -> dict[str, Any]:
        if batch["row"].tolist() == planned()[5]:
            raise ZeroDivisionError
        return batch

    loader = make_loader(batch_transform=batch_transform)
    batches = iter(loader)
    assert [next(rows(batches)) for _ in range(5)] == planned()[:5]
    with pytest.raises(ZeroDivisionError):
        next(batches)
    with pytest.raises(RuntimeError, match=r"begin another pass$"):
        next(batches)
    resumed = make_loader()
    resumed.load_state_dict(loader.state_dict())
    assert list(rows(resumed)) == planned()[5:]


@pytest.mark.parametrize("step", [0, 1, 3, 5, 12, 13])
def test_resume(step: int) -> None:
    saving = make_loader()
    batches = iter(saving)
    for _ in range(step):
        next(batches)
    state = json.loads(json.dumps(saving.state_dict()))
    source = Watched()
    loader = make_loader(source, prefetch=0)
    loader.load_state_dict(state)
    expected = planned()[step:] or planned(1)
    assert len(loader) == 13
    assert loader.remaining == len(expected)
    assert list(rows(loader)) == expected
    read = {row for window in source.windows for row in window}
    assert read == {row for batch in expected for row in batch}  # nothing is read to be skipped
    loader.set_epoch(4)
    assert list(rows(loader)) == planned(4)


def test_a_state_of_the_sampler_is_refused() -> None:
    """Under several ranks it would mean other batches."""
    options: dict[str, Any] = {"batch_size": 4, "fetch_factor": 3, "seed": 7}
    state = PlanBatchSampler(STRATEGY, N_ROWS, **options).state_dict()
    with pytest.raises(ValueError, match="window_batches was 1, now is 3"):
        make_loader().load_state_dict(state)


@pytest.mark.parametrize("world_size", [2, 3, 4])
def test_ranks_take_whole_windows(world_size: int) -> None:
    delivered = []
    for rank in range(world_size):
        source = Watched()
        loader = make_loader(source, rank=rank, world_size=world_size, even="none", prefetch=0)
        batches = list(rows(loader))
        assert len(batches) == len(loader)
        assert batches[:3] == planned()[rank * 3 : rank * 3 + 3]
        assert source.windows[0] == sorted(row for batch in batches[:3] for row in batch)
        delivered += batches
    assert sorted(delivered) == sorted(planned())


def test_pickling() -> None:
    loader = make_loader()
    next(iter(loader))
    loader.set_epoch(2)
    assert list(rows(pickle.loads(pickle.dumps(loader)))) == planned(2)


def test_a_source_is_needed() -> None:
    array: Any = np.eye(3)
    with pytest.raises(TypeError, match=r"source must have read\(\) and a length, .* but is ndarray"):
        Loader(array, STRATEGY, 4)


def test_numbers_of_another_byte_order() -> None:
    source = ArraySource(np.arange(3, dtype=">f4"), y=np.arange(3, dtype=">f8"))
    batch = next(iter(Loader(source, Streaming(), 3)))
    assert batch["X"].dtype == torch.float32
    assert batch["X"].tolist() == batch["y"].tolist() == [0, 1, 2]


def test_bad_options_are_named() -> None:
    with pytest.raises(ValueError, match="prefetch must be an integer >= 0, but is -1"):
        make_loader(prefetch=-1)
    with pytest.raises(ValueError, match="weights must be as long as the whole, n = 50"):
        make_loader(strategy=BlockWeightedSampling(np.ones(3)))
    with pytest.raises(ValueError, match="fetch_factor must be an integer >= 1, but is 0"):
        make_loader(fetch_factor=0)


@pytest.mark.parametrize("part", ["dataset", "batch_sampler"])
def test_what_trainers_take_apart_is_refused(part: str) -> None:
    loader = Loader(ArraySource(VALUES), STRATEGY, batch_size=4)
    assert not hasattr(loader, part)
    message = f"a Loader has no {part}, as it is no DataLoader: give trainers tombola.DataLoader(loader)"
    with pytest.raises(AttributeError, match=re.escape(message)):
        getattr(loader, part)
