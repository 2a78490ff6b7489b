"""`tombola train` in code: a configuration, checked, and a training over h5ad files in mini epochs.

`read_train_config` reads train.yaml, `run_training` trains or goes on. Importing this imports pydantic, YAML
and torchmetrics.

In: train.yaml and h5ad files. Out: a trained model, checkpoints, a history, a picture.
May import: every room but `cli`, and the parts that `six` shares, which lie beside this folder; not `six`.
"""

from .config import TrainConfig, check_train_config, read_train_config
from .data import TrainingData, open_training_data
from .run import TrainingRun, run_training

__all__ = [
    "TrainConfig",
    "TrainingData",
    "TrainingRun",
    "check_train_config",
    "open_training_data",
    "read_train_config",
    "run_training",
]
