"""Find h5ad files by name, folder or pattern, in the order of their paths; the files of one training.

Rule: a training's files are looked for when it begins and whenever a full epoch begins, and are what its
checkpoints say where it goes on, so that files that come or go between a kill and going on change nothing.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tombola.sources.h5ad.arguments import check_is_file, is_zarr
from tombola.training import ShardError

from .config import TrainConfig

__all__ = ["FileList", "find_files", "find_training_files"]

_SIGNS = "*?["
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


def find_files(key: str, names: Sequence[str], *, skip_missing: bool = False) -> list[Path]:
    """Return the files that names, folders and patterns stand for, each once, sorted.

    Parameters
    ----------
    key : str
        The configuration's key, for errors.
    names : sequence of str
        Files; folders, whose ``*.h5ad`` count; or patterns with ``*``, ``?``, ``[...]`` and ``**``.
    skip_missing : bool
        Whether names that stand for no file are left out with a warning, if others are left.

    Raises
    ------
    ValueError
        If a folder or a pattern holds no file.
    FileNotFoundError
        If a file is not there.
    """
    found: set[Path] = set()
    problems: list[ValueError | FileNotFoundError] = []
    for name in names:
        path = Path(name).expanduser().absolute()
        if path.is_dir():
            if is_zarr(path):
                check_is_file(path)
            some = sorted(path.glob("*.h5ad"))
            problem = "holds no *.h5ad files"
        elif any(sign in name for sign in _SIGNS) and not path.exists():
            base = Path(path.anchor or ".")
            pattern = str(path.relative_to(path.anchor or "."))
            some = [match for match in base.glob(pattern) if match.is_file()]
            problem = "matches no files"
        else:
            some = [path] if path.is_file() else []
            problem = ""
        if not some and not problem:
            problems.append(FileNotFoundError(f"{name}: no such file (named by {key})"))
        elif not some:
            problems.append(ValueError(f"{key}: {name!r} {problem}"))
        found.update(some)
    if problems and not (skip_missing and found):
        raise problems[0]
    for problem_left_out in problems:
        _logger.warning("left out: %s", problem_left_out)
    return sorted({path.resolve(): path for path in sorted(found)}.values())
