"""How much a mini epoch holds, as train.yaml says it."""

import re
from typing import Literal, NamedTuple

__all__ = ["ALLOWED", "AUTO", "ChunkBudget", "checked_chunk_size", "parse_chunk_size"]

ALLOWED = 'a whole number of files >= 1, a budget such as "50000 rows" or "2 GB", or auto'
AUTO = "auto"

_UNITS = {"kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12, "bytes": 1}
_CHUNK = re.compile(r"\s*([0-9][0-9_,]*(?:\.[0-9]+)?)\s*([a-z]+)\s*", re.IGNORECASE)


class ChunkBudget(NamedTuple):
    """So many files, as many as fit a budget of rows or bytes, or what memory allows (of amount 0)."""

    amount: int
    unit: Literal["files", "rows", "bytes", "auto"]


def parse_chunk_size(value: object) -> ChunkBudget:
    """Return what a chunk size says: 20, "50000 rows", "2 GB" or "auto".

    Units are kB, MB, GB, TB and bytes, decimal.

    Raises
    ------
    ValueError
        If it is none of these, or not above 0.

    Examples
    --------
    >>> parse_chunk_size(20), parse_chunk_size("1.5 GB")
    (ChunkBudget(amount=20, unit='files'), ChunkBudget(amount=1500000000, unit='bytes'))
    """
    text = str(value).strip()
    if text.lower() == AUTO:
        return ChunkBudget(0, "auto")
    if isinstance(value, int | str) and not isinstance(value, bool):
        if text.isdecimal() and int(text) >= 1:
            return ChunkBudget(int(text), "files")
        found = _CHUNK.fullmatch(text)
        if found is not None:
            number, unit = float(re.sub("[_,]", "", found[1])), found[2].lower()
            if unit in ("rows", "files") and number >= 1 and number.is_integer():
                return ChunkBudget(int(number), "rows" if unit == "rows" else "files")
            if unit in _UNITS and number * _UNITS[unit] >= 1:
                return ChunkBudget(round(number * _UNITS[unit]), "bytes")
    msg = "no chunk size"
    raise ValueError(msg)


def checked_chunk_size(value: object) -> object:
    """Return a chunk size as it is compared when training goes on: an integer, or text."""
    if parse_chunk_size(value).unit == "auto":
        return AUTO
    return int(str(value)) if str(value).strip().isdecimal() else value
