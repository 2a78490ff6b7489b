"""A block size and a fetch factor that suit some files, and whether blocks should follow their chunks.

Rule: a block should be about as many rows as a compressed chunk holds, so that no chunk is inflated for a few
rows of it, but not above 64, since a window then mixes few blocks; where nothing is compressed, 16, at which
reading in runs is cheap. Where neighbouring rows share a label for long, blocks stay small. The window is as
large as 256 batches but at most a tenth of the rows, so that an epoch has at least ten of them.

Blocks that follow the chunks are inflated once an epoch instead of once for each of their parts. They are
suggested where compressed chunks hold at least as many rows as a block, and a window so many of them that a
batch is hardly less mixed: two for each row of a batch, of which 0.79 rows then come from blocks that no
other row of the batch is from (docs/h5ad.md shows what was measured).

Complexity: O(rows) for the lengths of runs of labels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Suggestion", "mean_run", "suggest"]

DEFAULT_BLOCK = 16
LARGEST_BLOCK = 64
SMALLEST_BLOCK = 4
DEFAULT_FETCH_FACTOR = 256
WINDOWS_AN_EPOCH = 10
BLOCKS_A_BATCH_ROW = 2
"""Blocks that a window should hold for each row of a batch."""
LONG_RUN = 8  # blocks that a run of equal labels may fill before it counts as sorted


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """A block size and a fetch factor, each with its reason in a sentence.

    ``bounds_reason`` says why blocks should follow the chunks of the files; None if they should not.
    """

    block_size: int
    block_reason: str
    fetch_factor: int
    fetch_reason: str
    bounds_reason: str | None


def mean_run(codes: npt.NDArray[np.integer[Any]]) -> float:
    """Return the mean length of runs of equal codes; 0 where there are none.

    Parameters
    ----------
    codes : ndarray
        One code a row, in file order.
    """
    if len(codes) == 0:
        return 0.0
    return len(codes) / (1 + int(np.count_nonzero(codes[1:] != codes[:-1])))


def suggest(description: Mapping[str, Any], runs: Mapping[str, float], *, batch_size: int = 64) -> Suggestion:
    """Suggest a block size and a fetch factor.

    Parameters
    ----------
    description : mapping
        What `H5adSource.describe` gives.
    runs : mapping
        Label column to the mean length of its runs of equal labels, see `mean_run`.
    batch_size : int
        Rows of a batch, >= 1.
    """
    block_size, block_reason = _block(description["files"], runs)
    n_rows = int(description["n_obs"])
    most = max(1, n_rows // (WINDOWS_AN_EPOCH * batch_size))
    if most >= DEFAULT_FETCH_FACTOR:
        fetch_factor = DEFAULT_FETCH_FACTOR
        fetch_reason = (
            f"the usual one: a window of {batch_size * fetch_factor:,} rows is at most a tenth of {n_rows:,}"
        )
    else:
        fetch_factor = _power_of_two(most)
        fetch_reason = (
            f"a window of {batch_size * fetch_factor:,} rows; with {DEFAULT_FETCH_FACTOR} it would be "
            f"{batch_size * DEFAULT_FETCH_FACTOR:,} of {n_rows:,} rows, and block order would not matter"
        )
    return Suggestion(
        block_size=block_size,
        block_reason=block_reason,
        fetch_factor=fetch_factor,
        fetch_reason=fetch_reason,
        bounds_reason=_bounds(description["files"], block_size, batch_size * fetch_factor, batch_size),
    )


def _compressed_rows(files: list[Mapping[str, Any]]) -> float | None:
    """Return the median number of rows of a compressed chunk; None if nothing is compressed."""
    rows = [file["chunk_rows"] for file in files if file["compression"] and file["chunk_rows"]]
    return float(np.median(rows)) if rows else None


def _bounds(files: list[Mapping[str, Any]], block_size: int, window: int, batch_size: int) -> str | None:
    rows = _compressed_rows(files)
    if rows is None or rows < block_size or window < BLOCKS_A_BATCH_ROW * batch_size * rows:
        return None
    return (
        f"each chunk of about {rows:,.0f} rows is inflated about once an epoch, and a window still mixes "
        f"about {window / rows:,.0f} of them"
    )


def _block(files: list[Mapping[str, Any]], runs: Mapping[str, float]) -> tuple[int, str]:
    rows = _compressed_rows(files)
    if rows is None:
        size, reason = DEFAULT_BLOCK, "the usual one: values are not compressed, so a short run reads cheaply"
    else:
        size = min(max(_power_of_two(int(rows)), SMALLEST_BLOCK), LARGEST_BLOCK)
        bound = ""
        if rows > 2 * LARGEST_BLOCK:
            bound = f", bounded by {LARGEST_BLOCK} so that a window mixes many blocks"
        elif rows < SMALLEST_BLOCK:
            bound = f", but at least {SMALLEST_BLOCK}"
        codec = next(file["compression"] for file in files if file["compression"] and file["chunk_rows"])
        reason = f"{codec} chunks hold about {rows:,.0f} rows{bound}"
    name = max(runs, key=lambda column: runs[column], default=None)
    if name is not None and runs[name] >= LONG_RUN * DEFAULT_BLOCK and size > DEFAULT_BLOCK:
        size = DEFAULT_BLOCK
        reason += (
            f"; but rows are sorted by {name!r} (runs of {runs[name]:,.0f}): smaller blocks mix its classes"
        )
    return size, reason


def _power_of_two(x: int) -> int:
    """Return the largest power of two that is at most x; 1 for x below 1."""
    return 1 << max(x, 1).bit_length() - 1
