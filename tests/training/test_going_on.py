"""What can be read again is never given up: trouble that passes, wrong options, other numbers of ranks."""

import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.locks import held_elsewhere
from tests.training.course import make_trainer
from tombola.training import CheckpointError
from tombola.training.checkpoints import CheckpointFolder, Place
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
        pytest.raises(CheckpointError, match=r"another process trains into this folder of checkpoints"),
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
    assert (outer.received, inner.received, later.received) == (signal.SIGUSR1, signal.SIGUSR1, 0)
