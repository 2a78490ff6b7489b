"""Find h5ad files by name, folder or pattern, in the order of their paths."""

from collections.abc import Sequence
from pathlib import Path

__all__ = ["find_files"]

_SIGNS = "*?["


def find_files(key: str, names: Sequence[str]) -> list[Path]:
    """Return the files that names, folders and patterns stand for, each once, sorted.

    Parameters
    ----------
    key : str
        The configuration's key, for errors.
    names : sequence of str
        Files; folders, whose ``*.h5ad`` count; or patterns with ``*``, ``?``, ``[...]`` and ``**``.

    Raises
    ------
    ValueError
        If a folder or a pattern holds no file.
    FileNotFoundError
        If a file is not there.
    """
    found: set[Path] = set()
    for name in names:
        path = Path(name).expanduser().absolute()
        if path.is_dir():
            some = sorted(path.glob("*.h5ad"))
            problem = "holds no *.h5ad files"
        elif any(sign in name for sign in _SIGNS) and not path.exists():
            base = Path(path.anchor or ".")
            some = [
                match for match in base.glob(str(path.relative_to(path.anchor or "."))) if match.is_file()
            ]
            problem = "matches no files"
        else:
            some = [path] if path.is_file() else []
            problem = ""
        if not some and not problem:
            msg = f"{name}: no such file (named by {key})"
            raise FileNotFoundError(msg)
        if not some:
            msg = f"{key}: {name!r} {problem}"
            raise ValueError(msg)
        found.update(some)
    return sorted({path.resolve(): path for path in sorted(found)}.values())
