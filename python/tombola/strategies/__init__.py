"""Strategies: which rows form batch k of epoch e, described. One module a strategy.

In: labels, keys, weights and options. Out: plans.
May import: `_base`, `labels`, `plans`, `reports` and the core; never torch.
"""

from .base import Strategy
from .block import BlockShuffling
from .bucketed import Bucketed
from .class_balanced import ClassBalancedSampling
from .mixture import Mixture
from .per_class import PerClass
from .series import SeriesRoundRobin
from .streaming import Streaming
from .weighted import BlockWeightedSampling

__all__ = [
    "BlockShuffling",
    "BlockWeightedSampling",
    "Bucketed",
    "ClassBalancedSampling",
    "Mixture",
    "PerClass",
    "SeriesRoundRobin",
    "Strategy",
    "Streaming",
]
