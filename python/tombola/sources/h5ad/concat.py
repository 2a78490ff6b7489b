"""Making one matrix of several files: which columns of X there are, and where those of each file go.

Files are concatenated by rows, in the order they are given. O(files * columns).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

ColumnMap = npt.NDArray[np.int32] | None
"""For each column of a file its number in the source or -1; None where both are the same."""


def join_variables(
    names: list[list[str]],
    paths: list[Path],
    join: str,
    chosen: Sequence[str] | npt.NDArray[np.bool_] | None = None,
) -> tuple[list[str], list[ColumnMap]]:
    """Agree on the columns of X.

    Parameters
    ----------
    names
        Names of the columns (genes) of each file.
    paths
        The files, for error messages.
    join
        "exact": all files must have the same names in the same order. "inner": the names that all files have,
        in the first file's order. "outer": the names that any file has, in the order of appearance.
    chosen
        The names to take instead, in their order; all files must have them, but by "outer". Or of the columns
        that there are without it which to take, as booleans.

    Returns
    -------
    tuple
        The names, and for each file where its columns go.

    Raises
    ------
    ValueError
        If the names differ ("exact"), or share nothing or repeat.
    """
    if (mask := _as_mask(chosen)) is not None:
        return _masked(*join_variables(names, paths, join), mask)
    first = names[0]
    if all(other is first or other == first for other in names[1:]) and chosen is None:
        return first, [None] * len(names)
    if join == "exact" and chosen is None:
        for other, path in zip(names[1:], paths[1:], strict=True):
            if other != first:
                raise ValueError(_difference(first, paths[0], other, path))
    option = "vars=" if chosen is not None else f"join={join!r}"
    for at, (other, path) in enumerate(zip(names, paths, strict=True)):
        if at == 0 or other is not first:
            _check_distinct(other, path, option)
    if chosen is not None:
        kept = _chosen(chosen, names, paths, may_lack=join == "outer")
    elif join == "outer":
        kept = list(dict.fromkeys(name for other in _different(names) for name in other))
    else:
        common = set(first).intersection(*_different(names))
        kept = [name for name in first if name in common]
        if not kept:
            msg = (
                f"the files share no var name, for example {paths[0]} begins with {first[:3]} and "
                f"{paths[1]} with {names[1][:3]}"
            )
            raise ValueError(msg)
    place = {name: i for i, name in enumerate(kept)}
    made: dict[int, ColumnMap] = {}
    for other in _different(names):
        to = None if other == kept else np.array([place.get(name, -1) for name in other], dtype=np.int32)
        made[id(other)] = to
    return kept, [made[id(other)] for other in names]


def _as_mask(chosen: Any) -> npt.NDArray[np.bool_] | None:
    if chosen is None or isinstance(chosen, str):
        return None
    given = np.asarray(chosen)
    return given if given.dtype == np.bool_ and given.size else None


def _masked(
    all_names: list[str], column_maps: list[ColumnMap], mask: npt.NDArray[np.bool_]
) -> tuple[list[str], list[ColumnMap]]:
    """Keep the columns where the mask is True; names may repeat then."""
    if mask.shape != (len(all_names),):
        msg = f"a mask as vars must have {len(all_names):,} booleans, one a var, but has shape {mask.shape}"
        raise ValueError(msg)
    if not mask.any():
        msg = "vars must name at least one column of X, but the mask is False throughout"
        raise ValueError(msg)
    if mask.all():
        return all_names, column_maps
    place = np.where(mask, np.cumsum(mask) - 1, -1).astype(np.int32)
    made: dict[int, ColumnMap] = {id(None): place}
    for old in column_maps:
        if old is not None and id(old) not in made:
            made[id(old)] = np.where(old >= 0, place[old], np.int32(-1))
    kept = [all_names[i] for i in np.flatnonzero(mask)]
    return kept, [made[id(old)] for old in column_maps]


def _different(names: list[list[str]]) -> list[list[str]]:
    """Return the lists without those that are the same object as one before."""
    return list({id(other): other for other in names}.values())


def _check_distinct(names: list[str], path: Path, option: str) -> None:
    if len(set(names)) != len(names):
        counts: dict[str, int] = {}
        for name in names:
            counts[name] = counts.get(name, 0) + 1
        repeated = next(name for name in names if counts[name] > 1)
        msg = f"{path}: {option} needs distinct var names, but {repeated!r} comes {counts[repeated]} times"
        raise ValueError(msg)


def _chosen(chosen: Any, names: list[list[str]], paths: list[Path], *, may_lack: bool) -> list[str]:
    """Check the names that a user chooses."""
    if isinstance(chosen, str) or not all(isinstance(name, str) for name in chosen):
        msg = f"vars must be a sequence of var names or a mask, but is {chosen!r}"
        raise TypeError(msg)
    kept = list(map(str, chosen))
    if not kept:
        msg = "vars must name at least one column of X, but is empty"
        raise ValueError(msg)
    if len(set(kept)) != len(kept):
        repeated = next(name for i, name in enumerate(kept) if name in kept[:i])
        msg = f"vars must be distinct, but {repeated!r} comes twice"
        raise ValueError(msg)
    for other, path in zip(names, paths, strict=True):
        there = frozenset(other)
        lacking = [] if may_lack else [name for name in kept if name not in there]
        if lacking:
            more = f" and {len(lacking) - 1:,} more" if len(lacking) > 1 else ""
            msg = f"{path}: no var {lacking[0]!r}{more} of vars=; join='outer' takes 0 for what a file lacks"
            raise ValueError(msg)
    return kept


def _difference(first: list[str], first_path: Path, other: list[str], path: Path) -> str:
    message = f"var names must agree in all files, but {path} differs from {first_path}: "
    for i, (a, b) in enumerate(zip(first, other, strict=False)):
        if a != b:
            return message + f"var {i} is {b!r} instead of {a!r}; join='inner' keeps what all files share"
    return (
        message + f"it has {len(other):,} instead of {len(first):,}; join='inner' keeps what all files share"
    )
