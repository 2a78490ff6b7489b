"""What can go wrong in training, beyond wrong arguments: one class each for checkpoints and for shards."""

__all__ = ["CheckpointError", "ShardError", "TrainingError", "UnreadableCheckpointError"]


class TrainingError(RuntimeError):
    """Training cannot go on; the message says what was expected and what came."""


class CheckpointError(TrainingError):
    """A checkpoint cannot be written, read, or belongs to another model or configuration."""


class ShardError(TrainingError):
    """A shard is missing or cannot be read; the message names it and where in training that was."""


class UnreadableCheckpointError(CheckpointError):
    """A checkpoint may be whole, but cannot be read now: permissions, the device, a newer format."""
