"""The files of a training as its shards: listed at each full epoch, saved in checkpoints, opened as saved."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .config import TrainConfig
from .data import TrainingData, open_training_data
from .files import FileList, find_training_files

__all__ = ["FileShards"]


class FileShards:
    """Lists the files to train on whenever a full epoch begins; obs are read anew if some have come.

    Files that are gone stay in the list, so that the trainer sees that they are.

    Parameters
    ----------
    config : TrainConfig
    saved : mapping, optional
        The state of the checkpoint to go on from: its files are opened, not those that are there now.

    Raises
    ------
    ValueError, KeyError, OSError
        As by `open_training_data`.
    ShardError
        If a file of `saved` is gone, unless that is to be skipped.

    Attributes
    ----------
    data : TrainingData
    epoch_batches : int
        About how many batches a full epoch had when training began: what chunks' last batches are short of
        is not known.
    """

    def __init__(self, config: TrainConfig, saved: Mapping[str, Any] | None = None) -> None:
        self._config = config
        self._seen: set[Path] = set()
        self._is_listed = True
        if saved is None:
            self.data = open_training_data(config)
            self.epoch_batches = -(-self.data.n_train // config.batch_size)
        else:
            self.data = open_training_data(config, self._files_of(saved))
            self.epoch_batches = int(saved["epoch_batches"])

    def __call__(self) -> Sequence[Path]:
        """Return the files with rows to train on, sorted."""
        before = self.data
        if self._is_listed:
            self._is_listed = False
            return before.train_paths
        found = find_training_files(self._config)
        gone = [path for path in before.train_paths if path not in set(found.files)]
        come = {*found.files} - {*before.paths} - self._seen
        self._seen |= come  # of those that cannot be read it was said once
        if come:
            self.data = _same_classes(before, open_training_data(self._config, found))
        return sorted({*self.data.train_paths, *gone})

    def state_dict(self) -> dict[str, Any]:
        """Return the files, and how many batches were planned."""
        return {**self.data.files.to_dict(), "epoch_batches": self.epoch_batches}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Open the files of a state, if they are not open already."""
        files = self._files_of(state)
        if files != self.data.files:
            self.data = _same_classes(self.data, open_training_data(self._config, files))
        self.epoch_batches = int(state["epoch_batches"])
        self._is_listed = True

    def _files_of(self, state: Mapping[str, Any]) -> FileList:
        return FileList.from_dict(state, self._config.on_missing_shard)


def _same_classes(before: TrainingData, after: TrainingData) -> TrainingData:
    for old, new in zip(before.tasks, after.tasks, strict=True):
        if old.classes != new.classes:
            more = ", ".join(sorted({*new.classes} - {*old.classes}))
            msg = f"files that came during training have new classes of {old.name!r}: {more}; begin anew"
            raise ValueError(msg)
    if before.var_names != after.var_names:
        msg = "files that came during training change the columns of X that all files have; begin anew"
        raise ValueError(msg)
    return after
