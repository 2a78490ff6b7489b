"""Open HDF5 files, one set a process.

Files open when they are first read, in the process that reads them: after a fork or in a worker that got a
pickled source they open anew. At most `MAX_OPEN` files stay open, the least recently used one closes first.
"""

import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import h5py

from ..._base.fork import ForkLock, forks
from .arguments import check_is_file
from .errors import UnreadableFileError, reading
from .runs import RunReader

MAX_OPEN = 256

_looking = ForkLock(reentrant=True)

_inherited: list[Any] = []


@cache
def _access() -> h5py.h5p.PropFAID:
    """Properties by which h5py opens files, made once: HDF5 opens a file a second time by the same only."""
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_libver_bounds(h5py.h5f.LIBVER_EARLIEST, h5py.h5f.LIBVER_LATEST)
    return access


def open_h5(path: Path) -> h5py.File:
    """Open a file for reading.

    Raises
    ------
    FileNotFoundError
        If there is none.
    OSError
        If it is not HDF5, or is truncated.
    """
    try:
        return h5py.File(h5py.h5f.open(os.fsencode(path), h5py.h5f.ACC_RDONLY, _access()))
    except OSError as error:
        check_is_file(path)
        if not path.is_file():
            msg = f"{path}: no such file"
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
    with _looking, open_h5(path) as file:
        yield file


class OpenFiles:
    """The open files and dataset readers of one source.

    Safe to use from several threads; pickles as empty.
    """

    def __init__(self) -> None:
        self._lock = ForkLock()
        self._made = forks()
        self._files: OrderedDict[Path, h5py.File] = OrderedDict()
        self._readers: dict[tuple[Path, str], RunReader] = {}

    def __reduce__(self) -> tuple[type["OpenFiles"], tuple[()]]:
        return OpenFiles, ()

    def reader(self, path: Path, name: str) -> RunReader:
        """Give the reader of a dataset, opening file and dataset if need be."""
        with self._lock:
            if self._made != forks():
                # The parent's handles stay alive here unused: closing them would drop its file locks.
                _inherited.append((self._files, self._readers))
                self._files, self._readers, self._made = OrderedDict(), {}, forks()
            reader = self._readers.get((path, name))
            if reader is None:
                file = self._file(path)
                where = f"{path}: dataset {name!r}"
                with reading(path, f"dataset {name!r}"):
                    require_codecs(file[name], where)
                    reader = RunReader(file, name, where)
                self._readers[path, name] = reader
            if path in self._files:
                self._files.move_to_end(path)
            return reader

    def _file(self, path: Path) -> h5py.File:
        file = self._files.get(path)
        if file is None:
            file = self._files[path] = open_h5(path)
            if len(self._files) > MAX_OPEN:
                old, _ = self._files.popitem(last=False)
                # The file closes when the last thread that reads from it drops its dataset.
                self._readers = {key: reader for key, reader in self._readers.items() if key[0] != old}
        return file
