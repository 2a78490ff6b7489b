"""What can be wrong with a file, and turning HDF5's own complaints into that."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class H5adError(Exception):
    """Something is wrong with a file; the message begins with its path."""


class BadFileError(H5adError, ValueError):
    """The parts of a file do not fit each other."""


class UnreadableFileError(H5adError, OSError):
    """A file, or a part of it, cannot be read."""


class NotAFileError(UnreadableFileError, FileNotFoundError):
    """There is something else than a file, such as a folder."""


class MissingElementError(H5adError, KeyError):
    """A part of a file that was asked for is not there; the message lists what is."""

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError's own shows the message in quotes


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Say which file and part it is where HDF5 fails in a way of its own.

    Raises
    ------
    UnreadableFileError
        In place of whatever h5py raises inside the block.
    """
    try:
        yield
    except (H5adError, FileNotFoundError):
        raise
    except (OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError, MemoryError) as error:
        msg = f"{path}: cannot read {what}; the file is damaged or cannot be reached ({error})"
        raise UnreadableFileError(msg) from error
