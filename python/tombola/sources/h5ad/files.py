"""Open HDF5 files, one set a process.

Files open when they are first read, in the process that reads them: after a fork or in a worker that got a
pickled source they open anew. At most `most_open` files stay open, the least recently used one closes first;
readers that do without HDF5 outlive their file. A file that is not what it was when the source was made is
refused: by device, number, size and time in the process that made it and its forks.
"""

import errno
import os
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import h5py

from ... import _core
from ..._base.fork import ForkLock, forks
from .arguments import check_is_file
from .errors import UnreadableFileError, reading
from .runs import RunReader

most_open = _core.most_open_files
"""Files that HDF5 has open at once; the core has as many descriptors of its own."""

Stamp = tuple[int, int, int, int]
looking = ForkLock(reentrant=True)
"""Who reads text through h5py holds it, in front of the locks of open files: see `open_alone`."""

_inherited: list[Any] = []


@cache
def _access() -> h5py.h5p.PropFAID:
    """Properties by which h5py opens files, made once: HDF5 opens a file a second time by the same only."""
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_libver_bounds(h5py.h5f.LIBVER_EARLIEST, h5py.h5f.LIBVER_LATEST)
    return access


def _open(path: Path) -> h5py.File:
    return h5py.File(h5py.h5f.open(os.fsencode(path), h5py.h5f.ACC_RDONLY, _access()))


def open_h5(path: Path) -> h5py.File:
    """Open a file for reading.

    Raises
    ------
    FileNotFoundError
        If there is none.
    OSError
        If it is not HDF5, is truncated, or must not be read.
    """
    if "\0" in str(path):  # where h5py would end the name
        msg = f"{str(path)!r}: no such file, as names have no NUL"
        raise FileNotFoundError(msg)
    try:
        try:
            return _open(path)
        except OSError as error:
            if error.errno != errno.EMFILE and f"errno = {errno.EMFILE}" not in str(error):
                raise
            _core.close_idle_files()
            return _open(path)
    except PermissionError as error:
        msg = f"{path}: cannot open the file: {os.strerror(error.errno or errno.EACCES)}"
        raise UnreadableFileError(msg) from error
    except OSError as error:
        check_is_file(path)
        if not path.is_file():
            cure = f"; sorted(Path({str(path.parent)!r}).glob({path.name!r})) names those that there are"
            msg = f"{path}: no such file{cure if any(sign in path.name for sign in '*?[') else ''}"
            raise FileNotFoundError(msg) from None
        if not h5py.is_hdf5(path):
            msg = f"{path}: not an HDF5 file, so not h5ad"
        elif "truncated" in str(error):
            msg = f"{path}: the file is truncated, it was not written or copied to its end ({error})"
        else:
            msg = f"{path}: cannot open the file ({error})"
        raise UnreadableFileError(msg) from error


def require_codecs(dataset: h5py.Dataset, where: str) -> None:
    """Make the compression filters of a dataset available, with hdf5plugin where HDF5 lacks them.

    Raises
    ------
    OSError
        If a filter is known neither to HDF5 nor to hdf5plugin, or hdf5plugin is not installed.
    """
    properties = dataset.id.get_create_plist()
    for i in range(properties.get_nfilters()):
        code, _, _, name = properties.get_filter(i)
        if h5py.h5z.filter_avail(code):
            continue
        label = f"filter {code}" + (f" ({name.decode(errors='replace')})" if name else "")
        try:
            import hdf5plugin  # noqa: F401  (the import registers its filters)
        except ImportError as error:
            msg = f"{where} is compressed by {label}; install hdf5plugin to read it"
            raise UnreadableFileError(msg) from error
        if not h5py.h5z.filter_avail(code):
            msg = f"{where} is compressed by {label}, which neither HDF5 nor hdf5plugin can read"
            raise UnreadableFileError(msg)


@contextmanager
def open_alone(path: Path) -> Iterator[h5py.File]:
    """Open a file for a look into its structure and its frames, which one thread takes at a time.

    Old files keep obs and var as records with text, and HDF5 may end the process where several threads read
    such files through h5py.
    """
    with looking, open_h5(path) as file:
        yield file


def stamp_of(file: h5py.File) -> Stamp:
    """Return what a file is: its device, number, size and time."""
    about = os.fstat(file.id.get_vfd_handle())
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns


def check_stamp(file: h5py.File, path: Path, stamp: Stamp) -> None:
    """Raise OSError if a file is not what it was."""
    if stamp_of(file) != stamp:
        raise _replaced(path)


def _replaced(path: Path) -> UnreadableFileError:
    msg = f"{path}: the file was replaced or written to since the source was made; make it anew"
    return UnreadableFileError(msg)


class OpenFiles:
    """The open files and dataset readers of one source.

    Safe to use from several threads; pickles as empty.
    """

    def __init__(self) -> None:
        self._lock = ForkLock(reentrant=True)
        self._made = forks()
        self._files: OrderedDict[Path, h5py.File] = OrderedDict()
        self._readers: dict[Path, dict[str, RunReader]] = {}
        self._stamps: dict[Path, Stamp] = {}
        self._idle: Path | None = None

    def __reduce__(self) -> tuple[type["OpenFiles"], tuple[()]]:
        return OpenFiles, ()

    def note(self, path: Path, stamp: Stamp) -> None:
        """Keep in mind what the file is: another one by this name is refused, now and later.

        Raises
        ------
        OSError
            If it was another one when it was noted before.
        """
        if self._stamps.setdefault(path, stamp) != stamp:
            raise _replaced(path)

    def reader(self, path: Path, name: str, shape: tuple[int, ...] | None = None) -> RunReader:
        """Give the reader of a dataset, opening file and dataset if need be.

        Parameters
        ----------
        path, name
            File and dataset.
        shape
            What it had when the source was made, which may have been in another process.

        Raises
        ------
        OSError
            If the file cannot be read, or was replaced or written to since it was noted.
        """
        with self._lock:
            if self._made != forks():
                # The parent's handles stay alive here unused: closing them would drop its file locks.
                _inherited.append((self._files, self._readers))
                self._files, self._readers, self._made = OrderedDict(), {}, forks()
            readers = self._readers.setdefault(path, {})
            reader = readers.get(name)
            if reader is None:
                file = self._file(path)
                where = f"{path}: dataset {name!r}"
                with reading(path, f"dataset {name!r}"):
                    require_codecs(file[name], where)
                    reader = RunReader(file, name, where, self._reopener(path))
                readers[name] = reader
                self._close_idle(path)
            elif reader.needs_hdf5:
                self._check(path, self._file(path))
            if path in self._files:
                self._files.move_to_end(path)
        if shape is not None and reader.shape != shape:
            msg = f"{path}: dataset {name!r} must have shape {shape} as it had, but has {reader.shape}"
            raise UnreadableFileError(msg)
        return reader

    def _reopener(self, path: Path) -> Callable[[], h5py.File]:
        mine = weakref.ref(self)  # not the files themselves: they would keep each other until a collection

        def reopen() -> h5py.File:
            files = mine()
            if files is None:
                msg = f"{path}: the source was dropped while it was read"
                raise UnreadableFileError(msg)
            return files._file(path)

        return reopen

    def _file(self, path: Path) -> h5py.File:
        with self._lock:
            file = self._files.get(path)
            if file is None:
                file = open_h5(path)
                self._check(path, file)
                self._files[path] = file
                if len(self._files) > most_open():
                    self._forget(next(iter(self._files)))
            return file

    def _close_idle(self, path: Path) -> None:
        """Close what was opened before this file and has been read in full, as far as HDF5 is needed."""
        before, self._idle = self._idle, path
        if before in (None, path) or before not in self._files:
            return
        if not any(reader.needs_hdf5 for reader in self._readers[before].values()):
            self._forget(before)

    def _forget(self, path: Path) -> None:
        """Close a file; it closes when the last thread that reads from it drops its dataset."""
        del self._files[path]
        readers = self._readers.get(path, {})
        self._readers[path] = {name: reader for name, reader in readers.items() if reader.release()}

    def _check(self, path: Path, file: h5py.File) -> None:
        self.note(path, stamp_of(file))
