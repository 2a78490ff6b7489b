"""Training one strategy: what is counted, that it is repeatable, and what is refused."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from tombola.experiments import ExperimentConfig, ExperimentData, PlateDesign, make_plates, open_data
from tombola.experiments.h5ad_writer import Categorical, Csr, write_h5ad
from tombola.experiments.model import torch_threads
from tombola.experiments.plates import LABELS
from tombola.experiments.six.training import count_steps, run_strategy

SMALL = PlateDesign(
    n_plates=3, cells_per_plate=210, n_genes=60, n_cell_lines=3, n_drugs=6, n_moa_broad=2, n_moa_fine=3
)
CONFIG = ExperimentConfig(epochs=2, batch_size=32, fetch_factor=2, min_count_baseline=10.0)


@pytest.fixture(name="data", scope="module")
def fixture_data(tmp_path_factory: pytest.TempPathFactory) -> ExperimentData:
    plates = make_plates(tmp_path_factory.mktemp("plates"), SMALL)
    return open_data(plates, LABELS, holdout_files=plates[-1:])


@pytest.mark.parametrize("name", ["streaming", "block_shuffling", "weighted_true"])
def test_every_batch_is_counted(data: ExperimentData, name: str) -> None:
    steps: list[tuple[int, float]] = []
    result = run_strategy(name, data, CONFIG, on_step=lambda n_rows, loss: steps.append((n_rows, loss)))
    assert len(steps) == count_steps(CONFIG, data) == 28  # 420 rows are 13 batches of 32 and one of 4
    assert sum(n_rows for n_rows, _ in steps) == result.cells == 840
    assert [n_rows for n_rows, _ in steps[:14]] == [32] * 13 + [4]
    assert result.loss_curve[-1][0] == 840
    assert [loss for _, loss in result.loss_curve] == [loss for _, loss in steps]  # fewer steps than points
    assert 0 <= result.wait_seconds <= result.seconds
    assert result.cells_per_second == result.cells / result.seconds


def test_the_loss_falls_and_scores_beat_chance(data: ExperimentData) -> None:
    result = run_strategy("random", data, CONFIG)
    losses = [loss for _, loss in result.loss_curve]
    assert losses[0] == pytest.approx(sum(np.log([3, 6, 2, 3])), rel=1e-6)  # nothing is known at first
    assert losses[-1] < 0.5 * losses[0]
    assert result.scores["cell_line"].accuracy > 0.8


def test_one_strategy_differs_from_another_in_its_batches_only(data: ExperimentData) -> None:
    streaming = run_strategy("streaming", data, CONFIG)
    shuffled = run_strategy("random", data, CONFIG)
    assert streaming.loss_curve[0][0] == shuffled.loss_curve[0][0] == 32
    assert streaming.loss_curve[0][1] == pytest.approx(shuffled.loss_curve[0][1], rel=1e-6)
    assert streaming.diversity_bits["drug"] < 0.5 * shuffled.diversity_bits["drug"]
    assert streaming == dataclasses.replace(
        run_strategy("streaming", data, CONFIG),
        seconds=streaming.seconds,
        wait_seconds=streaming.wait_seconds,
    )


def test_threads_are_given_back() -> None:
    before = torch.get_num_threads()
    with pytest.raises(RuntimeError, match="inside"), torch_threads(before + 1):  # noqa: PT012
        assert torch.get_num_threads() == before + 1
        raise RuntimeError("inside")
    assert torch.get_num_threads() == before


def write_counts(path: Path, x: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> ExperimentData:
    n = len(x)
    write_h5ad(
        path,
        Csr.from_dense(x),
        {"drug": Categorical(np.arange(n) % 2, ["a", "b"])},
        obs_names=[str(i) for i in range(n)],
        var_names=[str(i) for i in range(x.shape[1])],
    )
    return open_data([path], ["drug"], holdout_fraction=0.25)


def test_counts_are_normalised_where_asked_for(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    counts = rng.poisson(3.0, (80, 12)).astype(np.float32)
    logs = np.log1p(counts * (np.float32(10_000) / counts.sum(axis=1, keepdims=True)))
    config = dataclasses.replace(CONFIG, epochs=1)
    from_logs = run_strategy("streaming", write_counts(tmp_path / "logs.h5ad", logs), config)
    data = write_counts(tmp_path / "counts.h5ad", counts)
    from_counts = run_strategy("streaming", data, dataclasses.replace(config, log1p=True))
    assert [loss for _, loss in from_counts.loss_curve] == pytest.approx(
        [loss for _, loss in from_logs.loss_curve], rel=1e-4
    )
    assert from_counts.loss_curve != run_strategy("streaming", data, config).loss_curve


def test_rows_that_are_all_equal_train(tmp_path: Path) -> None:
    data = write_counts(tmp_path / "flat.h5ad", np.ones((80, 3), dtype=np.float32))
    result = run_strategy("random", data, CONFIG)
    assert np.isfinite([loss for _, loss in result.loss_curve]).all()


def test_values_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    x = np.ones((80, 3), dtype=np.float32)
    x[40, 1] = np.nan
    data = write_counts(tmp_path / "nan.h5ad", x)
    with pytest.raises(ValueError, match="the training loss must stay finite, but is nan at step 0"):
        run_strategy("random", data, CONFIG)
