"""Bad options, shards and checkpoints: one clear error each."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest
import torch
import torchmetrics
from torch import nn

from tests.training.course import batches_of, make_model, make_trainer, mean_error, trainer_of
from tombola.training import Bytes, CheckpointError, Rows, ShardError, TrainingError, load_checkpoint
from tombola.training.checkpoints import CheckpointFolder, Place


@pytest.mark.parametrize(
    ("options", "kind", "match"),
    [
        ({"chunk_size": 0}, ValueError, "chunk_size must be an integer >= 1, but is 0"),
        ({"chunk_size": "atuo"}, ValueError, 'chunk_size, where it is a text, must be "auto", but is "atuo"'),
        ({"num_epochs": 0}, ValueError, "num_epochs must be an integer >= 1, but is 0"),
        ({"mode": "most"}, ValueError, 'mode must be "min" or "max", but is "most"'),
        ({"on_full_disk": "skip"}, ValueError, 'on_full_disk must be "stop" or "continue"'),
        ({"config": {"a": {1}}}, TypeError, "config must be what JSON can hold"),
        ({"validation": iter([])}, TypeError, "validation must be iterable again and again"),
        ({"step": mean_error}, ValueError, "give either loss or step"),
        ({"validation": None, "validate_every": 3}, ValueError, "give validation, too"),
        ({"metrics": {"a": torchmetrics.MeanMetric()}}, ValueError, "both metrics and update_metrics"),
    ],
)
def test_bad_options(tmp_path: Path, options: dict[str, Any], kind: type[Exception], match: str) -> None:
    with pytest.raises(kind, match=match):
        make_trainer(tmp_path, **options)


@pytest.mark.parametrize(
    ("shards", "kind", "match"),
    [
        ([], ValueError, "shards must not be empty"),
        ("files", TypeError, "shards must be a sequence of shards"),
        ([1, "1"], ValueError, "shards must differ, but 1 comes twice"),
        ([object()], TypeError, "object has no __str__"),
    ],
)
def test_bad_shards(tmp_path: Path, shards: Any, kind: type[Exception], match: str) -> None:
    with pytest.raises(kind, match=match):
        trainer_of(tmp_path, shards, batches_of).fit()


def test_monitor_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="monitor must be one of train_loss, validation_loss"):
        make_trainer(tmp_path, monitor="validation_accuracy").fit()


def test_another_model_or_configuration_is_refused_with_a_list(tmp_path: Path) -> None:
    make_trainer(tmp_path, config={"rate": 0.1, "deep": {"a": 1}}).fit()
    other = make_trainer(
        tmp_path, resume="latest", seed=5, model=make_model(17), config={"rate": 0.2, "deep": {"a": 1}}
    )
    with pytest.raises(CheckpointError) as caught:
        other.fit()
    text = str(caught.value)
    assert "model.0.weight was 'float32 (16, 8)', now is 'float32 (17, 8)'" in text
    assert "options.seed was 0, now is 5" in text
    assert "options.config.rate was 0.1, now is 0.2" in text
    assert "deep" not in text


def test_a_folder_with_checkpoints_is_not_mixed_up(tmp_path: Path) -> None:
    make_trainer(tmp_path).fit()
    with pytest.raises(CheckpointError, match="holds checkpoints already: give resume='latest'"):
        make_trainer(tmp_path).fit()
    state = load_checkpoint(tmp_path / "checkpoint_epoch1_chunk8.pt")
    assert state["course"]["batches"] == 40


def test_a_damaged_newest_file_is_skipped_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    make_trainer(tmp_path).fit()
    flipped, cut = tmp_path / "checkpoint_epoch1_chunk8.pt", tmp_path / "checkpoint_epoch1_chunk4.pt"
    content = bytearray(flipped.read_bytes())
    content[content.find(b"data/0") + 100] ^= 0xFF
    flipped.write_bytes(content)
    cut.write_bytes(cut.read_bytes()[:1000])
    result = make_trainer(tmp_path, resume="latest").fit()
    assert result.batches == 40
    assert f"skipped the checkpoint {flipped.name}" in caplog.text
    assert f"skipped the checkpoint {cut.name}" in caplog.text


@pytest.mark.parametrize("option", ["stop", "continue"])
def test_a_full_disk(tmp_path: Path, option: str, caplog: pytest.LogCaptureFixture) -> None:
    """The temporary file of the second checkpoint leads to /dev/full, where writing finds no space."""

    def fill(record: dict[str, Any]) -> None:
        if record["chunk_start"] == 0:
            (tmp_path / f".checkpoint_epoch0_chunk4.{os.getpid()}.partial.pt").symlink_to("/dev/full")

    trainer = make_trainer(tmp_path, on_full_disk=option, on_mini_epoch=fill, num_epochs=1)
    if option == "stop":
        with pytest.raises(CheckpointError, match=r"chunk4\.pt cannot be written: No space .*stay whole"):
            trainer.fit()
    else:
        assert len(trainer.fit().history) == 3
        assert "training goes on: No space left" in caplog.text
    assert not (tmp_path / "checkpoint_epoch0_chunk4.pt").exists()
    assert load_checkpoint(tmp_path / "checkpoint_epoch0_chunk0.pt")["course"]["batches"] == 8


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match=r"the folder of checkpoints, .*, must be writable, but"):
        make_trainer(tmp_path / "file" / "checkpoints").fit()


def test_a_plateau_is_not_seen_batch_by_batch(tmp_path: Path) -> None:
    model = make_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
    with pytest.raises(ValueError, match=r"schedule must be 'mini_epoch', but is 'batch'"):
        make_trainer(tmp_path, model=model, optimizer=optimizer, scheduler=plateau, schedule="batch")


def test_a_model_whose_state_cannot_be_loaded(tmp_path: Path) -> None:
    class Odd(nn.Linear):
        def get_extra_state(self) -> Any:
            return Path("a path is no number, text, list or dict")

        def set_extra_state(self, state: Any) -> None:
            pass

    with pytest.raises(CheckpointError, match=r"the state of the model must be loadable"):
        make_trainer(tmp_path, model=Odd(8, 1)).fit()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("budget", [Rows, Bytes])
def test_a_shard_without_a_size(tmp_path: Path, budget: Any) -> None:
    def size(shard: int) -> int:
        if shard == 3:
            raise OSError("no header")
        return 10

    with pytest.raises(
        ShardError, match=r"the shard 3 has no number of .* that can be had: no header .*skip"
    ):
        trainer_of(tmp_path, range(6), batches_of, chunk_size=budget(20, size)).fit()
    result = trainer_of(
        tmp_path / "skip", range(6), batches_of, chunk_size=budget(20, size), on_bad_shard="skip"
    ).fit()
    assert result.batches == 5
    assert [entry["shard"] for entry in result.skipped] == ["3"]


def test_the_best_has_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A better value without one, on a full disk, ends no patience, but is not said to be that file's."""
    values = iter([3.0, 1.0, 2.0])
    save = CheckpointFolder.save

    def full(self: CheckpointFolder, place: Place, state: dict[str, Any]) -> Path:
        if place.chunk_start == 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        return save(self, place, state)

    monkeypatch.setattr(CheckpointFolder, "save", full)
    monkeypatch.setattr(
        "tombola.training.evaluation.Evaluator.validate", lambda self: {"validation_loss": next(values)}
    )
    result = make_trainer(tmp_path, on_full_disk="continue", num_epochs=1, patience=2).fit()
    assert [record["validation_loss"] for record in result.history] == [3.0, 1.0, 2.0]
    assert result.best_value == 2.0
    assert result.best_checkpoint == tmp_path / "checkpoint_epoch0_chunk8.pt"


def test_metrics_go_to_the_device(tmp_path: Path) -> None:
    class Metric(torchmetrics.MeanMetric):
        devices: list[Any]

        def to(self, *arguments: Any, **options: Any) -> Any:
            self.devices = [*arguments]
            return super().to(*arguments, **options)

    metric = Metric()
    make_trainer(
        tmp_path,
        device="cpu",
        metrics={"mean": metric},
        update_metrics=lambda metrics, batch, output: metrics["mean"].update(output),
    ).fit()
    assert metric.devices == [torch.device("cpu")]


def test_patience_ends_without_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: CheckpointFolder, place: Place, state: dict[str, Any]) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    values = iter([0.5, *[0.6] * 11])
    monkeypatch.setattr(CheckpointFolder, "save", full)
    monkeypatch.setattr(
        "tombola.training.evaluation.Evaluator.validate", lambda self: {"validation_loss": next(values)}
    )
    result = make_trainer(tmp_path, on_full_disk="continue", num_epochs=4, patience=2).fit()
    assert len(result.history) == 3
    assert (result.best_value, result.best_checkpoint) == (None, None)
