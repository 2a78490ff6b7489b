"""Which of a source's files are meant: by number, by path, several of them."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .elements import listed
from .errors import MissingElementError

__all__ = ["file_numbers"]


def file_numbers(paths: Sequence[Path], which: Sequence[Any]) -> list[int]:
    """Return the numbers of the files that are named; O(files).

    Raises
    ------
    IndexError, KeyError
        If a file is none of them.
    TypeError
        If something is neither a number nor a path.
    ValueError
        If one comes twice, or none is named.
    """
    if len(which) == 1 and isinstance(which[0], Iterable) and not isinstance(which[0], str | os.PathLike):
        which = list(which[0])
    places: dict[Path, int] = {}
    for number, path in enumerate(paths):
        places.setdefault(path, number)
        places.setdefault(path.absolute(), number)
    numbers = [_number(one, paths, places) for one in which]
    if not numbers:
        msg = "files must name at least one file, but names none"
        raise ValueError(msg)
    seen: set[int] = set()
    for number in numbers:
        if number in seen:
            msg = f"files must be distinct, but file {number}, {paths[number]}, comes twice"
            raise ValueError(msg)
        seen.add(number)
    return numbers


def _number(one: Any, paths: Sequence[Path], places: dict[Path, int]) -> int:
    if isinstance(one, int | np.integer) and not isinstance(one, bool):
        if not -len(paths) <= one < len(paths):
            msg = f"there are {len(paths)} files, so that a number must be below that, but one is {one}"
            raise IndexError(msg)
        return int(one) % len(paths)
    if not isinstance(one, str | os.PathLike):
        msg = f"files must be numbers or paths, but one is {one!r}"
        raise TypeError(msg)
    path = Path(one)
    for known in (path, path.absolute()):
        if known in places:
            return places[known]
    resolved = path.resolve()
    found = next((number for number, each in enumerate(paths) if each.resolve() == resolved), None)
    if found is None:
        msg = f"{path} is none of the source's files, which are {listed(list(map(str, paths)))}"
        raise MissingElementError(msg)
    return found
