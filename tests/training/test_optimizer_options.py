"""Options of the optimizer that are given anew where training goes on: said, and taken over by option."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import Optimizer, lr_scheduler

from tests.training.course import make_model, make_trainer, outcome, same
from tombola.training import CheckpointError
from tombola.training.checkpoints import CheckpointFolder

MakeScheduler = Callable[[Optimizer], Any]

SCHEDULERS: dict[str, MakeScheduler] = {
    "step": lambda o: lr_scheduler.StepLR(o, 3, 0.5),
    "lambda": lambda o: lr_scheduler.LambdaLR(o, lambda step: 0.9**step),
    "exponential": lambda o: lr_scheduler.ExponentialLR(o, 0.9),
    "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, 50),
    "warm restarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 5),
    "warm-up": lambda o: lr_scheduler.SequentialLR(
        o, [lr_scheduler.LinearLR(o, 0.1, total_iters=4), lr_scheduler.CosineAnnealingLR(o, 50)], [4]
    ),
    "chained": lambda o: lr_scheduler.ChainedScheduler(
        [lr_scheduler.LinearLR(o, 0.1, total_iters=4), lr_scheduler.ExponentialLR(o, 0.9)]
    ),
    "constant": lambda o: None,
}
OWN_RATES: dict[str, MakeScheduler] = {
    "one cycle": lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=60),
    "cyclic": lambda o: lr_scheduler.CyclicLR(o, 0.01, 0.1, step_size_up=3, cycle_momentum=False),
}
NUMPY: dict[str, MakeScheduler] = {
    "milestones": lambda o: lr_scheduler.MultiStepLR(o, np.array([2, 4])),
    "numbers": lambda o: lr_scheduler.StepLR(o, np.int64(3), gamma=np.float64(0.5)),  # type: ignore[arg-type]
}


def trainer_with(folder: Path, rate: float, scheduler: MakeScheduler, **options: Any) -> Any:
    model = make_model()
    decay = options.pop("weight_decay", 0.0)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9, weight_decay=decay)
    settings = {"schedule": "batch", "scheduler": scheduler(optimizer), "checkpoint_every": 2, **options}
    return make_trainer(folder, model=model, optimizer=optimizer, **settings)


def rate_of(trainer: Any) -> float:
    return float(trainer.optimizer.param_groups[0]["lr"])


@pytest.mark.parametrize("name", [*SCHEDULERS, *OWN_RATES, *NUMPY])
def test_every_scheduler_goes_on_exactly_and_nothing_is_said(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    scheduler = {**SCHEDULERS, **OWN_RATES, **NUMPY}[name]
    whole = trainer_with(tmp_path / "whole", 0.01, scheduler)
    expected = outcome(whole, whole.fit())
    with caplog.at_level(logging.WARNING, "tombola.training"):
        trainer_with(tmp_path, 0.01, scheduler, max_batches=11).fit()
        trainer = trainer_with(tmp_path, 0.01, scheduler, resume="latest")
        assert same(outcome(trainer, trainer.fit()), expected)
    assert not caplog.records


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_new_learning_rate_is_said_and_the_saved_one_stays(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    whole = trainer_with(tmp_path / "whole", 0.01, SCHEDULERS[name])
    expected = outcome(whole, whole.fit())
    trainer_with(tmp_path, 0.01, SCHEDULERS[name], max_batches=11).fit()
    trainer = trainer_with(tmp_path, 0.02, SCHEDULERS[name], resume="latest")
    found = outcome(trainer, trainer.fit())
    assert same(found["model"], expected["model"])
    assert "options stay those of the checkpoint: lr of group 0 was 0.01, now is 0.02; " in caplog.text
    assert 'optimizer_options="given" takes what is given now' in caplog.text


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_new_learning_rate_is_taken_over_in_proportion(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It ends where a training with that rate from the beginning does, wherever the scheduler was."""
    whole = trainer_with(tmp_path / "whole", 0.02, SCHEDULERS[name])
    whole.fit()
    trainer_with(tmp_path, 0.01, SCHEDULERS[name], max_batches=11).fit()
    trainer = trainer_with(
        tmp_path, 0.02, SCHEDULERS[name], resume="latest", optimizer_options="given", max_batches=21
    )
    trainer.fit()
    assert "options are those that are given now: lr of group 0 was 0.01, now is 0.02" in caplog.text
    caplog.clear()
    again = trainer_with(tmp_path, 0.02, SCHEDULERS[name], resume="latest")
    again.fit()
    assert not caplog.records  # it is the saved one from then on
    # Each of 40 steps rounds a product twice at most.
    assert rate_of(again) == pytest.approx(rate_of(whole), rel=80 * 2.0**-53)


def test_going_on_with_new_options_is_exact(tmp_path: Path) -> None:
    def changed(folder: str, **options: Any) -> Any:
        settings = {"weight_decay": 0.1, "resume": "latest", "optimizer_options": "given", **options}
        return trainer_with(tmp_path / folder, 0.02, SCHEDULERS["cosine"], **settings)

    for folder in ("whole", "broken"):
        trainer_with(tmp_path / folder, 0.01, SCHEDULERS["cosine"], max_batches=11).fit()
    whole = changed("whole")
    expected = outcome(whole, whole.fit())
    assert whole.optimizer.param_groups[0]["weight_decay"] == 0.1
    changed("broken", max_batches=17).fit()
    trainer = changed("broken")
    assert same(outcome(trainer, trainer.fit()), expected)


@pytest.mark.parametrize("name", OWN_RATES)
def test_schedulers_with_rates_of_their_own_are_refused(tmp_path: Path, name: str) -> None:
    trainer_with(tmp_path, 0.01, OWN_RATES[name], max_batches=11).fit()
    trainer = trainer_with(
        tmp_path, 0.01, OWN_RATES[name], weight_decay=0.5, resume="latest", optimizer_options="given"
    )
    kind = type(trainer._parts.scheduler).__name__
    match = rf'optimizer_options="given" cannot change weight_decay, for {kind} has rates of its own'
    with pytest.raises(CheckpointError, match=match):
        trainer.fit()


def test_groups_switches_and_tensors(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Rates that are tensors stay tensors; switches, on which the layout of states hangs, stay as saved."""

    def trainer(rates: tuple[float, float], **options: Any) -> Any:
        model = make_model()
        groups = [
            {"params": model[0].parameters(), "lr": torch.tensor(rates[0])},
            {"params": model[3].parameters(), "lr": rates[1]},
        ]
        betas = options.pop("betas", (0.9, 0.999))
        optimizer = torch.optim.AdamW(groups, betas=betas, amsgrad=options.pop("amsgrad", False))
        return make_trainer(tmp_path, model=model, optimizer=optimizer, scheduler=None, **options)

    trainer((0.25, 0.5), max_batches=3).fit()
    changed: dict[str, Any] = {"betas": (0.8, 0.99), "amsgrad": True, "resume": "latest"}
    second = trainer((0.125, 0.5), optimizer_options="given", **changed)
    second.fit()
    first, other = second.optimizer.param_groups
    assert torch.equal(first["lr"], torch.tensor(0.125))
    assert (other["lr"], other["betas"], other["amsgrad"]) == (0.5, (0.8, 0.99), False)
    assert "lr of group 0 was 0.25, now is 0.125" in caplog.text
    assert "lr of group 1" not in caplog.text
    assert "amsgrad" not in caplog.text


def test_files_of_before_know_what_was_given_by_the_scheduler(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = CheckpointFolder.save

    def without(self: CheckpointFolder, place: Any, state: dict[str, Any]) -> Path:
        new = ("given", "gradients", "before_step")
        return save(self, place, {name: value for name, value in state.items() if name not in new})

    with monkeypatch.context() as patched:
        patched.setattr(CheckpointFolder, "save", without)
        trainer_with(tmp_path, 0.01, SCHEDULERS["step"], max_batches=11).fit()
    trainer_with(tmp_path, 0.01, SCHEDULERS["step"], max_batches=21, resume="latest").fit()
    assert not caplog.records
    trainer_with(tmp_path, 0.02, SCHEDULERS["step"], resume="latest").fit()
    assert "lr of group 0 was 0.01, now is 0.02" in caplog.text


def test_an_optimizer_that_was_trained_with_before_is_no_change(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """In a notebook one goes on with the same objects, whose rate the scheduler has brought down."""
    first = trainer_with(tmp_path, 0.01, SCHEDULERS["step"], num_epochs=1)
    first.fit()
    model: nn.Module = first.model
    make_trainer(
        tmp_path, model=model, optimizer=first.optimizer, scheduler=first._parts.scheduler,
        schedule="batch", checkpoint_every=2, resume="latest",
    ).fit()  # fmt: skip
    assert not caplog.records
