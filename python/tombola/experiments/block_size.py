"""How long blocks of rows are: so many rows, or "file", which is as the chunks of the files say.

Rule: what follows the files is the blocks of rows that `BlockShuffling` shuffles. Draws are cut into blocks
of 16 beside it, as where nothing is said: they stand in no order of any file.

In: what a user says, and a source of files. Out: a number or "file", and what strategies are made from.
"""

from typing import Any, Literal, TypeAlias

from tombola import H5adSource

__all__ = [
    "ALLOWED",
    "FILE",
    "BlockSize",
    "block_inputs",
    "block_size_in_file",
    "check_block_size",
    "describe_blocks",
]

FILE: Literal["file"] = "file"
BlockSize: TypeAlias = int | Literal["file"]
ALLOWED = "an integer >= 1, or file for blocks that follow the chunks of the files"


def check_block_size(value: object) -> BlockSize:
    """Return a block size that was typed or read from a file.

    Raises
    ------
    TypeError
        If it is neither an integer nor text.
    ValueError
        If it is neither an integer >= 1 nor "file"; the message says so.

    Examples
    --------
    >>> check_block_size("64"), check_block_size("file")
    (64, 'file')
    """
    text = str(value).strip()
    msg = f"block_size must be {ALLOWED}, but is {value!r}"
    if not isinstance(value, int | str) or isinstance(value, bool):
        raise TypeError(msg)
    if text == FILE:
        return FILE
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(msg)
    return int(text)


def block_size_in_file(value: object) -> BlockSize:
    """Return a block size as `check_block_size` does; other values are a ValueError, as pydantic asks."""
    try:
        return check_block_size(value)
    except TypeError as error:
        raise ValueError(error) from None


def block_inputs(block_size: BlockSize, source: H5adSource) -> dict[str, Any]:
    """Return what `StrategyInputs` takes of it; O(chunks) where blocks follow the files.

    Raises
    ------
    OSError
        If a file cannot be read.
    """
    if block_size == FILE:
        return {"bounds": source.chunk_bounds()}
    return {"block_size": block_size}


def describe_blocks(block_size: BlockSize) -> str:
    """Say it in words."""
    return "blocks that follow the files" if block_size == FILE else f"blocks of {block_size}"
