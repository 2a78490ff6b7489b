"""`chunk_size="auto"`: shards of a mini epoch by the memory that is free and by what a row takes.

Rule: what `make_loader` gives for one shard is read once and measured: the bytes of its batches, and their
rows. A mini epoch then has as many rows as half of the free memory holds, but at least one shard, and at most
a tenth of all, so that a full epoch is saved and validated about ten times. Other shards are taken to be as
large as that one; where all of them are files, their rows go by the bytes of the files. What is found is a
part of the course of training, so that it goes on with it, whatever is free then.

Complexity: one shard is read; O(shards) more.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from .._base.memory import free_memory
from ..passes.position import Position
from . import random_state
from .chunks import Bytes, Chunk, file_size
from .culprits import let_go
from .errors import is_no_shards
from .stream import MakeLoader, open_stream

__all__ = [
    "AUTO",
    "PARTS",
    "AutoSize",
    "ShardSize",
    "choose_size",
    "find_size",
    "fit_memory",
    "measure_shard",
]

AUTO = "auto"
SHARE = 0.5
"""Of the free memory."""
PARTS = 10
"""Mini epochs that a full epoch has at least, as far as there are shards."""
UNKNOWN_MEMORY = 1 << 30
"""What is taken to be free where the system does not say."""


class ShardSize(NamedTuple):
    """The rows of a shard, and what a row of its batches takes in memory, in bytes, rounded up."""

    rows: int
    row_bytes: int


class AutoSize(NamedTuple):
    """So many shards a mini epoch, or as many as have so many bytes as files, and why, in words."""

    amount: int
    unit: str
    why: str

    def budget(self) -> int | Bytes:
        """Return it as a chunk size."""
        return Bytes(self.amount) if self.unit == "bytes" else self.amount

    def __str__(self) -> str:
        of_files = " of files" if self.unit == "bytes" else ""
        return f"a mini epoch has at most {self.amount:,} {self.unit}{of_files}: {self.why}"


def measure_shard(batches: Iterator[Any]) -> ShardSize | None:
    """Return the size of a shard, all of whose batches these are; None if they hold no row."""
    rows = size = 0
    for batch in batches:
        rows += _rows(batch) or 0
        size += _bytes(batch)
    return ShardSize(rows, max(1, -(-size // rows))) if rows else None


def find_size(
    shards: Mapping[str, Any], make_loader: MakeLoader, seed: int
) -> tuple[AutoSize, dict[str, str]]:
    """Return the size by the first shard that can be read, and what is wrong with those before it, by name.

    Random numbers go on as if none was read. Faults of the code are raised, see `is_no_shards`.
    """
    bad: dict[str, str] = {}
    models = random_state.capture()
    try:
        for name in sorted(shards):
            chunk = Chunk(epoch=0, start=0, index=0, n_chunks=1, shards=(shards[name],), seed=seed)
            random_state.seed_all(seed)
            try:
                found = _read_through(make_loader, chunk)
            except Exception as error:
                if is_no_shards(error):
                    raise
                bad[name] = f"cannot be read: {str(error) or repr(error)}"
                let_go(error)
                continue
            if found is not None:
                return choose_size({n: shards[n] for n in shards if n not in bad}, name, found), bad
    finally:
        random_state.restore(models)
    return AutoSize(1, "shards", "none of them has a row that could be measured"), bad


def _read_through(make_loader: MakeLoader, chunk: Chunk) -> ShardSize | None:
    stream = open_stream(
        make_loader, chunk, begin=random_state.capture(cuda=False), position=Position(chunk.epoch)
    )

    def batches() -> Iterator[Any]:
        with contextlib.suppress(StopIteration):
            while True:
                yield stream.fetch()

    try:
        return measure_shard(batches())
    finally:
        stream.close()


def choose_size(
    shards: Mapping[str, Any], name: str, measured: ShardSize, free: Callable[[], int | None] | None = None
) -> AutoSize:
    """Return what a mini epoch holds.

    Parameters
    ----------
    shards : mapping
        Name to shard, of the full epoch.
    name : str
        The one that was measured.
    measured : ShardSize
    free : callable, optional
        Gives the bytes of memory that are free, or None; `free_memory`.
    """
    sizes = _file_sizes(shards)
    if sizes is None or not sizes[name]:
        unit, per_row, most, least = "shards", 1, -(-len(shards) // PARTS), 1
    else:
        unit, per_row, most, least = (
            "bytes",
            sizes[name],
            -(-sum(sizes.values()) // PARTS),
            min(sizes.values()),
        )
    amount, why = fit_memory(
        measured.row_bytes,
        lambda rows: rows * per_row // measured.rows,
        (least, "one shard"),
        most,
        (free or free_memory)(),
    )
    return AutoSize(amount, unit, why)


def fit_memory(
    row_bytes: int, amount_of: Callable[[int], int], least: tuple[int, str], most: int, free: int | None
) -> tuple[int, str]:
    """Return how much of something half of the free memory holds within bounds, and why, in words.

    Parameters
    ----------
    row_bytes : int
        What a row takes.
    amount_of : callable
        How much so many rows are.
    least : (int, str)
        The smallest amount, and what it is; it holds where `most` is less.
    most : int
        The largest amount: a tenth of all.
    free : int or None
        Bytes that are free, None where the system does not say.
    """
    known = UNKNOWN_MEMORY if free is None else free
    fitting = amount_of(int(known * SHARE) // row_bytes)
    amount = max(min(fitting, most), least[0], 1)
    bound = "half of that" if amount == fitting else least[1] if amount == least[0] else "a tenth of all"
    memory = f"{known / 1e9:,.1f} GB are {'taken to be ' if free is None else ''}free"
    return amount, f"{memory}, a row takes {row_bytes:,} bytes: {bound}"


def _file_sizes(shards: Mapping[str, Any]) -> dict[str, int] | None:
    """Return the bytes of each shard, None if not all are files."""
    try:
        if all(Path(name).is_file() for name in shards):
            return {name: file_size(name) for name in shards}
    except OSError:
        pass
    return None


def _rows(value: Any) -> int | None:
    """Return the length of the first array of a batch; of a list of other things, its own; else None.

    What has a shape counts as an array, as sparse rows do whose parts are longer.
    """
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple):
        return shape[0] if shape else None
    if isinstance(value, str | bytes):
        return None
    parts = _parts(value)
    found = next((rows for rows in map(_rows, parts) if rows is not None), None)
    return len(parts) if found is None and isinstance(value, Sequence) else found


def _bytes(value: Any) -> int:
    """Return the bytes of all arrays and texts of a batch."""
    if isinstance(value, Tensor):
        return _tensor_bytes(value)
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, str | bytes):
        return len(value)
    return sum(map(_bytes, _parts(value)))


def _tensor_bytes(tensor: Tensor) -> int:
    if tensor.is_sparse:
        return sum(map(_tensor_bytes, (tensor._values(), tensor._indices())))
    if tensor.is_sparse_csr:
        return sum(map(_tensor_bytes, (tensor.values(), tensor.crow_indices(), tensor.col_indices())))
    return tensor.numel() * tensor.element_size()


def _parts(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    if isinstance(value, Sequence):
        return list(value)
    if is_dataclass(value):
        return [getattr(value, field.name) for field in fields(value)]
    return list(getattr(value, "__dict__", {}).values())
