"""A loss that is not finite ends training before it spoils a weight or a file, and names batch and rows."""

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.training.course import make_model, make_trainer, mean_error, rows_of, trainer_of
from tombola import ArraySource, BlockShuffling, Loader
from tombola.training import Chunk, NonFiniteLossError, StopReason, TrainingError, load_checkpoint
from tombola.training.finite import LossWatch

BAD_ROW = 17


def with_a_bad_row(chunk: Chunk, value: float = float("nan")) -> Any:
    """Return a loader of two shards; row 17 holds a value that is not finite."""
    rows = torch.cat([rows_of(shard) for shard in (1, 2)])
    rows[BAD_ROW, 3] = value
    return Loader(ArraySource(rows), BlockShuffling(4), 16, 2, seed=chunk.seed)


def with_labels(model: nn.Module, batch: Any) -> dict[str, Any]:
    return {"loss": mean_error(model, batch), "number": 3}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("by", ["loss", "step"])
def test_batch_and_rows_are_named_and_nothing_is_spoiled(tmp_path: Path, value: float, by: str) -> None:
    how: dict[str, Any] = {} if by == "loss" else {"loss": None, "step": with_labels}
    model = make_model()
    trainer = trainer_of(
        tmp_path, [0], lambda chunk: with_a_bad_row(chunk, value), model=model, checkpoint_every=1, **how
    )
    with pytest.raises(NonFiniteLossError) as caught:
        trainer.fit()
    text = str(caught.value)
    files = sorted((tmp_path / "checkpoints").glob("*.pt"), key=lambda path: path.stat().st_mtime_ns)
    saved = load_checkpoint(files[-1])["course"]["batches"] if files else 0
    assert f"in epoch 0, chunk from shard 0 on (0), batch {saved} of the chunk, from 0: rows " in text
    assert f"not finite is X in row {BAD_ROW}; " in text
    assert (f"the checkpoint {files[-1].name} is of before" in text) if files else "of before" not in text
    assert 'on_nonfinite_loss="continue" goes on' in text
    assert all(weight.isfinite().all() for weight in model.parameters())


def test_a_diverging_training_is_told_from_bad_values(tmp_path: Path) -> None:
    model = make_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e30)
    with pytest.raises(
        TrainingError, match=r"but is (nan|inf) in .*batch \d of .*all values of the batch are"
    ):
        make_trainer(tmp_path, model=model, optimizer=optimizer, scheduler=None).fit()


def test_values_in_parts_of_a_batch_are_named(tmp_path: Path) -> None:
    bad = torch.ones(4, 8)
    bad[2] = float("inf")
    batch = {"x": [torch.ones(3), bad], "codes": torch.arange(4), "empty": torch.ones(0, 2)}

    def loss(model: nn.Module, batch: Any) -> torch.Tensor:
        return mean_error(model, batch["x"][1])

    with pytest.raises(NonFiniteLossError, match=r"not finite is x\[1\] in its row 2, counted from 0; "):
        trainer_of(tmp_path, [0], lambda chunk: [batch], loss=loss).fit()


def test_going_on_by_option_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def nan(model: nn.Module, batch: Any) -> torch.Tensor:
        return mean_error(model, batch) * float("nan")

    with caplog.at_level(logging.WARNING, "tombola.training"):
        result = make_trainer(tmp_path, loss=nan, on_nonfinite_loss="continue", num_epochs=1).fit()
    assert result.reason is StopReason.FINISHED
    assert result.best_value is None
    said = [record.message for record in caplog.records]
    assert said == [
        f"{name} is nan after {batches} batches"
        for batches in (8, 16, 20)
        for name in ("train_loss", "validation_loss")
    ]


def test_a_validation_loss_that_is_not_finite_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    result = make_trainer(tmp_path, validation=[torch.full((2, 8), torch.nan)], num_epochs=1).fit()
    assert result.batches == 20
    assert "validation_loss is nan after 8 batches" in caplog.text
    assert "train_loss" not in caplog.text


def test_losses_of_a_device_are_looked_at_afterwards() -> None:
    watch = LossWatch(stops=True)
    for start in (0, 4):
        watch.later({"row": torch.arange(start, start + 4)})
    watch.later(torch.ones(3))
    watch.look([1.0, float("nan"), float("inf")])
    assert watch.first is not None
    assert (watch.first.place, watch.first.text) == (1, "rows 4, 5, 6, 7")
    later = LossWatch(stops=True)
    later.later(torch.ones(3))
    later.look([float("inf")])
    assert later.first is not None
    assert (later.first.loss, later.first.text) == (float("inf"), "")


@pytest.mark.parametrize("checkpoint_every", [None, 2])
def test_as_on_a_device_no_file_is_saved_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkpoint_every: int | None
) -> None:
    """There losses stay tensors until a file is to be saved, and steps go on until then."""
    monkeypatch.setattr("tombola.training.steps._kept", lambda value: value.detach())
    options: dict[str, Any] = {"checkpoint_every": checkpoint_every, "keep_last": None}
    with pytest.raises(NonFiniteLossError) as caught:
        trainer_of(tmp_path, [0], with_a_bad_row, **options).fit()
    rows, place = str(caught.value).split(": rows ")[1].split("; ")[0], str(caught.value).split("batch ")[1]
    assert str(BAD_ROW) in rows.split(", ")
    for path in (tmp_path / "checkpoints").glob("*.pt"):
        state = load_checkpoint(path)
        assert state["course"]["batches"] <= int(place.split()[0])
        assert all(weight.isfinite().all() for weight in state["model"].values())


def test_many_rows_are_shortened() -> None:
    watch = LossWatch(stops=False)
    assert not watch.note(3, float("nan"), {"row": torch.arange(100)})
    assert watch.first is not None
    assert watch.first.text.startswith("rows 0, 1, 2, ")
    assert "18, 19 and 80 more; all values of the batch are finite" in watch.first.text
