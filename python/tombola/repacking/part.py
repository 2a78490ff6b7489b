"""The folder beside the output in which a repacking is under way: `OUT.part`.

It holds the log of chunks, the runs of a shuffle, and `state.json`, which says how far all of them are. A
state is written after what it speaks of is synced, and by a rename, so that a killed run finds one that is
true. It bears a fingerprint of inputs and options; one of other inputs or options is begun anew. A lock keeps
a second run out.
"""

import fcntl
import io
import json
import logging
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from .._base.files import sync_folder, unwritable, write_json

__all__ = ["Part", "fingerprint"]

FORMAT = 1
_OWN = re.compile(r"lock|chunks|entries|runs|sums|whole\.h5ad|state\.json|pending-[01]\.npz|\.state\..*")
_logger = logging.getLogger("tombola.repacking")


def fingerprint(paths: Sequence[Path], options: Mapping[str, Any], version: str) -> dict[str, Any]:
    """Return what must be the same for a killed run to be gone on with: inputs, options, version."""
    inputs = []
    for path in paths:
        about = path.stat()
        inputs.append([str(path.resolve()), about.st_size, about.st_mtime_ns])
    return {"format": FORMAT, "version": version, "inputs": inputs, "options": dict(options)}


class Part:
    """The folder, made if it is not there, and locked.

    Parameters
    ----------
    output
        What is to be written.
    of
        The fingerprint.

    Attributes
    ----------
    folder : Path
    state : dict
        The last one saved; empty at the beginning.
    whole : Path
        The file that becomes the output.

    Raises
    ------
    ValueError
        If another run has it, or it holds other files.
    OSError
        If it cannot be made.
    """

    def __init__(self, output: Path, of: Mapping[str, Any]) -> None:
        self.folder = output.with_name(output.name + ".part")
        self._of = dict(of)
        try:
            self.folder.mkdir(exist_ok=True)
            _check_own(self.folder)
            self._lock: IO[bytes] = (self.folder / "lock").open("ab")
        except OSError as error:
            raise unwritable(output, error) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.close()
            msg = f"{self.folder}: another run writes there"
            raise ValueError(msg) from error
        self.whole = self.folder / "whole.h5ad"
        self.state: dict[str, Any] = self._load()

    def pending(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays saved with the state."""
        name = self.state.get("pending")
        if name is None:
            return {}
        with np.load(self.folder / name) as arrays:
            return dict(arrays)

    def save(self, state: Mapping[str, Any], pending: Mapping[str, npt.NDArray[Any]]) -> None:
        """Replace the state and the arrays that belong to it, whatever happens meanwhile."""
        name = "pending-1.npz" if self.state.get("pending") == "pending-0.npz" else "pending-0.npz"
        content = io.BytesIO()
        np.savez(content, **pending)  # type: ignore[arg-type]
        with (self.folder / name).open("wb") as file:
            file.write(content.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        self.state = {**state, "pending": name, "of": self._of}
        write_json(self.folder / "state.json", self.state)

    def forget(self) -> None:
        """Begin anew: remove everything but the lock."""
        for path in self.folder.iterdir():
            if path.name != "lock":
                path.unlink()
        self.state = {}

    def become(self, output: Path) -> None:
        """Give the whole file its name, and remove the folder."""
        self.whole.replace(output)
        sync_folder(output.parent)
        self.remove()

    def close(self) -> None:
        """Leave the folder to a later run."""
        self._lock.close()

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.close()

    def _load(self) -> dict[str, Any]:
        try:
            state: dict[str, Any] = json.loads((self.folder / "state.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            state = {}
        except (ValueError, UnicodeDecodeError):
            state = {"of": None}
        if state and state.get("of") != self._of:
            _logger.warning("%s is of other inputs or options; it is begun anew", self.folder)
            state = {}
        if not state:
            self.forget()
        return state


def _check_own(folder: Path) -> None:
    """Refuse a folder with files that no repacking makes, as they would be removed."""
    others = [path.name for path in folder.iterdir() if not _OWN.fullmatch(path.name)]
    if others:
        msg = f"{folder}: expected the folder of a repacking, but it holds {sorted(others)[0]!r}; remove it"
        raise ValueError(msg)
