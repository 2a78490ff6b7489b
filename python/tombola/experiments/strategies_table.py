"""The six strategies that the experiment compares, by name.

They are the field's own six: reading in order; in order with a shuffle buffer; shuffled blocks; full
shuffle; and class-balanced draws, in blocks and row by row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tombola import BlockShuffling, ClassBalancedSampling, Streaming
from tombola.strategies.base import Strategy

__all__ = ["STRATEGIES", "StrategyOptions", "check_strategies", "make_strategy"]

STRATEGIES: Mapping[str, str] = {
    "streaming": "rows in file order",
    "streaming_buffer": "file order, shuffled within each fetch window",
    "block_shuffling": "blocks of rows in random order, shuffled within each fetch window",
    "random": "every row in random order",
    "weighted_block": "balanced draws over label combinations, in blocks",
    "weighted_true": "balanced draws over label combinations, row by row",
}
"""Name to what it does, in the order of the table."""


@dataclass(frozen=True, eq=False, kw_only=True)
class StrategyOptions:
    """What the six strategies are made from.

    Parameters
    ----------
    indices : ndarray of int64, shape (n_train,)
        Training rows, increasing.
    labels : sequence of ndarray of int64, each of shape (n_train,)
        Label codes of the training rows; their combinations are balanced.
    block_size : int
        Rows of a block.
    min_count_baseline : float
        Softens the weights of rare combinations.
    """

    indices: npt.NDArray[np.int64]
    labels: Sequence[npt.NDArray[np.int64]]
    block_size: int
    min_count_baseline: float


def check_strategies(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names without repeats, "all" spelled out.

    Raises
    ------
    ValueError
        If a name is unknown, or none is given.
    """
    chosen = dict.fromkeys(name for given in names for name in (STRATEGIES if given == "all" else [given]))
    for name in chosen:
        if name not in STRATEGIES:
            msg = f"unknown strategy {name!r}; choose from {', '.join(STRATEGIES)}, or all"
            raise ValueError(msg)
    if not chosen:
        msg = f"no strategy given; choose from {', '.join(STRATEGIES)}, or all"
        raise ValueError(msg)
    return tuple(chosen)


def make_strategy(name: str, options: StrategyOptions) -> Strategy:
    """Make one of the six over the training rows; O(1), the weighted ones O(n) once."""
    (name,) = check_strategies([name])
    indices, block_size = options.indices, options.block_size
    if name in ("streaming", "streaming_buffer"):
        return Streaming(shuffle=name == "streaming_buffer", indices=indices)
    if name in ("block_shuffling", "random"):
        return BlockShuffling(block_size=1 if name == "random" else block_size, indices=indices)
    return ClassBalancedSampling(
        list(options.labels),
        block_size=1 if name == "weighted_true" else block_size,
        min_count_baseline=options.min_count_baseline,
        indices=indices,
    )
