"""Strategies by name: the one table of what they are called, by whom, and how each is made.

Rule: a row is a strategy, under the one name by which the code knows it and which means nothing else to
anyone. A column says who has it and by which words: the name that is listed, the same in all commands that
have it, then others that they take: those of before, and those of configuration files that users have. A word
may mean different strategies to different callers: `block_weighted` balances classes in an experiment, and
draws by a column of weights in `tombola train`, where one is given.

In: names, and what strategies are made from. Out: strategies. Complexity: O(1), and what the strategy costs.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy.typing as npt

from .base import Strategy
from .block import BlockShuffling
from .bucketed import Bucketed
from .class_balanced import ClassBalancedSampling
from .series import SeriesRoundRobin
from .streaming import Streaming
from .weighted import BlockWeightedSampling

__all__ = [
    "DEFAULT_BASELINE",
    "EXPERIMENT",
    "STRATEGIES",
    "TRAIN",
    "Keys",
    "NamedStrategy",
    "StrategyInputs",
    "Vocabulary",
]

DEFAULT_BASELINE = 1_000.0
"""What commands add to the counts of classes where nothing is said: the field's own."""

Keys = Literal["weights", "classes", "series", "buckets"]
"""What the values are that a strategy goes by."""


@dataclass(frozen=True, eq=False, kw_only=True)
class StrategyInputs:
    """What strategies are made from; each takes what it needs.

    Parameters
    ----------
    indices : array, optional
        Rows to choose from, increasing.
    keys : sequence of arrays
        The values that the strategy goes by, one a row: several arrays of classes, else one array.
    block_size : int
        Rows of a block, where a strategy has blocks.
    bounds : array, optional
        Where blocks of rows begin instead, such as with the chunks of files. Blocks of draws are none.
    min_count_baseline : float
        Softens the weights of rare classes.
    n_buckets : int, optional
    """

    indices: npt.ArrayLike | None = None
    keys: Sequence[npt.NDArray[Any]] = ()
    block_size: int = 16
    bounds: npt.ArrayLike | None = None
    min_count_baseline: float = 0.0
    n_buckets: int | None = None


@dataclass(frozen=True, kw_only=True)
class NamedStrategy:
    """A row of the table.

    Parameters
    ----------
    name : str
        The name by which the code knows it.
    summary : str
        What it does, in a line.
    make : callable
        Gives the strategy.
    goes_by : {"weights", "classes", "series", "buckets"} or None
        What its keys are; None if it needs none.
    experiment : tuple of str or None
        What `tombola experiment`, `run`, `demo` and `ExperimentConfig` call it, then other words that they
        take; None if they do not have it.
    train : tuple of str or None
        The same of `tombola train`, `tombola sweep` and their files.
    """

    name: str
    summary: str
    make: Callable[[StrategyInputs], Strategy]
    goes_by: Keys | None = None
    experiment: tuple[str, ...] | None = None
    train: tuple[str, ...] | None = None


def _block_shuffling(inputs: StrategyInputs) -> Strategy:
    if inputs.bounds is not None:
        return BlockShuffling(bounds=inputs.bounds, indices=inputs.indices)
    return BlockShuffling(block_size=inputs.block_size, indices=inputs.indices)


def _class_balanced(inputs: StrategyInputs) -> Strategy:
    return ClassBalancedSampling(
        list(inputs.keys),
        block_size=inputs.block_size,
        min_count_baseline=inputs.min_count_baseline,
        indices=inputs.indices,
    )


_ROWS = (
    NamedStrategy(
        name="streaming",
        summary="rows in file order",
        make=lambda inputs: Streaming(indices=inputs.indices),
        experiment=("streaming",),
        train=("streaming",),
    ),
    NamedStrategy(
        name="streaming_shuffle",
        summary="file order, shuffled within each fetch window",
        make=lambda inputs: Streaming(shuffle=True, indices=inputs.indices),
        experiment=("streaming_shuffle", "streaming_buffer"),
        train=("streaming_shuffle", "streaming_buffer"),
    ),
    NamedStrategy(
        name="block_shuffling",
        summary="blocks of rows in random order, shuffled within each fetch window",
        make=_block_shuffling,
        experiment=("block_shuffling",),
        train=("block_shuffling",),
    ),
    NamedStrategy(
        name="random",
        summary="every row in random order",
        make=lambda inputs: BlockShuffling(block_size=1, indices=inputs.indices),
        experiment=("random", "random_sampling"),
        train=("random", "random_sampling"),
    ),
    NamedStrategy(
        name="column_weighted",
        summary="draws by each row's weight, in blocks",
        make=lambda inputs: BlockWeightedSampling(
            inputs.keys[0], block_size=inputs.block_size, indices=inputs.indices
        ),
        goes_by="weights",
        train=("block_weighted",),
    ),
    NamedStrategy(
        name="class_balanced",
        summary="balanced draws over label combinations, in blocks",
        make=_class_balanced,
        goes_by="classes",
        experiment=("class_balanced", "weighted_block", "block_weighted"),
        train=("class_balanced", "weighted_block"),
    ),
    NamedStrategy(
        name="class_balanced_rows",
        summary="balanced draws over label combinations, row by row",
        make=lambda inputs: _class_balanced(replace(inputs, block_size=1)),
        goes_by="classes",
        experiment=("class_balanced_rows", "weighted_true", "true_weighted"),
        train=("class_balanced_rows", "weighted_true", "true_weighted"),
    ),
    NamedStrategy(
        name="series_round_robin",
        summary="rows of different series in each batch",
        make=lambda inputs: SeriesRoundRobin(inputs.keys[0], indices=inputs.indices),
        goes_by="series",
        train=("series_round_robin",),
    ),
    NamedStrategy(
        name="bucketed",
        summary="rows of one bucket in each batch",
        make=lambda inputs: Bucketed(inputs.keys[0], n_buckets=inputs.n_buckets, indices=inputs.indices),
        goes_by="buckets",
        train=("bucketed",),
    ),
)


class Vocabulary(Mapping[str, NamedStrategy]):
    """Name to strategy, in the order of the table; other words for one are understood, but not listed.

    Parameters
    ----------
    column : {"experiment", "train"}

    Attributes
    ----------
    words : dict of str to str
        All words that are understood, and the name that is listed for each.
    """

    def __init__(self, column: Literal["experiment", "train"]) -> None:
        self._rows: dict[str, NamedStrategy] = {}
        self.words: dict[str, str] = {}
        for row in _ROWS:
            words: tuple[str, ...] | None = getattr(row, column)
            if words is not None:
                self._rows[words[0]] = row
                self.words |= dict.fromkeys((*words, row.name), words[0])

    def __getitem__(self, word: str) -> NamedStrategy:
        return self._rows[self.words[word]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


STRATEGIES: Mapping[str, NamedStrategy] = {row.name: row for row in _ROWS}
EXPERIMENT = Vocabulary("experiment")
TRAIN = Vocabulary("train")
