"""The sweep in code, killed in the middle of a trial: the same command goes on there, to the same trials."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from scripts import hyperparam_sweep

from tests.cli.training_files import make_files
from tests.examples.running import EXAMPLES
from tombola.experiments.train.config import TrainConfig

KILLED = "trials/trial_001/checkpoints"


def arguments(plates: Path, output: Path) -> list[str]:
    words = ["--files", str(plates), "--trials", "2", "--total_data", "1.0", "--mini_epoch_size", "2"]
    return [*words, "--epochs", "1", "--checkpoint_every", "2", "-o", str(output)]


def sweep(plates: Path, output: Path) -> None:
    hyperparam_sweep.run(hyperparam_sweep.make_parser().parse_args(arguments(plates, output)))


def signal_within_a_trial(plates: Path, output: Path, number: signal.Signals) -> int:
    """Run the script, send a signal once the second trial has saved within a mini epoch; the exit code."""
    command = [sys.executable, "scripts/hyperparam_sweep.py", *arguments(plates, output)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, cwd=EXAMPLES, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            if list(output.glob(f"{KILLED}/checkpoint_*_batch*.pt")):
                break
            time.sleep(0.001)
        process.send_signal(number)
        process.wait(timeout=60)
    return process.returncode


def trials_of(output: Path) -> list[dict[str, str]]:
    with (output / "trials.csv").open(newline="", encoding="utf-8") as file:
        return [{key: text for key, text in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def within_a_chunk(folder: Path) -> bool:
    """Tell whether the newest checkpoint was saved within a mini epoch."""
    newest = max(folder.glob("checkpoint_*.pt"), key=lambda path: path.stat().st_mtime_ns)
    course = torch.load(newest, weights_only=True)["course"]
    return not course["trained"] and bool(course["position"]["spans"])


@pytest.mark.parametrize(
    ("words", "size"),
    [([], "2"), (["--files", "plates"], "20"), (["--files", "plates", "--chunk-size", "3"], "3")],
)
def test_mini_epochs_are_as_long_as_elsewhere(
    words: list[str], size: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def note(train: dict[str, Any], *_: Any, **__: Any) -> None:
        seen.append(train["chunk_size"])
        raise InterruptedError

    monkeypatch.setattr("tombola.experiments.sweep.make_plan", note)
    monkeypatch.setattr("tombola.experiments.make_plates", lambda *_: [])
    with pytest.raises(InterruptedError):
        hyperparam_sweep.run(hyperparam_sweep.make_parser().parse_args([*words, "-o", str(tmp_path)]))
    assert seen == [size]
    assert TrainConfig.model_fields["chunk_size"].default == 20


@pytest.mark.kills
@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 75)])
def test_a_killed_sweep_goes_on_in_the_middle_of_a_trial(
    number: signal.Signals, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("optuna")
    plates = make_files(tmp_path / "plates")
    assert signal_within_a_trial(plates, tmp_path / "killed", number) == code
    assert within_a_chunk(tmp_path / "killed" / KILLED)
    sweep(plates, tmp_path / "killed")
    said = capsys.readouterr().out
    assert "1 trial(s) of a run that was killed went on" in said
    assert "trial 1 complete (2 of 2)" in said
    assert "(1 of 2)" not in said
    sweep(plates, tmp_path / "whole")
    assert trials_of(tmp_path / "killed") == trials_of(tmp_path / "whole")
    assert len(trials_of(tmp_path / "whole")) == 2
