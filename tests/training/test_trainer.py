"""Epochs and chunks, validation, stopping, shards that come, vanish or are bad, and bad input."""

import errno
import json
import logging
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
import torchmetrics
from torch import nn

from tests.training.course import (
    batches_of,
    make_model,
    make_trainer,
    mean_error,
    rows_of,
    same,
    trainer_of,
    without_times,
)
from tombola.training import (
    Bytes,
    Chunk,
    Rows,
    ShardError,
    StopReason,
    TrainingError,
)


def files(folder: Path, names: str) -> list[Path]:
    for name in names:
        (folder / f"{name}.pt").write_bytes(name.encode())
    return sorted(folder.glob("*.pt"))


def read_files(chunk: Chunk) -> Any:
    for path in chunk.shards:
        content = path.read_bytes()
        if content == b"bad":
            raise OSError(errno.EIO, "not a shard", str(path))
        yield rows_of(content[0])


def test_each_epoch_has_every_shard_once_in_another_order(tmp_path: Path) -> None:
    chunks: list[Chunk] = []

    def make_loader(chunk: Chunk) -> Any:
        chunks.append(chunk)
        return batches_of(chunk)

    trainer_of(tmp_path, range(10), make_loader, chunk_size=4, num_epochs=3).fit()
    orders = [tuple(s for c in chunks if c.epoch == epoch for s in c.shards) for epoch in range(3)]
    assert [sorted(order) for order in orders] == [list(range(10))] * 3
    assert len(set(orders)) == 3
    assert [(c.start, c.index, c.n_chunks, len(c.shards)) for c in chunks[:3]] == [
        (0, 0, 3, 4), (4, 1, 3, 4), (8, 2, 3, 2),
    ]  # fmt: skip
    assert len({c.seed for c in chunks}) == 9


def test_the_order_depends_on_the_seed_but_not_on_how_shards_are_listed(tmp_path: Path) -> None:
    def order(shards: Any, seed: int) -> list[Any]:
        found: list[Any] = []

        def make_loader(chunk: Chunk) -> Any:
            found.extend(chunk.shards)
            return batches_of(chunk)

        trainer_of(tmp_path / str(len(list(tmp_path.iterdir()))), shards, make_loader, seed=seed).fit()
        return found

    assert order(range(10), 0) == order(list(reversed(range(10))), 0) != order(range(10), 1)


@pytest.mark.parametrize("budget", [Rows(100, size=lambda shard: 30), Bytes(7, size=lambda shard: 2)])
def test_budgets_make_chunks_of_three(tmp_path: Path, budget: Any) -> None:
    sizes: list[int] = []

    def make_loader(chunk: Chunk) -> Any:
        sizes.append(len(chunk.shards))
        return batches_of(chunk)

    trainer_of(tmp_path, range(10), make_loader, chunk_size=budget).fit()
    assert sizes == [3, 3, 3, 1]


def test_shards_larger_than_the_budget_come_alone(tmp_path: Path) -> None:
    result = trainer_of(tmp_path, range(3), batches_of, chunk_size=Rows(1, size=lambda shard: 30)).fit()
    assert [record["batch"] for record in result.history] == [1, 1, 1]


def test_new_shards_join_at_the_next_epoch(tmp_path: Path) -> None:
    files(tmp_path, "abc")
    seen: list[tuple[int, str]] = []

    def make_loader(chunk: Chunk) -> Any:
        seen.extend((chunk.epoch, path.stem) for path in chunk.shards)
        files(tmp_path, "d")
        return read_files(chunk)

    trainer_of(tmp_path, lambda: tmp_path.glob("*.pt"), make_loader, chunk_size=1, num_epochs=2).fit()
    assert sorted(seen) == [(0, "a"), (0, "b"), (0, "c"), (1, "a"), (1, "b"), (1, "c"), (1, "d")]


@pytest.mark.parametrize("between", ["chunks", "epochs"])
@pytest.mark.parametrize("how", ["list", "glob"])
def test_a_vanished_shard(tmp_path: Path, between: str, how: str, caplog: pytest.LogCaptureFixture) -> None:
    def attempt(option: str) -> Any:
        folder = tmp_path / option
        folder.mkdir()
        paths = files(folder, "abcd")
        count = 0

        def remove(record: dict[str, Any]) -> None:
            nonlocal count
            count += 1
            if count == (1 if between == "chunks" else 4):
                left = [p for p in paths if p.exists() and p not in read]
                (left or paths)[0].unlink()

        read: list[Path] = []

        def make_loader(chunk: Chunk) -> Any:
            read.extend(chunk.shards)
            return read_files(chunk)

        return trainer_of(
            folder,
            paths if how == "list" else lambda: folder.glob("*.pt"),
            make_loader,
            chunk_size=1,
            num_epochs=2,
            on_mini_epoch=remove,
            on_missing_shard=option,
        ).fit()

    with pytest.raises(ShardError, match=r"the shard .*/[abcd]\.pt is missing .*on_missing_shard"):
        attempt("error")
    with caplog.at_level(logging.WARNING, "tombola.training"):
        result = attempt("skip")
    assert result.reason is StopReason.FINISHED
    assert result.skipped
    assert {entry["why"] for entry in result.skipped} == {"is missing"}
    assert "left out the shard" in caplog.text
    assert result.batches == (6 if between == "chunks" else 7)


def test_a_bad_shard_is_an_error_that_names_it_and_the_place(tmp_path: Path) -> None:
    paths = files(tmp_path, "abcd")
    paths[2].write_bytes(b"bad")
    match = r"the shard .*/c\.pt cannot be read: .*not a shard.* \(epoch 0, chunk from shard 0 on, after"
    with pytest.raises(ShardError, match=match) as caught:
        trainer_of(tmp_path, paths, read_files, chunk_size=4).fit()
    assert caught.value.shard == paths[2]


def test_a_bad_shard_is_left_out_by_option(tmp_path: Path) -> None:
    paths = files(tmp_path, "abcd")
    paths[2].write_bytes(b"bad")
    result = trainer_of(tmp_path, paths, read_files, chunk_size=4, on_bad_shard="skip").fit()
    assert result.batches == 3
    assert [(entry["shard"], entry["epoch"]) for entry in result.skipped] == [(str(paths[2]), 0)]


def test_no_batch_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="must give batches, but gave none"):
        trainer_of(tmp_path, range(5), lambda chunk: []).fit()


def test_metrics_of_torchmetrics_and_a_step_of_several_numbers(tmp_path: Path) -> None:
    def step(model: nn.Module, batch: torch.Tensor) -> dict[str, Any]:
        guess, target = model(batch)[:, 0], batch.mean(1)
        return {
            "loss": (guess - target).square().mean(),
            "size": len(batch),
            "guess": guess,
            "target": target,
        }

    def update(metrics: Any, batch: Any, output: Any) -> None:
        metrics["error"].update(output["guess"], output["target"])

    validation = [rows_of(50), rows_of(51)[:7]]
    trainer = trainer_of(
        tmp_path, range(4), batches_of, loss=None, step=step, validation=validation, chunk_size=2,
        metrics={"error": torchmetrics.MeanAbsoluteError()}, update_metrics=update,
        monitor="validation_error",
    )  # fmt: skip
    result = trainer.fit()
    rows = torch.cat(validation)
    trainer.model.eval()
    with torch.no_grad():
        expected = (trainer.model(rows)[:, 0] - rows.mean(1)).abs().mean()
    last = result.history[-1]
    assert last["train_size"] == 30.0
    assert abs(last["validation_error"] - float(expected)) <= 37 * 2.0**-24 * float(expected) * 4
    assert result.best_value == min(record["validation_error"] for record in result.history)
    assert result.best_checkpoint is not None
    assert result.best_checkpoint.exists()


def test_patience(tmp_path: Path) -> None:
    """By the loss of a model that does not learn, nothing improves after the first."""
    model = make_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    result = make_trainer(
        tmp_path, model=model, optimizer=optimizer, scheduler=None, num_epochs=9, patience=3
    ).fit()
    assert result.reason is StopReason.EARLY_STOPPING
    assert len(result.history) == 4
    assert result.best_checkpoint == tmp_path / "checkpoint_epoch0_chunk0.pt"
    assert len(list(tmp_path.glob("*.pt"))) == 4  # three newest, and the best


def test_validation_leaves_training_as_it_is(tmp_path: Path) -> None:
    states = []
    for name, validation in (("without", None), ("with", [rows_of(9)])):
        trainer = make_trainer(tmp_path / name, validation=validation)
        trainer.fit()
        states.append(trainer.model.state_dict())
    assert same(*states)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_signals_save_and_stop_and_handlers_come_back(tmp_path: Path, number: int) -> None:
    whole = make_trainer(tmp_path / "whole", "stream")
    expected = whole.fit()
    count = 0

    def loss(model: nn.Module, batch: Any) -> torch.Tensor:
        nonlocal count
        count += 1
        if count == 5:
            os.kill(os.getpid(), number)
        return mean_error(model, batch)

    before = signal.getsignal(number)
    stopped = make_trainer(tmp_path, "stream", loss=loss).fit()
    assert signal.getsignal(number) is before
    assert (stopped.reason, stopped.exit_code, stopped.batches) == (StopReason.SIGNAL, 75, 5)
    assert stopped.last_checkpoint == tmp_path / f"{stopped.last_checkpoint.name}"  # type: ignore[union-attr]
    assert "_batch5" in str(stopped.last_checkpoint)
    trainer = make_trainer(tmp_path, "stream", resume="latest")
    assert without_times(trainer.fit().history) == without_times(expected.history)
    assert same(trainer.model.state_dict(), whole.model.state_dict())


def test_lines_and_bars_and_tensorboard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_trainer(tmp_path / "plain", progress="plain").fit()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 6
    assert lines[0].startswith("mini epoch 1 of 6, train_loss ")
    make_trainer(tmp_path / "rich", progress="rich").fit()
    assert "mini epoch 6 of 6" in capsys.readouterr().err
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed")
    make_trainer(tmp_path / "board", tensorboard=True).fit()
    assert list((tmp_path / "board" / "tensorboard").glob("events*"))


def test_history_is_json(tmp_path: Path) -> None:
    result = make_trainer(tmp_path).fit()
    lines = (tmp_path / "history.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == result.history


def test_an_error_of_the_callback_ends_training(tmp_path: Path) -> None:
    def prune(record: dict[str, Any]) -> None:
        raise KeyError(record["chunk"])

    with pytest.raises(KeyError, match="0"):
        make_trainer(tmp_path, on_mini_epoch=prune).fit()
