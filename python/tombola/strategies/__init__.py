"""Strategies: which rows form batch k of epoch e. One module a strategy."""

from .base import Strategy
from .block import BlockShuffling
from .class_balanced import ClassBalancedSampling
from .streaming import Streaming
from .weighted import BlockWeightedSampling

__all__ = ["BlockShuffling", "BlockWeightedSampling", "ClassBalancedSampling", "Strategy", "Streaming"]
