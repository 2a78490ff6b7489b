"""Strategies: which rows form batch k of epoch e. One module a strategy."""

from .base import Strategy
from .block import BlockShuffling
from .bucketed import Bucketed
from .class_balanced import ClassBalancedSampling
from .series import SeriesRoundRobin
from .streaming import Streaming
from .weighted import BlockWeightedSampling

__all__ = [
    "BlockShuffling",
    "BlockWeightedSampling",
    "Bucketed",
    "ClassBalancedSampling",
    "SeriesRoundRobin",
    "Strategy",
    "Streaming",
]
