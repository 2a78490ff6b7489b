"""Making one source of several files: one set of columns, one set of categories a column.

Files are concatenated by rows, in the order they are given. O(files * columns + rows).
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .obs import ObsColumn

ColumnMap = npt.NDArray[np.int64] | None
"""For each column of a file its number in the source or -1; None where both are the same."""


def join_variables(names: list[list[str]], paths: list[Path], join: str) -> tuple[list[str], list[ColumnMap]]:
    """Agree on the columns of X.

    Parameters
    ----------
    names
        Names of the columns (genes) of each file.
    paths
        The files, for error messages.
    join
        "exact": all files must have the same names in the same order. "inner": the names that all files have,
        in the first file's order.

    Returns
    -------
    tuple
        The names, and for each file where its columns go.

    Raises
    ------
    ValueError
        If the names differ ("exact"), or share nothing or repeat ("inner").
    """
    first = names[0]
    if all(other == first for other in names[1:]):
        return first, [None] * len(names)
    if join == "exact":
        for other, path in zip(names[1:], paths[1:], strict=True):
            if other != first:
                raise ValueError(_difference(first, paths[0], other, path))
    for other, path in zip(names, paths, strict=True):
        if len(set(other)) != len(other):
            counts: dict[str, int] = {}
            for name in other:
                counts[name] = counts.get(name, 0) + 1
            repeated = next(name for name in other if counts[name] > 1)
            msg = (
                f"{path}: join='inner' needs distinct var names, but {repeated!r} comes {counts[repeated]} "
                "times"
            )
            raise ValueError(msg)
    common = set(first).intersection(*names[1:])
    kept = [name for name in first if name in common]
    if not kept:
        msg = (
            f"the files share no var name, for example {paths[0]} begins with {first[:3]} and "
            f"{paths[1]} with {names[1][:3]}"
        )
        raise ValueError(msg)
    place = {name: i for i, name in enumerate(kept)}
    maps: list[ColumnMap] = []
    for other in names:
        same = other == kept
        maps.append(None if same else np.array([place.get(name, -1) for name in other], dtype=np.int64))
    return kept, maps


def _difference(first: list[str], first_path: Path, other: list[str], path: Path) -> str:
    message = f"var names must agree in all files, but {path} differs from {first_path}: "
    for i, (a, b) in enumerate(zip(first, other, strict=False)):
        if a != b:
            return message + f"var {i} is {b!r} instead of {a!r}; join='inner' keeps what all files share"
    return (
        message + f"it has {len(other):,} instead of {len(first):,}; join='inner' keeps what all files share"
    )


def unify(name: str, parts: list[ObsColumn], paths: list[Path]) -> ObsColumn:
    """Concatenate one column over files.

    Categories become their union, in order of first appearance; those of text stay sorted. Numbers take the
    type that holds all of them.

    Raises
    ------
    ValueError
        If the column has categories in one file and numbers in another, or text and numbers as categories.
    """
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    for part, path in zip(parts[1:], paths[1:], strict=True):
        kinds = [_kind(first), _kind(part)]
        if kinds[0] != kinds[1]:
            msg = (
                f"obs column {name!r} must be the same kind in all files, but holds {kinds[0]} in "
                f"{paths[0]} and {kinds[1]} in {path}"
            )
            raise ValueError(msg)
    if first.categories is None:
        return ObsColumn(np.concatenate([part.values for part in parts]))
    seen: dict[Any, int] = {}
    for part in parts:
        assert part.categories is not None
        for value in part.categories.tolist():
            seen.setdefault(value, len(seen))
    is_sorted = all(part.is_sorted for part in parts)
    order = sorted(seen) if is_sorted else list(seen)
    rank = {value: i for i, value in enumerate(order)}
    codes = []
    for part in parts:
        assert part.categories is not None
        table = np.array([*(rank[value] for value in part.categories.tolist()), -1], dtype=np.int64)
        codes.append(table[part.values])
    kept = np.array(
        order, dtype=np.result_type(*(part.categories for part in parts if part.categories is not None))
    )
    return replace(first, values=np.concatenate(codes), categories=kept, is_sorted=is_sorted)


def _kind(column: ObsColumn) -> str:
    if column.categories is None:
        return "numbers"
    return "categories of text" if column.categories.dtype.kind == "U" else "categories of numbers"
