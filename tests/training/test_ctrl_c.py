"""Ctrl-C: the first saves and stops, the second raises."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.training.course import KINDS, Kind, make_trainer, mean_error, outcome, same
from tombola.training import StopReason
from tombola.training.signals import SignalNote


def interrupting_at(step: int, times: int = 1) -> Any:
    count = 0

    def loss(model: nn.Module, batch: Any) -> torch.Tensor:
        nonlocal count
        count += model.training
        if count == step and model.training:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
        return mean_error(model, batch)

    return loss


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_saves_and_stops(tmp_path: Path, kind: Kind, caplog: pytest.LogCaptureFixture) -> None:
    whole = make_trainer(tmp_path / "whole", kind)
    expected = outcome(whole, whole.fit())
    before = signal.getsignal(signal.SIGINT)
    folder = tmp_path / "stopped"
    stopped = make_trainer(folder, kind, loss=interrupting_at(5)).fit()
    assert signal.getsignal(signal.SIGINT) is before
    assert (stopped.reason, stopped.exit_code, stopped.batches) == (StopReason.SIGNAL, 75, 5)
    assert 'stopped by a signal after 5 batches; resume="latest" goes on from checkpoint_ep' in caplog.text
    trainer = make_trainer(folder, kind, resume="latest")
    assert same(outcome(trainer, trainer.fit()), expected)


def test_the_second_raises_and_files_stay_whole(tmp_path: Path) -> None:
    whole = make_trainer(tmp_path / "whole", checkpoint_every=2)
    expected = outcome(whole, whole.fit())
    before = signal.getsignal(signal.SIGINT)
    folder = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        make_trainer(folder, loss=interrupting_at(5, times=2), checkpoint_every=2).fit()
    assert signal.getsignal(signal.SIGINT) is before
    trainer = make_trainer(folder, resume="latest", checkpoint_every=2)
    assert same(outcome(trainer, trainer.fit()), expected)


def test_validation_is_broken_off_and_begins_anew(tmp_path: Path) -> None:
    whole = make_trainer(tmp_path / "whole")
    expected = outcome(whole, whole.fit())

    def loss(model: nn.Module, batch: Any) -> torch.Tensor:
        if not model.training:
            signal.raise_signal(signal.SIGINT)
        return mean_error(model, batch)

    folder = tmp_path / "stopped"
    stopped = make_trainer(folder, loss=loss).fit()
    assert (stopped.reason, stopped.batches, stopped.history) == (StopReason.SIGNAL, 8, [])
    trainer = make_trainer(folder, resume="latest")
    assert same(outcome(trainer, trainer.fit()), expected)


def test_the_second_does_what_it_did_before() -> None:
    got = []
    before = signal.signal(signal.SIGINT, lambda number, frame: got.append(number))
    try:
        with SignalNote() as outer, SignalNote() as inner:
            signal.raise_signal(signal.SIGINT)
            assert (outer.received, inner.received, got) == (signal.SIGINT, signal.SIGINT, [])
            signal.raise_signal(signal.SIGINT)
        assert got == [signal.SIGINT]
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        with SignalNote():
            signal.raise_signal(signal.SIGINT)
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with SignalNote() as note:
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
            signal.raise_signal(signal.SIGINT)
        assert note.received == 0
    finally:
        signal.signal(signal.SIGINT, before)


def test_torchrun_hands_on_the_same_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "some run")
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    with SignalNote() as note:
        signal.raise_signal(signal.SIGINT)
        clock[0] += 0.5
        signal.raise_signal(signal.SIGINT)
        assert note.received == signal.SIGINT
        clock[0] += 1.0
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


SCRIPT = """
import sys, time, torch
from tombola.training import MiniEpochTrainer

def make_loader(chunk):
    print("began", flush=True)
    time.sleep(60)

model = torch.nn.Linear(1, 1)
MiniEpochTrainer(
    model, [0], make_loader, optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
    loss=lambda model, batch: model(batch), checkpoints=sys.argv[1], progress="none", tensorboard=False,
).fit()
"""


def test_a_loader_that_hangs_is_left_by_the_second(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "began\n"
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGINT
    assert errors.rstrip().endswith("KeyboardInterrupt")
