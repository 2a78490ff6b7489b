"""Codes of labels that the core found in large files, and reads later: of all files at once, on all threads.

Rule: codes go straight to their place in the one array for all files (see `obs_codes`), and are checked as if
HDF5 had read them. What cannot be read, or is wrong, is left to HDF5, which says why. O(rows).
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ... import _core
from ...labels.categorical import signed_codes
from .obs import ObsColumn
from .obs_codes import Reading

__all__ = ["FoundColumns", "StoredCodes", "read_stored"]


@dataclass(frozen=True, slots=True, eq=False)
class StoredCodes:
    """A column of codes that was found, and not read.

    Parameters
    ----------
    path, stamp
        The file, and what it was then.
    address, dtype
        Where its codes lie, all in one piece, and their type.
    categories
        Their categories.
    """

    path: Path
    stamp: tuple[int, int, int, int]
    address: int
    dtype: np.dtype[Any]
    categories: npt.NDArray[Any]


FoundColumns = Mapping[str, ObsColumn | StoredCodes]
"""Columns of obs of one file that were found when it was opened, by name."""


def read_stored(
    found: Sequence[FoundColumns], rows: Sequence[int], before: Mapping[str, Reading]
) -> list[dict[str, ObsColumn]]:
    """Read columns of codes.

    Parameters
    ----------
    found
        What was found in each file.
    rows
        How many rows each has.
    before
        The columns that are wanted, and where the codes of all files go.

    Returns
    -------
    list of dict
        Those columns of each file that were read, now or when it was opened.
    """
    read: list[dict[str, ObsColumn]] = []
    wanted: list[tuple[int, str, StoredCodes, npt.NDArray[Any]]] = []
    for number, (columns, size) in enumerate(zip(found, rows, strict=True)):
        read.append({name: column for name, column in columns.items() if isinstance(column, ObsColumn)})
        for name, reading in before.items():
            column = columns.get(name)
            if isinstance(column, StoredCodes):
                try:
                    values = reading.place(column.dtype, size)
                    if values is None:
                        values = np.empty(size, dtype=column.dtype)
                    wanted.append((number, name, column, values))
                except MemoryError:  # some file claims too many rows
                    pass
            reading.start += size
    for reading in before.values():
        reading.start = 0
    jobs: list[tuple[bytes, tuple[int, ...], int, npt.NDArray[Any]]] = [
        (os.fsencode(codes.path), codes.stamp, codes.address, values) for _, _, codes, values in wanted
    ]
    for (number, name, codes, values), ends in zip(wanted, _core.read_codes(jobs), strict=True):
        if ends is not None and ends[0] >= -1 and ends[1] < len(codes.categories):
            read[number][name] = ObsColumn(signed_codes(values), codes.categories)
    return read
