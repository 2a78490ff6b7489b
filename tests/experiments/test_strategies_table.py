"""The six strategies: what each name makes, and that plans stay within the training rows."""

import numpy as np
import pytest

from tombola import BlockShuffling, ClassBalancedSampling, Streaming
from tombola.experiments.strategies_table import STRATEGIES, StrategyOptions, check_strategies, make_strategy

INDICES = np.arange(10, 400, 2)
LABELS = [(np.arange(195) % 13 == 0).astype(np.int64), (np.arange(195) > 150).astype(np.int64)]
OPTIONS = StrategyOptions(indices=INDICES, labels=LABELS, block_size=8, min_count_baseline=3.0)


def test_there_are_six() -> None:
    assert list(STRATEGIES) == [
        "streaming",
        "streaming_buffer",
        "block_shuffling",
        "random",
        "weighted_block",
        "weighted_true",
    ]


@pytest.mark.parametrize("name", STRATEGIES)
def test_plans_stay_within_the_training_rows(name: str) -> None:
    plan = make_strategy(name, OPTIONS).plan(500, batch_size=16, fetch_factor=2)
    rows = plan.indices()
    assert len(rows) == len(INDICES)
    assert np.isin(rows, INDICES).all()
    if not name.startswith("weighted"):
        assert np.array_equal(np.sort(rows), INDICES)
    assert np.array_equal(rows, INDICES) == (name == "streaming")


def test_names_make_what_they_say() -> None:
    made = {name: make_strategy(name, OPTIONS) for name in STRATEGIES}
    assert made["streaming"] == Streaming(indices=INDICES)
    assert made["streaming_buffer"] == Streaming(shuffle=True, indices=INDICES)
    assert made["block_shuffling"] == BlockShuffling(block_size=8, indices=INDICES)
    assert made["random"] == BlockShuffling(block_size=1, indices=INDICES)
    for name, block_size in (("weighted_block", 8), ("weighted_true", 1)):
        expected = ClassBalancedSampling(
            LABELS, block_size=block_size, min_count_baseline=3.0, indices=INDICES
        )
        assert made[name] == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["all"], tuple(STRATEGIES)),
        (["random"], ("random",)),
        (["random", "streaming", "random"], ("random", "streaming")),
        (["random", "all"], ("random", *(name for name in STRATEGIES if name != "random"))),
    ],
)
def test_names_are_spelled_out(given: list[str], expected: tuple[str, ...]) -> None:
    assert check_strategies(given) == expected


def test_unknown_names_list_those_that_there_are() -> None:
    with pytest.raises(ValueError, match=r"unknown strategy 'best'; choose from streaming, .*, or all"):
        check_strategies(["random", "best"])
    with pytest.raises(ValueError, match="no strategy given"):
        check_strategies([])
