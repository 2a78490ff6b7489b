"""A replay buffer that draws far and rare items more often."""

from .balanced_buffer import BalancedBuffer

__all__ = ["BalancedBuffer"]
