"""Collating compressed histories: padding, lengths and masks against lists; wrong batches by name."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from tombola import BucketSampler, collate_compressed_batch


def make_item(*steps: int, **others: Any) -> dict[str, Any]:
    """Return a history whose stage s has ``steps[s]`` steps, numbered from 1 in each tensor."""
    stages = [
        {
            "states": (torch.arange(count)[:, None] + torch.tensor([1.0, 0.5])),
            "actions": torch.arange(1, count + 1),
            "done": torch.ones(count, dtype=torch.bool),
        }
        for count in steps
    ]
    return {"num_compression_stages": len(steps), "compression_stages": stages, **others}


def test_stages_are_padded_each_to_its_own_longest() -> None:
    steps = [(3, 5), (4, 1), (1, 2)]
    batch = collate_compressed_batch([make_item(*counts) for counts in steps])
    assert list(batch) == ["num_compression_stages", "compression_stages"]
    assert batch["num_compression_stages"] == 2
    assert type(batch["num_compression_stages"]) is int
    assert len(batch["compression_stages"]) == 2
    for number, (stage, longest) in enumerate(zip(batch["compression_stages"], (4, 5), strict=True)):
        assert list(stage) == ["states", "actions", "done", "lengths", "mask"]
        counts = [counts[number] for counts in steps]
        assert stage["lengths"].dtype == torch.int64
        assert stage["lengths"].tolist() == counts
        assert stage["mask"].dtype == torch.bool
        assert stage["mask"].tolist() == [[step < count for step in range(longest)] for count in counts]
        assert stage["states"].shape == (3, longest, 2)
        assert stage["states"].dtype == torch.float32
        assert stage["actions"].dtype == torch.int64
        assert torch.equal(stage["done"], stage["mask"])
        for row, count in enumerate(counts):
            padding = [0] * (longest - count)
            assert stage["actions"][row].tolist() == [*range(1, count + 1), *padding]
            assert stage["states"][row, :, 1].tolist() == [*(i + 0.5 for i in range(count)), *padding]


@pytest.mark.parametrize("rows", [1, 3])
def test_depth_0(rows: int) -> None:
    batch = collate_compressed_batch([make_item(reward=row) for row in range(rows)])
    assert batch["num_compression_stages"] == 0
    assert batch["compression_stages"] == []
    assert batch["reward"].tolist() == list(range(rows))


def test_a_stage_without_steps() -> None:
    (stage,) = collate_compressed_batch([make_item(0), make_item(2)])["compression_stages"]
    assert stage["mask"].tolist() == [[False, False], [True, True]]
    assert stage["states"][0].tolist() == [[0.0, 0.0], [0.0, 0.0]]
    (stage,) = collate_compressed_batch([make_item(0), make_item(0)])["compression_stages"]
    assert stage["mask"].shape == (2, 0)
    assert stage["states"].shape == (2, 0, 2)


def test_other_keys_are_collated_as_ever() -> None:
    items = [
        make_item(1, reward=0.5, task="a", target=torch.tensor([1, 2]), info={"row": 3}) for _ in range(2)
    ]
    batch = collate_compressed_batch(items)
    assert batch["reward"].tolist() == [0.5, 0.5]
    assert batch["task"] == ["a", "a"]
    assert batch["target"].tolist() == [[1, 2], [1, 2]]
    assert batch["info"]["row"].tolist() == [3, 3]


def test_arrays_and_odd_integers_pass() -> None:
    items = [make_item(2), make_item(3)]
    for item in items:
        item["num_compression_stages"] = np.int64(1)
        item["compression_stages"] = ({"states": item["compression_stages"][0]["states"].numpy()},)
    batch = collate_compressed_batch(items)
    assert type(batch["num_compression_stages"]) is int
    assert batch["compression_stages"][0]["states"].shape == (2, 3, 2)


@pytest.mark.parametrize(
    "odd",
    [
        lambda states: states[::-1],
        lambda states: states[:, ::-1],
        lambda states: states.astype(">f4"),
        np.asfortranarray,
    ],
    ids=["backwards", "columns backwards", "big-endian", "by column"],
)
def test_arrays_of_any_layout(odd: Any) -> None:
    arrays = [odd(np.arange(2 * steps, dtype=np.float32).reshape(steps, 2)) for steps in (3, 2)]
    items = [{DEPTH: 1, STAGES: [{"states": array}]} for array in arrays]
    (stage,) = collate_compressed_batch(items)["compression_stages"]
    assert stage["states"].dtype == torch.float32
    for padded, array in zip(stage["states"], arrays, strict=True):
        assert padded[: len(array)].tolist() == array.tolist()


def test_items_are_left_as_they_are() -> None:
    items = [make_item(2, 3), make_item(1, 1)]
    before = copy.deepcopy(items)
    batch = collate_compressed_batch(items)
    batch["compression_stages"][0]["states"].fill_(7)
    for item, old in zip(items, before, strict=True):
        for stage, old_stage in zip(item["compression_stages"], old["compression_stages"], strict=True):
            assert list(stage) == list(old_stage)
            assert all(torch.equal(stage[name], old_stage[name]) for name in stage)


def test_gradients_pass_through() -> None:
    items = [make_item(2), make_item(3)]
    leaf = items[0]["compression_stages"][0]["states"].requires_grad_()
    collate_compressed_batch(items)["compression_stages"][0]["states"].sum().backward()
    assert leaf.grad.tolist() == [[1.0, 1.0], [1.0, 1.0]]


def changed(change: Any) -> list[Any]:
    """Return three good items after a change."""
    items: list[Any] = [make_item(2, 3, reward=1.0) for _ in range(3)]
    change(items)
    return items


def set_at(*path: Any, to: Any) -> Any:
    """Return a change that sets what ``path`` leads to."""

    def change(items: list[Any]) -> None:
        place: Any = items
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = to

    return change


def drop(*path: Any) -> Any:
    """Return a change that deletes what ``path`` leads to."""

    def change(items: list[Any]) -> None:
        place: Any = items
        for step in path[:-1]:
            place = place[step]
        del place[path[-1]]

    return change


DEPTH, STAGES = "num_compression_stages", "compression_stages"


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda items: items.clear(), ValueError, "batch must hold at least one item, but is empty"),
        (set_at(1, to=[1, 2]), TypeError, "batch[1] must be a dict, but is list"),
        (set_at(0, to=[1, 2]), TypeError, "batch[0] must be a dict, but is list"),
        (
            drop(0, DEPTH),
            ValueError,
            "batch[0] must have the key 'num_compression_stages', but has 'compression_stages', 'reward'",
        ),
        (
            set_at(2, to={}),
            ValueError,
            "batch[2] must have the key 'num_compression_stages', but has nothing",
        ),
        (
            drop(1, STAGES),
            ValueError,
            "batch[1] must have the key 'compression_stages', but has 'num_compression_stages', 'reward'",
        ),
        (
            drop(2, "reward"),
            ValueError,
            "batch[2] must have the keys of batch[0], 'compression_stages', 'num_compression_stages', "
            "'reward', but has 'compression_stages', 'num_compression_stages'",
        ),
        (
            set_at(1, 7, to="a key of another type"),
            ValueError,
            "batch[1] must have the keys of batch[0], 'compression_stages', 'num_compression_stages', "
            "'reward', but has 'compression_stages', 'num_compression_stages', 'reward', 7",
        ),
        (
            set_at(1, STAGES, 0, ("a", 1), to=torch.zeros(2)),
            ValueError,
            "batch[1]['compression_stages'][0] must hold the tensors of batch[0], 'actions', 'done', "
            "'states', but holds 'actions', 'done', 'states', ('a', 1)",
        ),
        (
            set_at(1, DEPTH, to=2.0),
            TypeError,
            "batch[1]['num_compression_stages'] must be an integer >= 0, but is 2.0",
        ),
        (
            set_at(1, DEPTH, to=-1),
            ValueError,
            "batch[1]['num_compression_stages'] must be an integer >= 0, but is -1",
        ),
        (
            set_at(1, DEPTH, to=3),
            ValueError,
            "batch[1] must have 3 compression_stages as num_compression_stages says, but has 2",
        ),
        (
            set_at(1, STAGES, to=torch.zeros(2)),
            TypeError,
            "batch[1]['compression_stages'] must be a list, but is Tensor",
        ),
        (
            lambda items: items.extend([make_item(reward=1.0), make_item(1, 2, 3, reward=1.0)]),
            ValueError,
            "a batch must be of one num_compression_stages, but mixes the depths 0 in batch[3], "
            "2 in batch[0], 3 in batch[4]: BucketSampler keeps them apart",
        ),
        (
            set_at(1, STAGES, 0, to=torch.zeros(2)),
            TypeError,
            "batch[1]['compression_stages'][0] must be a dict of tensors, but is Tensor",
        ),
        (
            set_at(1, STAGES, 0, to={}),
            ValueError,
            "batch[1]['compression_stages'][0] must hold at least one tensor, but holds nothing",
        ),
        (
            set_at(1, STAGES, 0, "mask", to=torch.zeros(2)),
            ValueError,
            "batch[1]['compression_stages'][0] must hold no 'mask', which the batch adds, "
            "but holds 'actions', 'done', 'mask', 'states'",
        ),
        (
            set_at(1, STAGES, 1, "states", to=[1, 2, 3]),
            TypeError,
            "batch[1]['compression_stages'][1]['states'] must be a tensor, but is list",
        ),
        (
            set_at(1, STAGES, 1, "states", to=torch.tensor(1)),
            ValueError,
            "batch[1]['compression_stages'][1]['states'] must be of shape (steps, ...), but is one number",
        ),
        (
            set_at(1, STAGES, 1, "states", to=np.array(1)),
            ValueError,
            "batch[1]['compression_stages'][1]['states'] must be of shape (steps, ...), but is one number",
        ),
        (
            set_at(2, STAGES, 1, "actions", to=torch.zeros(4, dtype=torch.int64)),
            ValueError,
            "batch[2]['compression_stages'][1] must hold tensors of as many steps, "
            "but has 'states' 3, 'actions' 4, 'done' 3",
        ),
        (
            drop(1, STAGES, 1, "done"),
            ValueError,
            "batch[1]['compression_stages'][1] must hold the tensors of batch[0], 'actions', 'done', "
            "'states', but holds 'actions', 'states'",
        ),
        (
            set_at(2, STAGES, 0, "states", to=torch.zeros(2, 3)),
            ValueError,
            "batch[2]['compression_stages'][0]['states'] must be of shape (steps, 2) and torch.float32 as in "
            "batch[0], but is of shape (steps, 3) and torch.float32",
        ),
        (
            set_at(2, STAGES, 0, "states", to=torch.zeros(2, 2, dtype=torch.float64)),
            ValueError,
            "batch[2]['compression_stages'][0]['states'] must be of shape (steps, 2) and torch.float32 as in "
            "batch[0], but is of shape (steps, 2) and torch.float64",
        ),
    ],
)
def test_wrong_batches(change: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        collate_compressed_batch(changed(change))
    assert str(caught.value) == message


class Histories(Dataset[Any]):
    """Histories of depth 0 to 3, whose stages have i + 1 steps and more."""

    def __init__(self) -> None:
        self.samples = [{"compression_depth": i * 7 % 4} for i in range(23)]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, i: int) -> dict[str, Any]:
        depth = self.samples[i]["compression_depth"]
        return make_item(*range(i + 1, i + 1 + depth), row=i)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("num_workers", [0, 2])
def test_buckets_under_a_dataloader(num_workers: int) -> None:
    histories = Histories()
    loader = DataLoader(
        histories,
        batch_sampler=BucketSampler(histories, 4),
        collate_fn=collate_compressed_batch,
        num_workers=num_workers,
        multiprocessing_context="fork" if num_workers else None,
    )
    seen = []
    for batch in loader:
        rows = batch["row"].tolist()
        assert {i * 7 % 4 for i in rows} == {batch["num_compression_stages"]}
        for number, stage in enumerate(batch["compression_stages"]):
            assert stage["lengths"].tolist() == [i + 1 + number for i in rows]
            assert stage["mask"].shape == (len(rows), max(rows) + 1 + number)
        seen += rows
    assert sorted(seen) == list(range(23))
