"""What can be read again is never given up: trouble that passes, wrong options, other numbers of ranks."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.base.locks import held_elsewhere
from tests.training.course import (
    batches_of,
    make_model,
    make_trainer,
    mean_error,
    outcome,
    rows_of,
    same,
    trainer_of,
)
from tombola.training import CheckpointError, StopReason, load_checkpoint
from tombola.training.checkpoints import CheckpointFolder, Place
from tombola.training.folders import locked
from tombola.training.signals import SignalNote


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("checkpoint_*"))


def test_files_that_cannot_be_read_now_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_trainer(tmp_path).fit()
    before, history = names(tmp_path), (tmp_path / "history.jsonl").read_text()

    load = torch.load

    def refuse(file: Any, **options: Any) -> Any:
        if isinstance(file, Path):
            raise PermissionError(13, "Permission denied")
        return load(file, **options)

    with monkeypatch.context() as patched:
        patched.setattr(torch, "load", refuse)
        with pytest.raises(CheckpointError, match=r"chunk8\.pt cannot be read: .*Permission denied"):
            make_trainer(tmp_path, resume="latest").fit()
    assert names(tmp_path) == before
    assert (tmp_path / "history.jsonl").read_text() == history
    assert make_trainer(tmp_path, resume="latest").fit().batches == 40


def test_nothing_begins_anew_where_all_files_are_damaged(tmp_path: Path) -> None:
    make_trainer(tmp_path).fit()
    before = names(tmp_path)
    for name in before:
        (tmp_path / name).write_bytes(b"cut")
    with pytest.raises(CheckpointError, match=r"none of the checkpoints in .* can be gone on from"):
        make_trainer(tmp_path, resume="latest").fit()
    assert names(tmp_path) == before


def test_wrong_options_set_no_file_aside(tmp_path: Path) -> None:
    make_trainer(tmp_path, keep_last=None).fit()
    before = names(tmp_path)
    with pytest.raises(CheckpointError, match=r"options\.seed was 0, now is 5"):
        make_trainer(tmp_path, seed=5, resume=tmp_path / before[0]).fit()
    assert names(tmp_path) == before


def test_the_newest_of_a_whole_chunk_stays(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path, keep_last=2)
    for place in (Place(0, 0), Place(0, 4), Place(0, 8, 1), Place(0, 8, 2), Place(0, 8, 3)):
        folder.save(place, {})
    folder.prune(None)
    assert folder.places() == [Place(0, 4), Place(0, 8, 2), Place(0, 8, 3)]


def test_files_set_aside_are_not_overwritten(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path, keep_last=None)
    for _ in range(2):
        path = folder.save(Place(0, 0), {})
        folder.set_aside([(path, "unused")])
    assert names(tmp_path) == [f"{path.name}.unused", f"{path.name}.unused1"]


def test_one_process_at_a_time(tmp_path: Path) -> None:
    make_trainer(tmp_path, max_batches=3).fit()
    before = names(tmp_path)
    leftover = tmp_path / ".checkpoint.pt.partial"
    leftover.write_bytes(b"half")
    with (
        held_elsewhere(tmp_path),
        pytest.raises(CheckpointError, match=r"another training writes into this folder of checkpoints"),
    ):
        make_trainer(tmp_path, resume="latest").fit()
    assert names(tmp_path) == before
    assert leftover.exists()
    assert make_trainer(tmp_path, resume="latest").fit().batches == 40
    assert not leftover.exists()


def test_a_signal_is_known_to_all_who_wait_for_one() -> None:
    with SignalNote() as outer:
        with SignalNote() as inner:
            signal.raise_signal(signal.SIGUSR1)
        with SignalNote() as later:
            pass
    assert (outer.received, inner.received, later.received) == (signal.SIGUSR1,) * 3
    with SignalNote() as another:
        pass
    assert another.received == 0


@pytest.mark.parametrize("step", range(6, 14))
def test_a_signal_at_any_step_loses_no_batch(tmp_path: Path, step: int) -> None:
    """Losses are looked at after every second batch: a point where nothing else is saved."""
    count = 0

    def loss(model: torch.nn.Module, batch: Any) -> torch.Tensor:
        nonlocal count
        count += model.training
        if count == step and model.training:
            signal.raise_signal(signal.SIGTERM)
        return mean_error(model, batch)

    result = make_trainer(tmp_path, loss=loss, log_every=2).fit()
    assert result.exit_code == 75
    assert result.batches == step
    assert result.last_checkpoint is not None
    assert load_checkpoint(result.last_checkpoint)["course"]["batches"] == step


@pytest.mark.parametrize("validate_every", [4, 2, 5, None])
def test_the_same_weights_count_once_for_patience(tmp_path: Path, validate_every: int | None) -> None:
    passes = 0

    def validation() -> list[torch.Tensor]:
        nonlocal passes
        passes += 1
        return [rows_of(100)]

    model = make_model()
    trainer = make_trainer(
        tmp_path,
        model=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=1e-4),
        loss=lambda model, batch: torch.cat([w.flatten() for w in model.parameters()]).square().mean(),
        scheduler=None,
        validation=validation,
        validate_every=validate_every,
        patience=1,
    )
    result = trainer.fit()
    assert result.reason is StopReason.FINISHED
    assert result.batches == 40
    ends = {record["batches"] for record in result.history}
    assert passes == len(ends)
    values = [record["validation_loss"] for record in result.history]
    assert values == sorted(values, reverse=True)


def test_random_numbers_of_the_listing_are_not_the_models(tmp_path: Path) -> None:
    def shards() -> list[int]:
        return [int(i) for i in torch.randperm(10)]

    def trainer(folder: str, **options: Any) -> Any:
        return trainer_of(tmp_path / folder, shards, batches_of, chunk_size=2, num_epochs=2, **options)

    whole = trainer("whole")
    expected = outcome(whole, whole.fit())
    trainer("broken", max_batches=7).fit()
    resumed = trainer("broken", resume="latest")
    assert same(outcome(resumed, resumed.fit())["model"], expected["model"])


def test_the_lock_outlives_readers_and_goes_with_the_process(tmp_path: Path) -> None:
    attempt = f"""
from pathlib import Path
from tombola.training.folders import locked
try:
    with locked(Path({str(tmp_path)!r})):
        print("free")
except BlockingIOError:
    print("held")
"""

    def found() -> str:
        command = [sys.executable, "-c", attempt]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    with locked(tmp_path):
        (tmp_path / ".lock").read_bytes()
        assert found() == "held"
        child = os.fork()
        if child == 0:
            signal.pause()
    try:
        assert found() == "free"
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_signal_just_after_the_handler_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    set_handler = signal.signal

    def set_and_send(number: int, handler: Any) -> Any:
        before = set_handler(number, handler)
        if callable(handler):
            signal.raise_signal(number)
        return before

    with monkeypatch.context() as patched:
        patched.setattr(signal, "signal", set_and_send)
        note = SignalNote().__enter__()
    note.__exit__(None, None, None)
    assert note.received == signal.SIGINT  # the last one
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
