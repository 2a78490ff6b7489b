"""The files of a training as its shards: listed at each full epoch, saved in checkpoints, opened as saved."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tombola import _core
from tombola.training.chunks import derived_seed
from tombola.training.ranks import Ranks

from .auto_chunk import auto_chunk
from .config import TrainConfig
from .data import Classes, TrainingData, open_training_data
from .files import FileList, find_training_files

__all__ = ["FileShards"]

_logger = logging.getLogger(__name__)


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
    chunk_rows : int or None
        Rows of a mini epoch, where `chunk_size` is auto; the same on all ranks.
    chunk_reason : str
        Why so many.
    epoch_batches : int
        About how many batches a full epoch had when training began: what chunks' last batches are short of
        is not known.
    """

    def __init__(self, config: TrainConfig, saved: Mapping[str, Any] | None = None) -> None:
        self._config = config
        self._is_listed = True
        self._loaded: Mapping[str, Any] | None = None
        self._classes: Classes | None = None
        self._listed: set[Path] = set()
        self.chunk_rows: int | None = None
        self.chunk_reason = ""
        self._unreadable: dict[str, list[int]] = {}
        self._digests: dict[str, int] = {}
        if saved is None:
            self._open(find_training_files(config))
            self.epoch_batches = -(-self.data.n_train // config.batch_size)
        else:
            self.load_state_dict(saved)
        if self.chunk_rows is None:
            self._choose_chunk()

    def _choose_chunk(self) -> None:
        if self._config.chunk.unit == "auto":
            ranks = Ranks()
            try:
                self.chunk_rows, self.chunk_reason = ranks.first(lambda: auto_chunk(self._config, self.data))
            finally:
                ranks.close()
            _logger.info("a mini epoch has at most %d rows: %s", self.chunk_rows, self.chunk_reason)

    def __call__(self) -> Sequence[Path]:
        """Return the files with rows to train on, and those that had some and cannot be read now, sorted."""
        if not self._is_listed:
            before, found = self.data, find_training_files(self._config)
            gone = {*before.train_paths} - {*found.files}
            if any(self._is_new(path) for path in found.files):
                self._open(found)
                _check_columns(before, self.data)
            self._listed |= gone
        self._is_listed = False
        return sorted(self._listed)

    def _is_new(self, path: Path) -> bool:
        """Tell whether a file is none of those that are open, nor as it was when it could not be opened."""
        return path not in self.data.paths and self._unreadable.get(str(path)) != _stamp(path)

    def _open(self, files: FileList) -> None:
        """Read obs; what is listed and cannot be read stays in the list, so that the trainer sees it."""
        self.data = open_training_data(self._config, files, self._classes)
        self._classes = {task.name: task.classes for task in self.data.tasks}
        self._digests = _digests(self.data)
        unreadable = {*files.files} - {*self.data.files.files}
        self._unreadable = {str(path): _stamp(path) for path in unreadable}
        self._listed = {*self.data.train_paths} | (unreadable & self._listed)

    def state_dict(self) -> dict[str, Any]:
        """Return the files, those that could not be read, the classes and how many batches were planned."""
        files = FileList(tuple(sorted({*self.data.files.files} | self._listed)), self.data.files.held_out)
        assert self._classes is not None
        return {
            **files.to_dict(),
            "unreadable": self._unreadable,
            "classes": {name: list(classes) for name, classes in self._classes.items()},
            "epoch_batches": self.epoch_batches,
            "digests": self._digests,
            **({} if self.chunk_rows is None else {"chunk_rows": self.chunk_rows}),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Open the files of a state, if they are not open already."""
        self._is_listed = True
        if state == self._loaded:
            return
        self._loaded = state
        files = FileList.from_dict(state, self._config.on_missing_shard)
        self._classes = {name: tuple(classes) for name, classes in state["classes"].items()}
        self._listed = {*files.files}
        self._open(files)
        self._say_changed(state.get("digests", {}))
        self._listed |= {path for path in map(Path, state["files"]) if path not in files.files}
        self._unreadable = {**state["unreadable"], **self._unreadable}
        self.epoch_batches = int(state["epoch_batches"])
        if self.chunk_rows is None:
            self.chunk_rows, self.chunk_reason = state.get("chunk_rows"), "as when training began"

    def _say_changed(self, saved: Mapping[str, int]) -> None:
        """Log which files have other rows than when the state was saved."""
        changed = [name for name, digest in self._digests.items() if saved.get(name, digest) != digest]
        if changed:
            _logger.warning(
                "%d of %d files have other rows or classes than when the checkpoint was saved, so training "
                "does not go on as it would have; the first: %s",
                len(changed),
                len(self._digests),
                changed[0],
            )


def _digests(data: TrainingData) -> dict[str, int]:
    """Return a number for each file that hangs on the classes of its rows alone; O(rows)."""
    found = {}
    for path in data.paths:
        span = slice(*data.span(path))
        hashes = [_core.hash_array(task.codes[span]) for task in data.tasks]
        found[str(path)] = derived_seed(*hashes)
    return found


def _stamp(path: Path) -> list[int]:
    """Return size and time of writing: a file that was being copied is tried again."""
    try:
        status = path.stat()
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns]


def _check_columns(before: TrainingData, after: TrainingData) -> None:
    if before.var_names != after.var_names:
        msg = "files that came during training change the columns of X that all files have; begin anew"
        raise ValueError(msg)
