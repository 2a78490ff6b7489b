"""The whole experiment on small plates: every strategy, its files, and how scores are defined."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tombola.experiments import (
    STRATEGIES,
    ExperimentConfig,
    ExperimentData,
    PlateDesign,
    make_plates,
    open_data,
    run_experiment,
)
from tombola.experiments.plates import LABELS
from tombola.experiments.six.config import find_misfits
from tombola.experiments.six.metrics import LabelScores, entropy_bits

SMALL = PlateDesign(
    n_plates=3, cells_per_plate=400, n_genes=60, n_cell_lines=3, n_drugs=6, n_moa_broad=2, n_moa_fine=3
)
CONFIG = ExperimentConfig(fetch_factor=2, min_count_baseline=10.0)


@pytest.fixture(name="data", scope="module")
def fixture_data(tmp_path_factory: pytest.TempPathFactory) -> ExperimentData:
    plates = make_plates(tmp_path_factory.mktemp("plates"), SMALL)
    return open_data(plates, LABELS, holdout_files=plates[-1:])


def test_all_strategies_train_and_leave_their_files(data: ExperimentData, tmp_path: Path) -> None:
    outcome = run_experiment(data, CONFIG, tmp_path / "out")
    assert [result.strategy for result in outcome.results] == list(STRATEGIES)
    assert len(STRATEGIES) == 6
    for result in outcome.results:
        assert result.cells == 800
        assert set(result.scores) == set(LABELS)
        assert result.scores["cell_line"].macro_f1 > outcome.baseline["cell_line"].macro_f1
    bits = {result.strategy: result.diversity_bits["drug"] for result in outcome.results}
    assert bits["streaming"] < bits["block_shuffling"]
    with outcome.summary.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["strategy"] for row in rows] == [*STRATEGIES, "majority_class"]
    record = json.loads((tmp_path / "out" / "runs" / "random.json").read_text(encoding="utf-8"))
    assert record["data"]["train_rows"] == 800
    assert record["tasks"]["drug"]["macro_f1"] == outcome.results[3].scores["drug"].macro_f1
    assert outcome.plot.read_bytes().startswith(b"\x89PNG")
    assert not list((tmp_path / "out").rglob("*.partial*"))


def test_the_same_seed_gives_the_same_scores(data: ExperimentData, tmp_path: Path) -> None:
    config = ExperimentConfig(strategies=("random", "weighted_block"), fetch_factor=2, seed=5)
    first = run_experiment(data, config, tmp_path / "a")
    second = run_experiment(data, config, tmp_path / "b")
    for one, two in zip(first.results, second.results, strict=True):
        assert one.scores == two.scores
        assert one.loss_curve == two.loss_curve


def test_options_that_make_no_sense_are_pointed_out(data: ExperimentData) -> None:
    text = " ".join(find_misfits(ExperimentConfig(), data))
    assert "the fetch window of 64 x 256 = 16,384 rows holds more than half of the 800 training rows" in text
    assert "the baseline of 1000 flattens the class weights" in text
    suited = ExperimentConfig(batch_size=16, fetch_factor=2, min_count_baseline=10.0)
    assert find_misfits(suited, data) == []


def test_macro_f1_is_that_of_its_definition() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 5, 500)
    predicted = np.where(rng.random(500) < 0.6, truth, rng.integers(0, 5, 500))
    counted = LabelScores(np.bincount(truth, minlength=5))
    counted.add(truth, predicted)
    scores = counted.result()
    expected = []
    for c in range(5):
        hits = np.sum((truth == c) & (predicted == c))
        expected.append(2 * hits / (np.sum(truth == c) + np.sum(predicted == c)))
    assert scores.macro_f1 == pytest.approx(np.mean(expected), rel=1e-12)
    assert scores.accuracy == np.mean(truth == predicted)


def test_entropy_of_a_batch() -> None:
    assert entropy_bits(np.zeros(64, np.int64)) == 0.0
    assert entropy_bits(np.arange(64)) == pytest.approx(6.0, rel=1e-12)
    assert entropy_bits(np.array([0, 0, 1, 1])) == pytest.approx(1.0, rel=1e-12)


def test_torch_is_left_as_it_was(data: ExperimentData, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    run_experiment(data, ExperimentConfig(strategies=("streaming",)), tmp_path)
    assert torch.get_num_threads() == before
