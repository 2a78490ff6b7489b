"""Going on after an interruption at any batch equals an undisturbed run, bit for bit."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.training.course import KINDS, Kind, make_trainer, mean_error, outcome, same, without_times
from tombola.training import StopReason

OPTIONS: dict[str, Any] = {"checkpoint_every": 3, "validate_every": 5}


class Broken(Exception):
    pass


def breaking_at(batch: int) -> Any:
    """A loss that fails in training at a batch, counted from 0."""
    count = 0

    def loss(model: nn.Module, data: Any) -> torch.Tensor:
        nonlocal count
        count += model.training
        if count > batch:
            raise Broken
        return mean_error(model, data)

    return loss


@pytest.fixture(scope="module", params=KINDS)
def undisturbed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Kind, Any]:
    trainer = make_trainer(tmp_path_factory.mktemp("undisturbed"), request.param, **OPTIONS)
    return request.param, outcome(trainer, trainer.fit())


@pytest.mark.parametrize("batch", [0, 1, 4, 6, 9, 14, 23, 30, 39])
def test_going_on_is_exact(undisturbed: tuple[Kind, Any], tmp_path: Path, batch: int) -> None:
    kind, expected = undisturbed
    with pytest.raises(Broken):
        make_trainer(tmp_path, kind, loss=breaking_at(batch), **OPTIONS).fit()
    trainer = make_trainer(tmp_path, kind, resume="latest", **OPTIONS)
    result = trainer.fit()
    assert result.reason is StopReason.FINISHED
    assert same(outcome(trainer, result), expected)
    lines = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert without_times(lines) == expected["history"]


def test_many_interruptions_at_every_few_batches(undisturbed: tuple[Kind, Any], tmp_path: Path) -> None:
    kind, expected = undisturbed
    for _ in range(100):
        trainer = make_trainer(tmp_path, kind, resume="latest", loss=breaking_at(4), **OPTIONS)
        try:
            result = trainer.fit()
        except Broken:
            continue
        break
    assert same(outcome(trainer, result), expected)


@pytest.mark.parametrize("kind", ["loader", "sampler"])
@pytest.mark.parametrize("resume_by", ["seek", "replay"])
def test_both_ways_of_going_on_are_exact(tmp_path: Path, kind: Kind, resume_by: str) -> None:
    undisturbed = make_trainer(tmp_path / "a", kind, resume_by=resume_by, **OPTIONS)
    expected = outcome(undisturbed, undisturbed.fit())
    with pytest.raises(Broken):
        make_trainer(tmp_path / "b", kind, resume_by=resume_by, loss=breaking_at(17), **OPTIONS).fit()
    trainer = make_trainer(tmp_path / "b", kind, resume_by=resume_by, resume="latest", **OPTIONS)
    assert same(outcome(trainer, trainer.fit()), expected)


def test_seeking_reads_nothing_again(tmp_path: Path) -> None:
    """Without workers, a loader with random access hands out each batch once."""
    seen = []

    def loss(model: nn.Module, batch: Any) -> torch.Tensor:
        if model.training:
            seen.append(batch["row"].tolist())
        return mean_error(model, batch)

    make_trainer(tmp_path, max_batches=5, loss=loss, validation=None).fit()
    make_trainer(tmp_path, max_batches=10, loss=loss, validation=None, resume="latest").fit()
    whole: list[Any] = []
    seen, resumed = whole, seen
    make_trainer(tmp_path / "whole", max_batches=10, loss=loss, validation=None).fit()
    assert resumed == whole
    assert len(whole) == 10


def test_a_finished_training_stays_finished(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path)
    expected = outcome(trainer, trainer.fit())
    again = make_trainer(tmp_path, resume="latest")
    assert same(outcome(again, again.fit()), expected)


def test_more_epochs_go_on_from_a_finished_training(tmp_path: Path) -> None:
    whole = make_trainer(tmp_path / "whole", num_epochs=3)
    expected = outcome(whole, whole.fit())
    make_trainer(tmp_path, num_epochs=2).fit()
    trainer = make_trainer(tmp_path, num_epochs=3, resume="latest")
    assert same(outcome(trainer, trainer.fit()), expected)


def test_going_on_from_a_given_file_sets_later_ones_aside(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, keep_last=None)
    expected = outcome(trainer, trainer.fit())
    path = tmp_path / "checkpoint_epoch0_chunk4.pt"
    again = make_trainer(tmp_path, keep_last=None, resume=path)
    assert same(outcome(again, again.fit()), expected)
    assert len(list(tmp_path.glob("*.pt"))) == 6
    assert len(list(tmp_path.glob("*.unused"))) == 4


@pytest.mark.parametrize("schedule", ["batch", "mini_epoch"])
def test_scheduler_by_batch_and_scaler_are_saved(tmp_path: Path, schedule: str) -> None:
    def trainer(folder: str, **options: Any) -> Any:
        scaler = torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=5)
        return make_trainer(
            tmp_path / folder, schedule=schedule, scaler=scaler, checkpoint_every=3, **options
        )

    whole = trainer("a")
    expected = outcome(whole, whole.fit())
    with pytest.raises(Broken):
        trainer("b", loss=breaking_at(11)).fit()
    resumed = trainer("b", resume="latest")
    assert same(outcome(resumed, resumed.fit()), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_a_chunks_last_batch_goes_on_with_the_next_chunk(tmp_path: Path, kind: Kind) -> None:
    """A loader whose pass is consumed would begin the next one, which is no part of the chunk."""
    options: dict[str, Any] = {"checkpoint_every": 1, "keep_last": None, "num_epochs": 1}
    whole = make_trainer(tmp_path, kind, **options)
    expected = outcome(whole, whole.fit())
    within = sorted(tmp_path.glob("*_chunk0_batch*.pt"), key=lambda path: int(path.stem.split("batch")[1]))
    trainer = make_trainer(tmp_path, kind, resume=within[-1], **options)
    assert same(outcome(trainer, trainer.fit()), expected)
