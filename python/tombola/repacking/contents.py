"""Which matrices of the inputs are written anew, and what is said of those that are not."""

from collections.abc import Callable, Sequence
from pathlib import Path

import h5py

from ..sources import H5adError
from ..sources.h5ad.elements import encoding
from ..sources.h5ad.files import open_alone
from ..sources.h5ad.layout import read_contents
from .matrices import MatrixIn, open_matrix
from .options import RepackOptions

__all__ = ["count_rows", "find_matrices"]


def count_rows(paths: Sequence[Path]) -> int:
    """Count the rows of all inputs.

    Raises
    ------
    ValueError
        If one is a MuData file.
    """
    n = 0
    for path in paths:
        contents = read_contents(path)
        if contents.obs is None:
            msg = f"{path}: a MuData file (.h5mu); only h5ad files can be repacked"
            raise ValueError(msg)
        n += contents.obs.n_obs
    return n


def find_matrices(
    paths: Sequence[Path], options: RepackOptions, note: Callable[[str], object]
) -> list[MatrixIn]:
    """Open X, layers, raw/X and the sparse matrices of obsm.

    Of several inputs those that all have, in one form and with the same columns; of others a note says why
    not. X must be one of them, if any input has it.

    Raises
    ------
    ValueError, OSError
        If a matrix cannot be read, or X of several inputs does not go together.
    """
    names = [_rewritten(path) for path in paths]
    everywhere = [name for name in names[0] if all(name in other for other in names[1:])]
    for name in dict.fromkeys(name for other in names for name in other):
        if name in everywhere:
            continue
        lacking = next(path for path, other in zip(paths, names, strict=True) if name not in other)
        if name == "X":
            msg = f"{lacking}: no X that can be read, which other inputs have"
            raise ValueError(msg)
        note(f"{name} is left out: {lacking} has not got it")
    matrices = []
    for name in everywhere:
        try:
            matrices.append(open_matrix(name, paths, options))
        except ValueError as error:
            if name == "X" or len(paths) == 1 or isinstance(error, H5adError):
                raise
            note(f"{name} is left out: {error}")
    return matrices


def _rewritten(path: Path) -> list[str]:
    found = read_contents(path).matrices
    with open_alone(path) as file:
        x = file.get("X")
        if "X" not in found and x is not None and encoding(x) != "null":
            msg = f"{path}: X is encoded as {encoding(x)!r}, which cannot be repacked"
            raise ValueError(msg)
        return [
            name for name in found if not name.startswith("obsm/") or isinstance(file.get(name), h5py.Group)
        ]
