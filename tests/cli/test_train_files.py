"""`tombola train` and files that come, go or break: nothing changes that need not, and all of it is said."""

import json
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from tests.cli.training_files import make_files, train_yaml
from tests.watched import run
from tombola.experiments.file_names import find_files
from tombola.experiments.train import TrainConfig, read_train_config, run_training
from tombola.experiments.train.files import FileList
from tombola.experiments.train.loaders import LoaderMaker
from tombola.experiments.train.run import _own_device
from tombola.experiments.train.shards import FileShards
from tombola.sources import H5adError
from tombola.training import Chunk, ShardError, saved_shards


class Broken(Exception):
    pass


def break_after(count: int) -> Any:
    def stop(record: Mapping[str, Any]) -> None:
        if record["epoch"] * record["n_chunks"] + record["chunk"] + 1 == count:
            raise Broken

    return stop


def figures_of(config: TrainConfig) -> list[dict[str, Any]]:
    lines = (config.output / "checkpoints" / "history.jsonl").read_text(encoding="utf-8").splitlines()
    timed = ("seconds", "batches_per_second")
    return [{key: value for key, value in json.loads(line).items() if key not in timed} for line in lines]


@pytest.fixture(name="all_plates", scope="module")
def fixture_all_plates(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return sorted(make_files(tmp_path_factory.mktemp("plates")).glob("*.h5ad"))


@pytest.fixture(name="plates")
def fixture_plates(all_plates: list[Path], tmp_path: Path) -> list[Path]:
    """Three files in a folder of their own."""
    folder = tmp_path / "plates"
    folder.mkdir()
    return [Path(shutil.copy(path, folder)) for path in all_plates[:3]]


def config_of(folder: Path, plates: Path, **values: Any) -> TrainConfig:
    usual: dict[str, Any] = {"chunk_size": 1, "epochs": 2, "output": str(folder / "out")}
    return read_train_config(train_yaml(folder, plates, **{**usual, **values}))


def test_files_that_come_after_a_kill_join_at_the_next_epoch(
    plates: list[Path], all_plates: list[Path], tmp_path: Path
) -> None:
    """Until then quotas, the rows that validate and the schedule are those of before."""
    values: dict[str, Any] = {"total_data": 0.5, "validation_rows": 50, "schedule": "cosine"}
    config = config_of(tmp_path, plates[0].parent, **values)
    undisturbed = config.model_copy(update={"output": tmp_path / "undisturbed"})

    def add(record: Mapping[str, Any]) -> None:
        if (record["epoch"], record["chunk"]) == (0, 2):
            shutil.copy(all_plates[3], plates[0].parent)

    run_training(undisturbed, on_mini_epoch=add)
    (plates[0].parent / all_plates[3].name).unlink()
    with pytest.raises(Broken):
        run_training(config, on_mini_epoch=break_after(1))
    shutil.copy(all_plates[3], plates[0].parent)
    run = run_training(config, resume="latest")
    assert figures_of(config) == figures_of(undisturbed)
    assert [record["n_chunks"] for record in run.result.history] == [3] * 3 + [4] * 4
    last = "checkpoint_epoch1_chunk3.pt"
    ours, theirs = (
        torch.load(one.output / "checkpoints" / last, weights_only=True)["model"]
        for one in (config, undisturbed)
    )
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_files_that_go_after_a_kill_are_named_or_left_out(
    plates: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = config_of(tmp_path, plates[0].parent)
    with pytest.raises(Broken):
        run_training(config, on_mini_epoch=break_after(3))
    plates[1].unlink()
    with pytest.raises(ShardError, match=r"1 of the 3 files that training goes on with are gone, .*"):
        run_training(config, resume="latest")
    skipping = config.model_copy(update={"on_missing_shard": "skip"})
    with caplog.at_level(logging.WARNING):
        run = run_training(skipping, resume="latest")
    assert f"{plates[1]} is gone and left out" in caplog.text
    assert [record["n_chunks"] for record in run.result.history] == [3] * 3 + [2] * 2


@pytest.mark.parametrize(("kind", "key"), [("gone", "on_missing_shard"), ("bad", "on_bad_shard")])
def test_files_that_go_or_break_during_training(
    plates: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str, key: str
) -> None:
    config = config_of(tmp_path, plates[0].parent)

    def spoil(record: Mapping[str, Any]) -> None:
        if (record["epoch"], record["chunk"]) == (0, 1):
            if kind == "gone":
                plates[1].unlink()
            else:
                plates[1].write_bytes(plates[1].read_bytes()[:20_000])

    with pytest.raises((ShardError, OSError, H5adError), match=plates[1].name):
        run_training(config, on_mini_epoch=spoil)
    shutil.copy(plates[0], plates[1])
    skipping = config.model_copy(update={key: "skip", "output": tmp_path / "skipping"})
    with caplog.at_level(logging.WARNING):
        run = run_training(skipping, on_mini_epoch=spoil)
    assert "figures are without its rows from now on" in caplog.text
    assert str(plates[1]) in {entry["shard"] for entry in run.result.skipped}
    assert run.result.history[-1]["epoch"] == 1


def test_a_mini_epoch_of_fewer_batches_than_ranks_is_padded_and_said(
    plates: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing of it is left out: each rank has a step, and all rows come."""
    config = config_of(tmp_path, plates[0].parent, batch_size=100_000)
    shards = FileShards(config)
    loaders = LoaderMaker(config, shards)
    for index in range(2):
        ranks = []
        for rank in range(2):
            chunk = Chunk(0, index, index, 3, (str(plates[index]),), seed=1, rank=rank, world_size=2)
            ranks.append([batch["row"].tolist() for batch in loaders(chunk)])
        start, stop = shards.data.span(plates[index])
        assert ranks[0] == ranks[1]
        expected = np.flatnonzero(shards.data.is_train[start:stop]).tolist()
        assert sorted(row for batch in ranks[0] for row in batch) == expected
    assert caplog.text.count("a mini epoch has 1 batches for 2 ranks, so some come twice") == 1


def test_names_without_files_are_errors_or_said(
    plates: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names = [str(plates[0]), str(tmp_path / "none.h5ad"), str(tmp_path / "*.none")]
    with pytest.raises(FileNotFoundError, match=r"none\.h5ad: no such file \(named by files\)"):
        find_files("files", names)
    with caplog.at_level(logging.WARNING):
        assert find_files("files", names, skip_missing=True) == plates[:1]
    assert "none.h5ad: no such file (named by files)" in caplog.text
    assert "matches no files" in caplog.text
    with pytest.raises(FileNotFoundError, match="no such file"):
        find_files("files", names[1:], skip_missing=True)


def test_lists_of_files_come_back(plates: list[Path]) -> None:
    files = FileList(tuple(plates[:2]), (plates[2],))
    assert FileList.from_dict(files.to_dict()) == files


def test_two_processes_of_torchrun_share_the_work(plates: list[Path], tmp_path: Path) -> None:
    """Each has half of the batches of one process, and the first one prints."""
    config = train_yaml(tmp_path, plates[0].parent, chunk_size=1, epochs=1, tensorboard=False)
    command = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    command += ["-m", "tombola.cli", "train", "-c", str(config), "-o", str(tmp_path / "two")]
    assert run(*command).count("stopped:     all mini epochs are done") == 1
    one = config_of(tmp_path, plates[0].parent, epochs=1)
    run_training(one)
    two = one.model_copy(update={"output": tmp_path / "two"})
    for ours, theirs in zip(figures_of(two), figures_of(one), strict=True):
        assert ours["batch"] == theirs["batch"] // 2
    assert (two.output / "curve.png").exists()
    assert (two.output / "config.yaml").exists()


def test_a_file_that_broke_between_goes_by_on_bad_shard(
    plates: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = config_of(tmp_path, plates[0].parent, on_bad_shard="skip")
    with pytest.raises(Broken):
        run_training(config, on_mini_epoch=break_after(1))
    left = [path for path in plates if str(path) not in first_shards(config)]
    left[0].write_bytes(b"no HDF5")
    with caplog.at_level(logging.WARNING):
        run = run_training(config, resume="latest")
    assert caplog.text.count("left out: ") == 1
    assert {entry["shard"] for entry in run.result.skipped} == {str(left[0])}
    assert all("not an HDF5 file" in entry["why"] for entry in run.result.skipped)


def first_shards(config: TrainConfig) -> list[str]:
    """Return the files of the mini epoch that is trained."""
    state = torch.load(config.output / "checkpoints" / "checkpoint_epoch0_chunk0.pt", weights_only=True)
    return list(state["course"]["order"]["names"][:1])


def chunks_of(config: TrainConfig, actions: Mapping[int, Any], **options: Any) -> list[int]:
    """Train, act after some full epochs, and return the chunks of each."""
    found: dict[int, int] = {}

    def act(record: Mapping[str, Any]) -> None:
        found[record["epoch"]] = record["n_chunks"]
        if record["chunk"] == record["n_chunks"] - 1 and record["epoch"] in actions:
            actions[record["epoch"]]()

    run_training(config, on_mini_epoch=act, **options)
    return list(found.values())


def test_a_file_that_was_half_there_or_comes_back_joins(
    plates: list[Path], all_plates: list[Path], tmp_path: Path
) -> None:
    skip = {"on_bad_shard": "skip", "on_missing_shard": "skip"}
    config = config_of(tmp_path, plates[0].parent, epochs=5, **skip)
    new, other = (plates[0].parent / path.name for path in all_plates[3:5])

    def swap() -> None:
        new.unlink()
        shutil.copy(all_plates[4], other)

    actions: dict[int, Any] = {
        0: lambda: new.write_bytes(all_plates[3].read_bytes()[:5_000]),
        1: lambda: shutil.copy(all_plates[3], new),
        2: swap,
        3: lambda: shutil.copy(all_plates[3], new),
    }
    assert chunks_of(config, actions) == [3, 3, 4, 4, 5]


def test_classes_that_go_are_no_trouble_and_new_ones_are_named(
    plates: list[Path], all_plates: list[Path], tmp_path: Path
) -> None:
    """The classes of integers are those that occur; of categories, those that the file lists."""
    for number, path in enumerate(plates):
        with h5py.File(path, "r+") as file:
            n = len(file["obs/plate_row"]) if "plate_row" in file["obs"] else file["X"].attrs["shape"][0]
            file["obs"].create_dataset("number", data=np.arange(n) % 2 + number)
            columns = [*file["obs"].attrs["column-order"], "number"]
            file["obs"].attrs["column-order"] = columns
            file["obs/number"].attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    config = config_of(tmp_path, plates[0].parent, labels=["number"], on_missing_shard="skip", epochs=1)
    with pytest.raises(Broken):
        run_training(config, on_mini_epoch=break_after(1))
    saved = saved_shards(config.output / "checkpoints")
    plates[2].unlink()
    assert saved["classes"] == {"number": ["0", "1", "2", "3"]}
    assert FileShards(config, saved).data.n_classes == {"number": 4}
    run_training(config, resume="latest")
    with pytest.raises(ValueError, match=r"new classes of 'number': 2; begin anew"):
        FileShards(config, {**saved, "classes": {"number": ["0", "1", "3"]}})


def test_each_process_of_torchrun_has_its_own_cuda_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert _own_device("cuda") == "cuda"
    monkeypatch.setattr("tombola.experiments.train.run.ranks", lambda: (3, 4))
    assert [_own_device(device) for device in ("cuda", "cuda:1", "cpu", None)] == [
        "cuda:3",
        "cuda:1",
        "cpu",
        None,
    ]


def test_other_ranks_list_what_the_first_lists(
    plates: list[Path], all_plates: list[Path], tmp_path: Path
) -> None:
    config = config_of(tmp_path, plates[0].parent, on_missing_shard="skip")
    first, other = FileShards(config), FileShards(config)
    assert first() == other() == plates
    plates[1].unlink()
    new = Path(shutil.copy(all_plates[4], plates[0].parent))
    assert first() == [*plates, new]
    other.load_state_dict(first.state_dict())
    assert other() == [*plates, new]
