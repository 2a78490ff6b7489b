"""The examples of mini epochs: shards, symmetry, missing policies, the killed training, the sweep in code."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
import train_mini_epochs

from mini_epochs.boards import BOARD, MISSING, ShardDesign, ensure_shards
from mini_epochs.dataset import BoardDataset, Sample, collate, symmetric_images
from mini_epochs.network import BoardNetwork, board_losses
from tests.examples.running import PNG, read_json, run_script

DESIGN = ShardDesign(n_shards=3, positions=40, openings=0.2)


def test_shards_are_made_once_and_alike(tmp_path: Path) -> None:
    first = ensure_shards(tmp_path / "a", DESIGN)
    times = [path.stat().st_mtime_ns for path in first]
    assert [path.stat().st_mtime_ns for path in ensure_shards(tmp_path / "a", DESIGN)] == times
    for one, other in zip(first, ensure_shards(tmp_path / "b", DESIGN), strict=True):
        assert one.read_bytes()[:200] == other.read_bytes()[:200]
        with np.load(one) as ours, np.load(other) as theirs:
            for key in ("boards", "policy", "value"):
                np.testing.assert_array_equal(ours[key], theirs[key])


def test_images_are_the_distinct_ones_and_keep_their_targets() -> None:
    board = np.zeros((BOARD, BOARD), dtype=np.int8)
    board[0, 1], board[2, 5] = 1, -1
    images = symmetric_images(Sample(board, 5 * BOARD + 2, 0.5))
    assert len({image.board.tobytes() for image in images}) == len(images) == 8
    for image in images:
        # The policy's point lies to both stones as it did.
        assert image.policy is not None
        row, column = divmod(image.policy, BOARD)
        (one,), (other,) = np.argwhere(image.board == 1), np.argwhere(image.board == -1)
        assert sorted(np.abs(one - [row, column])) == [1, 5]
        assert sorted(np.abs(other - [row, column])) == [3, 3]
        assert image.value == 0.5
    assert len(symmetric_images(Sample(np.zeros_like(board), None, 0.0))) == 1


def test_policy_is_missing_for_some_and_is_an_empty_point(tmp_path: Path) -> None:
    samples = list(BoardDataset(ensure_shards(tmp_path, DESIGN), augment=False))
    assert len(samples) == 120
    with_policy = [sample for sample in samples if sample.policy is not None]
    assert 30 < len(with_policy) < 110
    assert all(sample.board.reshape(-1)[sample.policy] == 0 for sample in with_policy)
    images = sum(len(symmetric_images(sample)) for sample in samples)
    torch.manual_seed(3)
    augmented = [
        sample.board.tobytes() for sample in BoardDataset(ensure_shards(tmp_path, DESIGN), augment=True)
    ]
    torch.manual_seed(3)
    again = [sample.board.tobytes() for sample in BoardDataset(ensure_shards(tmp_path, DESIGN), augment=True)]
    assert augmented == again
    assert len(augmented) == images < 8 * 120


def test_missing_policies_do_not_count() -> None:
    torch.manual_seed(0)
    model = BoardNetwork(4)
    boards = [np.random.default_rng(i).integers(-1, 2, (BOARD, BOARD)).astype(np.int8) for i in range(4)]
    policies = [7, None, None, 100]
    batch = collate([Sample(b, p, 0.1) for b, p in zip(boards, policies, strict=True)])
    assert batch["policy"].tolist() == [7, MISSING, MISSING, 100]
    logits, _ = model(batch["boards"])
    expected = torch.nn.functional.cross_entropy(logits[[0, 3]], torch.tensor([7, 100]))
    torch.testing.assert_close(board_losses(model, batch)["policy_loss"], expected)
    none = collate([Sample(board, None, 0.1) for board in boards])
    losses = board_losses(model, none)
    assert losses["policy_loss"] == 0
    losses["loss"].backward()
    assert all(
        parameter.grad is None or torch.isfinite(parameter.grad).all() for parameter in model.parameters()
    )


def test_the_killed_training_ends_with_equal_weights(tmp_path: Path) -> None:
    text = run_script("train_mini_epochs.py", "--quick", "-o", tmp_path)
    results = read_json(tmp_path / "results.json")
    assert results["weights_equal"] is True
    assert "equal the undisturbed one's bit for bit: True" in text
    assert results["shards"] == 500
    assert [record["chunk"] for record in results["mini_epochs"]] == list(range(24))
    starts = [0, *(record["batches"] for record in results["mini_epochs"])]
    assert results["killed_after"] not in starts
    losses = [record["validation_loss"] for record in results["mini_epochs"]]
    assert losses[-1] < 0.7 * losses[0]
    assert (tmp_path / "training.png").read_bytes().startswith(PNG)


def test_bad_options_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        train_mini_epochs.main(["--chunk_size", "0", "-o", str(tmp_path)])
    assert left.value.code == 2
    assert capsys.readouterr().err.startswith("error: argument --chunk_size: expected a whole number >= 1")


def test_the_sweep_in_code(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    usual = ("--trials", 3, "--total_data", 0.05, "--mini_epoch_size", "300 rows", "-o", tmp_path)
    options = (*usual, "--checkpoint_every", 2)
    text = run_script("scripts/hyperparam_sweep.py", *options)
    assert "trial 2 complete (3 of 3)" in text
    with (tmp_path / "trials.csv").open(newline="", encoding="utf-8") as file:
        trials = list(csv.DictReader(file))
    assert len(trials) == 3
    # 0.05 of 14,400 rows are 90 a plate: three plates fit 300 rows, so eight make three mini epochs.
    assert {trial["mini_epochs"] for trial in trials} == {"3"}
    assert list((tmp_path / "trials").glob("*/checkpoints/checkpoint_*_batch*.pt"))
    assert (tmp_path / "sweep.png").read_bytes().startswith(PNG)
    assert "trial 3 of 3" not in run_script("scripts/hyperparam_sweep.py", *options)  # there is nothing left
