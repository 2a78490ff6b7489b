"""Which shard an error is about: what the error carries says it, else each shard is tried alone.

Rule: texts are not searched for names, as "shape [4, 2]" is about no shard 4. An error carries its shard by
the attributes ``shard`` and ``shards`` (`ShardError`) or, where shards are files or folders, ``filename``
(OSError) and ``path``; what caused it counts, too. Faults of the code are no shard's. A shard that is tried
alone is bad if it fails as the chunk did: with the same kind of error, raised by the same line.

Complexity: shards that are tried alone are read once, to their end or to where they fail.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .chunks import shard_name

__all__ = ["Verdict", "bad_alone", "let_go", "named_by", "shortened"]


class Verdict(NamedTuple):
    """What a rank's error is about: its text, the shards by name, and where there are none, why."""

    text: str
    names: list[str] = []  # noqa: RUF012 - never changed
    is_no_shards: bool = False
    why: str = ""


def named_by(error: BaseException | None, shards: Mapping[str, Any]) -> list[str]:
    """Return the names of those shards that an error, or else what caused it, carries.

    Parameters
    ----------
    error : exception or None
    shards : mapping
        Name to shard.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        values, files = list(_carried(error)), list(_files(error))
        found = [
            name
            for name, shard in shards.items()
            if any(_names(value, name, shard) for value in values)
            or any(_is_within(file, shard) for file in files)
        ]
        if found:
            return found
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return []


def bad_alone(error: BaseException, shards: Mapping[str, Any], read: Callable[[Any], object]) -> list[str]:
    """Return the names of those shards that fail as `error` did when each is read alone.

    Parameters
    ----------
    error : exception
    shards : mapping
        Name to shard.
    read : callable
        Reads one shard to its end.
    """
    found = []
    for name, shard in shards.items():
        failure: Exception | None = None
        try:
            read(shard)
        except Exception as raised:
            failure = raised
        if failure is not None and _kind(failure) == _kind(error):
            found.append(name)
        let_go(failure)
    return found


def let_go(error: BaseException | None) -> None:
    """Let an error that is dealt with, and its causes, no longer hold what was at work when it was raised.

    torch's errors of worker processes stand in a cycle with the iterator that raised them. Workers that only
    the garbage collector ends are waited for, each for 5 s (torch 2.13).
    """
    done: set[int] = set()
    handled = sys.exc_info()[1]
    while handled is not None and id(handled) not in done:  # what our caller handles is his
        done.add(id(handled))
        handled = handled.__context__
    while error is not None and id(error) not in done:
        done.add(id(error))
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


def shortened(names: Sequence[str], most: int = 10) -> str:
    """Return the first of some names as a text, and how many there are beyond them."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def _kind(error: BaseException) -> tuple[object, ...]:
    """Return the type of an error and the line that raised it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return (type(error), *(() if trace is None else (trace.tb_frame.f_code, trace.tb_lineno)))


def _carried(error: BaseException) -> Iterator[Any]:
    several = getattr(error, "shards", ())
    if isinstance(several, list | tuple | set | frozenset):
        yield from several
    one = getattr(error, "shard", None)
    if one is not None:
        yield one


def _files(error: BaseException) -> Iterator[Path]:
    for attribute in ("filename", "filename2", "path"):
        file = getattr(error, attribute, None)
        if isinstance(file, str | bytes | os.PathLike):
            yield Path(os.fsdecode(file))


def _names(value: Any, name: str, shard: Any) -> bool:
    if isinstance(value, str | bytes | os.PathLike) and _is_within(Path(os.fsdecode(value)), shard):
        return True
    try:
        return shard_name(value) == name
    except TypeError:  # it has no text
        return False


def _is_within(file: Path, shard: Any) -> bool:
    """Tell whether a file is a shard, or lies in the folder that the shard is."""
    if not isinstance(shard, str | bytes | os.PathLike):
        return False
    own, file = Path(os.fsdecode(shard)).absolute(), file.absolute()
    return own == file or own in file.parents
