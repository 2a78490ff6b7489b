"""Find h5ad files by name, folder or pattern, in the order of their paths."""

import logging
from collections.abc import Sequence
from pathlib import Path

from tombola.sources.h5ad.arguments import check_is_file, is_zarr

from .config_files import expanded

__all__ = ["find_files"]

_SIGNS = "*?["
_logger = logging.getLogger(__name__)


def find_files(key: str, names: Sequence[str], *, skip_missing: bool = False) -> list[Path]:
    """Return the files that names, folders and patterns stand for, each once, sorted.

    Parameters
    ----------
    key : str
        The configuration's key, for errors.
    names : sequence of str
        Files; folders, whose ``*.h5ad`` count; or patterns with ``*``, ``?``, ``[...]`` and ``**``. Hidden
        files, such as those that are being written, only count where a name says so.
    skip_missing : bool
        Whether names that stand for no file are left out with a warning, if others are left.

    Raises
    ------
    ValueError
        If a folder or a pattern holds no file.
    FileNotFoundError
        If a file is not there.
    """
    found: set[Path] = set()
    problems: list[ValueError | FileNotFoundError] = []
    for name in names:
        path = expanded(name).absolute()
        if path.is_dir():
            if is_zarr(path):
                check_is_file(path)
            some = [match for match in path.glob("*.h5ad") if not match.name.startswith(".")]
            problem = "holds no *.h5ad files"
        elif any(sign in name for sign in _SIGNS) and not path.exists():
            base = next(folder for folder in path.parents if folder.exists())  # its signs are no pattern's
            hidden = path.name.startswith(".")
            found_here = base.glob(str(path.relative_to(base)))
            some = [m for m in found_here if m.is_file() and (hidden or not m.name.startswith("."))]
            problem = "matches no files"
        else:
            some = [path] if path.is_file() else []
            problem = ""
        if not some and not problem:
            problems.append(FileNotFoundError(f"{name}: no such file (named by {key})"))
        elif not some:
            problems.append(ValueError(f"{key}: {name!r} {problem}"))
        found.update(some)
    if problems and not (skip_missing and found):
        raise problems[0]
    for problem_left_out in problems:
        _logger.warning("left out: %s", problem_left_out)
    return sorted({path.resolve(): path for path in sorted(found)}.values())
