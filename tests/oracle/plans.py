"""Whole epochs, plainly: the sequence, its blocks in random order, its windows permuted, its batches.

An epoch is made as arrays over all positions, one step after the other; the core computes any batch alone.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from tests.oracle.draws import iid, stratified, without_replacement_round
from tests.oracle.permutations import EXACT_BELOW, I64, Bijection, shuffle
from tests.oracle.philox import Purpose, derive
from tests.oracle.weights import Quantised


@dataclass(frozen=True, kw_only=True)
class Batching:
    """The options that every plan has."""

    batch_size: int
    fetch_factor: int = 1
    drop_last: bool = False
    seed: int = 0
    epoch: int = 0

    @property
    def window(self) -> int:
        """Positions a fetch window."""
        return self.batch_size * self.fetch_factor


@dataclass(frozen=True, eq=False)
class OraclePlan:
    """The rows of one epoch and their batches."""

    rows: I64
    batch_size: int

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def batch(self, k: int) -> I64:
        """Return the rows of batch ``k``."""
        return self.rows[k * self.batch_size : (k + 1) * self.batch_size]

    def offset(self, k: int) -> int:
        """Return the first position of batch ``k``; of ``len(self)``, the number of rows."""
        return min(k * self.batch_size, len(self.rows))


def shuffle_blocks(sequence: I64, block_size: int, key: ArrayLike) -> I64:
    """Return the blocks of a sequence in random order; the short last one follows wherever it is put."""
    starts = range(0, len(sequence), block_size)
    order = Bijection(len(starts), key, EXACT_BELOW)(np.arange(len(starts)))
    return np.concatenate([sequence[j * block_size : (j + 1) * block_size] for j in order.tolist()])


def shuffle_bounded_blocks(sequence: I64, bounds: ArrayLike, key: ArrayLike) -> I64:
    """Return the parts of a sequence of rows between bounds in random order, but those without rows."""
    cuts = np.searchsorted(sequence, np.asarray(bounds, dtype=np.int64))
    parts = [part for part in np.split(sequence, cuts) if len(part)]
    order = Bijection(len(parts), key, EXACT_BELOW)(np.arange(len(parts)))
    return np.concatenate([sequence[:0], *(parts[j] for j in order.tolist())])


def permute_windows(rows: I64, how: Batching) -> I64:
    """Return the rows with each fetch window permuted."""
    key = derive(how.seed, how.epoch, Purpose.WINDOW)
    out = rows.copy()
    for number, start in enumerate(range(0, len(rows), how.window)):
        part = rows[start : start + how.window]
        if len(part) < EXACT_BELOW:
            table = shuffle(key, number, np.arange(len(part)))
        else:
            table = Bijection(len(part), derive(key, number, Purpose.WINDOW_LARGE), 0)(np.arange(len(part)))
        out[start : start + how.window] = part[table]
    return out


def _finish(rows: I64, indices: ArrayLike | None, how: Batching) -> OraclePlan:
    if how.drop_last:
        rows = rows[: len(rows) // how.batch_size * how.batch_size]
    return OraclePlan(rows if indices is None else np.asarray(indices, dtype=np.int64)[rows], how.batch_size)


def streaming(n: int, how: Batching, *, shuffle: bool, indices: ArrayLike | None = None) -> OraclePlan:
    """Return the plan of ``Streaming``: in order, or permuted inside each window."""
    rows = np.arange(n)
    return _finish(permute_windows(rows, how) if shuffle else rows, indices, how)


def blocks(n: int, how: Batching, *, block_size: int, indices: ArrayLike | None = None) -> OraclePlan:
    """Return the plan of ``BlockShuffling``; blocks of 1 need no permutation of windows."""
    rows = shuffle_blocks(np.arange(n), block_size, derive(how.seed, how.epoch, Purpose.BLOCKS))
    return _finish(permute_windows(rows, how) if block_size > 1 else rows, indices, how)


def bounded_blocks(how: Batching, *, bounds: ArrayLike, indices: ArrayLike | None = None) -> OraclePlan:
    """Return the plan of ``BlockShuffling(bounds=...)``; blocks of 1 need no permutation of windows."""
    cuts = np.asarray(bounds, dtype=np.int64)
    chosen = np.arange(cuts[-1]) if indices is None else np.asarray(indices, dtype=np.int64)
    rows = shuffle_bounded_blocks(chosen, cuts, derive(how.seed, how.epoch, Purpose.BLOCKS))
    together = np.searchsorted(cuts, chosen, side="right")
    mixed = (together[1:] == together[:-1]).any()
    return _finish(permute_windows(rows, how) if mixed else rows, None, how)


def weighted(
    weights: Quantised,
    how: Batching,
    *,
    block_size: int,
    draws: int,
    draw: Literal["stratified", "iid"] = "stratified",
    sampling_size: int = 0,
    indices: ArrayLike | None = None,
) -> OraclePlan:
    """Return the plan of ``BlockWeightedSampling``; ``sampling_size > 0``: rounds without replacement."""
    if sampling_size:
        round_key = derive(how.seed, how.epoch, Purpose.ROUND_BLOCKS)
        parts = []
        for number, start in enumerate(range(0, draws, sampling_size)):
            size = min(sampling_size, draws - start)
            sequence = without_replacement_round(weights, size, number, how.seed, how.epoch)
            parts.append(shuffle_blocks(sequence, block_size, derive(round_key, number, Purpose.BLOCKS)))
        rows = np.concatenate(parts)
    else:
        rule = {"stratified": stratified, "iid": iid}[draw]
        sequence = rule(weights, draws, how.seed, how.epoch)
        rows = shuffle_blocks(sequence, block_size, derive(how.seed, how.epoch, Purpose.BLOCKS))
    return _finish(permute_windows(rows, how) if block_size > 1 else rows, indices, how)
