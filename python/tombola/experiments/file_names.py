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
        Files; folders, whose ``*.h5ad`` count; or patterns with ``*``, ``?``, ``[...]`` and ``**``.
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
            some = sorted(path.glob("*.h5ad"))
            problem = "holds no *.h5ad files"
        elif any(sign in name for sign in _SIGNS) and not path.exists():
            base = Path(path.anchor or ".")
            pattern = str(path.relative_to(path.anchor or "."))
            some = [match for match in base.glob(pattern) if match.is_file()]
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
