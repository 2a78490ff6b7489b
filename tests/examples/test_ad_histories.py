"""Histories of PPO in HDF5, the samples cut out of them, batches of one depth and of mixed ones."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from compressed_ad.batches import EncoderTokens, collate_mixed_batch, count_tokens, make_loader
from compressed_ad.config import Config
from compressed_ad.darkroom import learn_histories
from compressed_ad.histories import IGNORED, HistoryDataset, depth_of, ensure_file
from compressed_ad.model import CompressedHistoryModel
from tests.examples.ad_config import committed, small
from tombola import collate_compressed_batch


@pytest.fixture(name="config", scope="module")
def fixture_config() -> Config:
    return small()


@pytest.fixture(name="path", scope="module")
def fixture_path(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("histories") / "deep" / "histories.h5"
    assert ensure_file(path, config, seed=1)
    assert not ensure_file(path, config, seed=1)
    return path


@pytest.fixture(name="dataset")
def fixture_dataset(path: Path, config: Config) -> HistoryDataset:
    return HistoryDataset(path, "train", config)


def test_ppo_learns_its_tasks() -> None:
    config = committed().model_copy(update={"n_tasks": 8})
    histories = learn_histories(config, seed=0)
    paid = histories.rewards.reshape(8, -1, config.episode_length).sum(axis=2)
    assert paid[:, -5:].mean() > 3 * paid[:, 0].mean()
    again = learn_histories(config, seed=0)
    assert np.array_equal(again.actions, histories.actions)
    assert not np.array_equal(learn_histories(config, seed=1).actions, histories.actions)


def test_steps_follow_the_rules_of_the_darkroom(config: Config) -> None:
    histories = learn_histories(config, seed=2)
    size = config.grid_size
    moves = {0: (0, 0), 1: (-1, 0), 2: (1, 0), 3: (0, -1), 4: (0, 1)}
    for task, goal in enumerate(histories.goals.tolist()):
        for step, cell in enumerate(histories.cells[task].tolist()):
            if step % config.episode_length == 0:
                assert cell == size // 2 * size + size // 2
            down, right = moves[int(histories.actions[task, step])]
            row = min(max(cell // size + down, 0), size - 1)
            column = min(max(cell % size + right, 0), size - 1)
            assert histories.rewards[task, step] == (row * size + column == goal)
            if (step + 1) % config.episode_length:
                assert histories.cells[task, step + 1] == row * size + column


def test_depth_grows_with_what_is_older_than_the_context(config: Config) -> None:
    ends = np.array([1, 20, 21, 50, 51, 80, 81, 110, 111, 150])
    assert depth_of(ends, config).tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 3, 3]


def test_samples_are_kept_in_the_file(path: Path, config: Config, dataset: HistoryDataset) -> None:
    with h5py.File(path) as file:
        ends = file["samples/train"]["end"]
        parts = {part: set(file[f"samples/{part}"]["task"].tolist()) for part in ("train", "validation")}
    assert parts == {"train": set(range(6)), "validation": {6, 7}}
    assert ends.min() >= 1
    assert ends.max() <= config.history_length
    depths = [int(dataset.samples[row]["compression_depth"]) for row in range(len(dataset))]
    assert depths == depth_of(ends.astype(np.int64), config).tolist()
    assert set(depths) == {0, 1, 2, 3}


def test_an_item_is_the_newest_part_of_a_history(path: Path, config: Config, dataset: HistoryDataset) -> None:
    with h5py.File(path) as file:
        stored = {name: file[f"histories/{name}"][:] for name in ("cells", "actions", "rewards")}
    lengths = dataset.stage_lengths()
    for row in range(len(dataset)):
        item = dataset[row]
        task, end, depth = dataset.samples[row].tolist()
        stages, context = item["compression_stages"], item["context"]
        assert item["num_compression_stages"] == depth == len(stages)
        of_stages = [len(stage["cells"]) for stage in stages]
        assert of_stages == lengths[row][:depth].tolist()
        assert not lengths[row][depth:].any()
        real = min(end, config.context_length)
        start = end - real - sum(of_stages)
        cells = torch.cat([*(stage["cells"] for stage in stages), context["cells"][:real]])
        assert np.array_equal(cells.numpy(), stored["cells"][task, start:end])
        for name, first in (("actions", config.n_actions), ("rewards", 0)):
            before = torch.cat([*(stage[name] for stage in stages), context[name][:real]]).numpy()
            expected = np.append(first, stored[name][task])[start:end]
            assert np.array_equal(before, expected)
        assert np.array_equal(item["targets"][:real].numpy(), stored["actions"][task, end - real : end])
        assert (item["targets"][real:] == IGNORED).all()
        assert len(item["targets"]) == config.context_length


@pytest.mark.parametrize("way", ["bucketed", "mixed"])
def test_every_sample_comes_once_an_epoch(way: str, dataset: HistoryDataset) -> None:
    targets = torch.cat([batch["targets"] for batch in make_loader(way, dataset, 16, seed=0)])
    expected = torch.stack([dataset[row]["targets"] for row in range(len(dataset))])
    assert sorted(targets.tolist()) == sorted(expected.tolist())


def test_a_loss_does_not_depend_on_the_batch(config: Config, dataset: HistoryDataset) -> None:
    torch.manual_seed(0)
    model = CompressedHistoryModel(config).double()
    items = [dataset[row] for row in range(12)]
    assert len({item["num_compression_stages"] for item in items}) > 2
    with torch.no_grad():
        mixed = model.loss(collate_mixed_batch(items), reduction="none")
        alone = [model.loss(collate_compressed_batch([item]), reduction="none") for item in items]
    torch.testing.assert_close(mixed, torch.cat(alone), rtol=0, atol=1e-12)
    assert len(torch.unique(mixed)) > 100


def test_the_past_and_every_stage_matter(config: Config, dataset: HistoryDataset) -> None:
    torch.manual_seed(0)
    model = CompressedHistoryModel(config).double()
    deep = next(dataset[row] for row in range(len(dataset)) if dataset.samples[row]["compression_depth"] == 3)
    batch = collate_compressed_batch([deep])
    with torch.no_grad():
        before = model(batch)
        for stage in batch["compression_stages"]:
            stage["cells"][0, 0] = (stage["cells"][0, 0] + 1) % config.grid_size**2
            after = model(batch)
            assert not torch.equal(before, after)
            before = after
        batch["context"]["cells"][0, 10] += 1
        after = model(batch)
    assert torch.equal(before[0, :10], after[0, :10])
    assert not torch.equal(before[0, 10], after[0, 10])


def test_tokens_are_counted_by_kind() -> None:
    context = {"cells": torch.zeros(2, dtype=torch.int64)}

    def item(*steps: int) -> dict[str, object]:
        stages = [{"cells": torch.zeros(count, dtype=torch.int64)} for count in steps]
        return {"num_compression_stages": len(steps), "compression_stages": stages, "context": context}

    batch = collate_mixed_batch([item(5, 4), item(3), item()])
    assert batch["num_compression_stages"] == 2
    assert [stage["lengths"].tolist() for stage in batch["compression_stages"]] == [[5, 3, 0], [4, 0, 0]]
    # with 2 memory tokens: stage 0 is 3 x (2 + 5), one row of it dummies; stage 1 is 3 x (2 + 4), two rows
    assert count_tokens(batch, 2) == EncoderTokens(real=7 + 5 + 6, padding=2, dummies=7 + 6 + 6)
    assert count_tokens(collate_compressed_batch([item(5, 4)]), 2) == EncoderTokens(real=13)
    assert count_tokens(collate_mixed_batch([item()]), 2).total == 0


def test_a_file_of_other_settings_is_refused(path: Path, config: Config, tmp_path: Path) -> None:
    other = config.model_copy(update={"stage_length": 31})
    with pytest.raises(ValueError, match=r"was made with stage_length = 30, but now it is 31: give another"):
        ensure_file(path, other, seed=1)
    with pytest.raises(ValueError, match=r"was made with seed = 1, but now it is 2"):
        ensure_file(path, config, seed=2)
    wider = config.model_copy(update={"embedding_dim": 64})
    assert not ensure_file(path, wider, seed=1)
    broken = tmp_path / "broken.h5"
    broken.write_bytes(b"no HDF5")
    with pytest.raises(ValueError, match=r"broken\.h5 must be an HDF5 file of histories, but"):
        ensure_file(broken, config, seed=1)
