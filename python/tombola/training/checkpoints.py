"""The folder of checkpoints: names, order, saving, finding the newest whole one, leaving old ones out.

Files are ``checkpoint_epoch{epoch}_chunk{chunk_start}.pt``, saved when that mini epoch is trained, and
``..._batch{b}.pt``, saved within it after b batches; in this order the later one is the newer. They hold
tensors, numbers, texts, lists and dicts only, so ``torch.load(weights_only=True)`` reads them. torch does not
look at the checksums in its files, so they are looked at here: a damaged file is found, not loaded.

A file that is not to be taken for the newest any more is set aside under another name, never deleted.
"""

import errno
import logging
import math
import re
import zipfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import torch

from .._base.files import is_full_disk, remove_leftovers, write_whole
from .errors import CheckpointError, UnreadableCheckpointError
from .folders import locked

__all__ = ["CheckpointFolder", "Place", "load_checkpoint", "saved_shards"]

FORMAT = "tombola.training"
VERSION = 1

_NOT_DAMAGE = {errno.EACCES, errno.EPERM, errno.EIO, errno.ENOMEM, errno.ESTALE, errno.EMFILE, errno.ENFILE}
"""Errors that say nothing about what a file holds."""

_logger = logging.getLogger("tombola.training")
_NAME = re.compile(r"checkpoint_epoch(\d+)_chunk(\d+)(?:_batch(\d+))?\.pt")


class Place(NamedTuple):
    """Where in training a checkpoint was saved; later ones compare greater."""

    epoch: int
    chunk_start: int
    batch: float = math.inf
    """Infinite where the chunk is trained."""

    @property
    def name(self) -> str:
        """The name of the file."""
        within = "" if math.isinf(self.batch) else f"_batch{self.batch:.0f}"
        return f"checkpoint_epoch{self.epoch}_chunk{self.chunk_start}{within}.pt"

    @classmethod
    def of(cls, path: Path) -> "Place | None":
        """Return what a file's name says; None where it is no checkpoint's."""
        match = _NAME.fullmatch(path.name)
        if match is None:
            return None
        epoch, start, batch = match.groups()
        return cls(int(epoch), int(start), math.inf if batch is None else int(batch))


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """Return what a checkpoint file holds, tensors on the CPU.

    Raises
    ------
    CheckpointError
        If it is damaged, or no checkpoint of this format.
    UnreadableCheckpointError
        If it may be whole, but cannot be read now.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            msg = f"{path} is damaged: the checksum of {damaged} does not match"
            raise CheckpointError(msg)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except MemoryError as error:
        msg = f"{path} cannot be read: there is not enough memory"
        raise UnreadableCheckpointError(msg) from error
    except Exception as error:  # torch raises many kinds for files that are cut short or none of its own
        is_damaged = not (isinstance(error, OSError) and error.errno in _NOT_DAMAGE)
        msg = f"{path} cannot be read: {error}"
        raise (CheckpointError if is_damaged else UnreadableCheckpointError)(msg) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        msg = f"{path} must be a checkpoint of tombola.training, but holds something else"
        raise CheckpointError(msg)
    if state.get("version") != VERSION:
        msg = f"{path} must be of format version {VERSION}, but is of {state.get('version')!r}"
        raise UnreadableCheckpointError(msg)
    return state


def saved_shards(path: str | Path) -> Any:
    """Return the state of the shards, see `MiniEpochTrainer`, in the newest file of a folder, or in a file.

    Parameters
    ----------
    path : path
        A checkpoint, or a folder of them: its newest file that can be read counts.

    Returns
    -------
    mapping or None
        None where there is no such file or state. Only what is asked for is read, and nothing is verified:
        whether the file is whole shows when training goes on from it.
    """
    path = Path(path)
    files = [path]
    if path.is_dir():
        files = [path / place.name for place in sorted(filter(None, map(Place.of, path.iterdir())))]
    for file in reversed(files):
        try:
            state = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
        except Exception as error:  # said where training goes on, or does not, because of it
            _logger.debug("%s says nothing of shards: %s", file, error)
            continue
        if isinstance(state, dict) and state.get("format") == FORMAT:
            return state.get("shards")
    return None


class CheckpointFolder:
    """The folder that one training saves into, locked for other processes until it is closed.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    keep_last : int or None
        How many of the newest files are kept; None keeps all.

    Raises
    ------
    CheckpointError
        If the folder cannot be made or written, or another training has it.
    """

    def __init__(self, folder: Path, *, keep_last: int | None) -> None:
        self.folder, self._keep_last = folder, keep_last
        self._lock = ExitStack()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock.enter_context(locked(folder))
        except BlockingIOError as error:
            msg = f"{folder}: another training writes into this folder of checkpoints"
            raise CheckpointError(msg) from error
        except OSError as error:
            msg = f"the folder of checkpoints, {folder}, must be writable, but: {error}"
            raise CheckpointError(msg) from error
        for name in remove_leftovers(folder):
            _logger.info("removed %s, which a run left behind when it was ended", name)

    def close(self) -> None:
        """Let other processes train into the folder."""
        self._lock.close()

    def places(self) -> list[Place]:
        """Return the places of all files, oldest first."""
        return sorted(place for path in self.folder.iterdir() if (place := Place.of(path)) is not None)

    def path(self, place: Place) -> Path:
        """Return the file of a place."""
        return self.folder / place.name

    def newest(
        self, refuse: Callable[[dict[str, Any]], str | None]
    ) -> tuple[tuple[Path, dict[str, Any]] | None, list[tuple[Path, str]]]:
        """Return the newest file that is whole and not refused, and those after it, each with why it is not.

        Parameters
        ----------
        refuse : callable
            Given what a file holds, says why training cannot go on from it, or None.

        Raises
        ------
        UnreadableCheckpointError
            If a file may be whole, but cannot be read now.
        """
        rejected: list[tuple[Path, str]] = []
        for place in reversed(self.places()):
            path = self.path(place)
            try:
                state = load_checkpoint(path)
            except UnreadableCheckpointError:
                raise
            except CheckpointError as error:
                _logger.warning("skipped the checkpoint %s, the one before it is used: %s", path.name, error)
                rejected.append((path, "damaged"))
                continue
            why = refuse(state)
            if why is None:
                return (path, state), rejected
            _logger.warning("skipped the checkpoint %s, the one before it is used: %s", path.name, why)
            rejected.append((path, "unused"))
        return None, rejected

    def after(self, place: Place, *, itself: bool = False) -> list[tuple[Path, str]]:
        """Return the files that are newer than a place, or of it, as `set_aside` takes them."""
        later = [other for other in self.places() if other > place or (itself and other == place)]
        return [(self.path(other), "unused") for other in later]

    def set_aside(self, files: list[tuple[Path, str]]) -> None:
        """Rename files that are not to be taken for the newest any more; none is overwritten."""
        for path, why in files:
            aside, number = path.with_name(f"{path.name}.{why}"), 1
            while aside.exists():
                aside, number = path.with_name(f"{path.name}.{why}{number}"), number + 1
            path.replace(aside)
            _logger.warning("%s was set aside as %s", path.name, aside.name)

    def save(self, place: Place, state: dict[str, Any]) -> Path:
        """Write a checkpoint, whole or not at all.

        Raises
        ------
        OSError
            If the disk is full.
        CheckpointError
            If it cannot be written for another reason.
        """
        path = self.path(place)
        content = {"format": FORMAT, "version": VERSION, **state}
        try:
            write_whole(path, lambda file: torch.save(content, file))
        except OSError as error:
            if is_full_disk(error):
                raise
            msg = f"the checkpoint {path} cannot be written: {error}"
            raise CheckpointError(msg) from error
        return path

    def prune(self, best: str | None) -> None:
        """Delete what is neither among the newest, nor the newest of a whole chunk, nor the best."""
        if self._keep_last is None:
            return
        places = self.places()
        whole = [place for place in places if math.isinf(place.batch)]
        kept = {best, *(place.name for place in (*places[-self._keep_last :], *whole[-1:]))}
        for place in places:
            if place.name not in kept:
                self.path(place).unlink(missing_ok=True)
