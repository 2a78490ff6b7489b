"""Strategies by name: what each vocabulary makes of its names; plans stay within the training rows."""

import inspect
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tombola import (
    BlockShuffling,
    BlockWeightedSampling,
    Bucketed,
    ClassBalancedSampling,
    SeriesRoundRobin,
    Strategy,
    Streaming,
)
from tombola.cli.app import run
from tombola.cli.run import RunOptions
from tombola.experiments import ExperimentConfig
from tombola.experiments.six.config import STRATEGIES, check_strategies
from tombola.experiments.sweep.config import make_plan
from tombola.experiments.train import TrainConfig
from tombola.strategies import names
from tombola.strategies.names import (
    EXPERIMENT,
    TRAIN,
    StrategyInputs,
    Vocabulary,
)

INDICES = np.arange(10, 400, 2)
LABELS = [(np.arange(195) % 13 == 0).astype(np.int64), (np.arange(195) > 150).astype(np.int64)]
WEIGHTED = ("class_balanced", "class_balanced_rows")
OPTIONS = StrategyInputs(indices=INDICES, keys=LABELS, block_size=8, min_count_baseline=3.0)


def test_there_are_six() -> None:
    assert list(STRATEGIES) == [
        "streaming",
        "streaming_shuffle",
        "block_shuffling",
        "random",
        "class_balanced",
        "class_balanced_rows",
    ]


@pytest.mark.parametrize("name", STRATEGIES)
def test_plans_stay_within_the_training_rows(name: str) -> None:
    plan = EXPERIMENT[name].make(OPTIONS).plan(500, batch_size=16, fetch_factor=2)
    rows = plan.indices()
    assert len(rows) == len(INDICES)
    assert np.isin(rows, INDICES).all()
    if not name.startswith("class_balanced"):
        assert np.array_equal(np.sort(rows), INDICES)
    assert np.array_equal(rows, INDICES) == (name == "streaming")


def test_names_make_what_they_say() -> None:
    made = {name: EXPERIMENT[name].make(OPTIONS) for name in STRATEGIES}
    assert made["streaming"] == Streaming(indices=INDICES)
    assert made["streaming_shuffle"] == Streaming(shuffle=True, indices=INDICES)
    assert made["block_shuffling"] == BlockShuffling(block_size=8, indices=INDICES)
    assert made["random"] == BlockShuffling(block_size=1, indices=INDICES)
    for name, block_size in (("class_balanced", 8), ("class_balanced_rows", 1)):
        expected = ClassBalancedSampling(
            LABELS, block_size=block_size, min_count_baseline=3.0, indices=INDICES
        )
        assert made[name] == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("streaming", Streaming(indices=INDICES)),
        ("streaming_shuffle", Streaming(shuffle=True, indices=INDICES)),
        ("block_shuffling", BlockShuffling(block_size=8, indices=INDICES)),
        ("column_weighted", BlockWeightedSampling(LABELS[0], block_size=8, indices=INDICES)),
        ("block_weighted", BlockWeightedSampling(LABELS[0], block_size=8, indices=INDICES)),
        (
            "class_balanced",
            ClassBalancedSampling(LABELS, block_size=8, min_count_baseline=3.0, indices=INDICES),
        ),
        ("series_round_robin", SeriesRoundRobin(LABELS[0], indices=INDICES)),
        ("bucketed", Bucketed(LABELS[0], n_buckets=2, indices=INDICES)),
    ],
)
def test_names_of_the_trainer_make_what_they_say(name: str, expected: Strategy) -> None:
    assert TRAIN[name].make(replace(OPTIONS, n_buckets=2)) == expected


def test_the_trainer_has_these() -> None:
    assert {name: strategy.goes_by for name, strategy in TRAIN.items()} == {
        "streaming": None,
        "streaming_shuffle": None,
        "block_shuffling": None,
        "random": None,
        "block_weighted": "weights",
        "class_balanced": "classes",
        "class_balanced_rows": "classes",
        "series_round_robin": "series",
        "bucketed": "buckets",
    }


@pytest.mark.parametrize("words", [EXPERIMENT, TRAIN])
@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("random_sampling", "random"),
        ("streaming_buffer", "streaming_shuffle"),
        ("weighted_block", "class_balanced"),
        ("weighted_true", "class_balanced_rows"),
        ("true_weighted", "class_balanced_rows"),
    ],
)
def test_words_of_files_and_commands_mean_the_same_everywhere(
    words: Vocabulary, word: str, meant: str
) -> None:
    assert words[word] is names.STRATEGIES[meant]
    assert words.words[word] == meant


def test_one_word_means_two_strategies() -> None:
    assert EXPERIMENT["block_weighted"].name == "class_balanced"
    assert TRAIN["block_weighted"].name == "column_weighted"


@pytest.mark.parametrize("own", [EXPERIMENT, TRAIN])
def test_the_names_of_the_code_reach_every_strategy(own: Vocabulary) -> None:
    words = {**own, **names.STRATEGIES}
    for name, strategy in names.STRATEGIES.items():
        assert words[name] is strategy
        assert name not in own or own[name] is strategy


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["all"], tuple(STRATEGIES)),
        (["random"], ("random",)),
        (["random", "streaming", "random"], ("random", "streaming")),
        (["weighted_block", "class_balanced"], ("class_balanced",)),
        (["streaming_buffer", "weighted_true"], ("streaming_shuffle", "class_balanced_rows")),
        (["random_sampling", "block_weighted", "true_weighted"], ("random", *WEIGHTED)),
        (["random", "all"], ("random", *(name for name in STRATEGIES if name != "random"))),
    ],
)
def test_names_are_spelled_out(given: list[str], expected: tuple[str, ...]) -> None:
    assert check_strategies(given) == expected


def test_one_strategy_has_one_name_in_all_commands() -> None:
    for row in names.STRATEGIES.values():
        listed = {words.words[row.name] for words in (EXPERIMENT, TRAIN) if row.name in words}
        assert len(listed) == 1
    assert {TRAIN.words[name] for name in ("column_weighted", "block_weighted")} == {"block_weighted"}
    for word, name in {"streaming_buffer": "streaming_shuffle", "weighted_block": "class_balanced"}.items():
        assert EXPERIMENT[word] is TRAIN[word] is TRAIN[name] is EXPERIMENT[name]
        assert word in TRAIN
        assert word not in list(TRAIN)
    with pytest.raises(KeyError):
        TRAIN["best"]


def test_one_default_of_the_baseline() -> None:
    train = TrainConfig(files=("a.h5ad",), labels=("drug",))
    options = RunOptions(labels=["drug"])
    assert train.min_count_baseline == ExperimentConfig().min_count_baseline == options.min_count_baseline
    assert train.min_count_baseline == names.DEFAULT_BASELINE == 1_000
    assert inspect.signature(run).parameters["min_count_baseline"].default == names.DEFAULT_BASELINE


def test_old_words_in_configuration_files() -> None:
    for word in ("block_weighted", "column_weighted"):
        config = TrainConfig(files=("a.h5ad",), labels=("drug",), strategy=word, weights="weight")
        assert TRAIN[config.strategy].name == "column_weighted"
    config = TrainConfig(files=("a.h5ad",), labels=("drug",), strategy="block_weighted")
    assert TRAIN[config.strategy].name == "class_balanced"
    with pytest.raises(ValueError, match="the key 'weights' must name it"):
        TrainConfig(files=("a.h5ad",), labels=("drug",), strategy="column_weighted")
    with pytest.raises(ValueError, match="no strategy"):
        TrainConfig(files=("a.h5ad",), labels=("drug",), strategy="best")


def test_a_sweep_takes_words_of_files_and_commands() -> None:
    words = ["random_sampling", "true_weighted", "weighted_true", "block_weighted"]
    plan = make_plan({"files": ["a.h5ad"], "labels": ["drug"]}, {"strategy": words})
    trials = [plan.config({"strategy": word}, Path("out")) for word in words]
    assert [TRAIN[trial.strategy].name for trial in trials] == [
        "random",
        "class_balanced_rows",
        "class_balanced_rows",
        "class_balanced",
    ]


def test_unknown_names_list_those_that_there_are() -> None:
    with pytest.raises(ValueError, match=r"unknown strategy 'best'; choose from streaming, .*, or all"):
        check_strategies(["random", "best"])
    with pytest.raises(ValueError, match="no strategy given"):
        check_strategies([])
