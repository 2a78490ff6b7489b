"""The files of one training.

Rule: a training's files are looked for when it begins and whenever a full epoch begins, and are what its
checkpoints say where it goes on, so that files that come or go between a kill and going on change nothing.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tombola.training import ShardError

from ..file_names import find_files
from .config import TrainConfig

__all__ = ["FileList", "find_training_files"]

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FileList:
    """The files of a training, each sorted.

    Parameters
    ----------
    files : tuple of Path
        Those to train on, and to validate on by a share of their rows.
    held_out : tuple of Path
        Those kept apart to validate on.
    """

    files: tuple[Path, ...]
    held_out: tuple[Path, ...] = ()

    def to_dict(self) -> dict[str, list[str]]:
        """Return what a checkpoint can hold."""
        return {"files": list(map(str, self.files)), "held_out": list(map(str, self.held_out))}

    @classmethod
    def from_dict(
        cls, state: Mapping[str, Any], on_missing: Literal["error", "skip"] = "error"
    ) -> "FileList":
        """Return the list that `to_dict` described, as far as the files are there.

        Raises
        ------
        ShardError
            If one is gone and that is not to be skipped.
        """
        kept: dict[str, tuple[Path, ...]] = {}
        for name in ("files", "held_out"):
            paths = [Path(text) for text in state[name]]
            gone = [path for path in paths if not path.exists()]
            if gone and on_missing == "error":
                msg = (
                    f"{len(gone)} of the {len(paths)} files that training goes on with are gone, the first "
                    f"is {gone[0]}; on_missing_shard: skip goes on without them"
                )
                raise ShardError(msg)
            for path in gone:
                _logger.warning("%s is gone and left out; shares of rows are taken of the others", path)
            kept[name] = tuple(path for path in paths if path not in gone)
        return cls(**kept)


def find_training_files(config: TrainConfig) -> FileList:
    """Return the files that a configuration names and that are there.

    Raises
    ------
    ValueError
        If a folder or a pattern holds no file, or there are none to train on.
    FileNotFoundError
        If a file is not there and that is not to be skipped.
    """
    held_out: list[Path] = []
    if config.validation_files:
        held_out = find_files("validation_files", config.validation_files)
    found = find_files("files", config.files, skip_missing=config.on_missing_shard == "skip")
    apart = {path.resolve() for path in held_out}
    files = [path for path in found if path.resolve() not in apart]
    if not files:
        msg = "validation_files leave no files to train on"
        raise ValueError(msg)
    return FileList(tuple(files), tuple(held_out))
