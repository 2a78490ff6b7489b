"""Text of variable length by rows, read by the core without HDF5.

HDF5 keeps 16 bytes a text, a reference, and the texts themselves in a heap beside. References are read as
numbers are, chunked and compressed or not (see `chunks`), and the core finds the texts by them. O(rows), each
collection of the heap that holds some of them is read once.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import NoReturn

import h5py
import numpy as np

from ... import _core
from ..._base.types import IndexArray
from .chunks import REFERENCE_BYTES, reference_reader

__all__ = ["HeapTexts", "Texts", "heap_texts", "joined"]

Texts = tuple[IndexArray, bytes]
"""Where each text begins and the last one ends, and all of them as they are stored."""


class HeapTexts:
    """Reads the texts of rows.

    Parameters
    ----------
    file
        The file that holds them.
    references
        What reads the references.
    """

    def __init__(self, file: _core.DataFile, references: _core.ChunkReader) -> None:
        self._file, self._references = file, references

    def read(self, rows: IndexArray, refuse: Callable[[tuple[int, int, str]], NoReturn]) -> Texts | None:
        """Read the texts of rows, strictly increasing; None where the heap is not as expected.

        `refuse` is called where references cannot be read, with the first row, the last and the reason.

        Raises
        ------
        OSError
            If the file was replaced or written to.
        """
        stored = np.empty(len(rows) * REFERENCE_BYTES, dtype=np.uint8)
        fault = _core.read_rows([(self._references, rows, rows + 1, None, stored, None, None, None)])
        if fault is not None:
            refuse(fault[1:])
        found = _core.texts_at(self._file, stored)
        if found is None:
            return None
        bounds, texts = found
        return _as_c_strings(bounds, texts) if b"\0" in texts else (bounds, texts)


def heap_texts(dataset: h5py.Dataset) -> HeapTexts | None:
    """Return what reads the texts of a dataset; None if it holds others, or only HDF5 is known to read them.

    Raises
    ------
    OSError
        If its chunks cannot be listed.
    """
    found = reference_reader(dataset)
    return None if found is None else HeapTexts(*found)


def _as_c_strings(bounds: IndexArray, texts: bytes) -> Texts:
    """End each text at its first zero byte, as HDF5 does."""
    return joined([texts[a:b].partition(b"\0")[0] for a, b in pairwise(bounds.tolist())])


def joined(parts: list[bytes]) -> Texts:
    """Put texts end to end."""
    bounds = np.zeros(len(parts) + 1, dtype=np.int64)
    np.cumsum([len(part) for part in parts], out=bounds[1:])
    return bounds, b"".join(parts)
