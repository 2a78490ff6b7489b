"""Mini-epoch training: chunks of shards, checkpoints that survive anything, exact resume.

`MiniEpochTrainer` trains one pass over each chunk of the shards, which are shuffled anew each full epoch, and
saves and validates after each. Any dataset fits: `make_loader` gives the batches of a `Chunk`. Importing this
imports torch; rich and TensorBoard are imported when first used.

In: a model, shards, and what makes batches of them. Out: a trained model, checkpoints, a history.
May import: `_base`, `draws`, `passes` and `sources.base`; what gives batches comes in by protocol.
"""

from .checkpoints import load_checkpoint, saved_shards
from .chunks import Bytes, Chunk, Rows
from .classifier import Classifier, load_classifier
from .errors import CheckpointError, NonFiniteLossError, ShardError, TrainingError
from .result import INTERRUPTED_EXIT_CODE, StopReason, TrainingResult
from .trainer import MiniEpochTrainer

__all__ = [
    "INTERRUPTED_EXIT_CODE",
    "Bytes",
    "CheckpointError",
    "Chunk",
    "Classifier",
    "MiniEpochTrainer",
    "NonFiniteLossError",
    "Rows",
    "ShardError",
    "StopReason",
    "TrainingError",
    "TrainingResult",
    "load_checkpoint",
    "load_classifier",
    "saved_shards",
]
